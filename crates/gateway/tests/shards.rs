//! Several shards hold one service's clients: dealt out in turns, reached from each other, ended together.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests are named by the behaviour they check; a broken one may panic"
)]

mod support;

use std::time::{Duration, Instant};

use stillwire_drain::Drain;
use stillwire_gateway::engine::{ConnectionLimits, Ending, Goodbye};
use support::{Client, HANDSHAKE, PATIENCE, frame};

const CLIENTS: usize = 40;

fn going_away() -> Ending {
    Ending { status_code: 1001, reason: String::new(), goodbye: Goodbye::Bare }
}

/// Runs a test's client side beside three shards.
fn with_shards(act: impl FnOnce(std::net::SocketAddr, &dyn Fn(Duration), &dyn Fn() -> usize)) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let drain = Drain::new();
    let (address, engine) =
        runtime.block_on(async { support::open(ConnectionLimits::default(), 1000, 3, &drain) });
    let leave = |spread| engine.leave(&going_away(), spread);
    act(address, &leave, &|| engine.connections());
    engine.close();
    let late = runtime.block_on(drain.finish(PATIENCE));
    assert!(late.is_empty(), "shards end with their last client: {late:?}");
}

fn connect_with_id(address: std::net::SocketAddr) -> (Client, String) {
    let mut client = Client::dial(address);
    client.send(HANDSHAKE.as_bytes());
    let head = client.head().unwrap();
    let id =
        head.lines().find_map(|line| line.strip_prefix("x-connection-id: ")).unwrap().to_owned();
    (client, id)
}

#[test]
fn a_post_reaches_any_connection_from_any_shard() {
    with_shards(|address, _, connections| {
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect_with_id(address)).collect();
        assert_eq!(connections(), CLIENTS);
        let mut backends: Vec<_> = (0..3).map(|_| Client::dial(address)).collect();
        for (number, (client, id)) in clients.iter_mut().enumerate() {
            for backend in &mut backends {
                let request = format!(
                    "POST /{id} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi"
                );
                backend.send(request.as_bytes());
                assert!(backend.head().unwrap().starts_with("HTTP/1.1 200 "));
                assert_eq!(client.message().unwrap().payload, b"hi", "client {number}");
            }
        }
        let request = "POST /broadcast HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nall";
        for backend in &mut backends {
            backend.send(request.as_bytes());
        }
        for (client, _) in &mut clients {
            for _ in 0..3 {
                assert_eq!(client.message().unwrap().payload, b"all");
            }
        }
        drop((clients, backends));
        let patience = Instant::now() + PATIENCE;
        while connections() > 0 && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(connections(), 0);
    });
}

#[test]
fn ids_are_never_alike() {
    with_shards(|address, _, _| {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..500 {
            let (_, id) = connect_with_id(address);
            assert_eq!(id.len(), 16);
            assert!(seen.insert(id));
        }
    });
}

#[test]
fn clients_leave_spread_over_the_time_that_is_given() {
    with_shards(|address, leave, _| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| Client::connect(address)).collect();
        let began = Instant::now();
        leave(Duration::from_millis(1500));
        let mut waits: Vec<_> = std::thread::scope(|scope| {
            let waiting: Vec<_> = clients
                .into_iter()
                .map(|mut client| {
                    scope.spawn(move || {
                        assert_eq!(client.frame().unwrap().first, 0x88);
                        let waited = began.elapsed();
                        client.send(&frame(0x88, b""));
                        assert_eq!(client.frame(), None);
                        waited
                    })
                })
                .collect();
            waiting.into_iter().map(|client| client.join().unwrap()).collect()
        });
        waits.sort_unstable();
        assert!(waits.first().unwrap() < &Duration::from_millis(300), "{waits:?}");
        assert!(waits.last().unwrap() > &Duration::from_millis(1200), "{waits:?}");
        let half = waits.get(CLIENTS / 2).unwrap();
        assert!((400..1200).contains(&half.as_millis()), "{waits:?}");
        // Who comes now is let in by this service, and sent away at once.
        let mut late = Client::connect(address);
        assert_eq!(late.frame().unwrap().first, 0x88);
    });
}
