//! `HTTP` and `HTTP_PROXY`: a backend that speaks HTTP.
//!
//! What a client says reaches headers, the query and parts of the path, each encoded for its place; never scheme, host or
//! port.

use ::http::header::{CONTENT_TYPE, USER_AGENT};
use ::http::{HeaderName, HeaderValue, Method, Request, Uri};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::IgnoredAny;
use stillwire_model::{Integration, MappingTarget};
use stillwire_outbound::OutboundError;

use crate::exchange::Exchange;
use crate::integration::backend::Answered;
use crate::rescue::Failure;
use crate::shared::Shared;

/// What stays as it is in a part of a path or query. Source: RFC 3986, section 2.3 (unreserved characters).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Headers of a handshake that are the connection's own and not passed on.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "upgrade",
    "host",
    "content-length",
    "transfer-encoding",
    "keep-alive",
    "te",
    "expect",
];

/// Sends a request to the integration's address.
pub(super) async fn ask(
    integration: &Integration,
    uri: &str,
    method: &str,
    body: Bytes,
    exchange: &Exchange<'_>,
    shared: &Shared,
) -> Result<Answered, Failure> {
    let request = build(integration, uri, method, body, exchange)?;
    send(request, integration, shared).await
}

/// Sends a request that is ready.
pub(super) async fn send(
    request: Request<Bytes>,
    integration: &Integration,
    shared: &Shared,
) -> Result<Answered, Failure> {
    let uri = request.uri().clone();
    match shared.outbound.send(request, shared.time_limit(integration.timeout)).await {
        Ok(response) => {
            let (head, body) = response.into_parts();
            let status = head.status.as_u16();
            Ok(Answered { status, headers: head.headers, body, error: None })
        }
        Err(OutboundError::TimedOut) => Err(Failure::TimedOut),
        Err(error) => Err(Failure::Unreachable(format!("{uri}: {error}"))),
    }
}

fn build(
    integration: &Integration,
    uri: &str,
    method: &str,
    body: Bytes,
    exchange: &Exchange<'_>,
) -> Result<Request<Bytes>, Failure> {
    let unavailable = |what: String| Failure::Unavailable(what);
    let mut uri = exchange
        .with_stage_variables(uri)
        .map_err(|name| unavailable(format!("the stage has no variable {name}")))?;
    let mut query = Vec::new();
    let mut headers = Vec::new();
    for mapping in &integration.parameters {
        let Some(value) = exchange.value(&mapping.source) else { continue };
        match &mapping.target {
            MappingTarget::Path(name) => {
                let encoded = utf8_percent_encode(&value, ENCODED).to_string();
                uri = uri.replace(&format!("{{{name}}}"), &encoded);
            }
            MappingTarget::QueryString(name) => query.push(format!(
                "{}={}",
                utf8_percent_encode(name, ENCODED),
                utf8_percent_encode(&value, ENCODED)
            )),
            MappingTarget::Header(name) => headers.push((name.as_str(), value)),
        }
    }
    if !query.is_empty() {
        uri.push(if uri.contains('?') { '&' } else { '?' });
        uri.push_str(&query.join("&"));
    }
    let parsed: Uri =
        uri.parse().map_err(|error| unavailable(format!("{uri:?} is no address: {error}")))?;
    // Source: API Gateway, `IntegrationMethod`: `ANY` is the method of the client's request, which a message has none of.
    let method = if method == "ANY" { "POST" } else { method };
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| unavailable(format!("{method:?} is no method")))?;
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = method;
    *request.uri_mut() = parsed;
    let agent = format!("AmazonAPIGateway_{}", exchange.api.id);
    let kind = if serde_json::from_slice::<IgnoredAny>(&body).is_ok() {
        "application/json"
    } else if str::from_utf8(&body).is_ok() {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    };
    *request.body_mut() = body;
    let map = request.headers_mut();
    for (name, values) in exchange.request.iter().flat_map(|request| &request.headers) {
        if !HOP_BY_HOP.contains(&name.to_ascii_lowercase().as_str())
            && let Ok(name) = HeaderName::from_bytes(name.as_bytes())
        {
            let values = values.iter().filter_map(|value| HeaderValue::from_str(value).ok());
            values.for_each(|value| _ = map.append(name.clone(), value));
        }
    }
    if let Ok(agent) = HeaderValue::from_str(&agent) {
        map.insert(USER_AGENT, agent);
    }
    map.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in headers {
        // A line break in a value would begin a header of the client's making.
        let pair =
            HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(&value).ok());
        match pair {
            Some((name, value)) => _ = map.insert(name, value),
            None => {
                tracing::warn!(header = name, "a mapped header was left out: its value is none");
            }
        }
    }
    Ok(request)
}
