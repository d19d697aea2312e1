//! A closed loop: every answer is followed by the next message.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::json;
use stillwire_bench::{Poll, open};

use crate::{Outcome, frame_of};

pub(crate) fn run(
    address: &str,
    target: &str,
    connections: usize,
    in_flight: usize,
    bytes: usize,
    seconds: usize,
    idle: usize,
) -> Outcome {
    let frame = frame_of(bytes);
    let answer_bytes = frame.len() - 4; // the answer has no mask
    let mut poll = Poll::new()?;
    let mut clients = Vec::with_capacity(connections);
    let mut silent = Vec::with_capacity(idle);
    for number in 0..connections + idle {
        let (stream, _) = open(address, target, number)?;
        if number < connections {
            poll.add(&stream, number)?;
            clients.push((stream, 0_usize));
        } else {
            silent.push(stream);
        }
    }
    let burst = frame.repeat(in_flight);
    for (stream, _) in &mut clients {
        stream.write_all(&burst)?;
    }
    let mut buffer = vec![0; 262_144];
    let mut messages = 0_u64;
    // The first second is not counted: it warms everything up.
    let began = Instant::now();
    let count_from = began + Duration::from_secs(1);
    let until = count_from + Duration::from_secs(seconds as u64);
    println!("begin"); // from here on the server works for the messages alone
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
    Ok(json!({ "count": messages, "seconds": seconds, "warm_seconds": 1 }))
}
