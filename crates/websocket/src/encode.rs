//! Messages to bytes.

use crate::WindowBits;
use crate::close::CloseFrame;
use crate::deflate::deflate;
use crate::frame::{CONTROL_BYTES_MAX, FrameHeader, Masking, Opcode, apply_mask};

/// Appends a whole data message, in frames of at most `frame_bytes_max` payload bytes.
///
/// `opcode` is [`Opcode::Text`] or [`Opcode::Binary`].
pub fn encode_message(
    opcode: Opcode,
    payload: &[u8],
    frame_bytes_max: usize,
    masking: Masking,
    out: &mut Vec<u8>,
) {
    encode_frames(opcode, false, payload, frame_bytes_max, masking, out);
}

/// The same where compression was negotiated: compresses the message if that makes it smaller.
///
/// Source: RFC 7692, sections 6 and 7.2.1; 7.2 leaves the sender free to compress a message or not.
pub fn encode_message_deflated(
    opcode: Opcode,
    payload: &[u8],
    frame_bytes_max: usize,
    masking: Masking,
    window_bits: WindowBits,
    out: &mut Vec<u8>,
) {
    let sent = deflate(payload, window_bits, |compressed| {
        encode_frames(opcode, true, compressed, frame_bytes_max, masking, out);
    });
    if sent.is_none() {
        encode_message(opcode, payload, frame_bytes_max, masking, out);
    }
}

fn encode_frames(
    opcode: Opcode,
    deflated: bool,
    payload: &[u8],
    frame_bytes_max: usize,
    masking: Masking,
    out: &mut Vec<u8>,
) {
    let mut rest = payload;
    let (mut opcode, mut deflated) = (opcode, deflated);
    loop {
        let (piece, tail) = rest.split_at(rest.len().min(frame_bytes_max.max(1)));
        encode_frame(opcode, deflated, tail.is_empty(), piece, masking, out);
        if tail.is_empty() {
            return;
        }
        rest = tail;
        (opcode, deflated) = (Opcode::Continuation, false);
    }
}

/// Appends a ping; a payload over 125 bytes is cut.
pub fn encode_ping(payload: &[u8], masking: Masking, out: &mut Vec<u8>) {
    encode_frame(Opcode::Ping, false, true, control(payload), masking, out);
}

/// Appends a pong; a payload over 125 bytes is cut.
pub fn encode_pong(payload: &[u8], masking: Masking, out: &mut Vec<u8>) {
    encode_frame(Opcode::Pong, false, true, control(payload), masking, out);
}

/// Appends a close frame, with a code and a reason or with neither. A long reason is cut at a character.
pub fn encode_close(frame: Option<&CloseFrame>, masking: Masking, out: &mut Vec<u8>) {
    let mut payload = Vec::new();
    if let Some(frame) = frame {
        payload.extend_from_slice(&frame.code.get().to_be_bytes());
        let end = frame.reason.floor_char_boundary(CONTROL_BYTES_MAX - 2);
        payload.extend_from_slice(frame.reason.as_bytes().get(..end).unwrap_or_default());
    }
    encode_frame(Opcode::Close, false, true, &payload, masking, out);
}

fn control(payload: &[u8]) -> &[u8] {
    payload.get(..CONTROL_BYTES_MAX).unwrap_or(payload)
}

fn encode_frame(
    opcode: Opcode,
    deflated: bool,
    fin: bool,
    payload: &[u8],
    masking: Masking,
    out: &mut Vec<u8>,
) {
    let mask = match masking {
        Masking::None => None,
        Masking::Key(key) => Some(key),
    };
    out.reserve(payload.len() + crate::frame::HEADER_BYTES_MAX);
    FrameHeader { fin, deflated, opcode, mask, payload_len: payload.len() as u64 }.write(out);
    let begin = out.len();
    out.extend_from_slice(payload);
    if let (Some(mask), Some(written)) = (mask, out.get_mut(begin..)) {
        apply_mask(written, mask, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CloseCode;

    #[test]
    fn a_small_message_is_one_frame() {
        let mut out = Vec::new();
        encode_message(Opcode::Text, b"hi", 32_768, Masking::None, &mut out);
        assert_eq!(out, b"\x81\x02hi");
    }

    #[test]
    fn a_large_message_is_split_and_an_empty_one_is_not_lost() {
        let mut out = Vec::new();
        encode_message(Opcode::Text, b"abcde", 2, Masking::None, &mut out);
        assert_eq!(out, b"\x01\x02ab\x00\x02cd\x80\x01e");
        out.clear();
        encode_message(Opcode::Text, b"", 2, Masking::None, &mut out);
        assert_eq!(out, b"\x81\x00");
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let mut out = Vec::new();
        let reason = "é".repeat(100);
        encode_close(
            Some(&CloseFrame { code: CloseCode::NORMAL, reason }),
            Masking::None,
            &mut out,
        );
        assert_eq!(out[1], 2 + 122); // 61 characters of two bytes
    }
}
