//! The client's side of the opening handshake.
//!
//! Source: RFC 6455, section 4.1.

use std::fmt::Write as _;

use crate::{Negotiated, accept_key, deflate};

/// An answer to a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, as sent.
    pub headers: Vec<(String, String)>,
    /// How many bytes the head took; what follows is the body, or the first frames.
    pub head_len: usize,
}

/// Why an answer is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The answer is not HTTP, or its head is too large.
    #[error("the server's answer is not HTTP/1.1")]
    NotHttp,
    /// The server accepted, but not this handshake.
    #[error("the server's answer does not match the request (Sec-WebSocket-Accept)")]
    WrongAccept,
    /// The server chose a sub-protocol that was not offered.
    #[error("the server chose the sub-protocol {0:?}, which was not offered")]
    UnofferedProtocol(String),
    /// The server chose an extension that was not offered, or other parameters for it.
    #[error("the server chose the extension {0:?}, which was not offered")]
    UnofferedExtension(String),
}

/// The value of `Sec-WebSocket-Extensions` that offers compression as this crate speaks it.
///
/// Source: RFC 7692, section 7.1. The server must not take its context over, because the decoder keeps none.
pub const DEFLATE_OFFER: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Writes the request of a handshake.
///
/// `key` is 16 random bytes in base64. `headers` must not hold line breaks (checked by the caller's parser).
pub fn request(
    host: &str,
    target: &str,
    key: &str,
    protocols: &[String],
    headers: &[(String, String)],
) -> String {
    let mut head = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
    );
    if !protocols.is_empty() {
        line(&mut head, "Sec-WebSocket-Protocol", &protocols.join(", "));
    }
    for (name, value) in headers {
        line(&mut head, name, value);
    }
    head.push_str("\r\n");
    head
}

fn line(head: &mut String, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _infallible = write!(head, "{name}: {value}\r\n");
}

impl Answer {
    /// Reads the head of an answer; `None` while it is incomplete.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, AnswerError> {
        let mut headers = [httparse::EMPTY_HEADER; crate::HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(bytes) {
            Ok(httparse::Status::Complete(head_len)) => Ok(Some(Self {
                status: response.code.ok_or(AnswerError::NotHttp)?,
                headers: response
                    .headers
                    .iter()
                    .map(|header| {
                        let value = String::from_utf8_lossy(header.value).into_owned();
                        (header.name.to_owned(), value)
                    })
                    .collect(),
                head_len,
            })),
            Ok(httparse::Status::Partial) if bytes.len() <= crate::HEAD_BYTES_MAX => Ok(None),
            _ => Err(AnswerError::NotHttp),
        }
    }

    /// A header of the answer, compared without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Checks the extensions of a 101: none may be there, or the one that [`DEFLATE_OFFER`] offered.
    ///
    /// Source: RFC 6455, section 4.1 (a client fails a connection whose extensions it did not offer).
    pub fn check_extensions(
        &self,
        deflate_offered: bool,
    ) -> Result<Option<Negotiated>, AnswerError> {
        let same = |name: &str| name.eq_ignore_ascii_case("sec-websocket-extensions");
        let values: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| same(name))
            .map(|(_, value)| value.as_str())
            .collect();
        if values.is_empty() {
            return Ok(None);
        }
        let value = values.join(", ");
        match deflate::accepted(&value) {
            Some(negotiated) if deflate_offered => Ok(Some(negotiated)),
            _ => Err(AnswerError::UnofferedExtension(value)),
        }
    }

    /// Checks a 101 against the request; gives the sub-protocol the server chose.
    pub fn check(&self, key: &str, offered: &[String]) -> Result<Option<String>, AnswerError> {
        if self.header("sec-websocket-accept") != Some(accept_key(key).as_str()) {
            return Err(AnswerError::WrongAccept);
        }
        match self.header("sec-websocket-protocol") {
            Some(chosen) if !offered.iter().any(|protocol| protocol == chosen) => {
                Err(AnswerError::UnofferedProtocol(chosen.to_owned()))
            }
            chosen => Ok(chosen.map(str::to_owned)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeflateConfig, RequestHead, Upgrade};

    #[test]
    fn a_server_accepts_what_a_client_asks() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let protocols = ["chat".to_owned()];
        let headers = [("X-A".to_owned(), "1".to_owned())];
        let head = request("localhost:1", "/dev", key, &protocols, &headers);
        let upgrade = Upgrade::check(&RequestHead::parse(head.as_bytes()).unwrap()).unwrap();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {}\r\n\
             Sec-WebSocket-Protocol: chat\r\n\r\nframes",
            upgrade.accept
        );
        let answer = Answer::parse(answer.as_bytes()).unwrap().unwrap();
        assert_eq!(answer.check(key, &protocols), Ok(Some("chat".to_owned())));
        assert_eq!(answer.check(key, &[]), Err(AnswerError::UnofferedProtocol("chat".to_owned())));
        assert_eq!(answer.check("other", &protocols), Err(AnswerError::WrongAccept));
        assert_eq!(answer.check_extensions(true), Ok(None));
    }

    #[test]
    fn compression_is_agreed_on_between_our_two_ends() {
        let agreed = DeflateConfig::default().negotiate([DEFLATE_OFFER]).unwrap();
        let answer = |value: &str| {
            let head = format!("HTTP/1.1 101 S\r\nSec-WebSocket-Extensions: {value}\r\n\r\n");
            Answer::parse(head.as_bytes()).unwrap().unwrap()
        };
        let good = answer(&agreed.header_value());
        assert_eq!(good.check_extensions(true), Ok(Some(agreed)));
        let unoffered = |value: &str| Err(AnswerError::UnofferedExtension(value.to_owned()));
        assert_eq!(good.check_extensions(false), unoffered(&agreed.header_value()));
        assert_eq!(answer("other").check_extensions(true), unoffered("other"));
    }
}
