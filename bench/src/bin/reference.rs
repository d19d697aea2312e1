//! The reference: a WebSocket echo on raw epoll, one thread, without any logic.
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
            if !serve(client, &mut input, &mut output) {
                clients.remove(&number);
            }
        }
    }
}

fn serve(client: &mut Client, input: &mut [u8], output: &mut Vec<u8>) -> bool {
    let read = match client.stream.read(input) {
        Ok(0) => return false,
        Ok(read) => read,
        Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
    };
    output.clear();
    if !client.open {
        return shake_hands(client, &input[..read]);
    }
    if client.tail.is_empty() {
        let used = echo(&mut input[..read], output);
        client.tail.extend_from_slice(&input[used..read]);
    } else {
        client.tail.extend_from_slice(&input[..read]);
        let used = echo(&mut client.tail, output);
        client.tail.drain(..used);
    }
    client.stream.write_all(output).is_ok()
}

fn shake_hands(client: &mut Client, head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    let Some(key) = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")) else {
        return false;
    };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key)
    );
    client.open = true;
    client.stream.write_all(answer.as_bytes()).is_ok()
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
        output.push(frame[0]);
        if length < 126 {
            output.push(u8::try_from(length).unwrap_or(0));
        } else {
            output.extend_from_slice(&[126, frame[2], frame[3]]);
        }
        let (mask, payload) = frame[head..].split_at_mut(4);
        unmask(payload, [mask[0], mask[1], mask[2], mask[3]]);
        output.extend_from_slice(payload);
        at += head + 4 + length;
    }
    at
}
