//! Lambda: requests that are signed for `lambda` go to its API.
//!
//! Source: service model `lambda` (signing name `lambda`).

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response};
use http_body_util::Full;
use stillwire_model::{LambdaApi, LambdaRequest};

use crate::{Caller, reply};

pub(crate) fn is_for(caller: &Caller) -> bool {
    caller.service() == Some("lambda")
}

pub(crate) async fn answer(
    lambda: &dyn LambdaApi,
    parts: &Parts,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let headers = parts.headers.iter();
    let request = LambdaRequest {
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
