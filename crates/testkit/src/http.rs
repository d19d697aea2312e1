//! Bytes for a port, however wrong, and the HTTP answer to them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status; 0 where the server said nothing.
    pub status: u16,
    /// The head, with its first line.
    pub head: String,
    /// What follows the head.
    pub body: String,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Sends bytes to the server of a URL and reads until it closes, or is silent for a second after its answer.
pub fn raw(url: &str, bytes: &[u8]) -> Answer {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let mut stream = TcpStream::connect(host).expect("the server accepts");
    // A server that refuses early may not read all of it.
    stream.write_all(bytes).ok();
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit");
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        answer.extend_from_slice(&chunk[..read]);
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a time limit");
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}
