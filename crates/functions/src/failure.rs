//! The error objects of the platform: what a caller gets when a function could not answer for itself.
//!
//! Source: AWS Lambda, `Sandbox.Timedout` and `Runtime.ExitError` as the service and its public emulator give
//! them; the handler's own errors are made by its runtime and pass through unchanged.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use stillwire_model::limits;

use crate::supervisor::Exit;

/// Why an invocation has no answer of its function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The function's time limit.
    Timeout(Duration),
    /// The process ended before it answered.
    Exit(Exit),
    /// The answer was larger than Lambda allows.
    ResponseTooLarge,
    /// The answer ended before its end.
    TruncatedResponse,
    /// The runtime reported this object itself.
    Reported {
        /// The object, as it came.
        body: Bytes,
        /// Its `errorType`.
        kind: String,
    },
}

impl Failure {
    /// What the runtime reported.
    pub(crate) fn reported(body: Bytes) -> Self {
        #[derive(serde::Deserialize)]
        struct Object {
            #[serde(rename = "errorType")]
            kind: String,
        }
        let kind = serde_json::from_slice::<Object>(&body).map(|object| object.kind);
        Self::Reported { kind: kind.unwrap_or_else(|_| "Runtime.Unknown".to_owned()), body }
    }

    /// The `errorType`.
    pub(crate) fn kind(&self) -> &str {
        match self {
            Self::Timeout(_) => "Sandbox.Timedout",
            Self::Exit(_) => "Runtime.ExitError",
            Self::ResponseTooLarge => "Function.ResponseSizeTooLarge",
            Self::TruncatedResponse => "Runtime.TruncatedResponse",
            Self::Reported { kind, .. } => kind,
        }
    }

    /// The JSON object the caller gets.
    pub(crate) fn object(&self, request_id: &str) -> Bytes {
        let text = match self {
            Self::Reported { body, .. } => return body.clone(),
            Self::Timeout(limit) => {
                format!("RequestId: {request_id} Error: {}", timed_out(*limit))
            }
            Self::Exit(exit) => format!("RequestId: {request_id} Error: {}", ended(*exit)),
            Self::TruncatedResponse => {
                format!("RequestId: {request_id} Error: the response was truncated")
            }
            Self::ResponseTooLarge => format!(
                "Response payload size exceeded maximum allowed payload size ({} bytes).",
                limits::INVOKE_RESPONSE_BYTES_MAX
            ),
        };
        json!({ "errorType": self.kind(), "errorMessage": text }).to_string().into()
    }
}

/// The words for a time limit, also in the log.
pub(crate) fn timed_out(limit: Duration) -> String {
    format!("Task timed out after {:.2} seconds", limit.as_secs_f64())
}

fn ended(exit: Exit) -> String {
    match exit {
        Exit::Code(0) => "Runtime exited without providing a reason".to_owned(),
        Exit::Code(code) => format!("Runtime exited with error: exit status {code}"),
        Exit::Signal(signal) => format!("Runtime exited with error: signal: {}", name(signal)),
    }
}

/// The words of the Go runtime's signal table, which Lambda's agent prints.
fn name(signal: i32) -> String {
    match signal {
        1 => "hangup".to_owned(),
        2 => "interrupt".to_owned(),
        3 => "quit".to_owned(),
        4 => "illegal instruction".to_owned(),
        6 => "aborted".to_owned(),
        7 => "bus error".to_owned(),
        8 => "floating point exception".to_owned(),
        9 => "killed".to_owned(),
        11 => "segmentation fault".to_owned(),
        13 => "broken pipe".to_owned(),
        15 => "terminated".to_owned(),
        other => format!("signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(failure: &Failure) -> String {
        String::from_utf8(failure.object("abc").to_vec()).unwrap()
    }

    #[test]
    fn a_timeout_is_told_in_seconds_with_two_decimals() {
        let failure = Failure::Timeout(Duration::from_secs(3));
        assert_eq!(
            text(&failure),
            r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: abc Error: Task timed out after 3.00 seconds"}"#
        );
    }

    #[test]
    fn an_exit_tells_its_status_or_signal() {
        for (exit, words) in [
            (Exit::Code(0), "Runtime exited without providing a reason"),
            (Exit::Code(3), "Runtime exited with error: exit status 3"),
            (Exit::Signal(9), "Runtime exited with error: signal: killed"),
        ] {
            assert_eq!(
                text(&Failure::Exit(exit)),
                format!(
                    r#"{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: abc Error: {words}"}}"#
                )
            );
        }
    }

    #[test]
    fn what_the_runtime_reported_passes_unchanged() {
        let failure = Failure::reported(Bytes::from_static(b"{\"errorType\": \"E\"}"));
        assert_eq!((failure.kind(), text(&failure).as_str()), ("E", "{\"errorType\": \"E\"}"));
        assert_eq!(Failure::reported(Bytes::from_static(b"?")).kind(), "Runtime.Unknown");
    }
}
