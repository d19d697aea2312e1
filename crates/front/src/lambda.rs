//! Lambda: requests that are signed for `lambda` go to its API.
//!
//! Source: service model `lambda` (signing name `lambda`).

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response};
use http_body_util::Full;
use serde_json::json;
use stillwire_model::{LambdaApi, LambdaRequest, ServiceCaller, limits};

use crate::{Caller, reply};

pub(crate) fn is_for(caller: &Caller) -> bool {
    caller.service() == Some("lambda")
}

/// The largest body of a request: code may be large, everything else is at most an event.
pub(crate) fn bytes_max(parts: &Parts) -> usize {
    let path = parts.uri.path().trim_end_matches('/');
    if path.ends_with("/functions") || path.ends_with("/code") {
        limits::LAMBDA_REQUEST_BYTES_MAX
    } else {
        limits::INVOKE_REQUEST_BYTES_MAX + SLACK_BYTES
    }
}

/// What a body may be too large by and still reach the service, which knows what it was for.
const SLACK_BYTES: usize = 64 * 1024;

/// Source: service model `lambda`, `RequestTooLargeException`.
pub(crate) fn too_large(parts: &Parts) -> Response<Full<Bytes>> {
    let message = format!("Request must be smaller than {} bytes", bytes_max(parts));
    let body = json!({ "Type": "User", "message": message }).to_string();
    let mut response = reply(413, "application/json", body.into());
    let code = HeaderValue::from_static("RequestTooLargeException");
    response.headers_mut().insert("x-amzn-errortype", code);
    response
}

pub(crate) async fn answer(
    lambda: &dyn LambdaApi,
    caller: ServiceCaller,
    parts: &Parts,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let headers = parts.headers.iter();
    let request = LambdaRequest {
        account: caller.account,
        region: caller.region,
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: headers
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect(),
        body,
    };
    let answer = lambda.call(request).await;
    let mut response = reply(answer.status, "application/json", answer.body);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}
