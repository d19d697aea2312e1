//! Heads and bodies that are more than they seem.

use std::time::{Duration, Instant};

use stillwire_websocket::{Masking, Opcode, WindowBits, encode_message_deflated};

use crate::support::{Client, HANDSHAKE, frame};
use crate::{MIB, Server};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

#[test]
fn headers() {
    let server = Server::start("");
    server.endures(MIB, || {
        for (count, line) in [(5000, "X: 1\r\n"), (101, "X: 1\r\n"), (200, "\r\n")] {
            let mut client = Client::dial(server.address);
            client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n");
            for _ in 0..count {
                client.send(line.as_bytes());
            }
            client.send(b"\r\n");
            client.finish();
            assert!(client.is_closed());
        }
        // Without an end: as many as the server reads, and not more.
        let clients: Vec<_> = (0..100)
            .map(|_| {
                let mut client = Client::dial(server.address);
                client.send(
                    format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(20_000))
                        .as_bytes(),
                );
                client
            })
            .collect();
        for mut client in clients {
            assert!(client.head().unwrap().starts_with("HTTP/1.1 431 "));
        }
    });
}

#[test]
fn dribbled_header() {
    let server = Server::start("");
    let before = server.cpu();
    server.endures(MIB, || {
        let mut client = Client::dial(server.address);
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
        for _ in 0..20_000 {
            client.send(b"xxx");
        }
        assert!(client.head().unwrap().starts_with("HTTP/1.1 431 "));
    });
    let spent = server.cpu().saturating_sub(before);
    assert!(spent < Duration::from_secs(2), "16 KiB of header cost {spent:?}");
}

#[test]
fn slow_heads() {
    let server = Server::start("");
    server.endures(4 * MIB, || {
        let began = Instant::now();
        let clients: Vec<_> = (0..1000)
            .map(|number| {
                let mut client = Client::dial(server.address);
                // Some say nothing at all, some begin a head, some begin TLS.
                client.send(
                    [b"".as_slice(), b"GET / HTTP/1.1\r\nHos", b"\x16\x03\x01\x00"][number % 3],
                );
                client
            })
            .collect();
        assert!(server.bystander() < Duration::from_millis(500));
        for mut client in clients {
            client.stream().set_read_timeout(Some(Duration::from_secs(25))).unwrap();
            assert!(client.is_closed());
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    });
}

#[test]
fn early_data() {
    let server = Server::start("");
    // Requests whose bodies do not come to an end, and data behind a head that is none.
    server.endures(16 * MIB, || {
        let mut clients = Vec::new();
        for _ in 0..100 {
            let mut client = Client::dial(server.address);
            client.send(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 131072\r\n\r\n");
            client.send(&[b'x'; 100_000]);
            clients.push(client);
            let mut client = Client::dial(server.address);
            client
                .send(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n");
            assert!(client.head().unwrap().starts_with("HTTP/1.1 413 "));
        }
    });
}

#[test]
fn extensions() {
    let server = Server::start("deflate");
    for offer in [
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=99999999999999999999",
        "permessage-deflate; client_max_window_bits=-1",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; unknown",
        ";;;,,,;=;=,=",
        "permessage-deflate; server_max_window_bits=\"",
        "\u{fffd}",
    ] {
        let head = HANDSHAKE.trim_end().to_owned()
            + &format!("\r\nSec-WebSocket-Extensions: {offer}\r\n\r\n");
        let mut client = Client::dial(server.address);
        client.send(head.as_bytes());
        let answer = client.head().unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 101 ") && !answer.contains("Extensions"),
            "{offer}: {answer}"
        );
    }
    server.bystander();
}

/// A message that is compressed to almost nothing, in frames that are not too large.
fn bomb(bytes: usize) -> Vec<u8> {
    let payload = vec![b'x'; bytes];
    let masking = Masking::Key([1, 2, 3, 4]);
    let mut out = Vec::new();
    encode_message_deflated(Opcode::Text, &payload, 32 * 1024, masking, WindowBits::MAX, &mut out);
    out
}

#[test]
fn compression() {
    let server = Server::start("deflate");
    let before = server.cpu();
    // 64 MiB in 64 KiB, and as often as there are clients; the largest message has 128 KiB.
    let bomb = bomb(64 << 20);
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    server.endures(2 * MIB, || {
        for _ in 0..20 {
            let mut client = Client::connect_with(server.address, OFFER);
            client.send(&bomb);
            let close = client.frame().expect("a close frame");
            assert_eq!(close.payload[..2], 1009_u16.to_be_bytes());
        }
    });
    let spent = server.cpu().saturating_sub(before);
    assert!(spent < Duration::from_secs(3), "20 bombs cost {spent:?}");
}

#[test]
fn compression_at_rest() {
    let server = Server::start("deflate");
    let text = "compressed, and then nothing for a long time. ".repeat(100);
    let mut message = Vec::new();
    let masking = Masking::Key([1, 2, 3, 4]);
    encode_message_deflated(
        Opcode::Text,
        text.as_bytes(),
        32 * 1024,
        masking,
        WindowBits::MAX,
        &mut message,
    );
    let mut first = Client::connect_with(server.address, OFFER);
    first.send(&message);
    assert_eq!(first.message().unwrap().first, 0xc1);
    // A window and a table for each of them would be 300 KiB.
    server.endures(500 * 4096, || {
        let clients: Vec<_> = (0..500)
            .map(|_| {
                let mut client = Client::connect_with(server.address, OFFER);
                client.send(&message);
                assert_eq!(client.message().unwrap().first, 0xc1);
                client
            })
            .collect();
        for mut client in clients {
            client.send(&frame(0x88, b""));
            assert_eq!(client.frame().unwrap().first, 0x88);
        }
    });
}
