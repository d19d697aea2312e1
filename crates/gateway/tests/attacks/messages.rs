//! Messages that do not end, or come in crumbs.

use std::time::Duration;

use crate::support::{Client, fragments, frame};
use crate::{MIB, Server};

#[test]
fn tiny_fragments() {
    let server = Server::start("");
    let count = 131_000;
    let crumbs = {
        let mut bytes = frame(0x01, b"x");
        bytes.extend(frame(0x00, b"x").repeat(count - 1));
        bytes
    };
    // What was received, and a little for each client.
    server.endures(20 * (count as u64 + 65_536) + 2 * MIB, || {
        let clients: Vec<_> = (0..20)
            .map(|_| {
                let mut client = Client::connect(server.address);
                client.send(&crumbs);
                client
            })
            .collect();
        // They are whole and alive: the end of the message brings it back.
        for mut client in clients {
            client.send(&frame(0x80, b""));
            assert_eq!(client.message().unwrap().payload.len(), count);
        }
    });
}

#[test]
fn empty_fragments() {
    let server = Server::start("");
    server.endures(2 * MIB, || {
        let clients: Vec<_> = (0..20)
            .map(|_| {
                let mut client = Client::connect(server.address);
                client.send(&frame(0x01, b""));
                client.send(&frame(0x00, b"").repeat(100_000));
                client
            })
            .collect();
        drop(clients);
    });
}

#[test]
fn unfinished_messages() {
    let server = Server::start("hasty");
    let most = fragments(1, &[b'x'; 127 * 1024], 32 * 1024);
    let begun = &most[..most.len() - 1];
    let mut clients = server.endures(200 * 192 * 1024, || {
        let clients: Vec<_> = (0..200).map(|_| Client::connect(server.address)).collect();
        clients
            .into_iter()
            .map(|mut client| {
                client.send(begun);
                client
            })
            .collect::<Vec<_>>()
    });
    for client in &mut clients {
        let close = client.frame().expect("a close frame");
        assert_eq!(close.payload[..2], 1008_u16.to_be_bytes());
    }
}

#[test]
fn unfinished_messages_of_all_clients_together_are_bounded() {
    let server = Server::start("");
    let most = fragments(1, &[b'x'; 127 * 1024], 32 * 1024);
    let begun = &most[..most.len() - 1];
    server.endures(64 * MIB + 24 * MIB, || {
        let mut clients: Vec<_> = (0..800)
            .map(|_| {
                let mut client = Client::connect(server.address);
                client.send(begun);
                client
            })
            .collect();
        // The oldest had to make room.
        let close = clients[0].frame().expect("a close frame");
        assert_eq!(close.payload[..2], 1008_u16.to_be_bytes());
        // The newest may go on.
        let newest = clients.last_mut().unwrap();
        newest.send(&most[most.len() - 1..]);
        assert_eq!(newest.message().unwrap().payload.len(), 127 * 1024);
    });
}

#[test]
fn frames_that_do_not_go_on() {
    let server = Server::start("");
    server.endures(2 * MIB, || {
        let clients: Vec<_> = (0..500)
            .map(|_| {
                let mut client = Client::connect(server.address);
                // Announces 32 KiB and sends one byte of them.
                client.send(&frame(0x81, &[b'x'; 32 * 1024])[..9]);
                client
            })
            .collect();
        std::thread::sleep(Duration::from_millis(200));
        drop(clients);
    });
}
