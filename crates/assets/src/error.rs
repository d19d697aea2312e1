//! What the service refuses, in the words of S3.
//!
//! Source: Amazon S3 API Reference, "Error responses".

use std::io;

use stillwire_awswire::Xml;

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

    pub(crate) fn no_bucket(name: &str) -> Self {
        let message = format!(
            "The specified bucket does not exist: {name}. Stillwire keeps the buckets of deploy tools, and those that its \
             callers make; for one of a service that you run, start it with AWS_ENDPOINT_URL_S3=http://HOST:PORT"
        );
        Self::new(404, "NoSuchBucket", message)
    }

    pub(crate) fn no_key() -> Self {
        Self::new(404, "NoSuchKey", "The specified key does not exist.")
    }

    pub(crate) fn no_upload() -> Self {
        let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
             aborted or completed.";
        Self::new(404, "NoSuchUpload", message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidArgument", message)
    }

    pub(crate) fn malformed_xml() -> Self {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        Self::new(400, "MalformedXML", message)
    }

    pub(crate) fn bad_digest(what: &str) -> Self {
        let message = format!("The {what} you specified did not match the calculated checksum.");
        Self::new(400, "BadDigest", message)
    }

    pub(crate) fn incomplete() -> Self {
        let message =
            "You did not provide the number of bytes specified by the Content-Length HTTP header.";
        Self::new(400, "IncompleteBody", message)
    }

    pub(crate) fn too_large(bytes_max: u64) -> Self {
        let message =
            format!("Your proposed upload exceeds the maximum allowed size: {bytes_max} bytes.");
        Self::new(400, "EntityTooLarge", message)
    }

    /// Where a bound of the store is met.
    pub(crate) fn full(what: &str) -> Self {
        Self::new(507, "InsufficientStorage", format!("There is no room: {what}."))
    }

    pub(crate) fn not_implemented(what: &str) -> Self {
        let message =
            format!("{what} is not served: Stillwire keeps the assets of deploy tools, no more.");
        Self::new(501, "NotImplemented", message)
    }

    pub(crate) fn precondition(name: &str) -> Self {
        let message =
            format!("At least one of the pre-conditions you specified did not hold: {name}");
        Self::new(412, "PreconditionFailed", message)
    }

    /// The disk did not take or give it.
    pub(crate) fn disk(error: &io::Error) -> Self {
        tracing::error!(%error, "the disk does not take or give an object");
        Self::new(500, "InternalError", format!("We encountered an internal error: {error}"))
    }

    /// The body of the answer.
    pub(crate) fn body(&self, resource: &str, request_id: &str) -> String {
        let mut xml = Xml::new();
        xml.node("Error", |xml| {
            xml.text("Code", self.code).text("Message", &self.message);
            xml.text("Resource", resource).text("RequestId", request_id);
        });
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", xml.into_text())
    }
}
