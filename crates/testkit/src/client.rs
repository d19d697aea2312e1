//! A WebSocket client for tests: blocking, with deadlines, and able to misbehave.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use stillwire_websocket::client::{Answer, request};
use stillwire_websocket::{
    CloseCode, CloseFrame, Decoder, Limits, Masking, Message, Opcode, Role, encode_close,
    encode_message, encode_ping,
};

use crate::line::Line;

/// What the server may send.
const LIMITS: Limits =
    Limits { frame_bytes_max: 1 << 20, message_bytes_max: 1 << 24, binary: true };

const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to the program.
#[derive(Debug)]
pub struct Client {
    line: Line,
    decoder: Decoder,
    got: VecDeque<Got>,
    /// The head of the server's answer.
    pub answer: Answer,
}

/// A handshake that was sent; its answer may be waited for, or not.
#[derive(Debug)]
pub struct Opening {
    line: Line,
}

/// Something that came from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping, which is not answered.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// A close frame: its code (1005 for none) and reason.
    Close(u16, String),
    /// The end of the connection.
    End,
}

/// A handshake that the server did not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Opening {
    /// Sends the handshake for a `ws://` URL, or for a `wss://` one where an authority is trusted (a PEM file). Among the
    /// headers there may be `Sec-WebSocket-Protocol`, and a `Host` that is not the URL's.
    pub fn send(url: &str, headers: &[(String, String)], trusted: Option<&Path>) -> Self {
        let (address, target) = address(url);
        let mut line = Line::to(url, address, trusted);
        let (hosts, others): (Vec<_>, Vec<_>) =
            headers.iter().cloned().partition(|(name, _)| name == "Host");
        let host = hosts.first().map_or(address, |(_, host)| host);
        let key = BASE64_STANDARD.encode(b"sixteen bytes...");
        let head = request(host, &target, &key, &[], &others);
        line.write_all(head.as_bytes()).expect("the handshake is sent");
        Self { line }
    }

    /// Waits for the answer.
    pub fn finish(self) -> Result<Client, Refused> {
        let mut line = self.line;
        line.wait_at_most(TIMEOUT);
        let mut buffer = Vec::new();
        let answer = loop {
            if let Some(answer) = Answer::parse(&buffer).expect("an HTTP answer") {
                break answer;
            }
            assert!(read(&mut line, &mut buffer) > 0, "the server left during the handshake");
        };
        let mut rest = buffer.split_off(answer.head_len);
        if answer.status != 101 {
            while read(&mut line, &mut rest) > 0 {}
            let body = String::from_utf8_lossy(&rest).into_owned();
            return Err(Refused { status: answer.status, body });
        }
        let decoder = Decoder::new(Role::Client);
        let mut client = Client { line, decoder, got: VecDeque::new(), answer };
        client.decode(&mut rest);
        Ok(client)
    }

    /// Leaves without a word: the server reads a reset.
    pub fn reset(self) {
        self.line.reset();
    }
}

impl Client {
    /// Opens a connection to a plain URL, as an [`Opening`] does.
    pub fn open(url: &str, headers: &[(&str, &str)]) -> Result<Self, Refused> {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Opening::send(url, &headers, None).finish()
    }

    /// Sends a text message in one frame.
    pub fn send(&mut self, text: &str) {
        self.send_frames(text, usize::MAX);
    }

    /// Sends a text message in frames of at most this many bytes.
    pub fn send_frames(&mut self, text: &str, frame_bytes: usize) {
        let mut bytes = Vec::new();
        encode_message(Opcode::Text, text.as_bytes(), frame_bytes, KEY, &mut bytes);
        self.send_raw(&bytes);
    }

    /// Sends a binary message.
    pub fn send_binary(&mut self, payload: &[u8]) {
        let mut bytes = Vec::new();
        encode_message(Opcode::Binary, payload, usize::MAX, KEY, &mut bytes);
        self.send_raw(&bytes);
    }

    /// Sends a ping.
    pub fn ping(&mut self, payload: &[u8]) {
        let mut bytes = Vec::new();
        encode_ping(payload, KEY, &mut bytes);
        self.send_raw(&bytes);
    }

    /// Sends a close frame and waits for the server's.
    pub fn close(mut self, code: Option<(u16, &str)>) -> Got {
        let frame = code.map(|(code, reason)| CloseFrame {
            code: CloseCode::new(code).expect("a code that may be sent"),
            reason: reason.to_owned(),
        });
        let mut bytes = Vec::new();
        encode_close(frame.as_ref(), KEY, &mut bytes);
        self.send_raw(&bytes);
        self.receive()
    }

    /// Leaves without a close frame, and without the end of TCP that a closed socket sends: the server reads a reset.
    pub fn reset(self) {
        self.line.reset();
    }

    /// Sends bytes as they are. What the server does not want any more is not sent.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.line.write_all(bytes).ok();
    }

    /// The next thing from the server.
    pub fn receive(&mut self) -> Got {
        self.receive_within(TIMEOUT).expect("something from the server in time")
    }

    /// The next thing from the server, if it comes in time.
    pub fn receive_within(&mut self, time: Duration) -> Option<Got> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(got) = self.got.pop_front() {
                return Some(got);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.line.wait_at_most(left);
            let mut chunk = [0; 16_384];
            match self.line.read(&mut chunk) {
                Ok(0) => return Some(Got::End),
                Ok(read) => self.decode(&mut chunk[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Some(Got::End),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("cannot read: {error}"),
            }
        }
    }

    /// The next message, as text.
    pub fn text(&mut self) -> String {
        match self.receive() {
            Got::Text(text) => text,
            other => panic!("a message was expected, not {other:?}"),
        }
    }

    /// The next message, as JSON.
    pub fn json(&mut self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
    }

    /// Sends a message and gives the next one that comes, as JSON.
    pub fn ask(&mut self, text: &str) -> Value {
        self.send(text);
        self.json()
    }

    fn decode(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        loop {
            let decoded = self.decoder.decode(&LIMITS, &mut bytes[at..]);
            let decoded = decoded.expect("the server keeps the protocol");
            at += decoded.consumed;
            match decoded.message {
                Some(Message::Text(text)) => self.got.push_back(Got::Text(text.into_owned())),
                Some(Message::Binary(bytes)) => {
                    self.got.push_back(Got::Binary(bytes.into_owned()));
                }
                Some(Message::Ping(payload)) => self.got.push_back(Got::Ping(payload.into_owned())),
                Some(Message::Pong(payload)) => self.got.push_back(Got::Pong(payload.into_owned())),
                Some(Message::Close(frame)) => {
                    let frame = frame.map(|frame| (frame.code.get(), frame.reason));
                    let (code, reason) = frame.unwrap_or((1005, String::new()));
                    self.got.push_back(Got::Close(code, reason));
                }
                None => return,
            }
        }
    }
}

const KEY: Masking = Masking::Key([0x37, 0xfa, 0x21, 0x3d]);

/// The host and port of a URL, and what is asked of it.
fn address(url: &str) -> (&str, String) {
    let (_, rest) = url.split_once("://").expect("a URL");
    let (address, target) = rest.split_once('/').expect("a path");
    (address, format!("/{target}"))
}

fn read(line: &mut Line, buffer: &mut Vec<u8>) -> usize {
    let mut chunk = [0; 4096];
    let read = line.read(&mut chunk).expect("the server answers in time");
    buffer.extend_from_slice(&chunk[..read]);
    read
}
