//! Services that are not served here: an error that says what to do, worded for each protocol.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde_json::json;
use stillwire_awswire::endpoint_variable;

use crate::{Caller, reply};

/// SDKs do not retry 501, so the caller learns it at once.
const STATUS: u16 = 501;

const CODE: &str = "NotImplemented";

pub(crate) fn answer(caller: &Caller) -> Response<Full<Bytes>> {
    let message = match caller.service() {
        Some(name) => {
            let variable = endpoint_variable(name);
            format!(
                "Stillwire does not serve {name}. To use one that you run, start Stillwire with \
                 {variable}=http://HOST:PORT in its environment; nothing is sent to AWS."
            )
        }
        None => {
            "Stillwire does not know which service this request is for: it is not signed, and its \
                 host names none."
                .to_owned()
        }
    };
    tracing::warn!("{message}");
    let is_json = caller.content_type.contains("json") || !caller.target.is_empty();
    if caller.service() == Some("s3") {
        let text = format!("<Error><Code>{CODE}</Code><Message>{message}</Message></Error>");
        return reply(STATUS, "application/xml", text.into());
    }
    if !is_json && caller.content_type.contains("form") {
        let text = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{CODE}</Code>\
             <Message>{message}</Message></Error></ErrorResponse>"
        );
        return reply(STATUS, "text/xml", text.into());
    }
    let text = json!({ "__type": CODE, "message": message }).to_string();
    let mut response = reply(STATUS, "application/json", text.into());
    response.headers_mut().insert("x-amzn-errortype", http::HeaderValue::from_static(CODE));
    response
}
