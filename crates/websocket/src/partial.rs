//! What a decoder keeps while something is incomplete.
//!
//! All of it can be written down and read back, in the middle of a header, a mask or a character. What is read
//! back is checked first, so that the rest of this file can rely on it.

use serde::{Deserialize, Serialize};

use crate::frame::{FrameHeader, HEADER_BYTES_MAX, Opcode, Terms};
use crate::{Limits, Message, ProtocolError, utf8};

/// The most that a payload is given beyond what has arrived.
///
/// Choice: doubling what is there keeps copies few; from here on growth is linear, so that a peer never makes
/// us hold much more than it sent.
const ROOM_BYTES_MAX: usize = 64 * 1024;

/// An incomplete frame, or the gap between two frames of an incomplete message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Partial {
    frame: Frame,
    /// The data message under way: from its first frame to the end of its last.
    message: Option<Unfinished>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Frame {
    /// The header is due; these are its first bytes, possibly none.
    Header(Vec<u8>),
    /// The payload of a data frame is due, after so many bytes of it.
    Data(FrameHeader, u64),
    /// The payload of a control frame is due, after these bytes of it.
    Control(FrameHeader, Vec<u8>),
}

/// A data message of which something is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unfinished {
    opcode: Opcode,
    /// The payload is compressed; it is inflated at the end.
    deflated: bool,
    payload: Vec<u8>,
    /// How much of a text's payload was found to be UTF-8. Found out again after reading it back.
    #[serde(skip)]
    valid: usize,
}

impl Partial {
    /// The beginning of a header, at the beginning of a message.
    pub(crate) fn header(begun: &[u8]) -> Self {
        Self { frame: Frame::Header(begun.to_vec()), message: None }
    }

    /// A frame that was admitted, at the beginning of a message.
    pub(crate) fn frame(header: FrameHeader) -> Self {
        let mut partial = Self::header(&[]);
        partial.open(header);
        partial
    }

    /// Whether anything is incomplete.
    pub(crate) fn is_midway(&self) -> bool {
        let between = matches!(&self.frame, Frame::Header(begun) if begun.is_empty());
        self.message.is_some() || !between
    }

    /// Bytes of payload held.
    pub(crate) fn held_bytes(&self) -> usize {
        let control = match &self.frame {
            Frame::Control(_, payload) => payload.capacity(),
            Frame::Header(_) | Frame::Data(..) => 0,
        };
        control + self.message.as_ref().map_or(0, |message| message.payload.capacity())
    }

    /// Decodes `input` from `consumed` on, up to the end of the first message.
    pub(crate) fn resume(
        &mut self,
        terms: Terms,
        limits: &Limits,
        input: &mut [u8],
        consumed: &mut usize,
    ) -> Result<Option<Message<'static>>, ProtocolError> {
        loop {
            let rest = input.get_mut(*consumed..).unwrap_or_default();
            if let Frame::Header(begun) = &mut self.frame {
                let (used, header) = read_header(begun, rest, terms)?;
                *consumed += used;
                let Some(header) = header else { return Ok(None) };
                limits.admit(&header, self.message.as_ref())?;
                self.open(header);
                continue;
            }
            let due = usize::try_from(self.due_bytes()).unwrap_or(usize::MAX);
            let piece = rest.get_mut(..due).unwrap_or_default();
            let (piece, complete) = if piece.len() == due { (piece, true) } else { (rest, false) };
            *consumed += piece.len();
            let message = self.take(piece, complete, limits)?;
            if message.is_some() || !complete {
                return Ok(message);
            }
        }
    }

    /// Begins a frame that was admitted.
    fn open(&mut self, header: FrameHeader) {
        self.frame = if header.opcode.is_control() {
            let len = usize::try_from(header.payload_len).unwrap_or_default();
            Frame::Control(header, Vec::with_capacity(len))
        } else {
            self.message.get_or_insert_with(|| Unfinished::new(&header));
            Frame::Data(header, 0)
        };
    }

    /// How much is missing of the payload that is due.
    fn due_bytes(&self) -> u64 {
        match &self.frame {
            Frame::Header(_) => 0,
            Frame::Data(header, received) => header.payload_len - received,
            Frame::Control(header, payload) => header.payload_len - payload.len() as u64,
        }
    }

    /// Takes the next piece of a payload; gives the message that it completes, if it does.
    fn take(
        &mut self,
        piece: &mut [u8],
        complete: bool,
        limits: &Limits,
    ) -> Result<Option<Message<'static>>, ProtocolError> {
        match &mut self.frame {
            Frame::Header(_) => return Ok(None),
            Frame::Control(header, payload) => {
                header.unmask(piece, payload.len() as u64);
                payload.extend_from_slice(piece);
                if complete {
                    let (opcode, payload) = (header.opcode, std::mem::take(payload));
                    self.frame = Frame::Header(Vec::new());
                    return Message::collected(opcode, payload).map(Some);
                }
            }
            Frame::Data(header, received) => {
                header.unmask(piece, *received);
                *received += piece.len() as u64;
                let last_bytes = header.fin.then_some(header.payload_len - *received);
                if let Some(message) = &mut self.message {
                    message.push(piece, last_bytes)?;
                }
                if complete {
                    let fin = header.fin;
                    self.frame = Frame::Header(Vec::new());
                    if fin {
                        let message = self.message.take();
                        return message.map(|message| message.finish(limits)).transpose();
                    }
                }
            }
        }
        Ok(None)
    }

    /// Checks what was read back; the error says what is wrong with it.
    pub(crate) fn check(&mut self, terms: Terms) -> Result<(), &'static str> {
        let known = |header: &FrameHeader, received: u64| {
            let mut bytes = Vec::new();
            header.write(&mut bytes);
            received < header.payload_len
                && FrameHeader::parse(&bytes, terms) == Ok(Some((*header, bytes.len())))
        };
        let possible = match &self.frame {
            Frame::Header(begun) => FrameHeader::parse(begun, terms) == Ok(None),
            Frame::Data(header, received) => {
                known(header, *received)
                    && self.message.as_ref().is_some_and(|message| message.is_of(header, *received))
            }
            Frame::Control(header, payload) => {
                known(header, payload.len() as u64) && header.opcode.is_control()
            }
        };
        if !possible || !self.is_midway() {
            return Err("a decoder is never in this state");
        }
        match &mut self.message {
            Some(message) if message.deflated && !terms.deflate => {
                Err("a compressed message where none was agreed on")
            }
            Some(message) => message.check(),
            None => Ok(()),
        }
    }
}

impl Unfinished {
    fn new(header: &FrameHeader) -> Self {
        let FrameHeader { opcode, deflated, .. } = *header;
        Self { opcode, deflated, payload: Vec::new(), valid: 0 }
    }

    /// How long the message is so far, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.payload.len()
    }

    /// Whether that is its compressed length.
    pub(crate) fn is_deflated(&self) -> bool {
        self.deflated
    }

    /// Takes more of the payload. `last_bytes` is how much is still to come, where that is known.
    fn push(&mut self, piece: &[u8], last_bytes: Option<u64>) -> Result<(), ProtocolError> {
        if self.payload.capacity() - self.payload.len() < piece.len() {
            let to_come = last_bytes.and_then(|bytes| usize::try_from(bytes).ok());
            let room = (self.payload.len() + piece.len()).min(ROOM_BYTES_MAX);
            self.payload.reserve_exact(piece.len() + room.min(to_come.unwrap_or(room)));
        }
        self.payload.extend_from_slice(piece);
        if self.opcode == Opcode::Text && !self.deflated {
            self.valid = utf8::check(&self.payload, self.valid)?;
        }
        Ok(())
    }

    fn finish(self, limits: &Limits) -> Result<Message<'static>, ProtocolError> {
        if self.deflated {
            return Message::inflated(self.opcode, &self.payload, limits);
        }
        Message::collected(self.opcode, self.payload)
    }

    /// Whether a frame may be the one of which so many bytes came last.
    fn is_of(&self, header: &FrameHeader, received: u64) -> bool {
        let len = self.payload.len() as u64;
        match header.opcode {
            Opcode::Continuation => received <= len,
            first => (first, header.deflated, received) == (self.opcode, self.deflated, len),
        }
    }

    fn check(&mut self) -> Result<(), &'static str> {
        match self.opcode {
            Opcode::Binary | Opcode::Text if self.deflated => Ok(()),
            Opcode::Binary => Ok(()),
            Opcode::Text => {
                let valid = utf8::check(&self.payload, 0);
                self.valid = valid.map_err(|_not_utf8| "a text is not UTF-8")?;
                Ok(())
            }
            _ => Err("a message is text or binary"),
        }
    }
}

/// Reads a header of which some bytes may have come before. Gives how much of `input` it took.
fn read_header(
    begun: &mut Vec<u8>,
    input: &[u8],
    terms: Terms,
) -> Result<(usize, Option<FrameHeader>), ProtocolError> {
    let before = begun.len();
    if before == 0
        && let Some((header, len)) = FrameHeader::parse(input, terms)?
    {
        return Ok((len, Some(header)));
    }
    let more = input.get(..HEADER_BYTES_MAX.saturating_sub(before)).unwrap_or(input);
    begun.extend_from_slice(more);
    Ok(match FrameHeader::parse(begun, terms)? {
        Some((header, len)) => (len.saturating_sub(before), Some(header)),
        // It is incomplete, so shorter than the longest header: all of the input went into it.
        None => (more.len(), None),
    })
}
