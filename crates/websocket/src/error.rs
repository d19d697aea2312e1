//! What a peer can do wrong, and the close code each wrong leads to.

use crate::CloseCode;

/// A violation of the protocol, or of a limit, by the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A reserved bit is set that nothing was negotiated for, or where it means nothing.
    #[error("a reserved bit is set")]
    ReservedBits,
    /// An opcode that RFC 6455 reserves.
    #[error("opcode {0:#x} is reserved")]
    ReservedOpcode(u8),
    /// A client's frame without a mask.
    #[error("a client's frame is not masked")]
    NotMasked,
    /// A server's frame with a mask.
    #[error("a server's frame is masked")]
    Masked,
    /// A control frame that is fragmented.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A control frame with more than 125 bytes.
    #[error("a control frame is longer than 125 bytes")]
    LongControl,
    /// A length that is not in its shortest form, or has the top bit set.
    #[error("a frame length is not in its shortest form")]
    BadLength,
    /// A continuation frame without a message to continue.
    #[error("a continuation frame continues nothing")]
    UnexpectedContinuation,
    /// A new message before the last one was finished.
    #[error("a new message begins before the last one ended")]
    UnfinishedMessage,
    /// A close frame whose payload is one byte.
    #[error("a close frame has a payload of one byte")]
    BadClosePayload,
    /// A close frame with a code that may not be sent.
    #[error("close code {0} may not be sent")]
    BadCloseCode(u16),
    /// Text, or a close reason, that is not UTF-8.
    #[error("a text is not UTF-8")]
    InvalidUtf8,
    /// A compressed message that cannot be inflated.
    #[error("a compressed message is not valid DEFLATE data")]
    BadDeflate,
    /// Binary data where only text is accepted.
    #[error("binary data is not accepted")]
    BinaryRefused,
    /// A frame over [`crate::Limits::frame_bytes_max`].
    #[error("a frame is larger than {0} bytes")]
    FrameTooBig(usize),
    /// A message over [`crate::Limits::message_bytes_max`].
    #[error("a message is larger than {0} bytes")]
    MessageTooBig(usize),
}

impl ProtocolError {
    /// The code to close the connection with.
    ///
    /// Source: RFC 6455, section 7.4.1; API Gateway quotas (1009 for frames and messages over the limit);
    /// API Gateway Developer Guide, "Working with binary media types for WebSocket APIs" (1003).
    /// Choice: 1007 for broken compression, of which RFC 7692 only says to fail the connection: the data is not
    /// what its message says it is, while the frames around it are in order.
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::BadDeflate => CloseCode::INVALID_PAYLOAD,
            Self::BinaryRefused => CloseCode::UNSUPPORTED_DATA,
            Self::FrameTooBig(_) | Self::MessageTooBig(_) => CloseCode::MESSAGE_TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}
