//! Load: many connections, each with some messages in flight, in a closed loop.
//!
//! `load ADDRESS TARGET CONNECTIONS IN_FLIGHT BYTES SECONDS`; prints one line of JSON. A closed loop says how much a
//! server can do, not how long a user waits.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool that measures"
)]

use std::error::Error;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use stillwire_bench::Poll;
use stillwire_websocket::client::request;
use stillwire_websocket::{Masking, Opcode, encode_message};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, target, connections, in_flight, bytes, seconds] = words.as_slice() else {
        return Err("load ADDRESS TARGET CONNECTIONS IN_FLIGHT BYTES SECONDS".into());
    };
    let (connections, in_flight): (usize, usize) = (connections.parse()?, in_flight.parse()?);
    let (bytes, seconds): (usize, u64) = (bytes.parse()?, seconds.parse()?);

    let mut frame = Vec::new();
    let text = format!(r#"{{"action":"echo","pad":"{}"}}"#, "x".repeat(bytes.saturating_sub(26)));
    encode_message(
        Opcode::Text,
        text.as_bytes(),
        usize::MAX,
        Masking::Key([1, 2, 3, 4]),
        &mut frame,
    );
    let answer_bytes = frame.len() - 4; // the answer has no mask

    let mut poll = Poll::new()?;
    let mut clients = Vec::with_capacity(connections);
    for number in 0..connections {
        let stream = open(address, target)?;
        poll.add(&stream, number)?;
        clients.push((stream, 0_usize));
    }
    let burst = frame.repeat(in_flight);
    for (stream, _) in &mut clients {
        stream.write_all(&burst)?;
    }
    let mut buffer = vec![0; 262_144];
    let mut messages = 0_u64;
    // The first second is not counted: it warms everything up.
    let began = Instant::now();
    let (count_from, until) =
        (began + Duration::from_secs(1), began + Duration::from_secs(seconds + 1));
    let mut counting = false;
    loop {
        let now = Instant::now();
        if now >= until {
            break;
        }
        if !counting && now >= count_from {
            (counting, messages) = (true, 0);
        }
        for number in poll.wait(Some(Duration::from_millis(100)))? {
            let (stream, received) = &mut clients[number];
            match stream.read(&mut buffer) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(read) => *received += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            }
            let whole = *received / answer_bytes;
            *received %= answer_bytes;
            messages += whole as u64;
            stream.write_all(&frame.repeat(whole))?;
        }
    }
    let measured = until.duration_since(count_from).as_secs_f64();
    println!("{}", json!({ "messages": messages, "seconds": measured }));
    Ok(())
}

fn open(address: &str, target: &str) -> Result<TcpStream, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let head = request(address, target, "dGhlIHNhbXBsZSBub25jZQ==", &[], &[]);
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    if !answer.starts_with(b"HTTP/1.1 101") {
        return Err(String::from_utf8_lossy(&answer).into());
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}
