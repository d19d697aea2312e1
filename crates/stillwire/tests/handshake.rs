//! Handshakes as they are on the wire; who is let in is the conformance suite's.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]

use std::sync::LazyLock;

use stillwire_testkit::{App, Stillwire, raw};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const ECHO: &str = r#"
def handler(event, context):
    return {"statusCode": 200, "body": event.get("body")}
"#;

static STILLWIRE: LazyLock<Stillwire> = LazyLock::new(|| {
    App::new()
        .function("echo", ECHO)
        .route("$connect", "echo")
        .two_way_route("$default", "echo")
        .share(PROGRAM)
});

fn url() -> String {
    STILLWIRE.url("test", "ws")
}

const HANDSHAKE: &str = "GET /test HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn an_unknown_stage_is_forbidden_and_a_plain_request_is_told_to_upgrade() {
    for path in ["/nope", "/", "/test/deeper"] {
        let answer = raw(&url(), HANDSHAKE.replacen("/test", path, 1).as_bytes());
        assert_eq!((answer.status, path), (403, path));
        assert_eq!(answer.body, r#"{"message":"Forbidden"}"#);
    }
    let plain = b"GET /test HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = raw(&url(), plain);
    assert_eq!((answer.status, answer.body.as_str()), (426, ""));
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    let slash = raw(&url(), HANDSHAKE.replacen("/test", "/test/", 1).as_bytes());
    assert_eq!(slash.status, 101);
}

#[test]
fn a_bad_handshake_has_its_own_answer_each() {
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let two_keys = key.repeat(2);
    let long = format!("/test?{}", "x".repeat(4096));
    let bomb = format!("X-Big: {}\r\n{key}", "x".repeat(17_000));
    let many = format!("{}{key}", "X-Many: 1\r\n".repeat(120));
    for (what, from, to, status) in [
        ("no key", key, "", 400),
        ("two keys", key, two_keys.as_str(), 400),
        ("a short key", "dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", 400),
        ("an old version", "Version: 13", "Version: 12", 426),
        ("another method", "GET", "POST", 400),
        ("an old HTTP", "HTTP/1.1", "HTTP/1.0", 400),
        ("two hosts", "Host: localhost\r\n", "Host: a\r\nHost: b\r\n", 400),
        ("no host", "Host: localhost\r\n", "", 400),
        (
            "a body",
            key,
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 3\r\n",
            400,
        ),
        (
            "two lengths of a body",
            "Host: localhost\r\n",
            "Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
        ("a folded header", "Host: localhost\r\n", "Host: a\r\n b\r\n", 400),
        ("a long URL", "/test", long.as_str(), 414),
        ("a large header", key, bomb.as_str(), 431),
        ("many headers", key, many.as_str(), 431),
        ("no Connection: Upgrade", "Connection: Upgrade", "Connection: close", 426),
    ] {
        let answer = raw(&url(), HANDSHAKE.replacen(from, to, 1).as_bytes());
        assert_eq!((what, answer.status), (what, status), "{answer:?}");
    }
    let answer = raw(&url(), HANDSHAKE.replacen("Version: 13", "Version: 12", 1).as_bytes());
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    let good = raw(&url(), HANDSHAKE.as_bytes());
    assert_eq!(good.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

#[test]
fn a_message_in_the_same_segment_as_the_handshake_is_handled() {
    let mut bytes = HANDSHAKE.as_bytes().to_vec();
    bytes.extend_from_slice(b"\x81\x85\0\0\0\0hello");
    let answer = raw(&url(), &bytes);
    assert_eq!(answer.status, 101);
    assert!(answer.body.ends_with("\u{5}hello"), "{answer:?}");
}
