//! A trivial backend: one thread, raw epoll, HTTP/1.1 with kept connections. Its answer to a request is that request's
//! body, with its type; so it is a backend for WebSocket-over-HTTP too.
//!
//! It trusts its peer and is good for nothing but this.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a baseline that trusts its peer"
)]

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use stillwire_bench::Poll;

struct Client {
    stream: TcpStream,
    /// Bytes of a request that is not all here.
    input: Vec<u8>,
}

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let mut poll = Poll::new()?;
    poll.add(&listener, 0)?;
    let mut clients: HashMap<usize, Client> = HashMap::new();
    let mut next = 1;
    let mut buffer = vec![0; 65_536];
    loop {
        for number in poll.wait(None)? {
            if number == 0 {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    poll.add(&stream, next)?;
                    clients.insert(next, Client { stream, input: Vec::new() });
                    next += 1;
                }
                continue;
            }
            let Some(client) = clients.get_mut(&number) else { continue };
            let stays = match client.stream.read(&mut buffer) {
                Ok(read) if read > 0 => {
                    client.input.extend_from_slice(&buffer[..read]);
                    answer(client).is_ok()
                }
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
                Ok(_) => false,
            };
            if !stays {
                clients.remove(&number);
            }
        }
    }
}

/// Answers all requests that are whole.
fn answer(client: &mut Client) -> io::Result<()> {
    let mut output = Vec::new();
    while let Some(at) = client.input.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&client.input[..at]).into_owned();
        let header = |wanted: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(':'));
            fields
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.trim())
        };
        let length = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let Some(body) = client.input.get(at + 4..at + 4 + length) else { break };
        let kind = header("content-type").unwrap_or("text/plain");
        write!(
            output,
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        )?;
        output.extend_from_slice(body);
        client.input.drain(..at + 4 + length);
    }
    client.stream.write_all(&output)
}
