//! Bytes to messages.

use serde::{Deserialize, Serialize};

use crate::frame::{FrameHeader, Role, Terms};
use crate::partial::Partial;
use crate::{Limits, Message, ProtocolError};

/// One step of decoding.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// How many bytes of the input were used up.
    pub consumed: usize,
    /// The message they completed, if any. Without one all of the input was used up.
    pub message: Option<Message<'a>>,
}

/// Makes messages of the bytes that a peer sends.
///
/// It keeps only what is incomplete, and while nothing is it is two words. A message that arrives whole in one
/// piece is unmasked in place and borrowed from the input.
///
/// It can be serialised at any point between two calls and goes on where it was when it is read back, so a
/// connection can move to another process in the middle of a message.
///
/// ```
/// use stillwire_websocket::{Decoder, Limits, Message, Role};
/// let limits = Limits { frame_bytes_max: 1024, message_bytes_max: 4096, binary: false };
/// let mut decoder = Decoder::new(Role::Client);
/// let mut bytes = *b"\x81\x02hi\x81\x02yo";
/// let decoded = decoder.decode(&limits, &mut bytes)?;
/// assert_eq!((decoded.consumed, decoded.message), (4, Some(Message::Text("hi".into()))));
/// # Ok::<(), stillwire_websocket::ProtocolError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Decoder {
    terms: Terms,
    /// Boxed, so that the many connections that are silent do not pay for it.
    partial: Option<Box<Partial>>,
}

impl Decoder {
    /// A decoder at the beginning of a connection.
    pub fn new(role: Role) -> Self {
        Self { terms: Terms { role, deflate: false }, partial: None }
    }

    /// The same where compression was negotiated: compressed messages are inflated.
    ///
    /// Source: RFC 7692, section 6. Without it, or on any frame but the first of a data message, the bit that
    /// marks them is a violation.
    #[must_use]
    pub fn with_deflate(self) -> Self {
        Self { terms: Terms { deflate: true, ..self.terms }, ..self }
    }

    /// Bytes of payload held for what is incomplete: never more than 64 KiB above what was received of it.
    pub fn held_bytes(&self) -> usize {
        self.partial.as_deref().map_or(0, Partial::held_bytes)
    }

    /// Whether a message has begun and not ended.
    pub fn is_midway(&self) -> bool {
        self.partial.is_some()
    }

    /// Decodes up to the end of the first message in `input`, unmasking in place.
    ///
    /// Call it again with the rest until it gives no message; then all of the input is used up. `limits` may
    /// change from call to call: a frame is judged by those that are in force when its header is complete.
    ///
    /// # Errors
    /// A violation of the protocol or of a limit; the connection cannot go on. Errors are found as early as
    /// the bytes allow: a frame that is too large with its header, a broken text with its first wrong byte.
    pub fn decode<'a>(
        &mut self,
        limits: &Limits,
        input: &'a mut [u8],
    ) -> Result<Decoded<'a>, ProtocolError> {
        if let Some(partial) = self.partial.take() {
            return self.resume(partial, limits, input, 0);
        }
        let Some((header, len)) = FrameHeader::parse(input, self.terms)? else {
            self.partial = (!input.is_empty()).then(|| Box::new(Partial::header(input)));
            return Ok(Decoded { consumed: input.len(), message: None });
        };
        limits.admit(&header, None)?;
        if let Some(end) = header.payload_end(len, input.len())
            && header.fin
        {
            // The common case: a message in one frame, all of it here.
            let payload = input.get_mut(len..end).unwrap_or_default();
            header.unmask(payload, 0);
            let message = if header.deflated {
                Message::inflated(header.opcode, payload, limits)?
            } else {
                Message::borrowed(header.opcode, payload)?
            };
            return Ok(Decoded { consumed: end, message: Some(message) });
        }
        self.resume(Box::new(Partial::frame(header)), limits, input, len)
    }

    /// Goes on with what is incomplete, at `consumed` bytes into the input. After an error nothing is held.
    #[cold]
    #[inline(never)]
    fn resume<'a>(
        &mut self,
        mut partial: Box<Partial>,
        limits: &Limits,
        input: &'a mut [u8],
        mut consumed: usize,
    ) -> Result<Decoded<'a>, ProtocolError> {
        let message = partial.resume(self.terms, limits, input, &mut consumed)?;
        self.partial = partial.is_midway().then_some(partial);
        Ok(Decoded { consumed, message })
    }
}

/// A decoder as it was written down, not checked yet.
#[derive(Deserialize)]
struct Written {
    terms: Terms,
    partial: Option<Box<Partial>>,
}

impl TryFrom<Written> for Decoder {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { terms, mut partial } = written;
        if let Some(partial) = &mut partial {
            partial.check(terms)?;
        }
        Ok(Self { terms, partial })
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
