//! Services that take a request whole: forms in and XML out, or JSON in and out.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response};
use http_body_util::Full;
use stillwire_model::{ServiceApi, ServiceCaller, ServiceReply, ServiceRequest};

use crate::{Caller, reply};

pub(crate) async fn answer(
    service: &dyn ServiceApi,
    caller: Caller,
    from: ServiceCaller,
    parts: &Parts,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let request = ServiceRequest {
        caller: from,
        target: caller.target,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body,
    };
    let ServiceReply { status, content_type, request_id, body } = service.call(request).await;
    let mut response = reply(status, content_type, body);
    if let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}
