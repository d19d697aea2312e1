//! An open loop: messages are due at fixed times, whether the server keeps up or not.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::json;
use stillwire_bench::{Poll, open};

use crate::{Outcome, frame_of};

/// How long stragglers are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn run(
    address: &str,
    target: &str,
    connections: usize,
    rate: usize,
    bytes: usize,
    seconds: usize,
) -> Outcome {
    let frame = frame_of(bytes);
    let answer_bytes = frame.len() - 4;
    let mut poll = Poll::new()?;
    let mut clients = Vec::with_capacity(connections);
    for number in 0..connections {
        let (stream, _) = open(address, target, number)?;
        poll.add(&stream, number)?;
        // What is under way, by when it was due; how many bytes of the next answer are here.
        clients.push((stream, VecDeque::<Duration>::new(), 0_usize));
    }
    let mut buffer = vec![0; 262_144];
    let mut micros: Vec<u64> = Vec::with_capacity(rate * seconds);
    let began = Instant::now();
    println!("begin");
    let gap = Duration::from_nanos(1_000_000_000 / rate as u64);
    let (total, warm) = (rate * (seconds + 1), rate);
    let mut sent = 0;
    let mut received = 0;
    while received < total {
        let now = began.elapsed();
        if sent == total && now > gap * u32::try_from(total)? + PATIENCE {
            break;
        }
        while sent < total && gap * u32::try_from(sent)? <= now {
            let (stream, under_way, _) = &mut clients[sent % connections];
            stream.write_all(&frame)?;
            under_way.push_back(gap * u32::try_from(sent)?);
            sent += 1;
        }
        for number in poll.wait(Some(Duration::ZERO))? {
            let (stream, under_way, held) = &mut clients[number];
            match stream.read(&mut buffer) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(read) => *held += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            }
            let now = began.elapsed();
            for _ in 0..*held / answer_bytes {
                let due = under_way.pop_front().ok_or("an answer to nothing")?;
                if received >= warm {
                    micros.push(u64::try_from(now.saturating_sub(due).as_micros())?);
                }
                received += 1;
            }
            *held %= answer_bytes;
        }
    }
    micros.sort_unstable();
    let at = |per_mille: usize| micros[(micros.len() - 1) * per_mille / 1000];
    Ok(json!({
        "count": received, "lost": total - received, "seconds": seconds + 1, "warm_seconds": 0,
        "p50": at(500), "p99": at(990), "p999": at(999), "max": at(1000),
    }))
}
