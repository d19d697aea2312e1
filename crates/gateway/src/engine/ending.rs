//! How a connection ends: what its `$disconnect` event says, and what the client gets.

use serde::{Deserialize, Serialize};
use stillwire_websocket::{CloseCode, CloseFrame, ProtocolError};

/// How a connection ended: what its `$disconnect` event says, and the close frame the client gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// `disconnectStatusCode`.
    pub status_code: u16,
    /// `disconnectReason`.
    pub reason: String,
    /// What is due to the client.
    pub goodbye: Goodbye,
}

/// The close frame that a client gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Goodbye {
    /// None: its socket is gone.
    Silent,
    /// One without a code.
    Bare,
    /// One with a code and a reason.
    Frame(CloseFrame),
}

impl Ending {
    /// The client sent a close frame; it gets the same one back.
    ///
    /// Source: observed `$disconnect` events: 1005 with this text where the frame has no code.
    pub(crate) fn by_client(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(frame) => Self {
                status_code: frame.code.get(),
                reason: frame.reason.clone(),
                goodbye: Goodbye::Frame(CloseFrame { reason: String::new(), ..frame }),
            },
            None => Self {
                status_code: 1005,
                reason: "Client-side close frame status not set".to_owned(),
                goodbye: Goodbye::Bare,
            },
        }
    }

    /// Idle too long, too old, or the gateway stops.
    ///
    /// Source: observed: code 1001, reason `Going away`, for the client and in the event.
    pub(crate) fn going_away() -> Self {
        Self::by_gateway(CloseCode::GOING_AWAY, "Going away")
    }

    /// `DELETE @connections/{id}`. Choice: 1000 without a reason.
    pub(crate) fn deleted() -> Self {
        Self::by_gateway(CloseCode::NORMAL, "")
    }

    /// The client broke the protocol or a limit.
    pub(crate) fn by_violation(error: ProtocolError) -> Self {
        let reason = match error.close_code() {
            CloseCode::MESSAGE_TOO_BIG => "Message too big",
            CloseCode::UNSUPPORTED_DATA => "Unsupported data",
            CloseCode::INVALID_PAYLOAD => "Invalid payload data",
            _ => "Protocol error",
        };
        Self::by_gateway(error.close_code(), reason)
    }

    /// The TCP connection is gone, or the task that held it. Choice: 1006 without a reason.
    pub(crate) fn lost() -> Self {
        Self { status_code: 1006, reason: String::new(), goodbye: Goodbye::Silent }
    }

    /// A client that takes no bytes, leaves messages unfinished, or floods.
    pub(crate) fn by_policy(reason: &str) -> Self {
        Self::by_gateway(CloseCode::POLICY_VIOLATION, reason)
    }

    fn by_gateway(code: CloseCode, reason: &str) -> Self {
        let frame = CloseFrame { code, reason: reason.to_owned() };
        let goodbye = Goodbye::Frame(frame);
        Self { status_code: code.get(), reason: reason.to_owned(), goodbye }
    }
}
