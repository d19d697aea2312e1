//! What a receiver accepts, decided with a frame's header alone.

use crate::ProtocolError;
use crate::deflate::compressed_bytes_max;
use crate::frame::{FrameHeader, Opcode};
use crate::partial::Unfinished;

/// What a receiver accepts.
///
/// `usize::MAX` stands for no limit: nothing is allocated because a header announces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest payload of a data frame, in bytes, compressed or not.
    pub frame_bytes_max: usize,
    /// The largest message, in bytes, however many frames it comes in. A compressed one is measured inflated.
    pub message_bytes_max: usize,
    /// Whether binary messages are accepted.
    pub binary: bool,
}

impl Limits {
    /// Decides whether a frame may come, given the message under way.
    pub(crate) fn admit(
        &self,
        header: &FrameHeader,
        message: Option<&Unfinished>,
    ) -> Result<(), ProtocolError> {
        match (header.opcode, message) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => return Ok(()),
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(ProtocolError::UnfinishedMessage);
            }
            (Opcode::Binary, None) if !self.binary => return Err(ProtocolError::BinaryRefused),
            _ => {}
        }
        let fits = |len: u64, max: usize| usize::try_from(len).is_ok_and(|len| len <= max);
        if !fits(header.payload_len, self.frame_bytes_max) {
            return Err(ProtocolError::FrameTooBig(self.frame_bytes_max));
        }
        let so_far = message.map_or(0, Unfinished::len) as u64;
        let max = if message.map_or(header.deflated, Unfinished::is_deflated) {
            compressed_bytes_max(self.message_bytes_max)
        } else {
            self.message_bytes_max
        };
        if !fits(header.payload_len.saturating_add(so_far), max) {
            return Err(ProtocolError::MessageTooBig(self.message_bytes_max));
        }
        Ok(())
    }
}
