//! Errors as SDKs parse them.

use serde_json::json;

/// An error answer of a service.
///
/// SDKs find the error's code in the `x-amzn-ErrorType` header (REST services) or in `__type` of the body
/// (JSON protocol services).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceError {
    /// The HTTP status.
    pub status: u16,
    /// The error's code, for instance `GoneException`.
    pub code: &'static str,
    /// What the body holds.
    pub body: ErrorBody,
}

/// The body of an error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorBody {
    /// Nothing, as the management API answers 410.
    Empty,
    /// `{"message": …}`
    Message(String),
    /// `{"Message": …}`, as IAM's refusals are told.
    Refusal(String),
    /// `{"__type": …, "message": …}`, for the JSON protocols.
    Typed(String),
}

impl ServiceError {
    /// An error of a REST service.
    pub fn rest(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, body: ErrorBody::Message(message.into()) }
    }

    /// The JSON text of the body.
    pub fn body_text(&self) -> String {
        match &self.body {
            ErrorBody::Empty => String::new(),
            ErrorBody::Message(message) => json!({ "message": message }).to_string(),
            ErrorBody::Refusal(message) => json!({ "Message": message }).to_string(),
            ErrorBody::Typed(message) => {
                json!({ "__type": self.code, "message": message }).to_string()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_what_sdks_parse() {
        let error = ServiceError::rest(403, "ForbiddenException", "Forbidden");
        assert_eq!(error.body_text(), r#"{"message":"Forbidden"}"#);
        let body = ErrorBody::Refusal("User: x is not authorized".into());
        let refused = ServiceError { status: 403, code: "AccessDeniedException", body };
        assert_eq!(refused.body_text(), r#"{"Message":"User: x is not authorized"}"#);
        let gone = ServiceError { status: 410, code: "GoneException", body: ErrorBody::Empty };
        assert_eq!(gone.body_text(), "");
        let typed = ServiceError { status: 400, code: "X", body: ErrorBody::Typed("no".into()) };
        assert_eq!(typed.body_text(), r#"{"__type":"X","message":"no"}"#);
    }
}
