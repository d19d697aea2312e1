//! The closing handshake. Source: RFC 6455, sections 5.5.1, 7.1 and 7.4.

use std::thread::sleep;
use std::time::Duration;

use crate::support::{Client, frame};
use crate::{CLOSE, Expect, LAST, PING, TEXT, TEXT_BEGINS, check, roomy, text};

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

#[test]
fn a_close_is_answered_with_its_code() {
    check(roomy(), "no code", &[frame(CLOSE, b"")], &[Expect::BareClose]);
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
        4999,
    ] {
        check(roomy(), &format!("code {code}"), &[close(code, b"")], &[Expect::Close(code)]);
    }
    check(roomy(), "reason", &[close(1000, "Grüße".as_bytes())], &[Expect::Close(1000)]);
    check(roomy(), "longest reason", &[close(1000, &[b'*'; 123])], &[Expect::Close(1000)]);
}

#[test]
fn codes_that_may_not_be_sent_are_a_violation_and_not_echoed() {
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        check(roomy(), &format!("code {code}"), &[close(code, b"")], &[Expect::Close(1002)]);
    }
}

#[test]
fn a_close_payload_is_well_formed() {
    check(roomy(), "one byte", &[frame(CLOSE, b"\x03")], &[Expect::Close(1002)]);
    check(roomy(), "too long", &[frame(CLOSE, &[b'*'; 126])], &[Expect::Close(1002)]);
    let reason = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80";
    check(roomy(), "reason", &[close(1000, reason)], &[Expect::Close(1007)]);
}

#[test]
fn nothing_after_a_close_counts() {
    let frames = [close(1000, b""), frame(PING, b""), frame(TEXT, b"late"), close(1001, b"")];
    check(roomy(), "frames after", &frames, &[Expect::Close(1000)]);
    let frames = [frame(TEXT_BEGINS, b"half"), close(1000, b""), frame(LAST, b"late")];
    check(roomy(), "within a message", &frames, &[Expect::Close(1000)]);
    let large = vec![b'x'; 262_144];
    let frames = [frame(TEXT, &large), close(1000, b""), frame(PING, b"")];
    let expected = [text(&"x".repeat(262_144)), Expect::Close(1000)];
    check(roomy(), "after a large message", &frames, &expected);
}

#[test]
fn what_was_sent_arrives_whatever_a_client_says_after_its_close() {
    let large = vec![b'x'; 262_144];
    for early in [true, false] {
        let mut client = Client::connect(roomy());
        rustix::net::sockopt::set_socket_recv_buffer_size(client.stream(), 16 * 1024).unwrap();
        let (said, late) = (frame(TEXT, &large), frame(PING, b"late"));
        client.send(&[said, close(1000, b""), if early { late.clone() } else { vec![] }].concat());
        // By now all that the client has room for is there, and the rest is with the server's kernel.
        sleep(Duration::from_millis(100));
        client.send(&late);
        sleep(Duration::from_millis(50));
        assert_eq!(client.message().unwrap().payload, large, "{early}");
        assert_eq!(client.message().unwrap().first, CLOSE);
    }
}

#[test]
fn a_client_that_sends_no_more_gets_its_answers_and_the_end() {
    let mut client = Client::connect(roomy());
    client.send(&[frame(TEXT, b"last"), close(1000, b"")].concat());
    client.finish();
    assert_eq!(client.message().unwrap().payload, b"last");
    assert_eq!(client.message().unwrap().first, CLOSE);
    assert_eq!(client.frame(), None);
}

#[test]
fn a_client_that_leaves_without_a_close_ends_its_connection() {
    let mut client = Client::connect(roomy());
    client.send(&frame(TEXT, b"last"));
    assert_eq!(client.message().unwrap().payload, b"last");
    client.finish();
    assert!(client.is_closed());
}
