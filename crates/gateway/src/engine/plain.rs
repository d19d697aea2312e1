//! Plain HTTP/1.1 requests at an API's address: one after another, each small, each answered at once.
//!
//! Source: RFC 9112, sections 6 (bodies), 7.1 (chunks) and 9 (connections); the head is `websocket`'s business.

use std::borrow::Cow;
use std::io::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use stillwire_websocket::{HeadError, RequestHead};

use crate::engine::wheel::Millis;

/// How long a client may take to send a whole request, and how long it may stay idle between two.
///
/// Choice: SDKs keep connections for reuse about as long.
pub(crate) const REQUEST_TIMEOUT: Millis = 60_000;

/// The longest line that gives a chunk's size. Choice: extensions of chunks are read over, not believed.
const CHUNK_LINE_BYTES_MAX: usize = 256;

/// Lines after the last chunk that are read over.
const TRAILERS_MAX: usize = 16;

/// A request with its body.
#[derive(Debug)]
pub struct Request<'a> {
    /// Its head.
    pub head: &'a RequestHead,
    /// Its body.
    pub body: Bytes,
    /// Where it comes from.
    pub peer: SocketAddr,
}

/// The answer to a plain request, or to a handshake that is refused.
#[derive(Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers; those that frame the body are the engine's.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Appends it as bytes; `close` says that the connection ends with it.
    pub(crate) fn write(&self, close: bool, out: &mut Vec<u8>) {
        let reason = http::StatusCode::from_u16(self.status).ok();
        let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or("Refused");
        // Writing to a vector cannot fail.
        _ = write!(out, "HTTP/1.1 {} {reason}\r\n", self.status);
        for (name, value) in &self.headers {
            _ = write!(out, "{name}: {value}\r\n");
        }
        if self.status != 204 {
            _ = write!(out, "Content-Length: {}\r\n", self.body.len());
        }
        if close {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
    }
}

/// What a connection for plain requests waits for.
#[derive(Debug)]
pub(crate) struct Plain {
    /// The request whose body is arriving.
    current: Option<Current>,
    /// What arrived and is not understood yet.
    bytes: Vec<u8>,
    /// Of them, those that were looked at for the end of a head.
    seen: usize,
    /// When patience ends.
    pub(crate) until: Millis,
}

/// A request whose head is there.
#[derive(Debug)]
struct Current {
    head: Box<RequestHead>,
    /// Its body so far, where it comes in chunks.
    chunks: Option<Chunks>,
    /// The client wants to be told to go on.
    waits: bool,
}

/// What a client's bytes amount to.
#[derive(Debug)]
pub(crate) enum Step {
    /// More must come; the client may have to be told to `go_on` (RFC 9110, section 10.1.1).
    More { go_on: bool },
    /// A whole request.
    Request(Box<RequestHead>, Bytes),
    /// No request: the status to answer with, before the end.
    Refuse(u16),
}

impl Plain {
    /// A connection whose first request has this head, and these bytes after it.
    pub(crate) fn new(head: Box<RequestHead>, rest: Vec<u8>, now: Millis) -> Self {
        let until = now + REQUEST_TIMEOUT;
        Self { current: Some(Current::new(head)), bytes: rest, seen: 0, until }
    }

    /// Whether it waits between two requests.
    pub(crate) fn is_idle(&self) -> bool {
        self.current.is_none() && self.bytes.is_empty()
    }

    /// Since when a request is under way, and how many bytes of it are here.
    pub(crate) fn unfinished(&self) -> Option<(Millis, usize)> {
        let chunks = self.current.as_ref().and_then(|current| current.chunks.as_ref());
        let bytes = self.bytes.len() + chunks.map_or(0, |chunks| chunks.body.len());
        (bytes > 0).then(|| (self.until.saturating_sub(REQUEST_TIMEOUT), bytes))
    }

    /// Takes bytes of the client.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next request, if it is there; bodies may have `body_bytes_max`.
    pub(crate) fn step(&mut self, body_bytes_max: usize, now: Millis) -> Step {
        match self.try_step(body_bytes_max, now) {
            Ok(step) => step,
            Err(status) => Step::Refuse(status),
        }
    }

    fn try_step(&mut self, body_bytes_max: usize, now: Millis) -> Result<Step, u16> {
        if self.current.is_none() {
            let end = RequestHead::find_end(&self.bytes, self.seen).map_err(HeadError::status)?;
            let Some(end) = end else {
                self.seen = self.bytes.len();
                return Ok(Step::More { go_on: false });
            };
            let head = RequestHead::parse(self.bytes.get(..end).unwrap_or_default());
            self.bytes.drain(..end);
            self.current = Some(Current::new(Box::new(head.map_err(HeadError::status)?)));
        }
        let Some(mut current) = self.current.take() else { return Err(500) };
        let Some(body) = current.body(&mut self.bytes, body_bytes_max)? else {
            let go_on = std::mem::take(&mut current.waits) && self.bytes.is_empty();
            self.current = Some(current);
            return Ok(Step::More { go_on });
        };
        if self.bytes.is_empty() {
            self.bytes = Vec::new(); // an idle connection holds no buffer
        }
        self.seen = 0;
        self.until = now + REQUEST_TIMEOUT;
        Ok(Step::Request(current.head, body))
    }
}

impl Current {
    fn new(head: Box<RequestHead>) -> Self {
        let waits = head.has_token("expect", "100-continue");
        Self { head, chunks: None, waits }
    }

    /// The body, taken out of `bytes`, once all of it is there; else a status, when it may not be.
    fn body(&mut self, bytes: &mut Vec<u8>, bytes_max: usize) -> Result<Option<Bytes>, u16> {
        let mut codings = self.head.all("transfer-encoding");
        match (codings.next(), codings.next()) {
            (None, _) => {}
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => {
                let chunks = self.chunks.get_or_insert_default();
                let done = chunks.take(bytes, bytes_max)?;
                return Ok(done.then(|| std::mem::take(&mut chunks.body).into()));
            }
            _ => return Err(501),
        }
        // The head's parser has made sure that it is a number.
        let length = self.head.first("content-length").map_or(Some(0), |text| text.parse().ok());
        let length = length.filter(|&length: &usize| length <= bytes_max).ok_or(413_u16)?;
        if bytes.len() < length {
            return Ok(None);
        }
        Ok(Some(bytes.drain(..length).collect()))
    }
}

/// A body that comes in chunks.
#[derive(Debug, Default)]
struct Chunks {
    body: Vec<u8>,
    /// After the last chunk: how many lines of trailers were read over.
    trailers: Option<usize>,
}

impl Chunks {
    /// Takes whole chunks out of `bytes`; true once the body is complete, else a status when it is none.
    fn take(&mut self, bytes: &mut Vec<u8>, bytes_max: usize) -> Result<bool, u16> {
        let mut at = 0;
        let done = loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(line) = line_of(rest)? else { break false };
            let after = line.len() + 2;
            if let Some(trailers) = &mut self.trailers {
                *trailers += 1;
                at += after;
                if line.is_empty() {
                    break true;
                }
                if *trailers > TRAILERS_MAX {
                    return Err(431);
                }
                continue;
            }
            let size = chunk_size(line).ok_or(400_u16)?;
            if size == 0 {
                self.trailers = Some(0);
                at += after;
                continue;
            }
            if size > bytes_max.saturating_sub(self.body.len()) {
                return Err(413);
            }
            let Some(chunk) = rest.get(after..after + size + 2) else { break false };
            self.body.extend_from_slice(chunk.strip_suffix(b"\r\n").ok_or(400_u16)?);
            at += after + size + 2;
        };
        bytes.drain(..at);
        Ok(done)
    }
}

/// The first line, without its end, once it is there.
fn line_of(bytes: &[u8]) -> Result<Option<&[u8]>, u16> {
    let window = bytes.get(..CHUNK_LINE_BYTES_MAX).unwrap_or(bytes);
    match window.windows(2).position(|two| two == b"\r\n") {
        Some(end) => Ok(bytes.get(..end)),
        None if bytes.len() < CHUNK_LINE_BYTES_MAX => Ok(None),
        None => Err(400),
    }
}

fn chunk_size(line: &[u8]) -> Option<usize> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii_end();
    let text = str::from_utf8(digits).ok()?;
    let is_number = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_number.then(|| usize::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "POST /dev/@connections/x HTTP/1.1\r\nHost: a\r\n";

    /// Feeds a request in pieces; gives its body, or the status it is refused with.
    fn read(text: &str, piece: usize) -> Result<Option<String>, u16> {
        let bytes = text.as_bytes();
        let end = RequestHead::find_end(bytes, 0).unwrap().unwrap();
        let head = Box::new(RequestHead::parse(&bytes[..end]).unwrap());
        let mut plain = Plain::new(head, Vec::new(), 0);
        let mut pieces = bytes[end..].chunks(piece);
        loop {
            match plain.step(100, 0) {
                Step::Request(_, body) => return Ok(Some(String::from_utf8_lossy(&body).into())),
                Step::Refuse(status) => return Err(status),
                Step::More { .. } => match pieces.next() {
                    Some(piece) => plain.receive(piece),
                    None => return Ok(None),
                },
            }
        }
    }

    #[test]
    fn a_body_is_as_long_as_its_head_says() {
        for piece in [1, 2, 1000] {
            let body = |rest: &str| read(&format!("{HEAD}{rest}"), piece);
            assert_eq!(body("\r\n"), Ok(Some(String::new())));
            assert_eq!(body("Content-Length: 5\r\n\r\nhello"), Ok(Some("hello".to_owned())));
            assert_eq!(body("Content-Length: 5\r\n\r\nhell"), Ok(None));
            assert_eq!(body("Content-Length: 101\r\n\r\n"), Err(413));
            assert_eq!(body("Transfer-Encoding: gzip\r\n\r\n"), Err(501));
        }
    }

    #[test]
    fn chunks_make_a_body() {
        for piece in [1, 3, 1000] {
            let body = |chunks: &str| {
                read(&format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{chunks}"), piece)
            };
            assert_eq!(body("5\r\nhello\r\n0\r\n\r\n"), Ok(Some("hello".to_owned())));
            assert_eq!(
                body("2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nT: 1\r\n\r\n"),
                Ok(Some("hello".to_owned()))
            );
            assert_eq!(body("5\r\nhello\r\n0\r\n"), Ok(None));
            assert_eq!(body("65\r\n"), Err(413));
            assert_eq!(body("fffffffffffffffff\r\n"), Err(400));
            for bad in ["5\r\nhelloXX0\r\n\r\n", "x\r\n", "-1\r\n", "+5\r\nhello\r\n", "\r\n"] {
                assert_eq!(body(bad), Err(400), "{bad:?}");
            }
        }
    }

    #[test]
    fn requests_follow_one_another() {
        let bytes = format!("{HEAD}Content-Length: 1\r\n\r\na{HEAD}\r\n{HEAD}");
        let end = RequestHead::find_end(bytes.as_bytes(), 0).unwrap().unwrap();
        let head = Box::new(RequestHead::parse(&bytes.as_bytes()[..end]).unwrap());
        let mut plain = Plain::new(head, bytes.as_bytes()[end..].to_vec(), 0);
        assert!(matches!(plain.step(9, 0), Step::Request(_, body) if body == "a"));
        assert!(matches!(plain.step(9, 0), Step::Request(_, body) if body.is_empty()));
        assert!(matches!(plain.step(9, 0), Step::More { go_on: false }));
    }

    #[test]
    fn a_client_that_asks_whether_to_send_is_told_once() {
        let text = format!("{HEAD}Content-Length: 1\r\nExpect: 100-continue\r\n\r\n");
        let head = Box::new(RequestHead::parse(text.as_bytes()).unwrap());
        let mut plain = Plain::new(head, Vec::new(), 0);
        assert!(matches!(plain.step(9, 0), Step::More { go_on: true }));
        assert!(matches!(plain.step(9, 0), Step::More { go_on: false }));
    }

    #[test]
    fn an_answer_says_how_long_it_is() {
        let answer = Answer {
            status: 200,
            headers: vec![("x-amzn-requestid".into(), "r".to_owned())],
            body: "{}".into(),
        };
        let mut out = Vec::new();
        answer.write(true, &mut out);
        let expected = "HTTP/1.1 200 OK\r\nx-amzn-requestid: r\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
