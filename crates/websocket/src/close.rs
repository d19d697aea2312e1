//! Close codes and the payload of close frames.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ProtocolError;

/// A close code as it may stand in a close frame.
///
/// Source: RFC 6455, sections 7.4.1 and 7.4.2, and the IANA registry (1012 to 1014).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u16", try_from = "u16")]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the endpoint goes away.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that is not accepted (here: binary).
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a policy was violated.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1011: the server met something unexpected.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts.
    pub const SERVICE_RESTART: Self = Self(1012);

    /// The code, where it is one that may be sent: 1000 to 1003, 1007 to 1014, 3000 to 4999.
    ///
    /// 1004 to 1006 and 1015 are reserved and never on the wire.
    pub fn new(code: u16) -> Option<Self> {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999).then_some(Self(code))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl TryFrom<u16> for CloseCode {
    type Error = ProtocolError;

    fn try_from(code: u16) -> Result<Self, ProtocolError> {
        Self::new(code).ok_or(ProtocolError::BadCloseCode(code))
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// What a close frame says: a code and a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseFrame {
    /// Why, as a number.
    pub code: CloseCode,
    /// Why, as text of at most 123 bytes.
    pub reason: String,
}

impl CloseFrame {
    /// Reads the payload of a close frame; an empty one has no code.
    ///
    /// # Errors
    /// When the payload is one byte long, the code may not be sent, or the reason is not UTF-8.
    pub fn parse(payload: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let (code, reason) = match payload {
            [] => return Ok(None),
            [_] => return Err(ProtocolError::BadClosePayload),
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        };
        let code = CloseCode::new(code).ok_or(ProtocolError::BadCloseCode(code))?;
        let reason = str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?.to_owned();
        Ok(Some(Self { code, reason }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_codes_are_never_on_the_wire() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert_eq!(CloseCode::new(code), None, "{code}");
        }
        for code in [1000, 1003, 1007, 1014, 3000, 4999] {
            assert_eq!(CloseCode::new(code).map(CloseCode::get), Some(code));
        }
    }

    #[test]
    fn a_close_payload_is_empty_or_has_a_code_and_a_text() {
        assert_eq!(CloseFrame::parse(&[]), Ok(None));
        let bye = CloseFrame { code: CloseCode(4001), reason: "bye".to_owned() };
        assert_eq!(CloseFrame::parse(b"\x0f\xa1bye"), Ok(Some(bye)));
        assert_eq!(CloseFrame::parse(&[3]), Err(ProtocolError::BadClosePayload));
        assert_eq!(CloseFrame::parse(&[3, 0xed]), Err(ProtocolError::BadCloseCode(1005)));
        assert_eq!(CloseFrame::parse(&[3, 0xe8, 0xff]), Err(ProtocolError::InvalidUtf8));
    }
}
