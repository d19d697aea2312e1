//! Clients that send and do not read.

use std::io::{ErrorKind, Write as _};
use std::time::{Duration, Instant};

use crate::support::{Client, frame};
use crate::{MIB, Server};

/// Sends `bytes` again and again until the server takes no more for a while; gives how much it took.
fn stuff(client: &Client, bytes: &[u8], most: usize) -> usize {
    let mut stream = client.stream();
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut sent = 0;
    while sent < most {
        match stream.write(bytes) {
            Ok(written) => sent += written,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break;
            }
            Err(_) => break, // it was cut off
        }
    }
    sent
}

#[test]
fn slow_readers() {
    let server = Server::start("");
    let message = frame(0x81, &[b'x'; 32_000]);
    server.endures(8 * (MIB + 256 * 1024) + 8 * MIB, || {
        let clients: Vec<_> = (0..8).map(|_| Client::connect(server.address)).collect();
        for client in &clients {
            let sent = stuff(client, &message, 32 << 20);
            assert!(sent < 32 << 20, "the server reads no more than the client");
        }
    });
}

#[test]
fn a_reader_that_takes_nothing_is_cut_off() {
    let server = Server::start("hasty");
    let mut client = Client::connect(server.address);
    stuff(&client, &frame(0x81, &[b'x'; 32_000]), 32 << 20);
    let began = Instant::now();
    while client.stream().write_all(b"x").is_ok() && began.elapsed() < Duration::from_secs(8) {
        std::thread::sleep(Duration::from_millis(50));
    }
    // What had been sent can still be read; then the connection is over.
    assert!(client.is_closed());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[test]
fn ping_flood() {
    let server = Server::start("chatty");
    let pings = frame(0x89, &[b'p'; 125]).repeat(100);
    server.endures(12 * MIB, || {
        let client = Client::connect(server.address);
        let sent = stuff(&client, &pings, 64 << 20);
        assert!(sent < 64 << 20, "the server answers no more than the client reads");
    });
}

#[test]
fn posts_to_a_reader_that_takes_nothing_are_refused_and_others_are_served() {
    let server = Server::start("");
    let mut deaf = Client::dial(server.address);
    deaf.send(crate::support::HANDSHAKE.as_bytes());
    let head = deaf.head().unwrap();
    let id =
        head.lines().find_map(|line| line.strip_prefix("x-connection-id: ")).unwrap().to_owned();
    server.endures(4 * MIB, || {
        let mut backend = Client::dial(server.address);
        let body = "x".repeat(32_000);
        let request = format!(
            "POST /{id} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut accepted = 0;
        loop {
            backend.send(request.as_bytes());
            let head = backend.head().unwrap();
            if !head.starts_with("HTTP/1.1 200 ") {
                break;
            }
            accepted += 1;
            assert!(accepted < 10_000, "there is a bound");
        }
    });
}
