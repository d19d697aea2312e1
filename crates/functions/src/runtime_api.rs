//! The Runtime API, version 2018-06-01: what runtimes ask, and what they are answered.
//!
//! It knows no state: whether a call fits the moment is decided by the environment, which owns the state. Our own bootstraps
//! come by `runtime_link`, all others by `listener` and `runtime_http`.
//!
//! Source: AWS Lambda Developer Guide, "Using the Lambda runtime API"; the public emulator for errors.

use std::pin::Pin;

use bytes::Bytes;
use hyper::StatusCode;
use stillwire_model::limits;
use tokio::sync::oneshot;

/// The largest header block. A runtime may send its stack traces in one header (below 1 MB).
pub(crate) const HEADER_BYTES_MAX: usize = 1280 * 1024;
/// The largest answer that is read to its end, though it is refused; beyond it the connection is closed.
pub(crate) const DISCARD_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The largest error object.
const ERROR_BYTES_MAX: usize = limits::INVOKE_RESPONSE_BYTES_MAX;

const ROOT: &str = "/2018-06-01/";
pub(crate) const MODE: &str = "lambda-runtime-function-response-mode";

/// What a runtime asks of its environment; each is to be answered.
#[derive(Debug)]
pub(crate) struct Call {
    /// What it asks.
    pub(crate) kind: CallKind,
    /// Where the answer goes.
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The kinds of calls.
#[derive(Debug)]
pub(crate) enum CallKind {
    /// It is ready for an event.
    Next,
    /// The handler's result; `None` is one larger than allowed.
    Response {
        /// For which invocation.
        id: String,
        /// The result.
        body: Option<Bytes>,
    },
    /// A result that broke off.
    Truncated {
        /// For which invocation.
        id: String,
    },
    /// The handler's error.
    Error {
        /// For which invocation.
        id: String,
        /// The error object.
        body: Bytes,
    },
    /// The function cannot be initialised.
    InitError(Bytes),
}

/// An answer: status, extra headers and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Answer {
    /// An event.
    pub(crate) fn event(headers: Vec<(&'static str, String)>, body: Bytes) -> Self {
        Self { status: StatusCode::OK, headers, body }
    }

    /// 202: taken.
    pub(crate) fn accepted() -> Self {
        let body = Bytes::from_static(b"{\"status\":\"OK\"}\n");
        Self { status: StatusCode::ACCEPTED, headers: Vec::new(), body }
    }

    /// 413: the result is larger than a result may be.
    pub(crate) fn too_large() -> Self {
        let message = format!(
            "Exceeded maximum allowed payload size ({} bytes).",
            limits::INVOKE_RESPONSE_BYTES_MAX
        );
        Self::error(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
    }

    /// 400: the result broke off.
    pub(crate) fn truncated() -> Self {
        let message = "HTTP request detected as truncated";
        Self::error(StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", message)
    }

    /// 202 all the same: what Lambda answers where it has no such API.
    fn not_supported(api: &str) -> Self {
        let message = format!("{api} API is not supported");
        Self::error(StatusCode::ACCEPTED, &format!("{api}.NotSupported"), &message)
    }

    /// 400: not the current invocation.
    pub(crate) fn invalid_request_id() -> Self {
        Self::error(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
    }

    /// 403: not now.
    pub(crate) fn invalid_transition(from: &str, to: &str) -> Self {
        let message = format!(
            "State transition from {from} to {to} failed for runtime. Error: State transition is not allowed"
        );
        Self::error(StatusCode::FORBIDDEN, "InvalidStateTransition", &message)
    }

    /// The answer as it goes over the wire.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let Self { status, headers, body } = self;
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status.as_str().as_bytes());
        out.extend_from_slice(b" \r\ncontent-type: application/json\r\n");
        for (name, value) in headers {
            if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
                tracing::debug!(name, "a value that no header can carry");
                continue;
            }
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"content-length: ");
        out.extend_from_slice(body.len().to_string().as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(body);
    }

    /// A response in a mode that does not exist.
    fn invalid_mode() -> Self {
        let (kind, message) = ("InvalidFunctionResponseMode", "Invalid function response mode");
        Self::error(StatusCode::BAD_REQUEST, kind, message)
    }

    fn error(status: StatusCode, kind: &str, message: &str) -> Self {
        let body = serde_json::json!({ "errorMessage": message, "errorType": kind }).to_string();
        Self { status, headers: Vec::new(), body: body.into() }
    }

    fn not_found() -> Self {
        Self { status: StatusCode::NOT_FOUND, headers: Vec::new(), body: Bytes::new() }
    }
}

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Next,
    /// For this invocation.
    Response(String),
    /// For this invocation.
    Error(String),
    InitError,
    Ping,
    Telemetry,
    Logs,
    Unknown,
}

impl Asked {
    pub(crate) fn of(method: &str, path: &str) -> Self {
        let fields: Vec<&str> = path.strip_prefix(ROOT).unwrap_or_default().split('/').collect();
        match (method, fields.as_slice()) {
            ("GET", ["runtime", "invocation", "next"]) => Self::Next,
            ("POST", ["runtime", "invocation", id, "response"]) => Self::Response((*id).to_owned()),
            ("POST", ["runtime", "invocation", id, "error"]) => Self::Error((*id).to_owned()),
            ("POST", ["runtime", "init", "error"]) => Self::InitError,
            ("GET", ["ping"]) => Self::Ping,
            ("PUT", _) if path == "/2022-07-01/telemetry" => Self::Telemetry,
            ("PUT", _) if path == "/2020-08-15/logs" => Self::Logs,
            _ => Self::Unknown,
        }
    }

    /// The most that its body may have; what is larger is read and refused.
    pub(crate) fn body_bytes_max(&self) -> usize {
        match self {
            Self::Response(_) => limits::INVOKE_RESPONSE_BYTES_MAX,
            Self::Error(_) | Self::InitError => ERROR_BYTES_MAX,
            Self::Next | Self::Ping | Self::Telemetry | Self::Logs | Self::Unknown => 0,
        }
    }

    /// The call, given the body, which is `None` where that was too large; or a refusal that needs no environment.
    pub(crate) fn call(self, mode: Option<&[u8]>, body: Option<Bytes>) -> Result<CallKind, Answer> {
        match self {
            Self::Next => Ok(CallKind::Next),
            Self::Response(_) if mode.is_some_and(|mode| mode != b"streaming") => {
                Err(Answer::invalid_mode())
            }
            Self::Response(id) => Ok(CallKind::Response { id, body }),
            Self::Error(id) => {
                body.map(|body| CallKind::Error { id, body }).ok_or_else(Answer::too_large)
            }
            Self::InitError => body.map(CallKind::InitError).ok_or_else(Answer::too_large),
            Self::Ping => Err(Answer::event(Vec::new(), Bytes::from_static(b"pong"))),
            Self::Telemetry => Err(Answer::not_supported("Telemetry")),
            Self::Logs => Err(Answer::not_supported("Logs")),
            Self::Unknown => Err(Answer::not_found()),
        }
    }
}

/// A served connection; ends with its peer.
pub(crate) type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

#[cfg(test)]
mod tests {
    use super::*;

    /// They pass over it without a look; one that is not as they expect is read like any other, and costs more.
    #[test]
    fn our_bootstraps_know_the_usual_answer() {
        let mut answer = Vec::new();
        Answer::accepted().encode(&mut answer);
        let text = String::from_utf8(answer).unwrap();
        let written = text.replace('\r', "\\r").replace('\n', "\\n");
        for source in [include_str!("python/link.py"), include_str!("node/link.cjs")] {
            assert!(source.contains(&written), "{written}");
        }
    }
}
