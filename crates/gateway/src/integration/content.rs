//! Content handling: base64 that stands for bytes, on its way to a backend and back.
//!
//! Source: API Gateway v2 model, `ContentHandlingStrategy`; Developer Guide, "Working with binary media types for
//! WebSocket APIs". Choice: templates work on text, so bytes become text before them, and text becomes bytes after them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use stillwire_model::ContentHandling;

use crate::integration::backend::Answered;
use crate::rescue::Failure;

/// A body after its template: decoded with `CONVERT_TO_BINARY`.
///
/// For requests `CONVERT_TO_TEXT` changes nothing: a message is text, or base64 where binary ones are let in.
///
/// # Errors
/// When it is not base64.
pub(super) fn as_binary(handling: Option<ContentHandling>, body: Bytes) -> Result<Bytes, Failure> {
    if handling != Some(ContentHandling::ToBinary) {
        return Ok(body);
    }
    let decoded = BASE64_STANDARD.decode(body.as_ref());
    decoded.map(Bytes::from).map_err(|error| Failure::NotConverted(error.to_string()))
}

/// A backend's answer before its template: in base64 with `CONVERT_TO_TEXT`.
///
/// Choice: also where it is text, so that a client need not guess.
pub(super) fn as_text(handling: Option<ContentHandling>, answered: Answered) -> Answered {
    if handling != Some(ContentHandling::ToText) {
        return answered;
    }
    Answered { body: BASE64_STANDARD.encode(&answered.body).into(), ..answered }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_becomes_bytes_only_where_that_is_wanted() {
        let as_binary = |handling, body: &'static str| as_binary(handling, body.into());
        assert_eq!(as_binary(Some(ContentHandling::ToBinary), "/wA="), Ok(b"\xff\0"[..].into()));
        for other in [None, Some(ContentHandling::ToText)] {
            assert_eq!(as_binary(other, "/wA="), Ok("/wA=".into()));
        }
        for wrong in ["hi!", "/wA", "{}"] {
            let converted = as_binary(Some(ContentHandling::ToBinary), wrong);
            assert!(matches!(converted, Err(Failure::NotConverted(_))), "{wrong}");
        }
    }

    #[test]
    fn bytes_become_base64_only_where_that_is_wanted() {
        let text = |handling| as_text(handling, Answered::new(200, b"\xff\0"[..].into())).body;
        assert_eq!(text(Some(ContentHandling::ToText)), "/wA=");
        assert_eq!(text(Some(ContentHandling::ToBinary)), b"\xff\0"[..]);
        assert_eq!(text(None), b"\xff\0"[..]);
    }
}
