//! The opening handshake: what is refused, how, and that it ends there.
//!
//! Source: RFC 6455, section 4.2; RFC 9112 for the grammar; what peers got wrong (request smuggling, header bombs).

use crate::support::{Client, HANDSHAKE, frame};
use crate::{TEXT, strict};

/// The answer to a request: its status, and the whole head. The server must close after a refusal.
fn answer(request: &str) -> (u16, String) {
    let mut client = Client::dial(strict());
    client.send(request.as_bytes());
    let head = client.head().unwrap_or_else(|| panic!("no answer to {request:.300}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    if status != 101 {
        client.finish();
        assert!(client.is_closed());
    }
    (status, head)
}

fn with(from: &str, to: &str) -> String {
    assert!(HANDSHAKE.contains(from), "{from}");
    HANDSHAKE.replacen(from, to, 1)
}

#[test]
fn the_handshake_of_the_rfc_is_answered_to_the_letter() {
    let (status, head) = answer(HANDSHAKE);
    assert_eq!(status, 101);
    assert!(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    for odd in [
        with("Upgrade: websocket", "upgrade: WebSocket"),
        with("Connection: Upgrade", "Connection: keep-alive, upgrade"),
        with("Upgrade: websocket", "Upgrade: h2c, websocket"),
        with("Host: localhost", "Host:localhost\t"),
        with("\r\n\r\n", "\r\nOrigin: https://elsewhere.example\r\n\r\n"),
    ] {
        assert_eq!(answer(&odd).0, 101, "{odd}");
    }
}

#[test]
fn what_is_no_handshake_is_refused_with_its_status() {
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let many =
        |line: &str, count: usize| with("\r\n\r\n", &format!("\r\n{}\r\n", line.repeat(count)));
    for (request, status) in [
        (with(key, ""), 400),
        (with(key, "Sec-WebSocket-Key: \r\n"), 400),
        (with(key, "Sec-WebSocket-Key: c2hvcnQ=\r\n"), 400),
        (with(key, "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n"), 400),
        (with(key, &key.repeat(2)), 400),
        (with("Version: 13", "Version: 8"), 426),
        (with("Version: 13", "Version: 13, 8"), 426),
        (with("Sec-WebSocket-Version: 13\r\n", ""), 426),
        (with("Upgrade: websocket", "Upgrade: websockets"), 410),
        (with("Connection: Upgrade", "Connection: close"), 426),
        (with("HTTP/1.1", "HTTP/1.0"), 400),
        (with("HTTP/1.1", "HTTP/2.0"), 505),
        (with("HTTP/1.1", "HTTX/1.1"), 400),
        (with("GET", "POST"), 400),
        (with("GET /", "GET  /"), 400),
        (with("GET / ", "GET http://localhost/ "), 400),
        (with("GET / ", "GET * "), 400),
        (with("GET / ", &format!("GET /{} ", "x".repeat(5000))), 414),
        (with("Host: localhost\r\n", ""), 400),
        (with("Host: localhost\r\n", "Host: localhost\r\nHost: localhost\r\n"), 400),
        (with("Host: localhost", "Host : localhost"), 400),
        (with("Host: localhost", " Host: localhost"), 400),
        (with("Host: localhost\r\n", "Host: localhost\r\nX: a\r\n folded\r\n"), 400),
        (with("Host: localhost\r\n", "Host: localhost\r\nX: a\0b\r\n"), 400),
        (with("Host: localhost\r\n", "Host: localhost\r\nX: a\rb\r\n"), 400),
        (with("Host: localhost\r\n", "Host: localhost\nX: a\r\n"), 400),
        (with("Host: localhost\r\n", "Host: localhost\r\nNo colon\r\n"), 400),
        (with("Host: localhost\r\n", "Host: localhost\r\nContent-Length: 5\r\n"), 400),
        (with("Host: localhost\r\n", "Host: localhost\r\nTransfer-Encoding: chunked\r\n"), 400),
        (
            with(
                "Host: localhost\r\n",
                "Host: localhost\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            ),
            400,
        ),
        (
            with(
                "Host: localhost\r\n",
                "Host: localhost\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
            ),
            400,
        ),
        (many("X: 1\r\n", 101), 431),
        (many("X: 1\r\n", 2500), 431),
        (many(&format!("X: {}\r\n", "x".repeat(1000)), 20), 431),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
    ] {
        let (got, head) = answer(&request);
        assert_eq!(got, status, "{request:.300}\n{head}");
        if status == 426 {
            assert!(!head.contains("101"), "{head}");
        }
    }
}

#[test]
fn an_upgrade_to_something_else_is_never_honoured() {
    for wish in ["h2c", "TLS/1.0", "websocket2"] {
        let (status, _) = answer(&with("Upgrade: websocket", &format!("Upgrade: {wish}")));
        assert_ne!(status, 101, "{wish}");
    }
}

#[test]
fn a_handshake_may_come_byte_by_byte_and_with_the_first_frames() {
    let mut client = Client::dial(strict());
    for byte in HANDSHAKE.bytes() {
        client.send(&[byte]);
    }
    assert!(client.head().unwrap().starts_with("HTTP/1.1 101 "));

    let mut client = Client::dial(strict());
    client.send(&[HANDSHAKE.as_bytes(), &frame(TEXT, b"first"), &frame(TEXT, b"second")].concat());
    assert!(client.head().unwrap().starts_with("HTTP/1.1 101 "), "nothing stands before the 101");
    assert_eq!(client.message().unwrap().payload, b"first");
    assert_eq!(client.message().unwrap().payload, b"second");
}

#[test]
fn a_refused_handshake_is_the_end_of_its_connection() {
    // What a smuggler would put behind it is not read as a request.
    let mut client = Client::dial(strict());
    client.send((with("Version: 13", "Version: 8") + HANDSHAKE).as_bytes());
    assert!(client.head().unwrap().starts_with("HTTP/1.1 426 "));
    assert_eq!(client.head(), None);
}
