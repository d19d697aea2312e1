//! Answers: a status, headers, and a text or a part of a file.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use stillwire_model::{Content, ObjectReply};
use tokio::task::JoinHandle;

use crate::error::Refused;

/// What a file is read in, in bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

/// What an answer holds.
#[derive(Debug)]
pub(crate) enum Body {
    Text(String),
    /// Bytes of a file: from where, and how many.
    Part(PathBuf, u64, u64),
}

impl Answer {
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Text(String::new()) }
    }

    pub(crate) fn xml(text: String) -> Self {
        Self::empty(200).with("content-type", "application/xml").holding(Body::Text(text))
    }

    pub(crate) fn refusal(refused: &Refused, path: &str, id: &str) -> Self {
        let body = Body::Text(refused.body(path, id));
        Self::empty(refused.status).with("content-type", "application/xml").holding(body)
    }

    pub(crate) fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn holding(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// As the port has it. The answer to `HEAD` says how long a content would be, and has none.
    pub(crate) async fn reply(self, id: &str, is_head: bool) -> ObjectReply {
        let Self { mut status, mut headers, body } = self;
        let (length, content): (u64, Box<dyn Content>) = match body {
            Body::Text(text) => {
                let length = u64::try_from(text.len()).unwrap_or_default();
                (length, Box::new(Some(Bytes::from(text))))
            }
            Body::Part(path, from, length) => match Part::open(path, from, length).await {
                Ok(part) => (length, Box::new(part)),
                Err(error) => {
                    status = Refused::disk(&error).status;
                    (0, Box::new(None))
                }
            },
        };
        headers.push(("x-amz-request-id".to_owned(), id.to_owned()));
        if status != 204 && status != 304 {
            headers.push(("content-length".to_owned(), length.to_string()));
        }
        let none = is_head || status == 204 || status == 304;
        ObjectReply { status, headers, body: if none { Box::new(None) } else { content } }
    }
}

/// A part of a file that is read piece by piece, by threads that may wait.
#[derive(Debug)]
struct Part {
    left: u64,
    state: Reading,
}

#[derive(Debug)]
enum Reading {
    Idle(File),
    Busy(JoinHandle<(File, io::Result<Bytes>)>),
    Ended,
}

impl Part {
    async fn open(path: PathBuf, from: u64, left: u64) -> io::Result<Self> {
        let opening = tokio::task::spawn_blocking(move || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(from))?;
            Ok::<_, io::Error>(file)
        });
        let file = opening.await.map_err(io::Error::other)??;
        Ok(Self { left, state: Reading::Idle(file) })
    }
}

fn read(mut file: File, bytes: usize) -> (File, io::Result<Bytes>) {
    let mut piece = vec![0; bytes];
    let read = file.read_exact(&mut piece).map(|()| piece.into());
    (file, read)
}

impl Content for Part {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match std::mem::replace(&mut self.state, Reading::Ended) {
                Reading::Ended => return Poll::Ready(None),
                Reading::Idle(_) if self.left == 0 => return Poll::Ready(None),
                Reading::Idle(file) => {
                    let bytes = usize::try_from(self.left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
                    let reading = tokio::task::spawn_blocking(move || read(file, bytes));
                    self.state = Reading::Busy(reading);
                }
                Reading::Busy(mut reading) => match Pin::new(&mut reading).poll(cx) {
                    Poll::Pending => {
                        self.state = Reading::Busy(reading);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok((file, Ok(piece)))) => {
                        let read = u64::try_from(piece.len()).unwrap_or(self.left);
                        self.left = self.left.saturating_sub(read);
                        self.state = Reading::Idle(file);
                        return Poll::Ready(Some(Ok(piece)));
                    }
                    Poll::Ready(Ok((_, Err(error)))) => return Poll::Ready(Some(Err(error))),
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Some(Err(io::Error::other(error))));
                    }
                },
            }
        }
    }
}
