//! The bare Runtime API cycle: hands one event after the other to a runtime, and does nothing else.
//!
//! `cycle COUNT PROGRAM [ARGUMENT...]` starts a program whose runtime socket is the descriptor that `STILLWIRE_RUNTIME_FD`
//! names, and prints what a cycle took: from the event to the response and the wish for the next.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a baseline that trusts its peer"
)]

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Instant;

use serde_json::json;

const EVENT: &str = r#"{"body":"{\"action\":\"echo\"}","requestContext":{"routeKey":"echo"}}"#;
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n";

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [count, program, arguments @ ..] = words.as_slice() else {
        return Err("cycle COUNT PROGRAM [ARGUMENT...]".into());
    };
    let count: usize = count.parse()?;
    let (mut ours, theirs) = UnixStream::pair()?;
    let inherited = rustix::io::dup(&theirs)?; // unlike the pair's, this one is not closed by exec
    let mut child = Command::new(program)
        .args(arguments)
        .env("STILLWIRE_RUNTIME_FD", inherited.as_raw_fd().to_string())
        .spawn()?;
    drop((inherited, theirs));
    let mut input = Vec::new();
    request(&mut ours, &mut input)?; // its first wish
    let mut micros = Vec::with_capacity(count);
    let began = Instant::now();
    for number in 0..count {
        let event = format!(
            "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: {number}\r\nLambda-Runtime-Deadline-Ms: 9999999999999\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{EVENT}",
            EVENT.len()
        );
        let sent = Instant::now();
        ours.write_all(event.as_bytes())?;
        request(&mut ours, &mut input)?;
        ours.write_all(ACCEPTED)?;
        request(&mut ours, &mut input)?;
        micros.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    let seconds = began.elapsed().as_secs_f64();
    child.kill()?;
    child.wait()?;
    micros.sort_by(f64::total_cmp);
    println!(
        "{}",
        json!({ "p50": micros[count / 2], "p99": micros[count * 99 / 100], "count": count, "seconds": seconds })
    );
    Ok(())
}

/// Takes one whole request.
fn request(stream: &mut UnixStream, input: &mut Vec<u8>) -> Result<(), Box<dyn Error>> {
    let mut buffer = [0; 16_384];
    loop {
        if let Some(at) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&input[..at]).to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            let length: usize = length.map_or(Ok(0), str::parse)?;
            if input.len() >= at + 4 + length {
                input.drain(..at + 4 + length);
                return Ok(());
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Err("the runtime has ended".into()),
            read => input.extend_from_slice(&buffer[..read]),
        }
    }
}
