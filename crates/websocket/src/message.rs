//! Whole messages and control frames, as they come out of a decoder.

use std::borrow::Cow;

use crate::deflate::inflate;
use crate::frame::Opcode;
use crate::{CloseFrame, Limits, ProtocolError};

/// A whole message, or a control frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// A ping; its payload is due back in a pong.
    Ping(Cow<'a, [u8]>),
    /// A pong.
    Pong(Cow<'a, [u8]>),
    /// A close frame, with its code and reason if it has them. Nothing that follows counts.
    Close(Option<CloseFrame>),
}

impl<'a> Message<'a> {
    /// A message of a whole, unmasked payload, borrowed.
    pub(crate) fn borrowed(opcode: Opcode, payload: &'a [u8]) -> Result<Self, ProtocolError> {
        Ok(match opcode {
            Opcode::Text => {
                let text = str::from_utf8(payload).map_err(|_not| ProtocolError::InvalidUtf8)?;
                Self::Text(Cow::Borrowed(text))
            }
            Opcode::Binary => Self::Binary(Cow::Borrowed(payload)),
            Opcode::Ping => Self::Ping(Cow::Borrowed(payload)),
            Opcode::Pong => Self::Pong(Cow::Borrowed(payload)),
            Opcode::Close => Self::Close(CloseFrame::parse(payload)?),
            Opcode::Continuation => return Err(ProtocolError::UnexpectedContinuation),
        })
    }

    /// The same of a payload that was collected.
    pub(crate) fn collected(opcode: Opcode, payload: Vec<u8>) -> Result<Self, ProtocolError> {
        Ok(match opcode {
            Opcode::Text => {
                let text = String::from_utf8(payload).map_err(|_not| ProtocolError::InvalidUtf8)?;
                Self::Text(Cow::Owned(text))
            }
            Opcode::Binary => Self::Binary(Cow::Owned(payload)),
            opcode => Message::borrowed(opcode, &payload)?.into_owned(),
        })
    }

    /// The same of a compressed payload.
    #[cold]
    pub(crate) fn inflated(
        opcode: Opcode,
        compressed: &[u8],
        limits: &Limits,
    ) -> Result<Message<'static>, ProtocolError> {
        Message::collected(opcode, inflate(compressed, limits.message_bytes_max)?)
    }

    /// The message, no longer borrowed from the bytes it came in.
    pub fn into_owned(self) -> Message<'static> {
        match self {
            Self::Text(text) => Message::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => Message::Binary(Cow::Owned(bytes.into_owned())),
            Self::Ping(bytes) => Message::Ping(Cow::Owned(bytes.into_owned())),
            Self::Pong(bytes) => Message::Pong(Cow::Owned(bytes.into_owned())),
            Self::Close(frame) => Message::Close(frame),
        }
    }
}
