//! The reference: a WebSocket echo on raw epoll, one thread, without any logic. `POST /ID` sends its body to one
//! client, `POST /broadcast` to all.
//!
//! What it reaches is what kernel and loopback allow; everything else is measured against it. It trusts its
//! peer and is good for nothing but this.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a baseline that trusts its peer"
)]

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use stillwire_bench::Poll;
use stillwire_websocket::accept_key;

struct Client {
    stream: TcpStream,
    open: bool,
    /// Bytes of a frame that is not all here.
    tail: Vec<u8>,
}

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let mut poll = Poll::new()?;
    poll.add(&listener, 0)?;
    let mut clients: HashMap<usize, Client> = HashMap::new();
    let mut next = 1;
    let (mut input, mut output) = (vec![0; 65_536], Vec::with_capacity(65_536));
    loop {
        for number in poll.wait(None)? {
            if number == 0 {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    poll.add(&stream, next)?;
                    clients.insert(next, Client { stream, open: false, tail: Vec::new() });
                    next += 1;
                }
                continue;
            }
            let Some(client) = clients.get_mut(&number) else { continue };
            match serve(client, number, &mut input, &mut output) {
                Next::Stay => {}
                Next::Leave => drop(clients.remove(&number)),
                Next::Post(to) => {
                    let posted = match to {
                        Some(to) => {
                            clients.get(&to).map(|client| (&client.stream).write_all(&output))
                        }
                        None => clients
                            .values()
                            .filter(|client| client.open)
                            .map(|client| (&client.stream).write_all(&output))
                            .last(),
                    };
                    let answer: &[u8] = match posted {
                        Some(Ok(())) => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                        _ => b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
                    };
                    if let Some(client) = clients.get(&number) {
                        (&client.stream).write_all(answer)?;
                    }
                }
            }
        }
    }
}

enum Next {
    Stay,
    Leave,
    /// The frame in `output` is due to this client, or to all.
    Post(Option<usize>),
}

fn serve(client: &mut Client, number: usize, input: &mut [u8], output: &mut Vec<u8>) -> Next {
    let read = match client.stream.read(input) {
        Ok(read) if read > 0 => read,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Stay,
        _ => return Next::Leave,
    };
    output.clear();
    if !client.open {
        return begin(client, number, &input[..read], output);
    }
    if client.tail.is_empty() {
        let used = echo(&mut input[..read], output);
        client.tail.extend_from_slice(&input[used..read]);
    } else {
        client.tail.extend_from_slice(&input[..read]);
        let used = echo(&mut client.tail, output);
        client.tail.drain(..used);
    }
    if client.stream.write_all(output).is_ok() { Next::Stay } else { Next::Leave }
}

fn begin(client: &mut Client, number: usize, input: &[u8], output: &mut Vec<u8>) -> Next {
    let text = String::from_utf8_lossy(input);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Next::Leave };
    if let Some(path) = head.strip_prefix("POST /").and_then(|rest| rest.split(' ').next()) {
        write_head(0x81, body.len(), output);
        output.extend_from_slice(body.as_bytes());
        return Next::Post(path.parse().ok());
    }
    let Some(key) = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")) else {
        return Next::Leave;
    };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nx-connection-id: {number}\r\n\r\n",
        accept_key(key)
    );
    client.open = true;
    if client.stream.write_all(answer.as_bytes()).is_ok() { Next::Stay } else { Next::Leave }
}

fn write_head(first: u8, length: usize, output: &mut Vec<u8>) {
    output.push(first);
    match u8::try_from(length) {
        Ok(short) if short < 126 => output.push(short),
        _ => {
            output.push(126);
            output.extend_from_slice(&u16::try_from(length).unwrap_or(0).to_be_bytes());
        }
    }
}

/// Eight bytes at a time: a byte at a time costs more than the rest at 1 KB.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= *key;
    }
}

/// Echoes all whole frames; gives how many bytes they took.
fn echo(input: &mut [u8], output: &mut Vec<u8>) -> usize {
    let mut at = 0;
    while let Some(rest) = input.get_mut(at..) {
        let (length, head) = match rest {
            [_, short, ..] if *short & 0x7f < 126 => (usize::from(*short & 0x7f), 2),
            [_, _, high, low, ..] => (usize::from(u16::from_be_bytes([*high, *low])), 4),
            _ => break,
        };
        let Some(frame) = rest.get_mut(..head + 4 + length) else { break };
        write_head(frame[0], length, output);
        let (mask, payload) = frame[head..].split_at_mut(4);
        unmask(payload, [mask[0], mask[1], mask[2], mask[3]]);
        output.extend_from_slice(payload);
        at += head + 4 + length;
    }
    at
}
