//! What a client sees when something goes wrong: one place decides, so reading it is reading our manners.
//!
//! Source: API Gateway, observed error frames and handshake statuses; the spacing of the frame is observed too
//! (a space after the first colon, none after the others), and clients match on it.

use std::sync::Arc;

use stillwire_awswire::ConnectionId;
use stillwire_model::InvokeError;

/// Why a message, or a handshake, did not lead to an answer of the application.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// No route takes the message.
    #[error("no route has this key, and there is no $default route")]
    NoRoute,
    /// The message is not what the route's model says.
    #[error("the message is not what the model says: {0}")]
    BadRequestBody(String),
    /// The handshake lacks a parameter that the route requires.
    #[error("the required {0} is missing")]
    MissingParameter(String),
    /// The stage's limit for the route is used up.
    #[error("the route is throttled")]
    Throttled,
    /// The handshake has no API key that opens the stage.
    #[error("{0}")]
    InvalidApiKey(&'static str),
    /// The API key is used faster than its plan allows.
    #[error("the API key is used faster than its usage plan {0} allows")]
    KeyThrottled(Arc<str>),
    /// The API key is used more often than its plan allows.
    #[error("the quota of the API key's usage plan {0} is used up")]
    QuotaExceeded(Arc<str>),
    /// The function failed: it raised, crashed or ran out of its own time.
    #[error("the function failed")]
    FunctionFailed,
    /// The function's result is not a proxy response.
    #[error("the function's result is not a proxy response: {0}")]
    MalformedResponse(&'static str),
    /// The integration took longer than it may.
    #[error("the integration did not answer in time")]
    TimedOut,
    /// There is no template for the message, and it may not pass without.
    #[error("no template takes the message, and it may not pass without one")]
    UnsupportedMedia,
    /// A mapping template does not render.
    #[error("a mapping template does not render: {0}")]
    Template(String),
    /// A payload that is to become binary is not base64.
    #[error("CONVERT_TO_BINARY: the payload is not base64: {0}")]
    NotConverted(String),
    /// What is to be sent is no text, and the stage has text messages only.
    #[error("the answer is not UTF-8 text, and this stage sends text messages only")]
    NotText,
    /// No integration response is for the backend's answer.
    #[error("no integration response is for this answer, and there is no $default one")]
    NoIntegrationResponse,
    /// The backend cannot be reached.
    #[error("the backend cannot be reached: {0}")]
    Unreachable(String),
    /// The integration cannot be called here.
    #[error("the integration cannot be called: {0}")]
    Unavailable(String),
    /// The function could not be invoked.
    #[error(transparent)]
    NotInvoked(#[from] InvokeError),
}

impl Failure {
    /// The `message` of the error frame.
    pub(crate) fn frame_text(&self) -> &'static str {
        match self {
            Self::NoRoute | Self::InvalidApiKey(_) => "Forbidden",
            Self::BadRequestBody(_) => "Bad request body",
            Self::MissingParameter(_) => "Bad Request",
            Self::Throttled | Self::KeyThrottled(_) => "Too Many Requests",
            Self::QuotaExceeded(_) => "Limit Exceeded",
            Self::TimedOut => "Endpoint request timed out",
            Self::UnsupportedMedia => "Unsupported media type",
            Self::FunctionFailed
            | Self::MalformedResponse(_)
            | Self::Template(_)
            | Self::NotConverted(_)
            | Self::NotText
            | Self::NoIntegrationResponse
            | Self::Unreachable(_)
            | Self::Unavailable(_)
            | Self::NotInvoked(_) => "Internal server error",
        }
    }

    /// The status that a handshake is refused with.
    pub(crate) fn handshake_status(&self) -> u16 {
        match self {
            Self::NoRoute | Self::InvalidApiKey(_) => 403,
            Self::BadRequestBody(_) | Self::MissingParameter(_) => 400,
            Self::Throttled | Self::KeyThrottled(_) | Self::QuotaExceeded(_) => 429,
            Self::FunctionFailed | Self::MalformedResponse(_) => 502,
            Self::TimedOut | Self::Unreachable(_) => 504,
            Self::UnsupportedMedia => 415,
            Self::Template(_)
            | Self::NotConverted(_)
            | Self::NotText
            | Self::NoIntegrationResponse
            | Self::Unavailable(_)
            | Self::NotInvoked(_) => 500,
        }
    }
}

/// Whose fault a failure is, as metrics tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request was refused before its integration was called.
    Client,
    /// The integration answered with an error.
    Integration,
    /// The integration could not be called, or what came back could not be used.
    Execution,
}

impl Failure {
    /// Whose fault it is. Choice: a function that fails is an integration that answers with an error.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::NoRoute
            | Self::BadRequestBody(_)
            | Self::MissingParameter(_)
            | Self::Throttled
            | Self::InvalidApiKey(_)
            | Self::KeyThrottled(_)
            | Self::QuotaExceeded(_)
            | Self::UnsupportedMedia => Fault::Client,
            Self::FunctionFailed | Self::MalformedResponse(_) => Fault::Integration,
            Self::TimedOut
            | Self::Template(_)
            | Self::NotConverted(_)
            | Self::NotText
            | Self::NoIntegrationResponse
            | Self::Unreachable(_)
            | Self::Unavailable(_)
            | Self::NotInvoked(_) => Fault::Execution,
        }
    }

    /// The type of the answer, as access logs name it (`$context.error.responseType`).
    ///
    /// Source: API Gateway, gateway response types of REST APIs. Choice: WebSocket APIs are not documented to differ.
    pub(crate) fn response_type(&self) -> &'static str {
        match self {
            Self::NoRoute => "MISSING_AUTHENTICATION_TOKEN",
            Self::BadRequestBody(_) => "BAD_REQUEST_BODY",
            Self::MissingParameter(_) => "BAD_REQUEST_PARAMETERS",
            Self::Throttled | Self::KeyThrottled(_) => "THROTTLED",
            Self::InvalidApiKey(_) => "INVALID_API_KEY",
            Self::QuotaExceeded(_) => "QUOTA_EXCEEDED",
            Self::FunctionFailed | Self::MalformedResponse(_) | Self::Unreachable(_) => {
                "INTEGRATION_FAILURE"
            }
            Self::UnsupportedMedia => "UNSUPPORTED_MEDIA_TYPE",
            Self::TimedOut => "INTEGRATION_TIMEOUT",
            Self::Template(_)
            | Self::NotConverted(_)
            | Self::NotText
            | Self::NoIntegrationResponse
            | Self::Unavailable(_)
            | Self::NotInvoked(_) => "API_CONFIGURATION_ERROR",
        }
    }

    /// What is wrong with a body that its model does not allow.
    pub(crate) fn validation_error(&self) -> Option<String> {
        match self {
            Self::BadRequestBody(problems) => Some(problems.clone()),
            _ => None,
        }
    }
}

/// The error frame for a message that could not be handled. The connection stays open.
///
/// Source: observed; "Request validation for WebSocket APIs" shows the message's id where a body is refused. Choice: both
/// ids then, so that readers of either find theirs.
pub(crate) fn error_frame(
    failure: &Failure,
    connection: ConnectionId,
    request_id: &str,
    message_id: &str,
) -> String {
    let text = failure.frame_text();
    let ids = match failure {
        Failure::BadRequestBody(_) => {
            format!(r#""messageId":"{message_id}", "requestId":"{request_id}""#)
        }
        _ => format!(r#""requestId":"{request_id}""#),
    };
    format!(r#"{{"message": "{text}", "connectionId":"{connection}", {ids}}}"#)
}

/// The text of a gateway's own answer with this status, as it stands in `{"message": …}`.
pub(crate) fn status_text(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        408 => "Request Timeout",
        414 => "Request URI Too Long",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request header fields too large",
        503 => "Service Unavailable",
        504 => "Endpoint request timed out",
        505 => "HTTP Version Not Supported",
        _ => "Internal server error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_frame_has_the_spacing_of_the_service() {
        let connection = ConnectionId::parse("L0SM9cOFvHcCIhw=").unwrap();
        assert_eq!(
            error_frame(&Failure::NoRoute, connection, "PbTk7ET8IAMFs2g=", "PbTk8fakeIAMFs2="),
            r#"{"message": "Forbidden", "connectionId":"L0SM9cOFvHcCIhw=", "requestId":"PbTk7ET8IAMFs2g="}"#
        );
    }
}
