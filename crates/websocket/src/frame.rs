//! Frame headers and masking.
//!
//! Source: RFC 6455, sections 5.2 and 5.3.

use serde::{Deserialize, Serialize};

use crate::ProtocolError;

/// Which end of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Receives masked frames, sends unmasked ones.
    Server,
    /// Receives unmasked frames, sends masked ones.
    Client,
}

/// What the handshake settled about the frames that come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub(crate) role: Role,
    /// Messages may be compressed.
    pub(crate) deflate: bool,
}

/// How outgoing frames are masked: a client gives a fresh random key for each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Masking {
    /// A server's frames.
    None,
    /// A client's frames.
    Key([u8; 4]),
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Opcode {
    /// More of the message that is under way.
    Continuation,
    /// The beginning of a text message.
    Text,
    /// The beginning of a binary message.
    Binary,
    /// The end of the connection.
    Close,
    /// A question.
    Ping,
    /// Its answer.
    Pong,
}

impl Opcode {
    fn parse(bits: u8) -> Result<Self, ProtocolError> {
        Ok(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return Err(ProtocolError::ReservedOpcode(bits)),
        })
    }

    pub(crate) fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The largest payload of a control frame. Source: RFC 6455, section 5.5.
pub(crate) const CONTROL_BYTES_MAX: usize = 125;

/// The longest frame header: 2 bytes, 8 of extended length, 4 of mask.
pub(crate) const HEADER_BYTES_MAX: usize = 14;

/// The bit of the first byte that ends a message.
const FIN: u8 = 0x80;

/// The first reserved bit. Source: RFC 7692, section 6: it marks a compressed message.
const RSV1: u8 = 0x40;

/// What the short length says when the length follows in 16 bits.
const LENGTH_OF_16_BITS: u8 = 126;

/// What the short length says when the length follows in 64 bits.
const LENGTH_OF_64_BITS: u8 = 127;

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FrameHeader {
    pub(crate) fin: bool,
    /// The first frame of a compressed message. Source: RFC 7692, section 6 (the bit RSV1).
    pub(crate) deflated: bool,
    pub(crate) opcode: Opcode,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) payload_len: u64,
}

impl FrameHeader {
    /// Reads a header; `None` when `bytes` does not hold all of it. Gives its length in bytes beside it.
    ///
    /// What is already wrong in an incomplete header is an error at once.
    #[inline]
    pub(crate) fn parse(
        bytes: &[u8],
        terms: Terms,
    ) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let deflated = first & RSV1 != 0;
        if first & 0x30 != 0 || deflated && !terms.deflate {
            return Err(ProtocolError::ReservedBits);
        }
        let opcode = Opcode::parse(first & 0x0f)?;
        if deflated && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(ProtocolError::ReservedBits);
        }
        let fin = first & FIN != 0;
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        match (terms.role, second & 0x80 != 0) {
            (Role::Server, false) => return Err(ProtocolError::NotMasked),
            (Role::Client, true) => return Err(ProtocolError::Masked),
            _ => {}
        }
        let short = second & 0x7f;
        if opcode.is_control() && usize::from(short) > CONTROL_BYTES_MAX {
            return Err(ProtocolError::LongControl);
        }
        let (payload_len, len) = match short {
            LENGTH_OF_16_BITS => match bytes.get(2..4) {
                Some(&[a, b]) => (u64::from(u16::from_be_bytes([a, b])), 4),
                _ => return Ok(None),
            },
            LENGTH_OF_64_BITS => match bytes.get(2..10) {
                Some(&[a, b, c, d, e, f, g, h]) => {
                    (u64::from_be_bytes([a, b, c, d, e, f, g, h]), 10)
                }
                _ => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        if short == LENGTH_OF_16_BITS && payload_len < 126
            || short == LENGTH_OF_64_BITS && (payload_len < 0x1_0000 || payload_len >> 63 != 0)
        {
            return Err(ProtocolError::BadLength);
        }
        if second & 0x80 == 0 {
            return Ok(Some((Self { fin, deflated, opcode, mask: None, payload_len }, len)));
        }
        match bytes.get(len..len + 4) {
            Some(&[a, b, c, d]) => {
                let mask = Some([a, b, c, d]);
                let header = Self { fin, deflated, opcode, mask, payload_len };
                Ok(Some((header, len + 4)))
            }
            _ => Ok(None),
        }
    }

    /// Where the payload ends that begins at `begin`, if it ends within `len` bytes.
    pub(crate) fn payload_end(&self, begin: usize, len: usize) -> Option<usize> {
        let payload_len = usize::try_from(self.payload_len).ok()?;
        begin.checked_add(payload_len).filter(|end| *end <= len)
    }

    /// Unmasks a piece of the payload, `offset` bytes into it.
    pub(crate) fn unmask(&self, piece: &mut [u8], offset: u64) {
        if let Some(mask) = self.mask {
            apply_mask(piece, mask, offset);
        }
    }

    /// Writes a header.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        let fin = if self.fin { FIN } else { 0 };
        let deflated = if self.deflated { RSV1 } else { 0 };
        out.push(fin | deflated | self.opcode.bits());
        if self.payload_len < 126 {
            out.push(masked | u8::try_from(self.payload_len).unwrap_or(0));
        } else if let Ok(len) = u16::try_from(self.payload_len) {
            out.push(masked | LENGTH_OF_16_BITS);
            out.extend_from_slice(&len.to_be_bytes());
        } else {
            out.push(masked | LENGTH_OF_64_BITS);
            out.extend_from_slice(&self.payload_len.to_be_bytes());
        }
        if let Some(mask) = self.mask {
            out.extend_from_slice(&mask);
        }
    }
}

/// Applies a mask in place, beginning at `offset` bytes into the payload. Applying it twice undoes it.
pub(crate) fn apply_mask(bytes: &mut [u8], mask: [u8; 4], offset: u64) {
    let mut key = mask;
    key.rotate_left((offset % 4) as usize);
    let wide = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let apply = |word: &mut [u8; 8]| *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    // Eight words at a time: left alone, the compiler sometimes unrolls this and sometimes does not.
    let (blocks, bytes) = bytes.as_chunks_mut::<64>();
    for block in blocks {
        block.as_chunks_mut().0.iter_mut().for_each(apply);
    }
    let (words, bytes) = bytes.as_chunks_mut();
    words.iter_mut().for_each(apply);
    for (byte, key) in bytes.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SERVER: Terms = Terms { role: Role::Server, deflate: false };

    #[test]
    fn absurd_lengths_are_refused_without_waiting_for_more() {
        // 127 with the top bit set, and lengths that would fit a shorter form.
        for bytes in [
            &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0],
            &[0x82, 0xfe, 0, 125, 0, 0, 0, 0],
        ] {
            assert_eq!(FrameHeader::parse(bytes, SERVER), Err(ProtocolError::BadLength));
        }
    }

    #[test]
    fn what_is_wrong_in_the_first_byte_is_refused_with_it() {
        for (byte, error) in [
            (0xc1, ProtocolError::ReservedBits),
            (0x83, ProtocolError::ReservedOpcode(3)),
            (0x09, ProtocolError::FragmentedControl),
        ] {
            assert_eq!(FrameHeader::parse(&[byte], SERVER), Err(error));
        }
        let deflate = Terms { deflate: true, ..SERVER };
        for byte in [0xc0, 0xc8, 0xc9, 0xca, 0x40, 0xa1, 0x91, 0xf1] {
            let reserved = Err(ProtocolError::ReservedBits);
            assert_eq!(FrameHeader::parse(&[byte], deflate), reserved, "{byte:x}");
        }
        assert_eq!(FrameHeader::parse(&[0xc1], deflate), Ok(None));
    }

    proptest! {
        #[test]
        fn a_header_reads_back_as_written(
            fin: bool, deflated: bool, masked: bool, mask: [u8; 4],
            payload_len in prop_oneof![0u64..126, 126u64..65_536, 65_536u64..(1 << 63)],
        ) {
            let mask = masked.then_some(mask);
            let header = FrameHeader { fin, deflated, opcode: Opcode::Text, mask, payload_len };
            let mut bytes = Vec::new();
            header.write(&mut bytes);
            let role = if masked { Role::Server } else { Role::Client };
            let terms = Terms { role, deflate: deflated };
            prop_assert_eq!(FrameHeader::parse(&bytes, terms), Ok(Some((header, bytes.len()))));
            for cut in 0..bytes.len() {
                prop_assert_eq!(FrameHeader::parse(&bytes[..cut], terms), Ok(None));
            }
        }

        #[test]
        fn masking_in_pieces_is_masking_the_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..100), mask: [u8; 4], cut in 0usize..100,
        ) {
            let cut = cut.min(bytes.len());
            let mut whole = bytes.clone();
            apply_mask(&mut whole, mask, 0);
            let mut pieces = bytes.clone();
            let (head, tail) = pieces.split_at_mut(cut);
            apply_mask(head, mask, 0);
            apply_mask(tail, mask, cut as u64);
            prop_assert_eq!(&pieces, &whole);
            apply_mask(&mut whole, mask, 0);
            prop_assert_eq!(whole, bytes);
        }
    }
}
