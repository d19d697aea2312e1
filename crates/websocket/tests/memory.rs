//! What compressed messages cost in memory while they are decoded, as the kernel counts it.
//!
//! Each message is decoded by a process of its own: what one freed before would hide what the next needs.
//! So this is a program without the usual harness.
#![allow(clippy::unwrap_used, reason = "the helpers of tests")]

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};

use stillwire_websocket::{
    Decoder, Limits, Masking, Message, Opcode, ProtocolError, Role, WindowBits, encode_message,
    encode_message_deflated,
};

const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// What the measure may be off by: the allocator's own, the states of the thread, pages of code.
const SLACK_BYTES: usize = 1 << 20;

/// What the word after the program's name says to be the one that decodes.
const DECODE: &str = "decode-what-comes-in";

fn main() {
    if std::env::args().nth(1).as_deref() == Some(DECODE) {
        return decode();
    }
    if !cfg!(target_os = "linux") {
        return; // there is nothing to measure with
    }
    let zeros = |len: usize| vec![0; len];
    let mut half = noise(MESSAGE_BYTES_MAX / 2);
    half.resize(MESSAGE_BYTES_MAX, 0);
    let too_big = Err(ProtocolError::MessageTooBig(MESSAGE_BYTES_MAX));
    let accepted = Ok(MESSAGE_BYTES_MAX);
    for (name, bytes, verdict, growth) in [
        ("a bomb", deflated(&zeros(2 * MESSAGE_BYTES_MAX)), too_big, 0),
        ("zeros", deflated(&zeros(MESSAGE_BYTES_MAX)), accepted, MESSAGE_BYTES_MAX),
        ("half of each", deflated(&half), accepted, MESSAGE_BYTES_MAX / 2 * 3),
        ("noise", stored(&noise(MESSAGE_BYTES_MAX)), accepted, 2 * MESSAGE_BYTES_MAX),
    ] {
        let (said, grew) = measured(&bytes);
        assert_eq!(said, format!("{verdict:?}"), "{name}");
        // Less would mean that the measure does not see what is there.
        let allowed = growth.saturating_sub(SLACK_BYTES)..=growth + SLACK_BYTES;
        assert!(allowed.contains(&grew), "{name}: {grew} bytes");
    }
}

/// Has another process decode the bytes; gives what came of it, and by how much that process grew.
fn measured(bytes: &[u8]) -> (String, usize) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(DECODE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It stops reading at an error, as a server does.
    let _broken_pipe = child.stdin.take().unwrap().write_all(bytes);
    let said = child.wait_with_output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    let (verdict, grew) = said.split_once('\n').unwrap();
    (verdict.to_owned(), grew.trim_end().parse().unwrap())
}

/// Decodes what comes in, then says the length of the message or the error, and the growth.
fn decode() {
    let before = status("VmRSS:");
    let verdict = decode_all(io::stdin().lock());
    let grew = status("VmHWM:").saturating_sub(before);
    let said = format!("{verdict:?}\n{grew}");
    io::stdout().write_all(said.as_bytes()).unwrap();
}

fn decode_all(mut input: impl Read) -> Result<usize, ProtocolError> {
    let limits =
        Limits { frame_bytes_max: 32_768, message_bytes_max: MESSAGE_BYTES_MAX, binary: true };
    let mut decoder = Decoder::new(Role::Client).with_deflate();
    let mut buffer = vec![0; 16_384];
    let mut message_bytes = 0;
    loop {
        let len = input.read(&mut buffer).unwrap();
        let mut rest = buffer.get_mut(..len).unwrap();
        if rest.is_empty() {
            return Ok(message_bytes);
        }
        while !rest.is_empty() {
            let decoded = decoder.decode(&limits, rest)?;
            if let Some(Message::Binary(message)) = &decoded.message {
                message_bytes += message.len();
            }
            let consumed = decoded.consumed;
            drop(decoded);
            rest = rest.get_mut(consumed..).unwrap();
        }
    }
}

fn status(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kib: usize = line.split_whitespace().next().unwrap().parse().unwrap();
    kib * 1024
}

fn deflated(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (binary, window) = (Opcode::Binary, WindowBits::MAX);
    encode_message_deflated(binary, message, 32_768, Masking::None, window, &mut bytes);
    bytes
}

/// DEFLATE without compression, in frames: what a compressor makes of noise.
fn stored(message: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::new();
    for block in message.chunks(65_535) {
        let len = u16::try_from(block.len()).unwrap();
        blocks.push(0);
        blocks.extend_from_slice(&len.to_le_bytes());
        blocks.extend_from_slice(&(!len).to_le_bytes());
        blocks.extend_from_slice(block);
    }
    blocks.push(0);
    let mut bytes = Vec::new();
    encode_message(Opcode::Binary, &blocks, 32_768, Masking::None, &mut bytes);
    *bytes.first_mut().unwrap() |= 0x40; // compressed
    bytes
}

/// Bytes that no compressor makes smaller: xorshift64.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}
