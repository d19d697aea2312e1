//! Who may call at all: programs on this machine, and from elsewhere those that sign with a key that is known.
//!
//! Known are the keys of the configuration, temporary ones that were given out here, and those of functions.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use http_body_util::Full;
use serde_json::json;
use stillwire_awswire::{Expected, Payload, RawRequest, Secret, SignatureError, Xml, verify};
use stillwire_model::{IssuedKey, LOCAL_KEYS};

use crate::{Caller, Rooms, reply};

/// Refuses a request from elsewhere that is not signed by a key that is known.
pub(crate) fn permit(
    rooms: &Rooms,
    caller: &Caller,
    parts: &Parts,
    body: &[u8],
    peer: SocketAddr,
) -> Result<(), Box<Response<Full<Bytes>>>> {
    if peer.ip().is_loopback() {
        return Ok(());
    }
    let service = caller.service().unwrap_or_default();
    check(rooms, service, parts, Payload::Body(body)).map_err(|error| {
        tracing::warn!(%peer, service, code = error.code(), "refused: not signed by a known key");
        let body = json!({ "__type": error.code(), "message": error.to_string() }).to_string();
        Box::new(reply(403, "application/x-amz-json-1.1", body.into()))
    })
}

/// The same for requests to S3, whose content is not read yet. The sum that they sign is compared when it is.
pub(crate) fn permit_unread(
    rooms: &Rooms,
    parts: &Parts,
    peer: SocketAddr,
) -> Result<(), Box<Response<Full<Bytes>>>> {
    if peer.ip().is_loopback() {
        return Ok(());
    }
    let empty = Payload::Body(b"");
    let promised = parts.headers.get("x-amz-content-sha256").and_then(|sum| sum.to_str().ok());
    let payload = promised.and_then(bytes_of_hex).map_or(empty, Payload::Sha256);
    check(rooms, "s3", parts, payload).map_err(|error| {
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
    let tables = &rooms.tables;
    let now = i64::try_from(tables.clock.epoch_millis() / 1000).unwrap_or(i64::MAX);
    let secret = |key: &str| {
        if key == LOCAL_KEYS.access_key || tables.functions.function(key).is_some() {
            return Some(Secret::new(LOCAL_KEYS.secret));
        }
        if let Some(IssuedKey { secret, session_token, expires }) = rooms.issued.find(key) {
            let expires = i64::try_from(expires).ok();
            return Some(Secret { secret, session_token: Some(session_token), expires });
        }
        tables.secrets.get(key).map(|secret| Secret::new(secret.as_str()))
    };
    let unsigned_payload = service == "s3";
    let expected = Expected { unsigned_payload, ..Expected::new(service, now) };
    verify(&request, &expected, &secret).map(drop)
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
