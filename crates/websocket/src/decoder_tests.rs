//! Tests of the decoder: whole messages, fragments, errors, and any cutting of the bytes.

use proptest::prelude::*;

use super::*;
use crate::{CloseCode, Masking, encode_close, encode_message, encode_ping};

const LIMITS: Limits = Limits { frame_bytes_max: 32_768, message_bytes_max: 131_072, binary: true };
const KEY: Masking = Masking::Key([1, 2, 3, 4]);

/// Everything `bytes` decodes to when it arrives in pieces of `size`.
fn decode_in_pieces(
    bytes: &[u8],
    size: usize,
    limits: Limits,
) -> Result<Vec<Message<'static>>, ProtocolError> {
    let mut decoder = Decoder::new(Role::Server, limits);
    let mut messages = Vec::new();
    for piece in bytes.chunks(size.max(1)) {
        let mut piece = piece.to_vec();
        let mut at = 0;
        loop {
            let decoded = decoder.decode(&mut piece[at..])?;
            at += decoded.consumed;
            match decoded.message {
                Some(message) => messages.push(owned(message)),
                None => break,
            }
        }
        assert_eq!(at, piece.len(), "without a message all of the input is used up");
    }
    Ok(messages)
}

fn owned(message: Message<'_>) -> Message<'static> {
    match message {
        Message::Text(text) => Message::Text(text.into_owned().into()),
        Message::Binary(bytes) => Message::Binary(bytes.into_owned().into()),
        Message::Ping(bytes) => Message::Ping(bytes.into_owned().into()),
        Message::Pong(bytes) => Message::Pong(bytes.into_owned().into()),
        Message::Close(frame) => Message::Close(frame),
    }
}

fn decode(bytes: &[u8]) -> Result<Vec<Message<'static>>, ProtocolError> {
    decode_in_pieces(bytes, usize::MAX, LIMITS)
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn a_ping_between_two_fragments_is_seen_first() {
    let bytes = [masked(0x01, b"a"), masked(0x89, b"?"), masked(0x80, b"b")].concat();
    let expected = [Message::Ping(b"?".as_slice().into()), Message::Text("ab".into())];
    assert_eq!(decode(&bytes).unwrap(), expected);
}

#[test]
fn empty_fragments_make_one_empty_message() {
    let bytes = [masked(0x01, b""), masked(0x00, b""), masked(0x80, b"")].concat();
    assert_eq!(decode(&bytes).unwrap(), [Message::Text("".into())]);
}

#[test]
fn each_violation_has_its_close_code() {
    for (bytes, code) in [
        (b"\x81\x02hi".to_vec(), 1002), // not masked
        (masked(0x80, b"x"), 1002),     // continues nothing
        ([masked(0x01, b"a"), masked(0x81, b"b")].concat(), 1002), // unfinished message
        (masked(0x88, b"\x03"), 1002),  // close payload of one byte
        (masked(0x88, b"\x03\xed"), 1002), // close code 1005
        (masked(0x81, b"\xc3\x28"), 1007), // not UTF-8
        ([masked(0x01, b"\xc3"), masked(0x80, b"")].concat(), 1007), // half a character
    ] {
        assert_eq!(decode(&bytes).unwrap_err().close_code().get(), code, "{bytes:x?}");
    }
    let limits = Limits { frame_bytes_max: 4, message_bytes_max: 6, binary: false };
    let refused = |bytes: &[u8]| decode_in_pieces(bytes, 1, limits).unwrap_err();
    assert_eq!(refused(&masked(0x81, b"12345")), ProtocolError::FrameTooBig(4));
    let fragments = [masked(0x01, b"1234"), masked(0x80, b"567")].concat();
    assert_eq!(refused(&fragments), ProtocolError::MessageTooBig(6));
    assert_eq!(refused(&masked(0x82, b"")), ProtocolError::BinaryRefused);
}

#[test]
fn a_frame_of_the_limit_passes_and_one_byte_more_does_not() {
    let mut bytes = Vec::new();
    encode_message(Opcode::Text, &vec![b'x'; 131_072], 32_768, KEY, &mut bytes);
    assert_eq!(decode(&bytes).unwrap().len(), 1);
    bytes.clear();
    encode_message(Opcode::Text, &vec![b'x'; 131_073], 32_768, KEY, &mut bytes);
    assert_eq!(decode(&bytes), Err(ProtocolError::MessageTooBig(131_072)));
    bytes.clear();
    encode_message(Opcode::Text, &vec![b'x'; 32_769], 32_769, KEY, &mut bytes);
    assert_eq!(decode(&bytes), Err(ProtocolError::FrameTooBig(32_768)));
}

#[test]
fn a_frame_too_big_is_refused_with_its_header() {
    let mut decoder = Decoder::new(Role::Server, LIMITS);
    let mut header = [0x81, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
    assert_eq!(decoder.decode(&mut header), Err(ProtocolError::FrameTooBig(32_768)));
    assert_eq!(decoder.held_bytes(), 0);
}

#[test]
fn an_idle_decoder_holds_no_payload() {
    let mut decoder = Decoder::new(Role::Server, LIMITS);
    for mut bytes in [masked(0x01, b"a"), masked(0x80, b"b"), masked(0x89, b"?")] {
        decoder.decode(&mut bytes).unwrap();
    }
    assert_eq!(decoder.held_bytes(), 0);
    assert!(!decoder.is_midway());
}

fn any_message() -> impl Strategy<Value = (Vec<u8>, Message<'static>)> {
    let data = (any::<bool>(), any::<String>(), 1usize..40).prop_map(|(text, payload, frame)| {
        let mut bytes = Vec::new();
        let opcode = if text { Opcode::Text } else { Opcode::Binary };
        encode_message(opcode, payload.as_bytes(), frame, KEY, &mut bytes);
        let message = if text {
            Message::Text(payload.into())
        } else {
            Message::Binary(payload.into_bytes().into())
        };
        (bytes, message)
    });
    let ping = proptest::collection::vec(any::<u8>(), 0..125).prop_map(|payload| {
        let mut bytes = Vec::new();
        encode_ping(&payload, KEY, &mut bytes);
        (bytes, Message::Ping(payload.into()))
    });
    prop_oneof![3 => data, 1 => ping]
}

proptest! {
    #[test]
    fn any_cutting_of_valid_bytes_gives_the_same_messages(
        messages in proptest::collection::vec(any_message(), 0..6), size in 1usize..50,
    ) {
        let mut bytes: Vec<u8> = messages.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let close = CloseFrame { code: CloseCode::NORMAL, reason: "bye".to_owned() };
        encode_close(Some(&close), KEY, &mut bytes);
        let mut expected: Vec<_> = messages.into_iter().map(|(_, message)| message).collect();
        expected.push(Message::Close(Some(close)));
        prop_assert_eq!(decode_in_pieces(&bytes, size, LIMITS), Ok(expected));
    }

    #[test]
    fn any_cutting_of_any_bytes_gives_the_same_verdict(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1usize..20,
    ) {
        // Steer towards deep states: known first bytes, masked, short.
        if let [first, second, ..] = bytes.as_mut_slice() {
            *first &= 0x8f;
            *second = 0x80 | (*second & 0x3f);
        }
        let limits = Limits { frame_bytes_max: 64, message_bytes_max: 100, binary: true };
        let whole = decode_in_pieces(&bytes, usize::MAX, limits);
        let pieces = decode_in_pieces(&bytes, size, limits);
        prop_assert_eq!(whole, pieces);
    }
}
