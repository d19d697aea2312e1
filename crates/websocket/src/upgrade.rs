//! The server's decision about an opening handshake.
//!
//! Source: RFC 6455, section 4.2.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::RequestHead;

/// A handshake that may be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// The value of `Sec-WebSocket-Accept` that proves the handshake was understood.
    pub accept: String,
    /// The sub-protocols the client offers, in its order of preference.
    pub protocols: Vec<String>,
}

/// Why a request cannot become a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// It does not ask for it: `Upgrade: websocket` or `Connection: upgrade` is missing.
    #[error("the request does not ask for a WebSocket")]
    NotAsked,
    /// The method is not GET, or the version is HTTP/1.0.
    #[error("a WebSocket begins with GET over HTTP/1.1")]
    Method,
    /// `Sec-WebSocket-Version` is not 13.
    #[error("only WebSocket version 13 is spoken")]
    Version,
    /// There is not exactly one `Sec-WebSocket-Key` of 16 bytes in base64.
    #[error("Sec-WebSocket-Key is missing or malformed")]
    Key,
    /// The request has a body.
    #[error("a handshake has no body")]
    Body,
}

impl UpgradeError {
    /// The HTTP status to answer with.
    pub fn status(self) -> u16 {
        match self {
            // 426 also tells a plain GET what this address is for.
            Self::NotAsked | Self::Version => 426,
            Self::Method | Self::Key | Self::Body => 400,
        }
    }
}

impl Upgrade {
    /// Checks a handshake.
    pub fn check(head: &RequestHead) -> Result<Self, UpgradeError> {
        if !head.asks_for_websocket() || !head.has_token("connection", "upgrade") {
            return Err(UpgradeError::NotAsked);
        }
        if head.method != "GET" || !head.http_1_1 {
            return Err(UpgradeError::Method);
        }
        if head.all("transfer-encoding").next().is_some()
            || head.all("content-length").any(|len| len.bytes().any(|digit| digit != b'0'))
        {
            return Err(UpgradeError::Body);
        }
        let mut versions = head.all("sec-websocket-version");
        if (versions.next(), versions.next()) != (Some("13"), None) {
            return Err(UpgradeError::Version);
        }
        let mut keys = head.all("sec-websocket-key");
        let (Some(key), None) = (keys.next(), keys.next()) else { return Err(UpgradeError::Key) };
        if key.len() != 24 || BASE64_STANDARD.decode(key).map_or(true, |key| key.len() != 16) {
            return Err(UpgradeError::Key);
        }
        let protocols = head
            .all("sec-websocket-protocol")
            .flat_map(|value| value.split(','))
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect();
        Ok(Self { accept: accept_key(key), protocols })
    }
}

/// The `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`.
///
/// Source: RFC 6455, section 1.3.
pub fn accept_key(key: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(context.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "GET /dev HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\n\
        Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat.v2, chat.v1\r\n\r\n";

    fn check(head: &str) -> Result<Upgrade, UpgradeError> {
        Upgrade::check(&RequestHead::parse(head.as_bytes()).unwrap())
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let upgrade = check(GOOD).unwrap();
        assert_eq!(upgrade.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(upgrade.protocols, ["chat.v2", "chat.v1"]);
    }

    #[test]
    fn every_missing_or_wrong_piece_has_its_answer() {
        use UpgradeError as E;
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        for (from, to, error) in [
            ("GET", "POST", E::Method),
            ("HTTP/1.1", "HTTP/1.0", E::Method),
            ("Upgrade: WebSocket\r\n", "", E::NotAsked),
            ("keep-alive, Upgrade", "keep-alive", E::NotAsked),
            ("Upgrade: WebSocket", "Upgrade: h2c", E::NotAsked),
            ("Version: 13", "Version: 12", E::Version),
            (key, "", E::Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "", E::Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", E::Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "not base64 of 24 chars !", E::Key),
            (key, &key.repeat(2), E::Key),
            ("Host: a\r\n", "Host: a\r\nContent-Length: 5\r\n", E::Body),
        ] {
            assert_eq!(check(&GOOD.replacen(from, to, 1)), Err(error), "{from:?} -> {to:?}");
        }
    }
}
