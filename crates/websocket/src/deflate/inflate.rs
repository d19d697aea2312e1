//! Compressed messages to messages.
//!
//! Source: RFC 7692, section 7.2.2.

use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};

use super::TAIL;
use crate::ProtocolError;

/// The room for one step of inflating; a message that fits is inflated once, a larger one twice.
const SCRATCH_BYTES: usize = 64 * 1024;

/// A last, empty block. It is only understood where a block may begin: of its bits, the first is the only one that
/// can begin a last block, so it ends nothing for who takes that bit for something else.
const END: [u8; 5] = [0x01, 0x00, 0x00, 0xff, 0xff];

thread_local! {
    static INFLATER: RefCell<Inflater> = RefCell::new(Inflater {
        state: Decompress::new(false),
        scratch: vec![0; SCRATCH_BYTES],
    });
}

struct Inflater {
    state: Decompress,
    scratch: Vec<u8>,
}

/// The longest that a compressed message can be when the message keeps to its limit.
///
/// Choice: what cannot be compressed grows by five bytes for each stored block, of 16 KiB or more with the usual
/// compressors. A compressor that makes more of it had better send the message as it is.
pub(crate) fn compressed_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max.saturating_add(message_bytes_max / 1024).saturating_add(64)
}

/// Inflates the payload of a whole message, to at most `bytes_max` bytes.
///
/// A message that is larger than one step is measured first: nothing is allocated for one that is too big, and
/// exactly its size for one that is not.
pub(crate) fn inflate(compressed: &[u8], bytes_max: usize) -> Result<Vec<u8>, ProtocolError> {
    INFLATER.with_borrow_mut(|inflater| {
        let len = inflater.run(compressed, bytes_max, |_| {})?;
        if let Some(whole) = inflater.scratch.get(..len) {
            return Ok(whole.to_vec());
        }
        // Twice the work, at 1 GB/s, for half the memory.
        let mut message = Vec::with_capacity(len);
        inflater.run(compressed, len, |piece| message.extend_from_slice(piece))?;
        Ok(message)
    })
}

impl Inflater {
    /// Inflates through the scratch; `filled` gets it each time it is full, and what is in it at the end of a
    /// message that did not fit. Gives the length of the message.
    fn run(
        &mut self,
        compressed: &[u8],
        bytes_max: usize,
        filled: impl FnMut(&[u8]),
    ) -> Result<usize, ProtocolError> {
        // Choice: no bytes at all are no DEFLATE data, but some senders mean the empty message by them.
        if compressed.is_empty() {
            return Ok(0);
        }
        self.state.reset(false);
        let Self { state, scratch } = self;
        let mut run = Run { state, scratch, filled, at: 0, len: 0, bytes_max, ended: false };
        run.feed(compressed)?;
        if !run.ended {
            // The message must end where a block does, which only the next block shows: a message of which
            // something is missing would pass for a shorter one.
            run.feed(&TAIL)?;
            run.feed(&END)?;
            if !run.ended {
                return Err(ProtocolError::BadDeflate);
            }
        }
        if run.len > run.scratch.len() {
            (run.filled)(run.scratch.get(..run.at).unwrap_or_default());
        }
        Ok(run.len)
    }
}

struct Run<'a, F> {
    state: &'a mut Decompress,
    scratch: &'a mut [u8],
    filled: F,
    /// How much of the scratch is filled.
    at: usize,
    len: usize,
    bytes_max: usize,
    /// The last byte that was fed ended a final block.
    ended: bool,
}

impl<F: FnMut(&[u8])> Run<'_, F> {
    fn feed(&mut self, mut input: &[u8]) -> Result<(), ProtocolError> {
        loop {
            if self.ended {
                if input.is_empty() {
                    return Ok(());
                }
                // After a final block more blocks may follow. Source: RFC 7692, section 7.2.1.
                self.state.reset(false);
            }
            if self.at == self.scratch.len() {
                (self.filled)(self.scratch);
                self.at = 0;
            }
            let (read, wrote) = (self.state.total_in(), self.state.total_out());
            let room = self.scratch.get_mut(self.at..).unwrap_or_default();
            let status = self
                .state
                .decompress(input, room, FlushDecompress::None)
                .map_err(|_not_deflate| ProtocolError::BadDeflate)?;
            let read = usize::try_from(self.state.total_in() - read).unwrap_or(usize::MAX);
            let wrote = usize::try_from(self.state.total_out() - wrote).unwrap_or(usize::MAX);
            input = input.get(read..).unwrap_or_default();
            self.at += wrote;
            self.len += wrote;
            if self.len > self.bytes_max {
                return Err(ProtocolError::MessageTooBig(self.bytes_max));
            }
            self.ended = status == Status::StreamEnd;
            if !self.ended && read == 0 && wrote == 0 {
                // There is room for output, so it wants more input.
                return if input.is_empty() { Ok(()) } else { Err(ProtocolError::BadDeflate) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflated(compressed: &[u8]) -> Result<String, ProtocolError> {
        inflate(compressed, 1000).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_examples_of_the_rfc_are_understood() {
        // Source: RFC 7692, sections 7.2.3.1 to 7.2.3.6.
        for bytes in [
            b"\xf2\x48\xcd\xc9\xc9\x07\x00".as_slice(), // one block
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", // without compression
            b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",        // a final block
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", // two blocks
        ] {
            assert_eq!(inflated(bytes).as_deref(), Ok("Hello"), "{bytes:x?}");
        }
        assert_eq!(inflated(b"\x00").as_deref(), Ok(""));
        assert_eq!(inflated(b"").as_deref(), Ok(""));
    }

    #[test]
    fn blocks_may_follow_a_final_one_but_nothing_else() {
        let last = b"\xf3\x48\xcd\xc9\xc9\x07\x00".as_slice();
        assert_eq!(inflated(last).as_deref(), Ok("Hello"));
        assert_eq!(inflated(&[last, last].concat()).as_deref(), Ok("HelloHello"));
        let block = b"\xf2\x48\xcd\xc9\xc9\x07\x00".as_slice();
        assert_eq!(inflated(&[last, block].concat()).as_deref(), Ok("HelloHello"));
        for rest in [b"\xff".as_slice(), b"\x07", b"\x00\x00", b"\x00\x00\x00"] {
            let bytes = [last, rest].concat();
            assert_eq!(inflated(&bytes), Err(ProtocolError::BadDeflate), "{rest:x?}");
        }
    }

    #[test]
    fn broken_data_is_refused_and_so_is_data_that_is_cut_short() {
        let whole = b"\xf2\x48\xcd\xc9\xc9\x07\x00".as_slice();
        for bytes in
            [b"\xff\xff".as_slice(), b"\x06", &whole[..3], &whole[1..], b"\x00\x05\x00\xfa"]
        {
            assert_eq!(inflated(bytes), Err(ProtocolError::BadDeflate), "{bytes:x?}");
        }
        assert_eq!(inflated(whole).as_deref(), Ok("Hello")); // nothing is left of the broken ones
    }

    #[test]
    fn what_is_put_after_a_message_never_passes_for_a_part_of_it() {
        // A stored block whose bytes are missing takes what follows for them.
        for missing in 1_u8..40 {
            let block = [0, missing, 0, !missing, 0xff];
            let expected = match missing {
                // All that follows on the wire is what every message ends with: RFC 7692, section 7.2.2.
                4 => Ok(TAIL.to_vec()),
                _ => Err(ProtocolError::BadDeflate),
            };
            assert_eq!(inflate(&block, 1000), expected, "{missing}");
        }
    }
}
