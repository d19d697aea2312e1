//! Signature Version 4: who calls, verified or signed.
//!
//! [`verify()`] checks a request as it came in, in the header form and in the query (presigned) form; [`sign()`] and
//! [`presign`] make what it accepts. [`CredentialScope`] only reads who a request claims to be, for endpoints on loopback
//! where anyone who can reach them could read the keys as well. Nothing here reads a clock or looks up a key by itself.
//!
//! ```
//! use stillwire_awswire::*;
//! let keys = Credentials::new("AKID", "secret");
//! let scope = SigningScope { region: "eu-west-1", service: "execute-api", epoch_seconds: 1_738_660_353 };
//! let mut request = RawRequest::new("GET", "/prod/@connections/Qm3vTdYxIAMCE4w%3D");
//! request.headers.push(("host", "localhost:7800"));
//! let made = sign(&request, &keys, &scope);
//! request.headers.extend(made.iter().map(|(name, value)| (*name, value.as_str())));
//!
//! let expected = Expected::new("execute-api", 1_738_660_353);
//! let caller = verify(&request, &expected, &|_key| Some(Secret::new("secret")))?;
//! assert_eq!(caller.scope.access_key, "AKID");
//! # Ok::<(), SignatureError>(())
//! ```
//!
//! Source: AWS IAM User Guide, "AWS Signature Version 4 for API requests", and its public test suite.

mod canonical;
mod error;
mod scope;
mod sign;
mod time;
mod verify;

#[cfg(test)]
mod tests;

use aws_lc_rs::{digest, hmac};

pub use error::{Mismatch, SignatureError};
pub use scope::{CredentialScope, InvalidAuthorization};
pub use sign::{Credentials, SigningScope, presign, sign};
pub use verify::{Expected, Secret, Verified, verify};

/// The only algorithm there is.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The last field of a scope.
const TERMINATOR: &str = "aws4_request";
/// What stands for the hash of a body that is not signed.
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// A request as it is on the wire.
#[derive(Debug, Clone)]
pub struct RawRequest<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// The path with its percent-encoding, without the query.
    pub path: &'a str,
    /// The query with its percent-encoding, without the `?`; empty when there is none.
    pub query: &'a str,
    /// The headers in order; names in any case.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The body.
    pub payload: Payload<'a>,
}

impl<'a> RawRequest<'a> {
    /// A request without query, headers and body.
    pub fn new(method: &'a str, path: &'a str) -> Self {
        Self { method, path, query: "", headers: Vec::new(), payload: Payload::Body(b"") }
    }
}

/// The body of a request, or its hash when the body is elsewhere.
#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    /// The body.
    Body(&'a [u8]),
    /// The SHA-256 of the body.
    Sha256([u8; 32]),
}

impl Payload<'_> {
    fn hash(&self) -> String {
        match self {
            Self::Body(body) => sha256_hex(body),
            Self::Sha256(hash) => hex(hash),
        }
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The text that is signed.
fn string_to_sign(date: &str, scope: &str, canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{date}\n{scope}\n{}", sha256_hex(canonical_request.as_bytes()))
}

/// The signature of a text, in hexadecimal digits.
fn signature(secret: &str, day: &str, region: &str, service: &str, text: &str) -> String {
    let step = |key: &[u8], message: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes())
    };
    let key = step(format!("AWS4{secret}").as_bytes(), day);
    let key = step(key.as_ref(), region);
    let key = step(key.as_ref(), service);
    let key = step(key.as_ref(), TERMINATOR);
    hex(step(key.as_ref(), text).as_ref())
}
