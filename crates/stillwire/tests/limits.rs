//! What an operator may set in `stillwire.toml`.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test says what went wrong by panicking"
)]

use std::time::{Duration, Instant};

use rustix::process::Signal;
use stillwire_testkit::{App, Got, Stillwire};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const CODE: &str = r#"
import base64
def handler(event, context):
    body = event["body"]
    if event["isBase64Encoded"]:
        return {"statusCode": 200, "body": "binary: " + base64.b64decode(body).hex()}
    return {"statusCode": 200, "body": str(len(body))}
"#;

/// An app with one route, and a file of settings.
fn start(settings: &str) -> (App, Stillwire) {
    let app = App::new().function("all", CODE).two_way_route("$default", "all");
    let template = app.template();
    std::fs::write(template.with_file_name("stillwire.toml"), settings).unwrap();
    let stillwire = Stillwire::dev(PROGRAM, &template);
    (app, stillwire)
}

#[test]
fn a_stage_has_limits_of_its_own() {
    let (_app, stillwire) = start(
        "[limits]\nidle-timeout = \"1h\"\n\
         [stages.test.limits]\nidle-timeout = \"1s\"\nframe = \"1MB\"\nmessage = \"1MB\"\nbinary = true\n",
    );
    let mut client = stillwire.connect();
    client.send(&"x".repeat(500_000));
    assert_eq!(client.text(), "500000");
    client.send_binary(b"\xff\x00");
    assert_eq!(client.text(), "binary: ff00");
    let began = Instant::now();
    let close = client.receive_within(Duration::from_secs(5)).expect("a close frame");
    assert_eq!(close, Got::Close(1001, "Going away".to_owned()));
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
}

#[test]
fn a_silent_client_is_pinged_when_that_is_wished() {
    let (_app, stillwire) = start("[limits]\nping-interval = \"300ms\"\n");
    let mut client = stillwire.connect();
    assert_eq!(client.receive_within(Duration::from_secs(3)), Some(Got::Ping(Vec::new())));
}

#[test]
fn a_stop_spreads_the_leaving_of_clients() {
    let (_app, mut stillwire) = start("[stop]\nspread = \"2s\"\n");
    let mut clients: Vec<_> = (0..10).map(|_| stillwire.connect()).collect();
    let began = Instant::now();
    stillwire.signal(Signal::TERM);
    for client in &mut clients {
        assert!(matches!(client.receive_within(Duration::from_secs(5)), Some(Got::Close(..))));
    }
    assert!(began.elapsed() > Duration::from_millis(1500), "{:?}", began.elapsed());
    drop(clients);
    assert!(stillwire.wait(), "it stopped well");
}

#[test]
fn a_setting_that_is_not_known_is_said_with_its_place() {
    let app = App::new().function("all", CODE).two_way_route("$default", "all");
    let settings = app.template().with_file_name("own.toml");
    std::fs::write(&settings, "[limits]\nidle-timout = \"1h\"\n").unwrap();
    let output = Stillwire::command(PROGRAM)
        .args(["dev", "--in-memory", "--port", "0", "--config"])
        .args([&settings, &app.template()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for text in ["own.toml is not right", "line 2", "unknown field `idle-timout`", "hint: docs/"] {
        assert!(said.contains(text), "{text:?} is not in\n{said}");
    }
}
