//! Any bytes of a client are the same messages to us and to tungstenite, except where we are stricter.
#![no_main]

use std::io::{Read, Result, Write};

use stillwire_websocket::{CloseCode, CloseFrame, Decoder, Limits, Message, ProtocolError, Role};
use tungstenite::protocol::{self, WebSocket, WebSocketConfig};

const LIMITS: Limits = Limits { frame_bytes_max: 512, message_bytes_max: 1024, binary: true };

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (ours, verdict) = ours(input);
    let theirs = theirs(input);
    assert!(theirs.starts_with(&ours), "{ours:?} and {theirs:?}");
    if !verdict.is_some_and(is_strict) {
        assert_eq!(ours, theirs, "{verdict:?}");
    }
});

/// What we refuse and they let pass, on purpose.
fn is_strict(error: ProtocolError) -> bool {
    matches!(
        error,
        // RFC 6455, section 5.2: the shortest form MUST be used.
        ProtocolError::BadLength
            // The same for control frames: they take an extended length that says 125 or less.
            | ProtocolError::LongControl
            // Section 7.4: they hand the frame on with a code of their own.
            | ProtocolError::BadCloseCode(_)
    )
}

fn ours(input: &[u8]) -> (Vec<Message<'static>>, Option<ProtocolError>) {
    let mut decoder = Decoder::new(Role::Server);
    let mut bytes = input.to_vec();
    let mut rest = bytes.as_mut_slice();
    let mut messages = Vec::new();
    loop {
        let decoded = match decoder.decode(&LIMITS, rest) {
            Ok(decoded) => decoded,
            Err(error) => return (messages, Some(error)),
        };
        let (consumed, message) = (decoded.consumed, decoded.message.map(Message::into_owned));
        rest = &mut rest[consumed..];
        let Some(mut message) = message else { return (messages, None) };
        if let Message::Close(Some(frame)) = &mut message
            && frame.code.get() == 1014
        {
            // The IANA registry has it since; they do not, and hand on what they answer to an unknown code.
            frame.code = CloseCode::PROTOCOL_ERROR;
            frame.reason = "Protocol violation".to_owned();
        }
        let last = matches!(message, Message::Close(_));
        messages.push(message);
        if last {
            return (messages, None);
        }
    }
}

fn theirs(input: &[u8]) -> Vec<Message<'static>> {
    let config = WebSocketConfig::default()
        .max_frame_size(Some(LIMITS.frame_bytes_max))
        .max_message_size(Some(LIMITS.message_bytes_max));
    let mut socket = WebSocket::from_raw_socket(Wire(input), protocol::Role::Server, Some(config));
    let mut messages = Vec::new();
    while let Ok(message) = socket.read() {
        messages.push(match message {
            tungstenite::Message::Text(text) => Message::Text(text.to_string().into()),
            tungstenite::Message::Binary(bytes) => Message::Binary(bytes.to_vec().into()),
            tungstenite::Message::Ping(bytes) => Message::Ping(bytes.to_vec().into()),
            tungstenite::Message::Pong(bytes) => Message::Pong(bytes.to_vec().into()),
            tungstenite::Message::Close(frame) => Message::Close(frame.map(|frame| {
                let code = CloseCode::new(frame.code.into());
                CloseFrame {
                    code: code.expect("a code that may be sent"),
                    reason: frame.reason.to_string(),
                }
            })),
            tungstenite::Message::Frame(_) => unreachable!("only written"),
        });
    }
    messages
}

/// Gives the input, swallows the output.
struct Wire<'a>(&'a [u8]);

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
