//! DynamoDB and its streams: requests go to the tables.
//!
//! Source: DynamoDB service model (JSON 1.0, target prefixes); SDKs verify `x-amz-crc32`.

use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body_util::Full;
use serde_json::json;
use stillwire_model::TableApi;

use crate::{Caller, reply};

pub(crate) fn is_for(caller: &Caller) -> bool {
    ["DynamoDB_20120810.", "DynamoDBStreams_20120810."]
        .iter()
        .any(|prefix| caller.target.starts_with(prefix))
        || caller.service() == Some("dynamodb")
}

pub(crate) async fn answer(
    tables: &dyn TableApi,
    caller: &Caller,
    body: Bytes,
) -> Response<Full<Bytes>> {
    // The signature itself is not verified: the endpoint is on loopback. That there is one is, as on AWS.
    let (status, body) = if !caller.signed {
        refusal("MissingAuthenticationTokenException", "Request is missing Authentication Token")
    } else if caller.scope.is_none() {
        let text = "Authorization header requires 'Credential' parameter.";
        refusal("IncompleteSignatureException", text)
    } else {
        let answer = tables.call(&caller.target, body).await;
        (answer.status, answer.body)
    };
    let crc = crc32fast::hash(&body);
    let mut response = reply(status, "application/x-amz-json-1.0", body);
    response.headers_mut().insert("x-amz-crc32", HeaderValue::from(crc));
    response
}

fn refusal(code: &str, message: &str) -> (u16, Bytes) {
    let text = json!({ "__type": format!("com.amazon.coral.service#{code}"), "message": message });
    (400, text.to_string().into())
}
