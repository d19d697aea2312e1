//! Event streams: messages of named headers and a payload, each with its length and its sums.
//!
//! Source: AWS, "Event stream encoding" (Amazon Transcribe Developer Guide): total length, headers' length and the CRC-32
//! of both; headers; payload; the CRC-32 of everything before it. All numbers are big-endian.

use bytes::{BufMut as _, Bytes, BytesMut};

/// The type of a header's value that is text.
const TEXT: u8 = 7;

/// Lengths and sums around headers and payload, in bytes.
const FRAME_BYTES: usize = 16;

/// Appends an event.
///
/// `kind` and `content_type` are ours and short; a payload is never more than a function may answer.
pub(crate) fn event(kind: &str, content_type: &str, payload: &[u8], out: &mut BytesMut) {
    let mut headers = BytesMut::new();
    for (name, value) in
        [(":event-type", kind), (":content-type", content_type), (":message-type", "event")]
    {
        headers.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        headers.put_slice(name.as_bytes());
        headers.put_u8(TEXT);
        headers.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        headers.put_slice(value.as_bytes());
    }
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let mut message = BytesMut::new();
    message.put_u32(length(FRAME_BYTES + headers.len() + payload.len()));
    message.put_u32(length(headers.len()));
    message.put_u32(crc32fast::hash(&message));
    message.put_slice(&headers);
    message.put_slice(payload);
    message.put_u32(crc32fast::hash(&message));
    out.put(Bytes::from(message));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_its_lengths_and_its_sums() {
        let mut out = BytesMut::new();
        event("PayloadChunk", "application/octet-stream", b"{}", &mut out);
        let number =
            |at: usize| u32::from_be_bytes([out[at], out[at + 1], out[at + 2], out[at + 3]]);
        assert_eq!(number(0) as usize, out.len());
        assert_eq!(number(8), crc32fast::hash(&out[..8]));
        assert_eq!(number(out.len() - 4), crc32fast::hash(&out[..out.len() - 4]));
        let headers = &out[12..12 + number(4) as usize];
        assert!(headers.starts_with(b"\x0b:event-type\x07\x00\x0cPayloadChunk"), "{headers:?}");
        assert_eq!(&out[12 + headers.len()..out.len() - 4], b"{}");
    }
}
