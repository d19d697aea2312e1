//! Messages as they are on the wire, and a function that takes too long; what messages do is the conformance suite's.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::json;
use stillwire_testkit::{App, Client, Got, Stillwire};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const ECHO: &str = r#"
def handler(event, context):
    return {"statusCode": 200, "body": event["body"]}
"#;

const LOOP: &str = "
import time
def handler(event, context):
    time.sleep(60)
";

/// Routes: `echo`, which is two-way, and `brief`, whose function never ends.
static STILLWIRE: LazyLock<Stillwire> = LazyLock::new(|| {
    App::new()
        .function("echo", ECHO)
        .function_with("brief", LOOP, &json!({ "Timeout": 1 }))
        .two_way_route("echo", "echo")
        .route("brief", "brief")
        .share(PROGRAM)
});

/// Waits until all that was sent before has been answered.
fn assert_open(client: &mut Client) {
    client.send(r#"{"action":"echo","still":"open"}"#);
    assert_eq!(client.text(), r#"{"action":"echo","still":"open"}"#);
}

#[test]
fn a_function_over_its_own_time_gives_the_error_frame() {
    let mut client = STILLWIRE.connect();
    let began = Instant::now();
    assert_eq!(client.ask(r#"{"action":"brief"}"#)["message"], "Internal server error");
    assert!(began.elapsed() >= Duration::from_secs(1));
    STILLWIRE.wait_for_log("Task timed out after 1.00 seconds");
    assert_open(&mut client);
}

#[test]
fn what_is_no_text_closes_the_connection() {
    let mut client = STILLWIRE.connect();
    client.send_binary(b"\x01");
    assert_eq!(client.receive(), Got::Close(1003, "Unsupported data".to_owned()));
    let mut client = STILLWIRE.connect();
    client.send_raw(b"\x81\x82\0\0\0\0\xc3\x28");
    assert_eq!(client.receive(), Got::Close(1007, "Invalid payload data".to_owned()));
    for (what, frame) in [
        ("no mask", b"\x81\x01x".as_slice()),
        ("a reserved bit", b"\xc1\x81\0\0\0\0x"),
        ("an unknown opcode", b"\x83\x81\0\0\0\0x"),
        ("a ping in pieces", b"\x09\x81\0\0\0\0x"),
        ("a continuation of nothing", b"\x80\x81\0\0\0\0x"),
    ] {
        let mut client = STILLWIRE.connect();
        client.send_raw(frame);
        assert_eq!((what, client.receive()), (what, Got::Close(1002, "Protocol error".to_owned())));
    }
}

#[test]
fn a_ping_is_answered_also_between_the_frames_of_a_message() {
    let mut client = STILLWIRE.connect();
    client.ping(b"are you there?");
    assert_eq!(client.receive(), Got::Pong(b"are you there?".to_vec()));
    client.send_raw(b"\x01\x8f\0\0\0\0{\"action\":\"echo");
    client.ping(b"");
    assert_eq!(client.receive(), Got::Pong(Vec::new()));
    client.send_raw(b"\x80\x82\0\0\0\0\"}");
    assert_eq!(client.text(), r#"{"action":"echo"}"#);
}
