//! What the control plane refuses, in the words of the service where they are known.

use std::fmt::{self, Write as _};

use serde_json::Value;
use stillwire_awswire::ServiceError;
use stillwire_model::ControlReply;

/// A refusal.
pub(crate) type Refused = ServiceError;

/// An answer, or a refusal.
pub(crate) type Answered<T> = Result<T, Refused>;

pub(crate) fn bad_request(message: impl Into<String>) -> Refused {
    ServiceError::rest(400, "BadRequestException", message)
}

pub(crate) fn conflict(message: impl Into<String>) -> Refused {
    ServiceError::rest(409, "ConflictException", message)
}

pub(crate) fn not_found(message: impl Into<String>) -> Refused {
    ServiceError::rest(404, "NotFoundException", message)
}

/// A path that is none of the service's.
pub(crate) fn unknown_path() -> Refused {
    ServiceError::rest(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
}

/// The change could not be written down, so it was not made.
pub(crate) fn not_kept(error: &std::io::Error) -> Refused {
    tracing::error!(%error, "cannot keep the control plane's state");
    let message = format!("the change cannot be kept, so it was not made: {error}");
    ServiceError::rest(500, "InternalFailure", message)
}

pub(crate) fn reply(refused: &Refused) -> ControlReply {
    ControlReply { status: refused.status, error: Some(refused.code), body: refused.body_text() }
}

/// All that is wrong with a request, told at once.
///
/// Source: observed wording of validation errors of AWS services.
#[derive(Debug, Default)]
pub(crate) struct Invalid {
    count: usize,
    text: String,
}

/// Mistakes that are told; the rest is only counted.
const TOLD_MAX: usize = 20;

/// Characters of a value that are told.
const VALUE_CHARS_MAX: usize = 100;

impl Invalid {
    pub(crate) fn add(&mut self, path: &str, value: &Value, constraint: &str) {
        self.count += 1;
        if self.count > TOLD_MAX {
            return;
        }
        let separator = if self.text.is_empty() { "" } else { "; " };
        let value = match value {
            Value::Null => "null".to_owned(),
            Value::String(text) => format!("'{text}'"),
            other => format!("'{other}'"),
        };
        let value: String = value.chars().take(VALUE_CHARS_MAX).collect();
        // Writing to a String cannot fail.
        write!(
            self.text,
            "{separator}Value {value} at '{path}' failed to satisfy constraint: {constraint}"
        )
        .ok();
    }

    pub(crate) fn check(self) -> Result<(), Self> {
        if self.count == 0 { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.count == 1 { "error" } else { "errors" };
        write!(out, "{} validation {noun} detected: {}", self.count, self.text)
    }
}

impl From<Invalid> for Refused {
    fn from(invalid: Invalid) -> Self {
        bad_request(invalid.to_string())
    }
}
