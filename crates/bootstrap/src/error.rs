//! What the services refuse.

use std::io;

/// An answer, or a refusal.
pub(crate) type Answered<T> = Result<T, Refused>;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationException", message)
    }

    /// An operation that is not among those that deploy tools call.
    pub(crate) fn unserved(service: &str, operation: &str) -> Self {
        let shown: String = operation.chars().take(100).collect();
        let message = format!(
            "{shown} is not served: of {service}, Stillwire has what deploy tools call, no more"
        );
        Self::new(400, "UnknownOperationException", message)
    }

    /// The change could not be written down, so it was not made.
    pub(crate) fn not_kept(error: &io::Error) -> Self {
        tracing::error!(%error, "cannot keep a change");
        let message = format!("the change cannot be kept, so it was not made: {error}");
        Self::new(500, "InternalFailure", message)
    }
}
