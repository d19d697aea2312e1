//! Any compressed payload is inflated within its limit or refused, and any message survives compression.

use stillwire_websocket::{
    Decoder, Limits, Masking, Message, Opcode, ProtocolError, Role, WindowBits, encode_message,
    encode_message_deflated,
};

const LIMITS: Limits =
    Limits { frame_bytes_max: usize::MAX, message_bytes_max: 100_000, binary: true };

const UNLIMITED: Limits = Limits { message_bytes_max: usize::MAX, ..LIMITS };

pub(crate) fn run(input: &[u8]) {
    let Some((&bits, payload)) = input.split_first() else { return };
    let mut frame = Vec::new();
    encode_message(Opcode::Binary, payload, usize::MAX, Masking::None, &mut frame);
    if let Some(first) = frame.first_mut() {
        *first |= 0x40; // compressed
    }
    match decode(frame, &LIMITS) {
        Ok(message) => assert!(message.len() <= LIMITS.message_bytes_max),
        Err(ProtocolError::BadDeflate | ProtocolError::MessageTooBig(100_000)) => {}
        Err(other) => panic!("compression was not the trouble: {other}"),
    }

    let window = WindowBits::new(9 + bits % 7).expect("9 to 15");
    let mut frames = Vec::new();
    let frame_bytes_max = usize::from(bits) + 1;
    let masking = Masking::None;
    encode_message_deflated(Opcode::Binary, payload, frame_bytes_max, masking, window, &mut frames);
    assert_eq!(decode(frames, &UNLIMITED).as_deref(), Ok(payload));
}

fn decode(mut bytes: Vec<u8>, limits: &Limits) -> Result<Vec<u8>, ProtocolError> {
    let mut decoder = Decoder::new(Role::Client).with_deflate();
    match decoder.decode(limits, &mut bytes)?.message {
        Some(Message::Binary(message)) => Ok(message.into_owned()),
        other => panic!("one whole message was sent, not {other:?}"),
    }
}
