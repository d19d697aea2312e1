//! The Runtime API for our own bootstraps: the same calls over the socket they inherit, without a web server between.
//!
//! A bootstrap asks one thing at a time, or two in one write, in HTTP/1.1 with `Content-Length`. User code lives in the same
//! process, so what comes is checked like any input.

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use crate::runtime_api::{Asked, Call, DISCARD_BYTES_MAX, HEADER_BYTES_MAX, MODE, Served};

/// Header fields of a request.
const HEADERS_MAX: usize = 16;

/// Room for a usual request.
const BUFFER_BYTES: usize = 8 * 1024;

/// Answers that may wait for a request that is there already: whoever asks on and reads nothing is not read either.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the connection")]
    Io(#[from] std::io::Error),
    #[error("not a request: {0}")]
    Request(#[from] httparse::Error),
    #[error("a request without a length, or with a head of more than {HEADER_BYTES_MAX} bytes")]
    Head,
    #[error("a body of more than {DISCARD_BYTES_MAX} bytes")]
    Endless,
    #[error("the environment is over")]
    Over,
}

/// Serves the connection of a bootstrap.
pub(crate) fn serve(stream: UnixStream, calls: mpsc::Sender<Call>) -> Served {
    Box::pin(async move {
        if let Err(error) = converse(stream, &calls).await {
            tracing::debug!(%error, "a bootstrap's connection");
        }
    })
}

async fn converse(mut stream: UnixStream, calls: &mpsc::Sender<Call>) -> Result<(), Broken> {
    let mut input = BytesMut::with_capacity(BUFFER_BYTES);
    let mut output = Vec::new();
    loop {
        let Some(head) = read_head(&mut stream, &mut input).await? else { return Ok(()) };
        let body = read_body(&mut stream, &mut input, &head).await?;
        let answer = match head.asked.call(head.mode.as_deref(), body) {
            Ok(kind) => {
                let (answer, answered) = oneshot::channel();
                calls.send(Call { kind, answer }).await.map_err(|_| Broken::Over)?;
                answered.await.map_err(|_| Broken::Over)?
            }
            Err(refusal) => refusal,
        };
        answer.encode(&mut output);
        // A bootstrap that has asked for the next event already waits for that, not for the end of the last one: both
        // answers go in one write, and wake it once.
        if !gathers(&output, &input) {
            stream.write_all(&output).await?;
            output.clear();
            output.shrink_to(BUFFER_BYTES); // an event may have been large
        }
    }
}

/// Whether answers wait for that of another request, which is there and has no body.
fn gathers(output: &[u8], input: &[u8]) -> bool {
    output.len() < OUTPUT_BYTES_MAX && matches!(parse(input), Ok(Some((Head { length: 0, .. }, _))))
}

/// What comes before a body.
struct Head {
    asked: Asked,
    mode: Option<Vec<u8>>,
    length: usize,
}

/// The next head; `None` at the end.
async fn read_head(stream: &mut UnixStream, input: &mut BytesMut) -> Result<Option<Head>, Broken> {
    let mut is_line_new = true;
    loop {
        let empty = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        input.advance(empty);
        // Only a line's end can complete a head, and it has few lines: one that comes in crumbs is not parsed for each.
        if is_line_new && let Some((head, bytes)) = parse(input)? {
            input.advance(bytes);
            return Ok(Some(head));
        }
        if input.len() > HEADER_BYTES_MAX {
            return Err(Broken::Head);
        }
        let known = input.len();
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
        is_line_new = input.iter().skip(known).any(|byte| *byte == b'\n');
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
    let mode = field(MODE).map(<[u8]>::to_vec);
    Ok(Some((Head { asked, mode, length }, bytes)))
}

/// The body, or `None` for one that is too large; that is read all the same, so that its sender gets an answer.
async fn read_body(
    stream: &mut UnixStream,
    input: &mut BytesMut,
    head: &Head,
) -> Result<Option<Bytes>, Broken> {
    let ended = || Broken::Io(std::io::ErrorKind::UnexpectedEof.into());
    if head.length <= head.asked.body_bytes_max() {
        while input.len() < head.length {
            if stream.read_buf(input).await? == 0 {
                return Err(ended());
            }
        }
        return Ok(Some(input.split_to(head.length).freeze()));
    }
    if head.length > DISCARD_BYTES_MAX {
        return Err(Broken::Endless);
    }
    let mut left = head.length;
    loop {
        let here = left.min(input.len());
        input.advance(here);
        left -= here;
        if left == 0 {
            return Ok(None);
        }
        if stream.read_buf(input).await? == 0 {
            return Err(ended());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Answers were gathered for as long as there were requests: after a large result its room was filled with them.
    #[test]
    fn answers_are_gathered_while_they_are_few() {
        let next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n";
        assert!(gathers(&[0; 100], next));
        assert!(!gathers(&[0; 100], b"GET /2018-06-01/runtime/invo"));
        assert!(!gathers(&vec![0; OUTPUT_BYTES_MAX], next));
    }

    /// Each byte had all before it parsed again: minutes of work for a head of this size.
    #[tokio::test]
    async fn a_head_that_comes_byte_by_byte_is_cheap() {
        let (mut theirs, mut ours) = UnixStream::pair().unwrap();
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
        let mut input = BytesMut::new();
        let read = async {
            let head = read_head(&mut ours, &mut input).await.unwrap().unwrap();
            (head.asked.clone(), read_body(&mut ours, &mut input, &head).await.unwrap().unwrap())
        };
        let both = async { tokio::join!(read, dribble).0 };
        let (asked, body) = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
        assert_eq!((asked, &body[..]), (Asked::InitError, &b"{}"[..]));
    }
}
