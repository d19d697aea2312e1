//! Bytes to messages.

use std::borrow::Cow;

use crate::frame::{CONTROL_BYTES_MAX, FrameHeader, HEADER_BYTES_MAX, Opcode, Role, apply_mask};
use crate::utf8::{NotUtf8, Utf8Checker};
use crate::{CloseFrame, ProtocolError};

/// What a decoder accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest payload of a data frame, in bytes.
    pub frame_bytes_max: usize,
    /// The largest message, in bytes, however many frames it comes in.
    pub message_bytes_max: usize,
    /// Whether binary messages are accepted.
    pub binary: bool,
}

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
/// It keeps only what is incomplete: up to 14 bytes of a header, the payload so far. A message that arrives
/// whole in one piece is unmasked in place and borrowed from the input.
///
/// ```
/// use stillwire_websocket::{Decoder, Limits, Message, Role};
/// let limits = Limits { frame_bytes_max: 1024, message_bytes_max: 4096, binary: false };
/// let mut decoder = Decoder::new(Role::Client, limits);
/// let mut bytes = *b"\x81\x02hi\x81\x02yo";
/// let decoded = decoder.decode(&mut bytes)?;
/// assert_eq!((decoded.consumed, decoded.message), (4, Some(Message::Text("hi".into()))));
/// # Ok::<(), stillwire_websocket::ProtocolError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Decoder {
    role: Role,
    limits: Limits,
    header: [u8; HEADER_BYTES_MAX],
    header_len: u8,
    /// The frame whose payload is arriving.
    frame: Option<Frame>,
    /// The data message under way: from its first frame to the end of its last.
    message: Option<Partial>,
    /// The payload so far of a control frame.
    control: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    header: FrameHeader,
    received: usize,
}

impl Frame {
    fn remaining(&self) -> usize {
        usize::try_from(self.header.payload_len).unwrap_or(usize::MAX).saturating_sub(self.received)
    }
}

#[derive(Debug, Clone)]
struct Partial {
    text: bool,
    payload: Vec<u8>,
    utf8: Utf8Checker,
}

impl Decoder {
    /// A decoder at the beginning of a connection.
    pub fn new(role: Role, limits: Limits) -> Self {
        Self {
            role,
            limits,
            header: [0; HEADER_BYTES_MAX],
            header_len: 0,
            frame: None,
            message: None,
            control: Vec::new(),
        }
    }

    /// Bytes of payload held for what is incomplete.
    pub fn held_bytes(&self) -> usize {
        self.control.capacity()
            + self.message.as_ref().map_or(0, |message| message.payload.capacity())
    }

    /// Whether a message has begun and not ended.
    pub fn is_midway(&self) -> bool {
        self.header_len > 0 || self.frame.is_some() || self.message.is_some()
    }

    /// Decodes up to the end of the first message in `input`, unmasking in place.
    ///
    /// Call it again with the rest until it gives no message; then all of the input is used up.
    ///
    /// # Errors
    /// A violation of the protocol or of a limit; the connection cannot go on. Errors are found as early as
    /// the bytes allow: a frame that is too large with its header, a broken text with its first wrong byte.
    pub fn decode<'a>(&mut self, input: &'a mut [u8]) -> Result<Decoded<'a>, ProtocolError> {
        let mut consumed = 0;
        loop {
            let rest = input.get(consumed..).unwrap_or_default();
            if self.frame.is_none() {
                match self.read_header(rest)? {
                    (read, true) => consumed += read,
                    (read, false) => {
                        return Ok(Decoded { consumed: consumed + read, message: None });
                    }
                }
            }
            let Some(frame) = self.frame else { continue };
            let available = input.len() - consumed;
            let whole = frame.received == 0 && frame.remaining() <= available;
            if whole && self.message.is_none() && frame.header.fin {
                // The common case: a message in one frame, all of it here.
                self.frame = None;
                let end = consumed + frame.remaining();
                let payload = input.get_mut(consumed..end).unwrap_or_default();
                let message = Self::borrow_message(frame.header, payload)?;
                return Ok(Decoded { consumed: end, message: Some(message) });
            }
            let end = consumed + frame.remaining().min(available);
            let piece = input.get_mut(consumed..end).unwrap_or_default();
            consumed = end;
            if let Some(message) = self.take_piece(frame, piece)? {
                return Ok(Decoded { consumed, message: Some(message) });
            }
            if self.frame.is_some() {
                return Ok(Decoded { consumed, message: None });
            }
        }
    }

    /// Reads a header, possibly begun in an earlier piece. Gives the bytes used and whether it is complete.
    fn read_header(&mut self, input: &[u8]) -> Result<(usize, bool), ProtocolError> {
        let begun = usize::from(self.header_len);
        let parsed = if begun == 0 {
            FrameHeader::parse(input, self.role)?
        } else {
            let more = input.len().min(HEADER_BYTES_MAX - begun);
            self.keep_header(begun, input.get(..more).unwrap_or_default());
            let known = self.header.get(..begun + more).unwrap_or_default();
            FrameHeader::parse(known, self.role)?
        };
        let Some((header, len)) = parsed else {
            // An incomplete header is shorter than the buffer, so all of the input was kept.
            if begun == 0 {
                self.keep_header(0, input);
            }
            self.header_len = u8::try_from(begun + input.len()).unwrap_or(0);
            return Ok((input.len(), false));
        };
        self.header_len = 0;
        self.admit(header)?;
        self.frame = Some(Frame { header, received: 0 });
        Ok((len - begun, true))
    }

    fn keep_header(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.header.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    /// Decides with the header alone whether the frame may come.
    fn admit(&mut self, header: FrameHeader) -> Result<(), ProtocolError> {
        if header.opcode.is_control() {
            return Ok(());
        }
        match (header.opcode, &self.message) {
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(ProtocolError::UnfinishedMessage);
            }
            (Opcode::Binary, None) if !self.limits.binary => {
                return Err(ProtocolError::BinaryRefused);
            }
            _ => {}
        }
        let limits = self.limits;
        let fits = |len: u64, max: usize| usize::try_from(len).is_ok_and(|len| len <= max);
        if !fits(header.payload_len, limits.frame_bytes_max) {
            return Err(ProtocolError::FrameTooBig(limits.frame_bytes_max));
        }
        let so_far = self.message.as_ref().map_or(0, |message| message.payload.len());
        if !fits(header.payload_len + so_far as u64, limits.message_bytes_max) {
            return Err(ProtocolError::MessageTooBig(limits.message_bytes_max));
        }
        Ok(())
    }

    fn borrow_message(
        header: FrameHeader,
        payload: &mut [u8],
    ) -> Result<Message<'_>, ProtocolError> {
        if let Some(mask) = header.mask {
            apply_mask(payload, mask, 0);
        }
        Ok(match header.opcode {
            Opcode::Text => {
                let text = str::from_utf8(payload).map_err(|_| ProtocolError::InvalidUtf8)?;
                Message::Text(Cow::Borrowed(text))
            }
            Opcode::Binary => Message::Binary(Cow::Borrowed(payload)),
            Opcode::Ping => Message::Ping(Cow::Borrowed(payload)),
            Opcode::Pong => Message::Pong(Cow::Borrowed(payload)),
            Opcode::Close => Message::Close(CloseFrame::parse(payload)?),
            Opcode::Continuation => return Err(ProtocolError::UnexpectedContinuation),
        })
    }

    /// Takes the next piece of a frame's payload; gives a message when it is complete.
    fn take_piece(
        &mut self,
        frame: Frame,
        piece: &mut [u8],
    ) -> Result<Option<Message<'static>>, ProtocolError> {
        if let Some(mask) = frame.header.mask {
            apply_mask(piece, mask, frame.received);
        }
        let frame = Frame { received: frame.received + piece.len(), ..frame };
        let complete = frame.remaining() == 0;
        self.frame = (!complete).then_some(frame);
        if frame.header.opcode.is_control() {
            debug_assert!(self.control.len() + piece.len() <= CONTROL_BYTES_MAX);
            self.control.extend_from_slice(piece);
            return if complete { self.finish_control(frame.header.opcode) } else { Ok(None) };
        }
        let message = self.message.get_or_insert_with(|| Partial {
            text: frame.header.opcode == Opcode::Text,
            payload: Vec::new(),
            utf8: Utf8Checker::default(),
        });
        if message.text {
            message.utf8.feed(piece)?;
        }
        message.payload.extend_from_slice(piece);
        if complete && frame.header.fin { self.finish_message() } else { Ok(None) }
    }

    fn finish_control(
        &mut self,
        opcode: Opcode,
    ) -> Result<Option<Message<'static>>, ProtocolError> {
        let payload = std::mem::take(&mut self.control);
        Ok(Some(match opcode {
            Opcode::Ping => Message::Ping(Cow::Owned(payload)),
            Opcode::Pong => Message::Pong(Cow::Owned(payload)),
            _ => Message::Close(CloseFrame::parse(&payload)?),
        }))
    }

    fn finish_message(&mut self) -> Result<Option<Message<'static>>, ProtocolError> {
        let Some(mut message) = self.message.take() else { return Ok(None) };
        if !message.text {
            return Ok(Some(Message::Binary(Cow::Owned(message.payload))));
        }
        message.utf8.finish()?;
        let text = String::from_utf8(message.payload).map_err(|_| ProtocolError::InvalidUtf8)?;
        Ok(Some(Message::Text(Cow::Owned(text))))
    }
}

impl From<NotUtf8> for ProtocolError {
    fn from(_: NotUtf8) -> Self {
        Self::InvalidUtf8
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
