//! Too many, too often.

use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use crate::support::{Client, HANDSHAKE, frame};
use crate::{MIB, Server};

fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count()
}

#[test]
fn connect_and_reset_storm() {
    let server = Server::start("");
    let before = descriptors(&server);
    server.endures(2 * MIB, || {
        for number in 0..5000 {
            let mut client = Client::dial(server.address);
            set_socket_linger(client.stream(), Some(Duration::ZERO)).unwrap();
            // At every stage: before a byte, within the head, as a WebSocket, within a frame.
            match number % 4 {
                0 => {}
                1 => client.send(&HANDSHAKE.as_bytes()[..40]),
                2 => client.send(HANDSHAKE.as_bytes()),
                _ => client.send(&[HANDSHAKE.as_bytes(), &frame(0x81, b"half")[..7]].concat()),
            }
        }
    });
    let patience = Instant::now() + Duration::from_secs(3);
    while descriptors(&server) > before && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(descriptors(&server) <= before, "a descriptor was left open");
}

#[test]
fn a_full_server_says_so_and_serves_whom_it_has() {
    let server = Server::start("small");
    let mut inside: Vec<_> = (0..40).map(|_| Client::connect(server.address)).collect();
    server.endures(2 * MIB, || {
        let mut refused = 0;
        let crowd: Vec<_> = (0..500).map(|_| Client::dial(server.address)).collect();
        for mut client in crowd {
            client.send(HANDSHAKE.as_bytes());
            refused +=
                usize::from(client.head().is_none_or(|head| head.starts_with("HTTP/1.1 503 ")));
        }
        assert!(refused >= 490, "{refused}");
        for client in &mut inside {
            client.send(&frame(0x81, b"here"));
            assert_eq!(client.message().unwrap().payload, b"here");
        }
    });
}

#[test]
fn a_server_without_descriptors_does_not_spin_and_recovers() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let server = Server::start("");
    let pid = Pid::from_raw(server.pid().cast_signed());
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let few = Rlimit { current: Some(descriptors(&server) as u64 + 20), maximum };
    let usual = prlimit(pid, Resource::Nofile, few).unwrap();
    let mut crowd: Vec<_> = (0..100).map(|_| Client::dial(server.address)).collect();
    for client in &mut crowd {
        client.send(HANDSHAKE.as_bytes());
    }
    std::thread::sleep(Duration::from_millis(300));
    let before = server.cpu();
    std::thread::sleep(Duration::from_secs(1));
    let spent = server.cpu().saturating_sub(before);
    assert!(spent < Duration::from_millis(200), "it spent {spent:?} of a second on nothing");
    let mut served = crowd.remove(0);
    assert!(served.head().unwrap().starts_with("HTTP/1.1 101 "));
    served.send(&frame(0x81, b"still"));
    assert_eq!(served.message().unwrap().payload, b"still");
    drop(crowd);
    prlimit(pid, Resource::Nofile, usual).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(server.bystander() < Duration::from_secs(1));
}
