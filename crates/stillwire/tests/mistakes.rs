//! What people do wrong at first: each answer says what happened, to what, and what to do.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]

use std::net::TcpListener;
use std::path::Path;

use serde_json::json;
use stillwire_testkit::{App, Stillwire, eventually, example};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// Runs a command that must fail, and gives what it said.
fn fails(arguments: &[&str]) -> String {
    let output = Stillwire::command(PROGRAM).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.lines().any(|line| line.starts_with("error: ")), "{said}");
    said
}

fn dev_fails(path: &Path) -> String {
    fails(&["dev", path.to_str().unwrap(), "--in-memory", "--port", "0"])
}

fn assert_says(said: &str, texts: &[&str]) {
    for text in texts {
        assert!(said.contains(text), "{text:?} is not in\n{said}");
    }
}

fn write(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.json");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn a_path_that_is_not_there_or_holds_no_app() {
    assert_says(&dev_fails(Path::new("/no/such/app")), &["/no/such/app does not exist"]);
    let folder = tempfile::tempdir().unwrap();
    let said = dev_fails(folder.path());
    assert_says(
        &said,
        &[
            "it has no cdk.json, manifest.json, serverless.yml or template.yaml",
            "hint: name the folder",
        ],
    );
}

#[test]
fn a_template_that_is_neither_yaml_nor_json() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = folder.path().join("app.yaml");
    std::fs::write(&yaml, "Resources:\n  Api: [1\n").unwrap();
    assert_says(&dev_fails(&yaml), &["this is not YAML", "app.yaml:"]);
    let (_folder, broken) = write("{\n  \"Resources\": {,}\n}");
    assert_says(&dev_fails(&broken), &["this is not JSON", "app.json:2:17"]);
}

#[test]
fn a_template_that_refers_to_nothing_names_file_resource_and_property() {
    let app = App::new()
        .function_with(
            "chat",
            "",
            &json!({ "Environment": { "Variables": { "T": { "Ref": "Tabel" } } } }),
        )
        .route("chat", "chat");
    let said = dev_fails(&app.template());
    assert_says(&said, &["Tabel", "app.json:1:", "chat", "Properties.Environment.Variables.T"]);
}

#[test]
fn an_unknown_runtime_and_a_reserved_variable() {
    let unknown =
        App::new().function_with("f", "", &json!({ "Runtime": "cobol85" })).route("a", "f");
    let said = dev_fails(&unknown.template());
    assert_says(&said, &["\"cobol85\" is not a Lambda runtime", "Properties.Runtime"]);
    let variables = json!({ "Environment": { "Variables": { "AWS_REGION": "x" } } });
    let reserved = App::new().function_with("f", "", &variables).route("a", "f");
    let said = dev_fails(&reserved.template());
    assert_says(&said, &["AWS_REGION is reserved by Lambda", "Variables"]);
}

#[test]
fn a_template_without_an_api() {
    let (_folder, path) = write(r#"{ "Resources": { "A": { "Type": "AWS::IAM::Role" } } }"#);
    let said = dev_fails(&path);
    assert_says(
        &said,
        &["there is no WebSocket API", "hint: `stillwire check` lists every resource"],
    );
}

#[test]
fn an_asset_that_is_gone_names_function_and_path() {
    let app = example("cdk-chat");
    for entry in std::fs::read_dir(app.path().join("cdk.out")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("asset.") {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
    let said = dev_fails(&app.path().join("cdk.out"));
    assert_says(&said, &["WebsocketFunction", "asset.e449dcce"]);
}

#[test]
fn an_empty_manifest_is_one_clear_error() {
    let app = example("cdk-chat");
    std::fs::write(app.path().join("cdk.out/manifest.json"), "").unwrap();
    let said = dev_fails(&app.path().join("cdk.out"));
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    assert_says(&said, &["manifest.json"]);
}

#[test]
fn a_port_that_is_taken_names_others() {
    let app = App::new().function("f", "").route("a", "f");
    let taken = (22_001..).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).unwrap();
    let port = taken.local_addr().unwrap().port();
    let template = app.template();
    let said =
        fails(&["dev", template.to_str().unwrap(), "--in-memory", "--port", &port.to_string()]);
    assert_says(&said, &[&format!("port {port} is in use by another program"), "--port 0"]);
}

#[test]
fn a_data_folder_that_cannot_be_written() {
    let app = App::new().function("f", "").route("a", "f");
    let template = app.template();
    let said =
        fails(&["dev", template.to_str().unwrap(), "--data-dir", "/proc/nothing", "--port", "0"]);
    assert_says(
        &said,
        &["cannot keep state in /proc/nothing", "hint: name another folder with --data-dir"],
    );
}

#[test]
fn no_python_at_all_is_said_at_the_start_and_refuses_clients_clearly() {
    let app = App::new().function("f", "").two_way_route("$default", "f");
    let nothing = tempfile::tempdir().unwrap();
    let mut command = Stillwire::command(PROGRAM);
    command.env("PATH", nothing.path()).env("HOME", nothing.path());
    command.args(["dev", "--in-memory", "--port", "0"]).arg(app.template());
    let stillwire = Stillwire::start(command);
    stillwire.wait_for_log("there is no Python on this machine; install python3.12");
    let frame = stillwire.connect().ask("{}");
    assert_eq!(frame["message"], "Internal server error");
}

#[test]
fn a_syntax_error_in_a_handler_is_shown_with_its_place() {
    let app = App::new()
        .function("chat", "def handler(event, context)\n    pass\n")
        .route("$default", "chat");
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let frame = stillwire.connect().ask("{}");
    assert_eq!(frame["message"], "Internal server error");
    eventually("the error in the log", || {
        let log = stillwire.log();
        (log.contains("Syntax error in module 'chat'") && log.contains("chat.py")).then_some(())
    });
}

#[test]
fn a_function_that_cannot_be_run_says_so_at_the_start() {
    let go = json!({ "Runtime": "go1.x" });
    let app = App::new().function_with("chat", "", &go).two_way_route("$default", "chat");
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    stillwire.wait_for_log("its runtime go1.x is not run here; take provided.al2023");
    assert_eq!(stillwire.connect().ask("{}")["message"], "Internal server error");
}

#[test]
fn connect_says_why_it_cannot() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = fails(&["connect", &format!("ws://{closed}/dev")]);
    assert_says(&said, &["cannot connect to 127.0.0.1:", "hint: nothing listens there"]);
    assert_says(
        &fails(&["connect", "ftp://x"]),
        &["is no WebSocket address", "hint: an address looks like"],
    );
    assert_says(
        &fails(&["connect", "ws://x", "-H", "nonsense"]),
        &["is not a header", "hint: write it as"],
    );
    assert_says(&fails(&["connect", "wss://localhost:1", "--ca", "/no/file"]), &["cannot connect"]);
}
