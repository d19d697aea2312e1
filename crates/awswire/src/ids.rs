//! Ids in the shape API Gateway gives them: 11 bytes in base64url with its padding, 16 characters.
//!
//! Source: observed ids, for instance `L0SM9cOFvHcCIhw=` in the API Gateway Developer Guide.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;

const ID_BYTES: usize = 11;

/// The id of a connection: what its bytes mean is its maker's business. It is no credential.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId([u8; ID_BYTES]);

/// A text that never was a connection's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid connectionId: {0}")]
pub struct InvalidConnectionId(pub String);

impl ConnectionId {
    /// Reads an id. Text of another shape is invalid; whether the connection lives is another question.
    pub fn parse(text: &str) -> Result<Self, InvalidConnectionId> {
        (text.len() == 16)
            .then(|| BASE64_URL_SAFE.decode(text).ok())
            .flatten()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| InvalidConnectionId(text.chars().take(128).collect()))
    }

    /// The id of these bytes.
    pub fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn bytes(self) -> impl Iterator<Item = u8> {
        self.0.into_iter()
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 16]; // eleven bytes are sixteen letters
        let length = BASE64_URL_SAFE.encode_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        let text = text.get(..length).and_then(|text| str::from_utf8(text).ok());
        out.write_str(text.ok_or(fmt::Error)?)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ConnectionId({self})")
    }
}

/// Gives request ids and message ids: unique within a process and unlikely to meet those of another.
#[derive(Debug)]
pub struct RequestIds {
    next: AtomicU64,
    salt: [u8; 3],
}

impl RequestIds {
    /// A source of ids; `None` when the system has no random source.
    pub fn new() -> Option<Self> {
        let mut seed = [0; ID_BYTES];
        rand::fill(&mut seed).ok()?;
        let [a, b, c, d, e, f, g, h, salt @ ..] = seed;
        Some(Self { next: AtomicU64::new(u64::from_be_bytes([a, b, c, d, e, f, g, h])), salt })
    }

    /// The next id.
    pub fn next(&self) -> String {
        let [a, b, c, d, e, f, g, h] = self.number().to_be_bytes();
        let [x, y, z] = self.salt;
        BASE64_URL_SAFE.encode([a, b, c, d, e, f, g, h, x, y, z])
    }

    /// A new root of a trace: `Root=1-{time}-{id}`, as in `X-Amzn-Trace-Id`.
    ///
    /// Source: AWS X-Ray Developer Guide, "Tracing header": 8 and 24 hexadecimal digits.
    pub fn trace(&self, epoch_millis: u64) -> String {
        let [x, y, z] = self.salt;
        let seconds = (epoch_millis / 1000) & 0xffff_ffff;
        format!("Root=1-{seconds:08x}-{:016x}{x:02x}{y:02x}{z:02x}00", self.number())
    }

    /// The next id of an invocation, in the form of a random UUID as Lambda's are.
    ///
    /// Source: RFC 9562, section 5.4: four bits tell the version, two the variant.
    pub fn invocation(&self) -> String {
        let (high, low) = (self.number(), self.number());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            ((low >> 48) & 0x3fff) | 0x8000,
            low & 0xffff_ffff_ffff
        )
    }

    fn number(&self) -> u64 {
        mix(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// A permutation of 64-bit numbers (the finaliser of `SplitMix64`), so that consecutive ids differ at a glance.
fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_connection_id_has_the_shape_of_the_service() {
        let id = ConnectionId::from_bytes([7; ID_BYTES]);
        let text = id.to_string();
        assert_eq!(text.len(), 16);
        assert!(text.ends_with('='));
        assert_eq!(ConnectionId::parse(&text), Ok(id));
    }

    #[test]
    fn a_path_is_not_a_connection_id() {
        for text in [
            "",
            "abc",
            "L0SM9cOFvHcCIhw",
            "L0SM9cOFvHcCIhw==",
            "../../../../etc/",
            "L0SM9cOF+HcCIhw=",
        ] {
            let error = ConnectionId::parse(text).unwrap_err();
            assert_eq!(error.to_string(), format!("Invalid connectionId: {text}"));
        }
    }

    #[test]
    fn a_trace_begins_with_the_time() {
        let trace = RequestIds::new().unwrap().trace(0x67a1_c2d3 * 1000);
        assert!(trace.starts_with("Root=1-67a1c2d3-"), "{trace}");
        assert_eq!(trace.len(), "Root=1-67a1c2d3-0a1b2c3d4e5f60718293a4b5".len());
    }

    #[test]
    fn an_id_of_an_invocation_is_a_uuid_of_the_fourth_version() {
        let ids = RequestIds::new().unwrap();
        let seen: HashSet<_> = (0..10_000).map(|_| ids.invocation()).collect();
        assert_eq!(seen.len(), 10_000);
        for id in seen {
            let lengths: Vec<_> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
            assert!(id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()), "{id}");
            assert_eq!(id.get(14..15), Some("4"), "{id}");
            assert!(id.get(19..20).is_some_and(|variant| "89ab".contains(variant)), "{id}");
        }
    }

    #[test]
    fn request_ids_do_not_repeat() {
        let ids = RequestIds::new().unwrap();
        let seen: HashSet<_> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(seen.len(), 10_000);
        assert!(seen.iter().all(|id| id.len() == 16 && id.ends_with('=')));
    }
}
