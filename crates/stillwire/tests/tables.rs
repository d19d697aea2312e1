//! Tables as functions use them: by boto3, against a running program.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]

use std::sync::LazyLock;

use stillwire_testkit::{App, Stillwire, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const CODE: &str = "def handler(event, context):\n    return {'statusCode': 200}\n";

fn app() -> App {
    App::new().function("all", CODE).route("$default", "all")
}

static STILLWIRE: LazyLock<Stillwire> = LazyLock::new(|| app().share(PROGRAM));

fn run(stillwire: &Stillwire, case: &str) {
    tools::python("tables.py", &[&stillwire.ready().to_string(), case]);
}

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        $(#[test]
        fn $case() {
            run(&STILLWIRE, stringify!($case));
        })*
    };
}

cases!(
    types_round_trip,
    errors_are_as_sdks_parse_them,
    values_are_returned_as_asked,
    the_largest_item_is_400_kb,
    pages_lead_to_every_item_once,
    keys_are_sorted_by_their_type,
    writers_do_not_lose_each_others_work,
    transactions_are_all_or_nothing,
    indexes_follow_their_tables,
    capacity_is_counted,
    resources_of_older_apps_work,
    statements_run,
    tables_come_and_go,
    regions_and_accounts_are_apart,
    streams_are_read,
    the_wire_is_as_sdks_expect,
);

#[test]
fn only_known_keys_are_let_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("stillwire.toml");
    std::fs::write(&config, "[tables]\nsignatures = \"verify\"\n[keys]\noperator = \"right\"\n")
        .expect("a file");
    let app = app();
    let config = config.display().to_string();
    let stillwire =
        Stillwire::dev_with(PROGRAM, &app.template(), &["--in-memory", "--config", &config]);
    run(&stillwire, "only_known_keys_are_let_in");
}
