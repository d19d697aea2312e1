//! API Gateway's control plane: `apigatewayv2` requests go to it.
//!
//! Source: service model `apigatewayv2` 2018-11-29 (signing name `apigateway`, paths below `/v2`).

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response};
use http_body_util::Full;
use stillwire_model::{ControlApi, ControlRequest};

use crate::{Caller, reply};

/// Paths of version 1 (REST APIs) are not below this.
pub(crate) fn is_for(caller: &Caller, path: &str) -> bool {
    caller.service() == Some("apigateway") && path.starts_with("/v2/")
}

pub(crate) async fn answer(
    control: &dyn ControlApi,
    parts: &Parts,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let request = ControlRequest {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body,
    };
    let answer = control.call(request).await;
    let mut response = reply(answer.status, "application/json", answer.body.into());
    if let Some(error) = answer.error {
        response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(error));
    }
    response
}
