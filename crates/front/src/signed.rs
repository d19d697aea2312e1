//! Who may call at all: programs on this machine, and from elsewhere those that sign with a key that is known.
//!
//! Known are the keys of the configuration and temporary ones that were given out here; to programs on this machine those of
//! functions too, whose secret everybody can read.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response};
use http_body_util::Full;
use serde_json::json;
use stillwire_awswire::{
    Expected, Payload, RawRequest, Secret, SignatureError, Xml, query_refusal, verify,
};
use stillwire_model::{FunctionKeys, IssuedKey, IssuedKeys, LOCAL_KEYS};
use uuid::Uuid;

use crate::{Caller, Rooms, reply};

/// Refuses a request from elsewhere that is not signed by a key that is known.
pub(crate) fn permit(
    rooms: &Rooms,
    caller: &Caller,
    parts: &Parts,
    body: &[u8],
    (peer, is_local): (SocketAddr, bool),
) -> Result<(), Box<Response<Full<Bytes>>>> {
    if is_local {
        return Ok(());
    }
    let service = caller.service().unwrap_or_default();
    check(rooms, service, parts, Payload::Body(body), Where::Elsewhere).map_err(|error| {
        tracing::warn!(%peer, service, code = error.code(), "refused: not signed by a known key");
        Box::new(refusal(caller, &error))
    })
}

/// The refusal, as SDKs read it of this service: by the protocol that it speaks.
///
/// Source: observed of STS (403 and XML with names of its own), DynamoDB (400 and JSON) and Lambda (403, the name in a header).
fn refusal(caller: &Caller, error: &SignatureError) -> Response<Full<Bytes>> {
    let (code, message) = (error.code(), error.to_string());
    if caller.content_type.starts_with("application/x-www-form-urlencoded") {
        let request_id = Uuid::new_v4().to_string();
        let body = query_refusal((403, error.query_code(), &message), "", &request_id);
        return reply(403, "text/xml", body.into());
    }
    if !caller.target.is_empty() {
        let body = json!({ "__type": code, "message": message }).to_string();
        return reply(400, "application/x-amz-json-1.1", body.into());
    }
    let mut response =
        reply(403, "application/json", json!({ "message": message }).to_string().into());
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(code));
    response
}

/// The same for requests to S3, whose content is not read yet. The sum that they sign is compared when it is.
pub(crate) fn permit_unread(
    rooms: &Rooms,
    parts: &Parts,
    (peer, is_local): (SocketAddr, bool),
) -> Result<(), Box<Response<Full<Bytes>>>> {
    if is_local {
        return Ok(());
    }
    let empty = Payload::Body(b"");
    let promised = parts.headers.get("x-amz-content-sha256").and_then(|sum| sum.to_str().ok());
    let payload = promised.and_then(bytes_of_hex).map_or(empty, Payload::Sha256);
    check(rooms, "s3", parts, payload, Where::Elsewhere).map_err(|error| {
        tracing::warn!(%peer, code = error.code(), "refused: not signed by a known key");
        let mut xml = Xml::new();
        xml.node("Error", |xml| {
            xml.text("Code", "AccessDenied").text("Message", error.to_string());
        });
        Box::new(reply(403, "application/xml", xml.into_text().into()))
    })
}

/// Verifies the signature of a request for a service.
pub(crate) fn check(
    rooms: &Rooms,
    service: &str,
    parts: &Parts,
    payload: Payload<'_>,
    from: Where,
) -> Result<(), SignatureError> {
    let tables = &rooms.tables;
    let keys = Keys {
        own: &tables.secrets,
        issued: rooms.issued.as_ref(),
        functions: (from == Where::Here).then_some(tables.functions.as_ref()),
        now: i64::try_from(tables.clock.epoch_millis() / 1000).unwrap_or(i64::MAX),
    };
    keys.check(service, parts, payload)
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// This machine.
    Here,
    /// Another one.
    Elsewhere,
}

/// The keys that are known.
struct Keys<'a> {
    own: &'a BTreeMap<String, String>,
    issued: &'a dyn IssuedKeys,
    /// Those of functions and of this program itself, where they count.
    functions: Option<&'a dyn FunctionKeys>,
    /// What time it is, in seconds since the Unix epoch.
    now: i64,
}

impl Keys<'_> {
    fn check(
        &self,
        service: &str,
        parts: &Parts,
        payload: Payload<'_>,
    ) -> Result<(), SignatureError> {
        let headers = parts.headers.iter();
        let request = RawRequest {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: headers
                .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
                .collect(),
            payload,
        };
        let unsigned_payload = service == "s3";
        let expected = Expected { unsigned_payload, ..Expected::new(service, self.now) };
        verify(&request, &expected, &|key| self.secret(key)).map(drop)
    }

    fn secret(&self, key: &str) -> Option<Secret> {
        if let Some(functions) = self.functions
            && (key == LOCAL_KEYS.access_key || functions.function(key).is_some())
        {
            return Some(Secret::new(LOCAL_KEYS.secret));
        }
        if let Some(IssuedKey { secret, session_token, expires }) = self.issued.find(key) {
            let expires = i64::try_from(expires).ok();
            return Some(Secret { secret, session_token: Some(session_token), expires });
        }
        self.own.get(key).map(|secret| Secret::new(secret.as_str()))
    }
}

fn bytes_of_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::Request;
    use stillwire_awswire::{Credentials, SigningScope, sign};
    use stillwire_model::Function;

    use super::*;

    const NOW: i64 = 1_738_660_353;

    /// Knows one temporary key.
    #[derive(Debug)]
    struct One;

    impl IssuedKeys for One {
        fn find(&self, access_key: &str) -> Option<IssuedKey> {
            let (secret, session_token) = ("temporary".to_owned(), "token".to_owned());
            let key =
                IssuedKey { secret, session_token, expires: u64::try_from(NOW).unwrap() + 60 };
            (access_key == "ASIATEMPORARY").then_some(key)
        }
    }

    impl FunctionKeys for One {
        fn function(&self, _: &str) -> Option<Arc<Function>> {
            None
        }
    }

    /// Checks a request to `service` that is signed with these keys for `signed_for`.
    fn check(keys: &Credentials, signed_for: &str, service: &str) -> Result<(), SignatureError> {
        check_from(Where::Elsewhere, keys, signed_for, service)
    }

    fn check_from(
        from: Where,
        keys: &Credentials,
        signed_for: &str,
        service: &str,
    ) -> Result<(), SignatureError> {
        let mut request = Request::post("http://stillwire.example/?a=b");
        let raw = RawRequest {
            query: "a=b",
            headers: vec![("host", "stillwire.example")],
            payload: Payload::Body(b"body"),
            ..RawRequest::new("POST", "/")
        };
        let scope = SigningScope { region: "eu-west-1", service: signed_for, epoch_seconds: NOW };
        request = request.header("host", "stillwire.example");
        for (name, value) in sign(&raw, keys, &scope) {
            request = request.header(name, value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let own = [("AKIDOWN".to_owned(), "own".to_owned())].into();
        let functions: Option<&dyn FunctionKeys> = (from == Where::Here).then_some(&One);
        let known = Keys { own: &own, issued: &One, functions, now: NOW };
        known.check(service, &parts, Payload::Body(b"body"))
    }

    #[test]
    fn a_key_that_is_known_opens_the_service_it_signs_for() {
        let own = Credentials::new("AKIDOWN", "own");
        assert_eq!(check(&own, "cloudformation", "cloudformation"), Ok(()));
        assert_eq!(check(&own, "s3", "s3"), Ok(()));
        assert!(check(&own, "s3", "cloudformation").is_err(), "another service");
        let temporary = Credentials {
            session_token: Some("token".to_owned()),
            ..Credentials::new("ASIATEMPORARY", "temporary")
        };
        assert_eq!(check(&temporary, "sts", "sts"), Ok(()));
        let without = Credentials { session_token: None, ..temporary };
        assert!(check(&without, "sts", "sts").is_err(), "a temporary key without its session");
        for (key, secret) in [("AKIDOWN", "other"), ("999999999999", "x"), ("", "")] {
            assert!(check(&Credentials::new(key, secret), "sts", "sts").is_err(), "{key}");
        }
    }

    #[test]
    fn a_secret_that_everybody_can_read_opens_nothing_to_other_machines() {
        let local = Credentials::new(LOCAL_KEYS.access_key, LOCAL_KEYS.secret);
        assert_eq!(check_from(Where::Here, &local, "dynamodb", "dynamodb"), Ok(()));
        assert!(check_from(Where::Elsewhere, &local, "dynamodb", "dynamodb").is_err());
    }

    #[test]
    fn a_request_without_a_signature_opens_nothing() {
        let (parts, ()) = Request::get("http://x/").body(()).unwrap().into_parts();
        let own = BTreeMap::new();
        let known = Keys { own: &own, issued: &One, functions: Some(&One), now: NOW };
        let refused = known.check("s3", &parts, Payload::Body(b""));
        assert_eq!(refused, Err(SignatureError::Missing));
    }

    #[test]
    fn sums_are_read_as_headers_have_them() {
        assert_eq!(bytes_of_hex(&"0f".repeat(32)), Some([15; 32]));
        for bad in ["", "UNSIGNED-PAYLOAD", &"zz".repeat(32), &"é".repeat(32)] {
            assert_eq!(bytes_of_hex(bad), None, "{bad}");
        }
    }
}
