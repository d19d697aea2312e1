//! Any bytes, cut anywhere, give the same messages and the same verdict as the whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillwire_websocket::{Decoder, Limits, Message, ProtocolError, Role};

const LIMITS: Limits = Limits { frame_bytes_max: 512, message_bytes_max: 1024, binary: true };

fuzz_target!(|input: &[u8]| {
    let Some((&cut, bytes)) = input.split_first() else { return };
    let role = if cut & 1 == 0 { Role::Server } else { Role::Client };
    let whole = decode(bytes, bytes.len().max(1), role);
    assert_eq!(whole, decode(bytes, usize::from(cut >> 1).max(1), role));
});

fn decode(bytes: &[u8], size: usize, role: Role) -> Result<Vec<String>, ProtocolError> {
    let mut decoder = Decoder::new(role, LIMITS);
    let mut messages = Vec::new();
    for piece in bytes.chunks(size) {
        let mut piece = piece.to_vec();
        let mut at = 0;
        loop {
            let decoded = decoder.decode(&mut piece[at..])?;
            at += decoded.consumed;
            match decoded.message {
                Some(Message::Text(text)) => messages.push(format!("text {text}")),
                Some(Message::Binary(bytes)) => messages.push(format!("binary {bytes:?}")),
                Some(Message::Ping(bytes)) => messages.push(format!("ping {bytes:?}")),
                Some(Message::Pong(bytes)) => messages.push(format!("pong {bytes:?}")),
                Some(Message::Close(frame)) => messages.push(format!("close {frame:?}")),
                None => break,
            }
        }
        assert!(decoder.held_bytes() <= 4096, "what a peer makes us hold is bounded");
    }
    Ok(messages)
}
