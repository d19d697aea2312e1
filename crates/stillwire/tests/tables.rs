//! Tables as functions use them: by boto3, against a running program.
//!
//! `STILLWIRE_HOSTILE_SECONDS` makes the round of hostile requests longer, `STILLWIRE_FUZZ_SEED`, a number, makes others.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]
#![allow(clippy::disallowed_methods, reason = "the environment says how long a round is")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use stillwire_testkit::{App, Stillwire, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const CODE: &str = "def handler(event, context):\n    return {'statusCode': 200}\n";

fn app() -> App {
    App::new().function("all", CODE).route("$default", "all")
}

static STILLWIRE: LazyLock<Stillwire> = LazyLock::new(|| app().share(PROGRAM));

fn run(stillwire: &Stillwire, script: &str, case: &str) {
    tools::python(script, &[&stillwire.ready().to_string(), case]);
}

macro_rules! cases {
    ($script:literal: $($case:ident),* $(,)?) => {
        $(#[test]
        fn $case() {
            run(&STILLWIRE, $script, stringify!($case));
        })*
    };
}

cases!("tables.py":
    types_round_trip,
    errors_are_as_sdks_parse_them,
    the_deepest_expressions_are_refused_and_the_program_lives,
    what_is_over_a_limit_is_refused_and_what_reaches_it_is_not,
    values_are_returned_as_asked,
    the_largest_item_is_400_kb,
    pages_lead_to_every_item_once,
    segments_share_nothing_also_while_their_items_are_deleted,
    keys_are_sorted_by_their_type,
    writers_do_not_lose_each_others_work,
    transactions_are_all_or_nothing,
    indexes_follow_their_tables,
    indexes_hold_what_they_project,
    capacity_is_counted,
    resources_of_older_apps_work,
    statements_run,
    tables_come_and_go,
    regions_and_accounts_are_apart,
    streams_are_read,
    the_wire_is_as_sdks_expect,
);

cases!("table_streams.py":
    each_view_has_its_images,
    records_of_an_item_are_in_the_order_of_its_writes,
    iterators_begin_where_they_say,
    expired_items_go_and_their_records_name_the_service,
);

#[test]
fn hostile_requests_are_answered_and_cost_no_memory() {
    let number = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let (app, data) = (app(), tempfile::tempdir().expect("a folder"));
    let arguments = ["--data-dir", data.path().to_str().expect("a path")];
    let stillwire = Stillwire::dev_with(PROGRAM, &app.template(), &arguments);
    let seen = tools::python(
        "hostile.py",
        &[
            &stillwire.ready().to_string(),
            "hostile",
            &number("STILLWIRE_HOSTILE_SECONDS", "5"),
            &number("STILLWIRE_FUZZ_SEED", "0"),
        ],
    );
    println!("{seen}");
    let (log, ended_well) = stillwire.stop();
    assert!(ended_well && !log.contains("panicked"), "{log}");
}

/// Runs `stillwire tables` against a program; what it printed, what it said, whether it did well.
fn tables(stillwire: &Stillwire, arguments: &[&str], input: &str) -> (String, String, bool) {
    let endpoint = stillwire.ready()["aws_endpoint"].as_str().expect("an endpoint");
    let mut command = Stillwire::command(PROGRAM);
    let mut process = command
        .args(["tables", "--endpoint", endpoint])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = process.stdin.take().expect("its input");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = process.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr), output.status.success())
}

#[test]
fn people_look_into_tables_and_change_them() {
    let app = app().resource(
        "People",
        serde_json::json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
            "TableName": "people", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "N" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }] } }),
    );
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let run = |arguments: &[&str], input: &str| tables(&stillwire, arguments, input);
    let done = |arguments: &[&str], input: &str| {
        let (out, error, well) = run(arguments, input);
        assert!(well, "{arguments:?}: {error}");
        out
    };
    done(&["put", "people", r#"{"id": 1, "name": "ada", "tags": ["a", null]}"#], "");
    done(&["put", "people", "-", "--typed"], r#"{"id": {"N": "2"}, "set": {"SS": ["x"]}}"#);
    let plain: serde_json::Value =
        serde_json::from_str(&done(&["get", "people", "1"], "")).expect("JSON");
    assert_eq!(plain, serde_json::json!({ "id": 1, "name": "ada", "tags": ["a", null] }));
    assert_eq!(done(&["scan", "people", "--limit", "1"], "").lines().count(), 1);
    let (list, _, _) = run(&[], "");
    assert!(list.contains("people  2"), "{list}");
    let json = done(&["--json"], "");
    let row: serde_json::Value = serde_json::from_str(json.trim()).expect("JSON");
    assert_eq!((&row["name"], &row["keys"][0]), (&"people".into(), &"id".into()));

    let exported = done(&["export", "people"], "");
    assert_eq!(exported.lines().count(), 2);
    done(&["delete", "people", r#"{"id": 2}"#], "");
    let (_, error, well) = run(&["get", "people", "2"], "");
    assert!(!well && error.contains("no item"), "{error}");
    done(
        &["import", "people"],
        &format!("{exported}\n{{\"id\": 3}}\n{{\"id\": 3, \"again\": true}}\n"),
    );
    let typed: serde_json::Value =
        serde_json::from_str(&done(&["get", "people", "2", "--typed"], "")).expect("JSON");
    assert_eq!(typed, serde_json::json!({ "id": { "N": "2" }, "set": { "SS": ["x"] } }));
    assert!(done(&["get", "people", "3"], "").contains("again"));
    let (_, error, well) = run(&["import", "people"], "{\"id\": 4}\nnothing\n");
    assert!(!well && error.contains("line 2"), "{error}");
    let (_, error, well) = run(&["scan", "nobody"], "");
    assert!(!well && error.contains("`stillwire tables` lists"), "{error}");
}

/// An app whose tables are not kept here, with keys of its user's.
fn with_settings(app: &App, settings: &str, data: &Path) -> Command {
    let template = app.template();
    let config = template.with_file_name("settings.toml");
    std::fs::write(&config, settings).expect("a file");
    let mut command = Stillwire::command(PROGRAM);
    command
        .args(["dev", "--port", "0", "--verbose", "--config"])
        .arg(&config)
        .arg("--data-dir")
        .arg(data)
        .arg(&template)
        .env("AWS_ACCESS_KEY_ID", "mine")
        .env("AWS_SECRET_ACCESS_KEY", "my secret");
    command
}

#[test]
fn tables_on_another_server_are_made_there_and_used_by_functions() {
    // Another Stillwire is the other server.
    let elsewhere = &*STILLWIRE;
    let endpoint = elsewhere.ready()["aws_endpoint"].as_str().expect("an endpoint");
    let code = "import os, boto3, json\n\
        def handler(event, context):\n    \
            boto3.client('dynamodb').put_item(TableName='outside', Item={'id': {'S': 'a'}})\n    \
            return {'statusCode': 200, 'body': json.dumps([os.environ['AWS_ENDPOINT_URL_DYNAMODB'],\n        \
                os.environ['AWS_ENDPOINT_URL_DYNAMODB_STREAMS'], os.environ['AWS_ACCESS_KEY_ID']])}\n";
    let app = App::new().function("put", code).two_way_route("$default", "put").resource(
        "Outside",
        serde_json::json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
            "TableName": "outside", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }] } }),
    );
    let data = tempfile::tempdir().expect("a folder");
    let text = format!("[tables]\nmode = \"external\"\nendpoint = \"{endpoint}\"\n");
    let stillwire = Stillwire::start(with_settings(&app, &text, data.path()));
    let mut client = stillwire.connect();
    client.send("go");
    assert_eq!(client.json(), serde_json::json!([endpoint, endpoint, "mine"]));
    assert!(!data.path().join("tables.db").exists(), "nothing is kept here");
    let (found, error, _) = tables(elsewhere, &["get", "outside", "a"], "");
    assert_eq!(found, "{\"id\":\"a\"}\n", "{error}");
    assert!(stillwire.log().contains(&format!("1 table at {endpoint}")), "{}", stillwire.log());
}

#[test]
fn functions_know_their_tables_by_what_get_att_gives() {
    let code = "import os, json, boto3\n\
        def handler(event, context):\n    \
            db = boto3.client('dynamodb')\n    \
            table = db.describe_table(TableName=os.environ['NAME'])['Table']\n    \
            tags = db.list_tags_of_resource(ResourceArn=os.environ['ARN'])['Tags']\n    \
            return {'statusCode': 200, 'body': json.dumps([os.environ['ARN'], os.environ['STREAM'],\n        \
                table['TableArn'], table['LatestStreamArn'], tags])}\n";
    let variables = serde_json::json!({ "NAME": { "Ref": "Rooms" },
        "ARN": { "Fn::GetAtt": ["Rooms", "Arn"] }, "STREAM": { "Fn::GetAtt": ["Rooms", "StreamArn"] } });
    let app = App::new()
        .function_with(
            "asks",
            code,
            &serde_json::json!({ "Environment": { "Variables": variables } }),
        )
        .two_way_route("$default", "asks")
        .resource(
            "Rooms",
            serde_json::json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
                "BillingMode": "PAY_PER_REQUEST", "Tags": [{ "Key": "team", "Value": "chat" }],
                "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
                "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
                "StreamSpecification": { "StreamViewType": "KEYS_ONLY" } } }),
        );
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let said = stillwire.connect().ask("{}");
    let arn = said[0].as_str().expect("an ARN");
    assert!(arn.starts_with("arn:aws:dynamodb:us-east-1:000000000000:table/"), "{said}");
    assert!(said[1].as_str().expect("an ARN").starts_with(&format!("{arn}/stream/")), "{said}");
    assert_eq!((&said[2], &said[3]), (&said[0], &said[1]));
    assert_eq!(said[4], serde_json::json!([{ "Key": "team", "Value": "chat" }]));
}

#[test]
fn tables_on_aws_are_asked_there_with_the_users_own_keys() {
    let code = "import os, json\n\
        def handler(event, context):\n    \
            names = ['AWS_ENDPOINT_URL_DYNAMODB', 'AWS_ENDPOINT_URL_DYNAMODB_STREAMS', 'AWS_REGION',\n        \
                'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']\n    \
            return {'statusCode': 200, 'body': json.dumps([os.environ[name] for name in names])}\n";
    // No table: nothing is asked of AWS at the start.
    let app = App::new().function("shows", code).two_way_route("$default", "shows");
    let data = tempfile::tempdir().expect("a folder");
    let mut command = with_settings(&app, "[tables]\nmode = \"aws\"\n", data.path());
    command.env("AWS_SESSION_TOKEN", "my session");
    let stillwire = Stillwire::start(command);
    assert_eq!(
        stillwire.connect().ask("{}"),
        serde_json::json!([
            "https://dynamodb.us-east-1.amazonaws.com",
            "https://streams.dynamodb.us-east-1.amazonaws.com",
            "us-east-1",
            "mine",
            "my secret",
            "my session"
        ])
    );
    assert!(!data.path().join("tables.db").exists(), "nothing is kept here");
}

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
    run(&stillwire, "tables.py", "only_known_keys_are_let_in");
}
