//! The Runtime API for our own bootstraps: the same calls over the socket they inherit, without a web server between.
//!
//! A bootstrap asks one thing at a time, or two in one write, in HTTP/1.1 with `Content-Length`. The environment reads and
//! answers by itself, so that a call wakes nobody else. User code lives in the same process as the bootstrap, so what comes
//! is checked like any input.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;

use crate::runtime_api::{Answer, Asked, CallKind, DISCARD_BYTES_MAX, HEADER_BYTES_MAX, MODE};

/// Header fields of a request.
const HEADERS_MAX: usize = 16;

/// Room for a usual request.
const BUFFER_BYTES: usize = 8 * 1024;

/// Answers that may wait while there is another request: whoever asks on and reads nothing is not read either.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the connection")]
    Io(#[from] io::Error),
    #[error("not a request: {0}")]
    Request(#[from] httparse::Error),
    #[error("a request without a length, or with a head of more than {HEADER_BYTES_MAX} bytes")]
    Head,
    #[error("a body of more than {DISCARD_BYTES_MAX} bytes")]
    Endless,
}

/// The connection of a bootstrap.
#[derive(Debug)]
pub(crate) struct Link {
    stream: UnixStream,
    input: BytesMut,
    /// How much of the input is known to hold no whole head.
    searched: usize,
    /// The request that is being read, and how much of its body is still to come.
    head: Option<(Head, usize)>,
    /// Answers, and how much of them the socket has taken.
    output: Vec<u8>,
    written: usize,
}

/// What comes before a body.
#[derive(Debug)]
struct Head {
    asked: Asked,
    mode: Option<Vec<u8>>,
    length: usize,
}

impl Link {
    pub(crate) fn new(stream: UnixStream) -> Self {
        let input = BytesMut::with_capacity(BUFFER_BYTES);
        Self { stream, input, searched: 0, head: None, output: Vec::new(), written: 0 }
    }

    /// The next call; `None` when there will be none.
    ///
    /// # Cancel safety
    /// Cancel safe: what was read and written of a call stays here.
    pub(crate) async fn call(&mut self) -> Option<CallKind> {
        match self.read_call().await {
            Ok(call) => call,
            Err(error) => {
                tracing::debug!(%error, "a bootstrap's connection");
                None
            }
        }
    }

    async fn read_call(&mut self) -> Result<Option<CallKind>, Broken> {
        loop {
            if self.output.len() >= OUTPUT_BYTES_MAX {
                self.send().await?;
            }
            match self.take()? {
                Some(Ok(call)) => return Ok(Some(call)),
                Some(Err(refusal)) => self.answer(&refusal),
                None => {
                    // A bootstrap that has asked for the next event already waits for that, not for the end of the last
                    // one: both answers go in one write, and wake it once.
                    self.send().await?;
                    if self.input.is_empty() {
                        self.input.reserve(BUFFER_BYTES);
                    }
                    if self.stream.read_buf(&mut self.input).await? == 0 {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Takes an answer to the last call; it leaves with the next [`flush`](Self::flush), or while the next call is awaited.
    pub(crate) fn answer(&mut self, answer: &Answer) {
        answer.encode(&mut self.output);
    }

    /// Sends what the socket takes at once.
    ///
    /// # Errors
    /// When nobody is there any more.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while let Some(rest) = self.output.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.try_write(rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.output.shrink_to(BUFFER_BYTES); // an event may have been large
        self.written = 0;
        Ok(())
    }

    /// Whether the socket has taken all answers.
    pub(crate) fn is_drained(&self) -> bool {
        self.output.is_empty()
    }

    async fn send(&mut self) -> io::Result<()> {
        self.flush()?;
        while !self.output.is_empty() {
            self.stream.writable().await?;
            self.flush()?;
        }
        Ok(())
    }

    /// The call that is there, or a refusal that needs no environment, if all of it is there.
    fn take(&mut self) -> Result<Option<Result<CallKind, Answer>>, Broken> {
        if self.head.is_none() {
            self.head = self.take_head()?.map(|head| {
                let left = head.length;
                (head, left)
            });
        }
        let Some((head, left)) = &mut self.head else { return Ok(None) };
        let is_kept = head.length <= head.asked.body_bytes_max();
        if !is_kept {
            // It is read all the same, so that its sender gets an answer.
            let here = (*left).min(self.input.len());
            self.input.advance(here);
            *left -= here;
        } else if self.input.len() >= head.length {
            *left = 0;
        } else {
            self.input.reserve(head.length - self.input.len());
        }
        let Some((head, _)) = self.head.take_if(|(_, left)| *left == 0) else { return Ok(None) };
        let body = is_kept.then(|| self.take_body(head.length));
        Ok(Some(head.asked.call(head.mode.as_deref(), body)))
    }

    fn take_body(&mut self, length: usize) -> Bytes {
        if length <= BUFFER_BYTES {
            // To share the buffer would cost a new one for each call.
            let body = Bytes::copy_from_slice(self.input.get(..length).unwrap_or_default());
            self.input.advance(length);
            return body;
        }
        let body = self.input.split_to(length).freeze();
        let mut input = BytesMut::with_capacity(BUFFER_BYTES.max(self.input.len()));
        input.extend_from_slice(&self.input);
        self.input = input;
        body
    }

    fn take_head(&mut self) -> Result<Option<Head>, Broken> {
        let empty = self.input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.input.advance(empty);
        self.searched = self.searched.saturating_sub(empty);
        // Only a line's end can complete a head, and it has few lines: one that comes in crumbs is not parsed for each.
        let is_line_new = self.input.iter().skip(self.searched).any(|byte| *byte == b'\n');
        if is_line_new && let Some((head, bytes)) = parse(&self.input)? {
            self.input.advance(bytes);
            self.searched = 0;
            return Ok(Some(head));
        }
        self.searched = self.input.len();
        if self.input.len() > HEADER_BYTES_MAX {
            return Err(Broken::Head);
        }
        Ok(None)
    }
}

/// A head and how long it is, if it is all there.
fn parse(input: &[u8]) -> Result<Option<(Head, usize)>, Broken> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(bytes) = request.parse(input)? else { return Ok(None) };
    let field = |wanted: &str| {
        let found = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case(wanted));
        found.map(|field| field.value)
    };
    let length = match field("content-length") {
        None if field("transfer-encoding").is_some() => return Err(Broken::Head),
        None => 0,
        Some(digits) => str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok())
            .ok_or(Broken::Head)?,
    };
    let asked = Asked::of(request.method.unwrap_or_default(), request.path.unwrap_or_default());
    if length > DISCARD_BYTES_MAX {
        return Err(Broken::Endless);
    }
    let mode = field(MODE).map(<[u8]>::to_vec);
    Ok(Some((Head { asked, mode, length }, bytes)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    fn pair() -> (UnixStream, Link) {
        let (theirs, ours) = UnixStream::pair().unwrap();
        (theirs, Link::new(ours))
    }

    /// Answers were gathered for as long as there were requests: after a large result its room was filled with them.
    #[tokio::test]
    async fn answers_are_gathered_while_they_are_few() {
        let (mut theirs, mut link) = pair();
        let ping = b"GET /2018-06-01/ping HTTP/1.1\r\n\r\n";
        link.input.extend_from_slice(&ping.repeat(100_000));
        let over = async { tokio::time::sleep(Duration::from_millis(200)).await };
        tokio::select! {
            call = link.call() => panic!("{call:?}"),
            () = over => {}
        }
        assert!(link.output.len() < OUTPUT_BYTES_MAX + 1000, "{}", link.output.len());
        // Whoever reads gets on.
        let mut answers = vec![0; 4 * 1024 * 1024];
        tokio::select! {
            call = link.call() => panic!("{call:?}"),
            read = theirs.read_exact(&mut answers) => assert!(read.is_ok()),
        }
    }

    #[tokio::test]
    async fn two_calls_in_one_write_are_answered_in_one() {
        let (mut theirs, mut link) = pair();
        let response = b"POST /2018-06-01/runtime/invocation/7/response HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
        let next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n";
        theirs.write_all(&[&response[..], next].concat()).await.unwrap();
        let call = link.call().await;
        assert!(
            matches!(call, Some(CallKind::Response { id, body: Some(body) }) if id == "7" && body == "{}")
        );
        link.answer(&Answer::accepted());
        assert!(matches!(link.call().await, Some(CallKind::Next)));
        let mut buffer = [0; 4096];
        assert_eq!(theirs.try_read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        link.answer(&Answer::event(Vec::new(), Bytes::from_static(b"[]")));
        link.flush().unwrap();
        let count = theirs.read(&mut buffer).await.unwrap();
        let text = str::from_utf8(&buffer[..count]).unwrap();
        assert!(text.starts_with("HTTP/1.1 202 ") && text.ends_with("\r\n\r\n[]"), "{text}");
    }

    /// Each byte had all before it parsed again: minutes of work for a head of this size.
    #[tokio::test]
    async fn a_head_that_comes_byte_by_byte_is_cheap() {
        let (mut theirs, mut link) = pair();
        let head = format!(
            "\r\nPOST /2018-06-01/runtime/init/error HTTP/1.1\r\nX: {}\r\nContent-Length: 2\r\n\r\n{{}}",
            "x".repeat(300_000)
        );
        let dribble = async {
            for byte in head.bytes() {
                theirs.write_all(&[byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let both = async { tokio::join!(link.call(), dribble).0 };
        let call = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
        assert!(matches!(call, Some(CallKind::InitError(body)) if body == "{}"));
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_read_and_left() {
        let (mut theirs, mut link) = pair();
        let length = DISCARD_BYTES_MAX / 16;
        let head = format!(
            "POST /2018-06-01/runtime/invocation/7/response HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"
        );
        let write = async {
            theirs.write_all(head.as_bytes()).await.unwrap();
            theirs.write_all(&vec![b' '; length]).await.unwrap();
        };
        let (call, ()) = tokio::join!(link.call(), write);
        assert!(matches!(call, Some(CallKind::Response { body: None, .. })));
        assert!(link.input.capacity() < 1024 * 1024, "{}", link.input.capacity());
    }

    /// Minutes and hours without an event are nothing special.
    #[tokio::test(start_paused = true)]
    async fn a_bootstrap_waits_for_its_event_as_long_as_it_takes() {
        let (mut theirs, mut link) = pair();
        theirs
            .write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
            .await
            .unwrap();
        assert!(matches!(link.call().await, Some(CallKind::Next)));
        let idle = tokio::time::timeout(Duration::from_hours(6), link.call()).await;
        assert!(idle.is_err(), "nothing happens");
        link.answer(&Answer::event(Vec::new(), Bytes::from_static(b"{}")));
        link.flush().unwrap();
        let mut answer = vec![0; 4096];
        let count = theirs.read(&mut answer).await.unwrap();
        assert!(answer.get(..count).unwrap().ends_with(b"{}"));
    }
}
