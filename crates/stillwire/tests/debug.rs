//! Functions under a debugger.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use serde_json::json;
use stillwire_testkit::{App, Stillwire, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const CODE: &str = r#"
def handler(event, context):
    text = event["body"].upper()
    return {"statusCode": 200, "body": text}
"#;

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

#[test]
fn a_function_waits_for_a_debugger_and_runs_out_of_no_time_meanwhile() {
    let app = App::new()
        .integration_timeout_millis(1000)
        .function_with("slow", CODE, &json!({ "Timeout": 1 }))
        .two_way_route("$default", "slow");
    let port = free_port();
    let debug = format!("slow={port}");
    let arguments = ["--in-memory", "--debug", &debug];
    let stillwire = Stillwire::dev_with(PROGRAM, &app.template(), &arguments);
    stillwire.wait_for_log(&format!("waiting for a debugger at localhost:{port}"));
    let mut client = stillwire.connect();
    client.send("hello");

    let file = app.file("slow", "slow.py");
    let file = std::fs::canonicalize(file).expect("the file");
    let mut debugger = tools::python_with(&tools::client("debugger.py"))
        .args([&port.to_string(), file.to_str().expect("UTF-8"), "4", "text"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the debugger starts");
    let mut said = BufReader::new(debugger.stdout.take().expect("its output")).lines();
    let mut next = || said.next().expect("the debugger says more").expect("UTF-8");
    assert_eq!(next(), "attached");
    assert_eq!(next(), "'HELLO'");
    assert_eq!(client.text(), "HELLO");
    debugger.kill().expect("it is ended");
    debugger.wait().expect("it has ended");
}

#[test]
fn a_function_in_javascript_waits_for_its_inspector() {
    let more = json!({ "Runtime": "nodejs20.x", "Handler": "index.handler", "Timeout": 1,
        "Code": { "ZipFile": "exports.handler = async (event) => ({ statusCode: 200, body: event.body });" } });
    let app = App::new().function_with("quick", "", &more).two_way_route("$default", "quick");
    let port = free_port();
    let debug = format!("quick={port}");
    let arguments = ["--in-memory", "--debug", &debug];
    let stillwire = Stillwire::dev_with(PROGRAM, &app.template(), &arguments);
    stillwire.wait_for_log(&format!("Debugger listening on ws://127.0.0.1:{port}/"));
    let mut client = stillwire.connect();
    client.send("hello");
    assert_eq!(tools::node("inspector.js", &[&port.to_string()]), "paused\n");
    assert_eq!(client.text(), "hello");
}

#[test]
fn a_function_that_is_not_there_is_named() {
    let app = App::new().function("one", CODE).two_way_route("$default", "one");
    let output = Stillwire::command(PROGRAM)
        .args(["dev", "--port", "0", "--in-memory", "--debug", "two"])
        .arg(app.template())
        .output()
        .expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("--debug two: no function of this app"), "{error}");
}
