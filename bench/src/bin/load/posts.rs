//! Posts to connections, one by one, as a backend would send them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use stillwire_bench::{Poll, dial, open};

use crate::Outcome;

pub(crate) fn run(
    address: &str,
    target: &str,
    connections: usize,
    at_once: usize,
    bytes: usize,
    seconds: usize,
) -> Outcome {
    let mut poll = Poll::new()?;
    let mut clients = Vec::new();
    let mut requests = Vec::new();
    for number in 0..connections {
        let (stream, id) = open(address, target, number)?;
        poll.add(&stream, number)?;
        clients.push(stream);
        requests.push(post_to(&id, address, bytes));
    }
    let mut backends: Vec<(TcpStream, usize)> = Vec::new();
    for number in 0..at_once {
        let stream = dial(address.parse()?, number)?;
        stream.set_nonblocking(true)?;
        poll.add(&stream, connections + number)?;
        backends.push((stream, number));
    }
    for (stream, next) in &mut backends {
        stream.write_all(&requests[*next % connections])?;
    }
    let (mut answered, mut delivered) = (0_u64, 0_u64);
    let mut buffer = vec![0; 262_144];
    let frame_bytes = bytes + if bytes < 126 { 2 } else { 4 };
    println!("begin");
    let until = Instant::now() + Duration::from_secs(seconds as u64);
    while Instant::now() < until {
        for number in poll.wait(Some(Duration::from_millis(100)))? {
            let stream = match number.checked_sub(connections) {
                None => &mut clients[number],
                Some(backend) => &mut backends[backend].0,
            };
            let read = match stream.read(&mut buffer) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            };
            match number.checked_sub(connections) {
                None => delivered += (read / frame_bytes) as u64,
                Some(backend) => {
                    if !buffer[..read].starts_with(b"HTTP/1.1 200") {
                        return Err(String::from_utf8_lossy(&buffer[..read]).into());
                    }
                    answered += 1;
                    let (stream, next) = &mut backends[backend];
                    *next += at_once;
                    stream.write_all(&requests[*next % connections])?;
                }
            }
        }
    }
    Ok(json!({ "count": answered, "delivered": delivered, "seconds": seconds, "warm_seconds": 0 }))
}

pub(crate) fn post_to(path: &str, address: &str, bytes: usize) -> Vec<u8> {
    let body = "x".repeat(bytes);
    format!("POST /{path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {bytes}\r\n\r\n{body}")
        .into()
}
