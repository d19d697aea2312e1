//! Any bytes, cut anywhere, give the same messages and the same verdict as the whole, also when the decoder is
//! written down at the cuts.

use stillwire_websocket::{Decoder, Limits, Message, ProtocolError, Role};

const LIMITS: Limits = Limits { frame_bytes_max: 512, message_bytes_max: 1024, binary: true };

pub(crate) fn run(input: &[u8]) {
    let Some((&flags, bytes)) = input.split_first() else { return };
    let role = if flags & 1 == 0 { Role::Server } else { Role::Client };
    let mut decoder = Decoder::new(role);
    if flags & 2 != 0 {
        decoder = decoder.with_deflate();
    }
    let size = usize::from(flags >> 2).max(1);
    let whole = decode(decoder.clone(), bytes, bytes.len().max(1), |decoder| decoder);
    assert_eq!(whole, decode(decoder.clone(), bytes, size, |decoder| decoder));
    // Long inputs in small pieces would mostly test how fast decoders are written down.
    assert_eq!(whole, decode(decoder, bytes, size.max(bytes.len() / 64), handed_over));
}

fn decode(
    mut decoder: Decoder,
    bytes: &[u8],
    size: usize,
    between: fn(Decoder) -> Decoder,
) -> Result<Vec<Message<'static>>, ProtocolError> {
    let mut messages = Vec::new();
    for piece in bytes.chunks(size) {
        let mut piece = piece.to_vec();
        let mut rest = piece.as_mut_slice();
        loop {
            let decoded = decoder.decode(&LIMITS, rest)?;
            let (consumed, message) = (decoded.consumed, decoded.message.map(Message::into_owned));
            rest = rest.get_mut(consumed..).expect("no more is used than there is");
            match message {
                Some(message) => messages.push(message),
                None => break,
            }
        }
        assert!(rest.is_empty(), "without a message all of the input is used up");
        assert!(decoder.held_bytes() <= 4096, "what a peer makes us hold is bounded");
        decoder = between(decoder);
    }
    Ok(messages)
}

fn handed_over(decoder: Decoder) -> Decoder {
    let written = serde_json::to_string(&decoder).expect("a decoder can be written down");
    serde_json::from_str(&written).expect("what was written down can be read back")
}
