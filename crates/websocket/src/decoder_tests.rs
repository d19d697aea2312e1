//! Tests of the decoder: whole messages, fragments, errors, and any cutting of the bytes.

use proptest::prelude::*;

use super::*;
use crate::{CloseCode, CloseFrame, Masking, Opcode, encode_close, encode_message, encode_ping};

const LIMITS: Limits = Limits { frame_bytes_max: 32_768, message_bytes_max: 131_072, binary: true };
const KEY: Masking = Masking::Key([1, 2, 3, 4]);

/// Everything `bytes` decodes to when it arrives in pieces of `size`.
fn decode_in_pieces(
    bytes: &[u8],
    size: usize,
    limits: Limits,
) -> Result<Vec<Message<'static>>, ProtocolError> {
    decode_through(bytes, size, limits, |decoder| decoder)
}

/// The same, with something done to the decoder between the pieces.
fn decode_through(
    bytes: &[u8],
    size: usize,
    limits: Limits,
    between: impl Fn(Decoder) -> Decoder,
) -> Result<Vec<Message<'static>>, ProtocolError> {
    let mut decoder = Decoder::new(Role::Server);
    let mut messages = Vec::new();
    for (number, piece) in bytes.chunks(size.max(1)).enumerate() {
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
        assert_eq!(at, piece.len(), "without a message all of the input is used up");
        let received = (number + 1) * size;
        assert!(decoder.held_bytes() <= received.saturating_add(65_536));
        decoder = between(decoder);
    }
    Ok(messages)
}

/// A decoder that was written down and read back.
fn handed_over(decoder: Decoder) -> Decoder {
    let written = serde_json::to_string(&decoder).unwrap();
    let read = serde_json::from_str(&written).unwrap();
    assert_eq!(decoder, read);
    read
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
    for (len, error) in [
        ((1 << 31) - 1, ProtocolError::FrameTooBig(32_768)),
        ((1 << 32) + 1, ProtocolError::FrameTooBig(32_768)),
        (1 << 40, ProtocolError::FrameTooBig(32_768)),
        ((1 << 63) - 1, ProtocolError::FrameTooBig(32_768)),
        (1 << 63, ProtocolError::BadLength),
        (u64::MAX, ProtocolError::BadLength),
    ] {
        let mut decoder = Decoder::new(Role::Server);
        let mut header = announcing(len);
        assert_eq!(decoder.decode(&LIMITS, &mut header), Err(error), "{len}");
        assert_eq!((decoder.held_bytes(), decoder.is_midway()), (0, false));
    }
}

/// The header of a binary frame of `len` bytes.
fn announcing(len: u64) -> Vec<u8> {
    [[0x82, 0xff].as_slice(), &len.to_be_bytes(), &[1, 2, 3, 4]].concat()
}

#[test]
fn without_limits_nothing_is_allocated_for_what_is_only_announced() {
    let limits = Limits { frame_bytes_max: usize::MAX, message_bytes_max: usize::MAX, ..LIMITS };
    let mut decoder = Decoder::new(Role::Server);
    decoder.decode(&limits, &mut masked(0x02, &[0; 100])).unwrap();
    let mut frame = announcing((1 << 63) - 1);
    frame[0] = 0x80;
    frame.extend_from_slice(&[0; 100]);
    assert_eq!(decoder.decode(&limits, &mut frame).unwrap().message, None);
    assert!(decoder.held_bytes() <= 400, "{}", decoder.held_bytes());
}

#[test]
fn a_payload_is_given_room_as_it_arrives() {
    let mut decoder = Decoder::new(Role::Server);
    let mut bytes = Vec::new();
    encode_message(Opcode::Binary, &vec![0; 131_072], usize::MAX, KEY, &mut bytes);
    let limits = Limits { frame_bytes_max: usize::MAX, ..LIMITS };
    let mut received = 0;
    for piece in bytes.chunks_mut(1000) {
        received += piece.len();
        decoder.decode(&limits, piece).unwrap();
        assert!(decoder.held_bytes() <= 131_072.min(received + 65_536));
    }
    assert_eq!(decoder.held_bytes(), 0);
}

#[test]
fn fragments_of_one_byte_cost_no_more_than_their_bytes() {
    let mut decoder = Decoder::new(Role::Server);
    decoder.decode(&LIMITS, &mut masked(0x01, b"a")).unwrap();
    for _ in 1..131_000 {
        decoder.decode(&LIMITS, &mut masked(0x00, b"a")).unwrap();
    }
    assert!(decoder.held_bytes() <= 131_000 + 65_536);
}

#[test]
fn a_decoder_at_rest_is_two_words() {
    assert!(size_of::<Decoder>() <= 16);
}

#[test]
fn what_no_decoder_writes_is_not_read_back() {
    let masked =
        r#"{"fin":true,"deflated":false,"opcode":"Text","mask":[1,2,3,4],"payload_len":5}"#;
    let text = r#"{"opcode":"Text","deflated":false,"payload":[97,98,99,195]}"#;
    let decoder = |frame: String, message: &str| {
        let written = format!(
            r#"{{"terms":{{"role":"Server","deflate":false}},"partial":{{"frame":{frame},"message":{message}}}}}"#
        );
        serde_json::from_str::<Decoder>(&written)
    };
    assert!(decoder(format!(r#"{{"Data":[{masked},4]}}"#), text).is_ok());
    let continued = masked.replace("Text", "Continuation");
    assert!(decoder(format!(r#"{{"Data":[{continued},3]}}"#), text).is_ok());
    for (frame, message) in [
        (
            format!(r#"{{"Data":[{},4]}}"#, continued.replace(":5", ":9")),
            r#"{"opcode":"Text","deflated":false,"payload":[97]}"#,
        ), // fewer than came
        (r#"{"Header":[]}"#.to_owned(), "null"), // nothing is incomplete
        (r#"{"Header":[129,128,0,0,0,0]}"#.to_owned(), "null"), // a whole header
        (r#"{"Header":[255]}"#.to_owned(), "null"), // a wrong one
        (format!(r#"{{"Data":[{masked},5]}}"#), text), // nothing is due
        (format!(r#"{{"Data":[{masked},4]}}"#), "null"), // no message
        (format!(r#"{{"Data":[{masked},3]}}"#), text), // more than came
        (format!(r#"{{"Data":[{},4]}}"#, masked.replace("Text", "Binary")), text), // another message
        (format!(r#"{{"Data":[{},4]}}"#, masked.replace("Text", "Ping")), text), // a control frame
        (format!(r#"{{"Control":[{masked},[]]}}"#), "null"), // not a control frame
        (format!(r#"{{"Data":[{},4]}}"#, masked.replace("[1,2,3,4]", "null")), text), // no mask
        (r#"{"Header":[]}"#.to_owned(), r#"{"opcode":"Text","deflated":false,"payload":[255]}"#), // not UTF-8
        (r#"{"Header":[]}"#.to_owned(), r#"{"opcode":"Ping","deflated":false,"payload":[]}"#), // never fragmented
    ] {
        assert!(decoder(frame.clone(), message).is_err(), "{frame} {message}");
    }
}

#[test]
fn an_idle_decoder_holds_no_payload() {
    let mut decoder = Decoder::new(Role::Server);
    for mut bytes in [masked(0x01, b"a"), masked(0x80, b"b"), masked(0x89, b"?")] {
        decoder.decode(&LIMITS, &mut bytes).unwrap();
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
        prop_assert_eq!(decode_in_pieces(&bytes, size, LIMITS), Ok(expected.clone()));
        prop_assert_eq!(decode_through(&bytes, size, LIMITS, handed_over), Ok(expected));
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
        prop_assert_eq!(&whole, &decode_in_pieces(&bytes, size, limits));
        prop_assert_eq!(&whole, &decode_through(&bytes, size, limits, handed_over));
    }
}
