//! `stillwire connect`: in a script, and at a terminal.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]

use std::io::Write as _;
use std::process::{Output, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};
use stillwire_testkit::{App, Stillwire, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// An echo that picks a sub-protocol, refuses who asks for it, and closes on request.
const ECHO: &str = r#"
import boto3
def handler(event, context):
    request = event["requestContext"]
    if request["routeKey"] == "$connect":
        headers = {name.lower(): value for name, value in event["headers"].items()}
        if headers.get("x-refuse"):
            return {"statusCode": 403, "body": "not you"}
        offered = headers.get("sec-websocket-protocol")
        return {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "chat.v1"} if offered else {}}
    if event["body"] == "leave":
        boto3.client("apigatewaymanagementapi").delete_connection(ConnectionId=request["connectionId"])
        return {"statusCode": 200}
    return {"statusCode": 200, "body": event["body"]}
"#;

/// The app is kept with the program: its folder goes when it does.
static RUNNING: LazyLock<(App, Stillwire)> = LazyLock::new(|| {
    let app = App::new()
        .function("echo", ECHO)
        .route("$connect", "echo")
        .two_way_route("$default", "echo");
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    (app, stillwire)
});

fn url(scheme: &str) -> String {
    RUNNING.1.url("test", scheme)
}

fn connect(arguments: &[&str], input: &str) -> Output {
    let mut command = Stillwire::command(PROGRAM);
    command.arg("connect").arg(url("ws")).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = command.spawn().unwrap();
    client.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    client.wait_with_output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn messages_of_the_command_line_are_sent_and_answers_are_lines_of_json() {
    let output = connect(&["-x", "one", "-x", "two", "-w", "1", "--json"], "");
    assert!(output.status.success());
    let mut lines = lines(&output);
    assert_eq!(lines.remove(0), json!({ "type": "open", "subprotocol": null }));
    assert_eq!(lines.pop().unwrap(), json!({ "type": "close", "code": 1005, "reason": "" }));
    lines.sort_by_key(ToString::to_string); // invocations run side by side
    let message = |data: &str| json!({ "type": "message", "data": data });
    assert_eq!(lines, [message("one"), message("two")]);
}

#[test]
fn lines_of_standard_input_are_messages_and_commands() {
    let output = connect(&["--json", "-w", "1"], "hello\n/ping abc\n//slash\n");
    let seen = lines(&output);
    for expected in [
        json!({ "type": "message", "data": "hello" }),
        json!({ "type": "message", "data": "/slash" }),
        json!({ "type": "pong", "data": "abc" }),
    ] {
        assert!(seen.contains(&expected), "{expected} in {seen:?}");
    }
}

#[test]
fn a_sub_protocol_is_offered_and_shown() {
    let output = connect(&["-s", "chat.v1", "-s", "chat.v0", "--json", "-w", "0"], "");
    assert_eq!(lines(&output)[0], json!({ "type": "open", "subprotocol": "chat.v1" }));
}

#[test]
fn a_refusal_is_told_with_status_and_body_and_fails() {
    let output = connect(&["-H", "X-Refuse: 1", "--json"], "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output), [json!({ "type": "refused", "status": 403, "body": "not you" })]);
    let output = connect(&["-H", "X-Refuse: 1"], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("refused 403") && said.contains("not you"), "{said}");
}

#[test]
fn a_close_by_the_server_ends_the_client_with_its_code() {
    let output = connect(&["-x", "leave", "-w", "20", "--json"], "");
    assert!(output.status.success());
    assert_eq!(
        lines(&output).pop().unwrap(),
        json!({ "type": "close", "code": 1000, "reason": "" })
    );
}

#[test]
fn wss_is_trusted_by_the_local_authority() {
    let mut command = Stillwire::command(PROGRAM);
    command.arg("connect").arg(url("wss")).args(["-x", "hi", "-w", "1", "--json"]);
    let output = command.output().unwrap();
    assert!(lines(&output).contains(&json!({ "type": "message", "data": "hi" })));
}

#[test]
fn at_a_terminal_it_has_a_prompt_pretty_json_ping_close_codes_and_history() {
    let state = tempfile::tempdir().unwrap();
    let printed =
        tools::python("terminal.py", &[PROGRAM, &url("ws"), state.path().to_str().unwrap()]);
    assert!(printed.ends_with("ok\n"), "{printed}");
}
