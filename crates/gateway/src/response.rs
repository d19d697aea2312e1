//! What a function's result means: for a handshake, and for a message on a two-way route.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::rescue::Failure;

/// A Lambda proxy response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProxyResponse {
    /// `statusCode`.
    pub(crate) status: u16,
    /// `headers` and `multiValueHeaders`, merged.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// `body`, decoded where it says it is base64.
    pub(crate) body: Option<Bytes>,
}

impl ProxyResponse {
    /// Reads a function's result.
    ///
    /// # Errors
    /// [`Failure::MalformedResponse`]: it is not an object, has no usable `statusCode`, or a member has the
    /// wrong type.
    pub(crate) fn parse(result: &[u8]) -> Result<Self, Failure> {
        let bad = Failure::MalformedResponse;
        let Ok(Value::Object(response)) = serde_json::from_slice(result) else {
            return Err(bad("it is not a JSON object"));
        };
        let status = match response.get("statusCode") {
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(digits)) => digits.parse().ok(),
            _ => None,
        };
        let status = status
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (200..600).contains(status))
            .ok_or_else(|| bad("statusCode is missing or is no HTTP status"))?;
        let mut headers = Vec::new();
        for member in ["headers", "multiValueHeaders"] {
            match response.get(member) {
                None | Some(Value::Null) => {}
                Some(Value::Object(lines)) => read_headers(lines, &mut headers)?,
                Some(_) => return Err(bad("headers is not an object")),
            }
        }
        Ok(Self { status, headers, body: read_body(&response)? })
    }

    /// Whether a handshake with this answer is accepted.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The status that a function's result has, where it is a proxy response.
pub(crate) fn status(result: &[u8]) -> Option<u16> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Response {
        status_code: u16,
    }
    serde_json::from_slice::<Response>(result).ok().map(|response| response.status_code)
}

/// The message that a two-way route sends back, if any.
///
/// The status is irrelevant to the client. Source: observed; the body is the whole answer.
pub(crate) fn reply(result: &[u8]) -> Result<Option<Bytes>, Failure> {
    if result == b"null" || result.is_empty() {
        return Ok(None); // Choice: a handler that returns nothing says nothing.
    }
    let body = ProxyResponse::parse(result)?.body;
    Ok(body.filter(|body| !body.is_empty()))
}

fn read_headers(
    lines: &Map<String, Value>,
    headers: &mut Vec<(HeaderName, HeaderValue)>,
) -> Result<(), Failure> {
    const MALFORMED: Failure = Failure::MalformedResponse("a header is malformed");
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| MALFORMED)?;
        let values = match value {
            Value::Array(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        for value in values {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                _ => return Err(MALFORMED),
            };
            let value = HeaderValue::from_str(&text).map_err(|_| MALFORMED)?;
            headers.push((name.clone(), value));
        }
    }
    Ok(())
}

fn read_body(response: &Map<String, Value>) -> Result<Option<Bytes>, Failure> {
    let text = match response.get("body") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return Err(Failure::MalformedResponse("body is not a string")),
    };
    if response.get("isBase64Encoded") != Some(&Value::Bool(true)) {
        return Ok(Some(Bytes::copy_from_slice(text.as_bytes())));
    }
    let decoded = BASE64_STANDARD.decode(text);
    decoded
        .map(|bytes| Some(bytes.into()))
        .map_err(|_| Failure::MalformedResponse("body is not base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(result: &str) -> Option<u16> {
        ProxyResponse::parse(result.as_bytes()).ok().map(|response| response.status)
    }

    #[test]
    fn a_proxy_response_has_a_status() {
        assert_eq!(status(r#"{"statusCode": 200}"#), Some(200));
        assert_eq!(status(r#"{"statusCode": "401", "headers": null}"#), Some(401));
        for result in [
            "null",
            "\"hi\"",
            "{}",
            "",
            "NaN",
            r#"{"statusCode": "ok"}"#,
            r#"{"statusCode": 99}"#,
            r#"{"statusCode": 101}"#,
            r#"{"statusCode": 200, "body": {"a": 1}}"#,
            r#"{"statusCode": 200, "headers": []}"#,
            r#"{"statusCode": 200, "headers": {"a b": "c"}}"#,
            "{\"statusCode\": 200, \"headers\": {\"X\": \"a\\r\\nSet-Cookie: b\"}}",
        ] {
            assert_eq!(status(result), None, "{result}");
        }
    }

    #[test]
    fn headers_of_both_kinds_are_merged() {
        let result = br#"{"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "a", "X-N": 1},
            "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}}"#;
        let response = ProxyResponse::parse(result).unwrap();
        let names: Vec<_> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["sec-websocket-protocol", "x-n", "set-cookie", "set-cookie"]);
    }

    #[test]
    fn a_two_way_route_sends_the_body_whatever_the_status() {
        let sent = |result: &str| reply(result.as_bytes());
        assert_eq!(sent(r#"{"statusCode": 500, "body": "oops"}"#), Ok(Some("oops".into())));
        let encoded = r#"{"statusCode": 200, "body": "aGk=", "isBase64Encoded": true}"#;
        assert_eq!(sent(encoded), Ok(Some("hi".into())));
        assert_eq!(sent(r#"{"statusCode": 200}"#), Ok(None));
        assert_eq!(sent("null"), Ok(None));
        assert!(sent("\"hi\"").is_err());
        assert!(sent(r#"{"body": "x"}"#).is_err());
    }
}
