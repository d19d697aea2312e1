//! What the service refuses, in the form in which SDKs parse it.
//!
//! Source: service model `lambda`, the shapes of errors: each has `Type`, and `message` or `Message`.

use serde_json::json;
use stillwire_model::{InvokeError, LambdaReply};

use crate::members::put;
use crate::request::reply;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    status: u16,
    code: &'static str,
    message: String,
    /// Which limit was met.
    reason: Option<&'static str>,
}

/// An answer, or a refusal.
pub(crate) type Answered<T> = Result<T, Refused>;

/// The errors whose text is in `Message`.
const CAPITAL: [&str; 4] = [
    "ResourceNotFoundException",
    "ServiceException",
    "AccessDeniedException",
    "InvalidZipFileException",
];

/// Seconds after which a throttled caller may try again. Choice: invocations here are short.
const RETRY_AFTER_SECONDS: &str = "1";

impl Refused {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), reason: None }
    }

    /// What went wrong, for people here.
    pub(crate) fn into_message(self) -> String {
        self.message
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "ResourceNotFoundException", message)
    }

    pub(crate) fn no_function(arn: &str) -> Self {
        Self::not_found(format!("Function not found: {arn}"))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterValueException", message)
    }

    /// A member that is not what the service's model says.
    pub(crate) fn invalid_member(value: &str, member: &str, constraint: &str) -> Self {
        let value: String = value.chars().take(100).collect();
        let text = format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
        );
        Self::new(400, "ValidationException", text)
    }

    pub(crate) fn content(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidRequestContentException", message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "ResourceConflictException", message)
    }

    pub(crate) fn outdated() -> Self {
        let text = "The RevisionId provided does not match the latest RevisionId. Call the \
                    GetFunction/GetAlias API to retrieve the latest RevisionId";
        Self::new(412, "PreconditionFailedException", text)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "RequestTooLargeException", message)
    }

    pub(crate) fn throttled(reason: &'static str) -> Self {
        let refused = Self::new(429, "TooManyRequestsException", "Rate Exceeded.");
        Self { reason: Some(reason), ..refused }
    }

    /// The change could not be written down, so it was not made.
    pub(crate) fn not_kept(error: &std::io::Error) -> Self {
        tracing::error!(%error, "cannot keep the functions");
        let text = format!("the change cannot be kept, so it was not made: {error}");
        Self::new(500, "ServiceException", text)
    }

    pub(crate) fn internal() -> Self {
        Self::new(500, "ServiceException", "Internal failure")
    }

    /// A path that is none of the service's.
    pub(crate) fn unknown_path() -> Self {
        Self::new(404, "UnknownOperationException", "there is no such operation")
    }

    /// Something that this service can do on AWS and not here.
    ///
    /// SDKs do not repeat a request that got a status below 500.
    pub(crate) fn not_here(what: &str) -> Self {
        Self::invalid(format!("{what}, which is not served here"))
    }

    pub(crate) fn reply(&self) -> LambdaReply {
        let member = if CAPITAL.contains(&self.code) { "Message" } else { "message" };
        let kind = if self.status < 500 { "User" } else { "Service" };
        let mut body = json!({ "Type": kind, member: self.message });
        if let Some(reason) = self.reason {
            put(&mut body, "Reason", reason);
        }
        let mut reply = reply(self.status, body.to_string());
        reply.headers.push(("x-amzn-errortype", self.code.to_owned()));
        if self.status == 429 {
            reply.headers.push(("retry-after", RETRY_AFTER_SECONDS.to_owned()));
        }
        reply
    }
}

impl From<InvokeError> for Refused {
    fn from(error: InvokeError) -> Self {
        match error {
            InvokeError::UnknownFunction(arn) => Self::no_function(arn.as_str()),
            InvokeError::UnknownQualifier { function, qualifier } => {
                Self::no_function(&format!("{function}:{qualifier}"))
            }
            InvokeError::Throttled { reason, .. } => Self::throttled(reason),
            InvokeError::Unavailable { function, reason } => {
                Self::conflict(format!("The function {function} cannot be run: {reason}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_where_sdks_look_for_it() {
        let text = |refused: Refused| String::from_utf8(refused.reply().body.to_vec()).unwrap();
        assert_eq!(
            text(Refused::no_function("arn")),
            r#"{"Type":"User","Message":"Function not found: arn"}"#
        );
        assert_eq!(text(Refused::conflict("no")), r#"{"Type":"User","message":"no"}"#);
        let throttled = Refused::throttled("X").reply();
        assert_eq!(
            throttled.body,
            r#"{"Type":"User","message":"Rate Exceeded.","Reason":"X"}"#.as_bytes()
        );
        assert!(throttled.headers.contains(&("retry-after", "1".to_owned())));
        let code = ("x-amzn-errortype", "TooManyRequestsException".to_owned());
        assert!(throttled.headers.contains(&code));
    }
}
