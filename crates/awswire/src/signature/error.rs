//! Why a signature is refused, in AWS's words.

use super::time::iso;

/// Why a signature is refused.
///
/// The texts are the services' own. Source: observed answers of AWS services, except where a variant says otherwise;
/// believed to be the same in API Gateway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The request has no signature at all.
    #[error("Missing Authentication Token")]
    Missing,
    /// The `Authorization` header, or the query, lacks a part or is not of its form.
    #[error("{0}")]
    Incomplete(String),
    /// The scope of the credential is not what this service expects.
    #[error("{0}")]
    Scope(String),
    /// The time of the signature is too far in the past.
    #[error("Signature expired: {} is now earlier than {} ({} - {}.)", iso(*.signed), iso(now - tolerance), iso(*.now), minutes(*.tolerance))]
    Expired {
        /// When it was signed.
        signed: i64,
        /// What time it is.
        now: i64,
        /// How old it may be, in seconds.
        tolerance: i64,
    },
    /// The time of the signature is too far in the future.
    #[error("Signature not yet current: {} is still later than {} ({} + {}.)", iso(*.signed), iso(now + tolerance), iso(*.now), minutes(*.tolerance))]
    NotYetCurrent {
        /// When it was signed.
        signed: i64,
        /// What time it is.
        now: i64,
        /// How far ahead it may be, in seconds.
        tolerance: i64,
    },
    /// A header is not signed that must be.
    #[error("{0}")]
    UnsignedHeader(String),
    /// The body is not the one that was signed, or is not signed where it must be.
    #[error("{0}")]
    Payload(String),
    /// The key is not known, or its session token is wrong.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// The key is a temporary one, and its time is over.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    /// The signature is another than ours.
    #[error("{MISMATCH}")]
    Mismatch(Box<Mismatch>),
}

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";

/// What was compared: for the explanation that services give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The canonical form of the request.
    pub canonical_request: String,
    /// The text that was signed.
    pub string_to_sign: String,
}

impl SignatureError {
    /// The error's code in JSON protocols and in REST (`x-amzn-ErrorType`).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::Scope(_)
            | Self::Expired { .. }
            | Self::NotYetCurrent { .. }
            | Self::UnsignedHeader(_)
            | Self::Payload(_)
            | Self::Mismatch(_) => "InvalidSignatureException",
        }
    }

    /// The error's code in the query protocols (SQS, SNS, IAM, STS).
    pub fn query_code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationToken",
            Self::Incomplete(_) => "IncompleteSignature",
            Self::UnknownKey => "InvalidClientTokenId",
            Self::ExpiredToken => "ExpiredToken",
            Self::Scope(_)
            | Self::Expired { .. }
            | Self::NotYetCurrent { .. }
            | Self::UnsignedHeader(_)
            | Self::Payload(_)
            | Self::Mismatch(_) => "SignatureDoesNotMatch",
        }
    }

    /// The message with what our side computed, as services explain a mismatch. It holds nothing that the request did
    /// not.
    pub fn explanation(&self) -> String {
        match self {
            Self::Mismatch(mismatch) => format!(
                "{MISMATCH}\n\nThe Canonical String for this request should have been\n'{}'\n\n\
                 The String-to-Sign should have been\n'{}'\n",
                mismatch.canonical_request, mismatch.string_to_sign
            ),
            other => other.to_string(),
        }
    }
}

fn minutes(seconds: i64) -> String {
    if seconds % 60 == 0 { format!("{} min", seconds / 60) } else { format!("{seconds} sec") }
}
