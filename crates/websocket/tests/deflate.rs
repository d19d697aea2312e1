//! Compressed messages from end to end: what is accepted, what is refused, what it costs.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "the helpers of tests"
)]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use stillwire_websocket::{
    Decoder, Limits, Masking, Message, Opcode, ProtocolError, Role, WindowBits, encode_message,
    encode_message_deflated,
};

const KEY: Masking = Masking::Key([1, 2, 3, 4]);

const LIMITS: Limits = Limits { frame_bytes_max: 32_768, message_bytes_max: 131_072, binary: true };

const UNLIMITED: Limits =
    Limits { frame_bytes_max: usize::MAX, message_bytes_max: usize::MAX, binary: true };

/// "Hello", compressed. Source: RFC 7692, section 7.2.3.1.
const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";

/// Everything `bytes` decodes to when it arrives in pieces of `size`, the decoder written down between them.
fn decode(
    bytes: &[u8],
    size: usize,
    limits: Limits,
) -> Result<Vec<Message<'static>>, ProtocolError> {
    let mut decoder = Decoder::new(Role::Server).with_deflate();
    let mut messages = Vec::new();
    for piece in bytes.chunks(size) {
        let mut piece = piece.to_vec();
        let mut at = 0;
        loop {
            let decoded = decoder.decode(&limits, &mut piece[at..])?;
            at += decoded.consumed;
            match decoded.message {
                Some(message) => messages.push(message.into_owned()),
                None => break,
            }
        }
        let written = serde_json::to_string(&decoder).unwrap();
        decoder = serde_json::from_str(&written).unwrap();
    }
    Ok(messages)
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_message(Opcode::Binary, payload, usize::MAX, KEY, &mut bytes);
    bytes[0] = first;
    bytes
}

fn deflated(opcode: Opcode, payload: &[u8], frame_bytes_max: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_message_deflated(opcode, payload, frame_bytes_max, KEY, WindowBits::MAX, &mut bytes);
    bytes
}

/// Bytes that no compressor makes smaller.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

/// Stored blocks: DEFLATE without compression, a little larger than the message.
fn stored(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in payload.chunks(65_535) {
        let len = u16::try_from(block.len()).unwrap();
        bytes.push(0);
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&(!len).to_le_bytes());
        bytes.extend_from_slice(block);
    }
    bytes.push(0);
    bytes
}

#[test]
fn a_compressed_message_may_come_in_frames_with_a_ping_between() {
    let hello = Message::Text("Hello".into());
    assert_eq!(decode(&frame(0xc1, HELLO), 100, LIMITS), Ok(vec![hello.clone()]));
    let frames =
        [frame(0x41, &HELLO[..3]), frame(0x89, b"?"), frame(0x00, b""), frame(0x80, &HELLO[3..])];
    let expected = vec![Message::Ping(b"?".as_slice().into()), hello];
    assert_eq!(decode(&frames.concat(), 1, LIMITS), Ok(expected));
}

#[test]
fn a_connection_may_mix_compressed_messages_and_others() {
    let bytes = [frame(0xc1, HELLO), frame(0x81, b"plain"), frame(0xc2, HELLO)].concat();
    let expected = vec![
        Message::Text("Hello".into()),
        Message::Text("plain".into()),
        Message::Binary(b"Hello".as_slice().into()),
    ];
    assert_eq!(decode(&bytes, 1000, LIMITS), Ok(expected));
}

#[test]
fn only_the_first_frame_of_a_data_message_is_marked_as_compressed() {
    for bytes in [
        [frame(0x41, &HELLO[..3]), frame(0xc0, &HELLO[3..])].concat(), // a continuation
        [frame(0x01, b"a"), frame(0xc0, HELLO)].concat(),
        frame(0xc9, b""),   // a ping
        frame(0xc8, b""),   // a close
        frame(0xe1, HELLO), // another bit beside it
        frame(0xa1, b""),
    ] {
        let error = decode(&bytes, 1000, LIMITS).unwrap_err();
        assert_eq!((error, error.close_code().get()), (ProtocolError::ReservedBits, 1002));
    }
    let plain = Decoder::new(Role::Server).decode(&LIMITS, &mut frame(0xc1, HELLO)).unwrap_err();
    assert_eq!(plain, ProtocolError::ReservedBits); // nothing was negotiated
}

#[test]
fn broken_compression_and_inflated_text_that_is_not_utf8_close_with_1007() {
    for (bytes, error) in [
        (frame(0xc1, b"\xff\xff"), ProtocolError::BadDeflate),
        (frame(0xc1, &HELLO[..4]), ProtocolError::BadDeflate),
        (frame(0xc1, &stored(b"\xc3\x28")), ProtocolError::InvalidUtf8),
        (frame(0xc1, &stored(b"half: \xc3")), ProtocolError::InvalidUtf8),
    ] {
        for size in [1, 1000] {
            assert_eq!(decode(&bytes, size, LIMITS), Err(error), "{bytes:x?}");
        }
        assert_eq!(error.close_code().get(), 1007);
    }
    assert!(decode(&frame(0xc2, &stored(b"\xc3\x28")), 1000, LIMITS).is_ok()); // binary
}

#[test]
fn the_message_limit_holds_for_what_is_inflated_and_the_frame_limit_for_what_comes() {
    let limits = Limits { frame_bytes_max: 100, message_bytes_max: 1000, binary: true };
    let fits = deflated(Opcode::Text, &[b'a'; 1000], 100);
    assert_eq!(decode(&fits, 7, limits).unwrap().len(), 1);
    let more = deflated(Opcode::Text, &[b'a'; 1001], 100);
    assert_eq!(decode(&more, 7, limits), Err(ProtocolError::MessageTooBig(1000)));
    let large_frame = frame(0xc2, &noise(101));
    assert_eq!(decode(&large_frame, 7, limits), Err(ProtocolError::FrameTooBig(100)));
    // What cannot be compressed may come a little larger than it is, but not much.
    let unlimited_frames = Limits { frame_bytes_max: usize::MAX, ..LIMITS };
    let noise = frame(0xc2, &stored(&noise(131_072)));
    assert_eq!(decode(&noise, 50_000, unlimited_frames).unwrap().len(), 1);
    let empty_blocks = frame(0xc2, &b"\x00\x00\x00\xff\xff".repeat(30_000));
    let too_big = Err(ProtocolError::MessageTooBig(131_072));
    assert_eq!(decode(&empty_blocks, 10_000, unlimited_frames), too_big);
}

#[test]
fn a_bomb_is_refused_before_anything_is_allocated_for_it() {
    // A mebibyte of matches of 258 zeros: a fixed block (0b010), a zero, then pairs of length 258, distance 1.
    // Each pair is the 13 bits 11000101 00000, so 13 bytes hold eight of them.
    let mut bits: Vec<bool> = vec![false, true, false];
    bits.extend([0, 0, 1, 1, 0, 0, 0, 0].map(|bit| bit == 1));
    let pair = [1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0].map(|bit| bit == 1);
    while bits.len() < 8 << 20 {
        bits.extend(pair);
    }
    let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    let bomb: Vec<u8> = bits.chunks(8).map(byte).collect();
    let began = Instant::now();
    for message_bytes_max in [2 << 20, 16 << 20] {
        let limits = Limits { message_bytes_max, ..UNLIMITED };
        let mut decoder = Decoder::new(Role::Server).with_deflate();
        let mut bytes = frame(0xc2, &bomb);
        let (mut held, mut verdict) = (0, None);
        for piece in bytes.chunks_mut(65_536) {
            verdict = decoder.decode(&limits, piece).err();
            held = held.max(decoder.held_bytes());
        }
        assert_eq!(verdict, Some(ProtocolError::MessageTooBig(message_bytes_max)));
        assert!(held <= bomb.len() + 65_536);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "a debug build is slow, but not that slow");
}

#[test]
fn a_message_that_would_not_shrink_goes_as_it_is() {
    for payload in [b"short".to_vec(), noise(10_000), Vec::new()] {
        let mut plain = Vec::new();
        encode_message(Opcode::Binary, &payload, 1000, KEY, &mut plain);
        assert_eq!(deflated(Opcode::Binary, &payload, 1000), plain);
    }
    let json = br#"{"action":"sendmessage","data":"hello"}"#.repeat(20);
    assert!(deflated(Opcode::Text, &json, 1000).len() < json.len() / 5);
}

fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    let noise = (0usize..5000).prop_map(noise);
    let words = proptest::collection::vec(0u8..4, 0..300).prop_map(|words| {
        words.iter().flat_map(|word| b"abcdefghijklmnopqrst".repeat(usize::from(*word))).collect()
    });
    let zeros = (0usize..200_000).prop_map(|len| vec![0; len]);
    prop_oneof![noise, words, zeros]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_compressed_is_inflated_however_it_is_cut(
        payloads in proptest::collection::vec(any_payload(), 1..4),
        bits in 9u8..=15, frame in 1usize..2000, size in 1usize..3000,
    ) {
        let mut bytes = Vec::new();
        let window = WindowBits::new(bits).unwrap();
        for payload in &payloads {
            encode_message_deflated(Opcode::Binary, payload, frame, KEY, window, &mut bytes);
        }
        let expected: Vec<_> =
            payloads.into_iter().map(|payload| Message::Binary(payload.into())).collect();
        prop_assert_eq!(decode(&bytes, size, UNLIMITED), Ok(expected));
    }

    #[test]
    fn any_cutting_of_broken_compression_gives_the_same_verdict(
        payload in any_payload(), at in any::<prop::sample::Index>(), flip in 1u8..,
        size in 1usize..500,
    ) {
        let mut bytes = deflated(Opcode::Binary, &payload, 300);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let limits = Limits { frame_bytes_max: 1000, message_bytes_max: 100_000, binary: true };
        prop_assert_eq!(decode(&bytes, size, limits), decode(&bytes, bytes.len(), limits));
    }
}
