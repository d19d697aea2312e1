//! One message to everybody, again and again.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::json;
use stillwire_bench::{Poll, dial, open};

use crate::Outcome;
use crate::posts::post_to;

pub(crate) fn run(
    address: &str,
    target: &str,
    connections: usize,
    rounds: usize,
    bytes: usize,
) -> Outcome {
    let mut poll = Poll::new()?;
    let mut clients = Vec::new();
    for number in 0..connections {
        let (stream, _) = open(address, target, number)?;
        poll.add(&stream, number)?;
        clients.push(stream);
    }
    let mut backend = dial(address.parse()?, 0)?;
    let request = post_to("broadcast", address, bytes);
    let frame_bytes = bytes + if bytes < 126 { 2 } else { 4 };
    let mut buffer = vec![0; 65_536];
    println!("begin");
    let began = Instant::now();
    for _ in 0..rounds {
        backend.write_all(&request)?;
        let mut due = connections * frame_bytes;
        while due > 0 {
            for number in poll.wait(Some(Duration::from_secs(5)))? {
                match clients[number].read(&mut buffer) {
                    Ok(0) => return Err("the server closed a connection".into()),
                    Ok(read) => due -= read,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if !(backend.read(&mut buffer)? > 0 && buffer.starts_with(b"HTTP/1.1 200")) {
            return Err("the broadcast was refused".into());
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(json!({ "count": rounds * connections, "seconds": seconds, "warm_seconds": 0 }))
}
