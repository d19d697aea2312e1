//! STS, as far as SDKs ask who they are: `GetCallerIdentity`.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use stillwire_model::Function;
use uuid::Uuid;

use crate::{Caller, reply, roles};

pub(crate) fn is_for(caller: &Caller, body: &[u8]) -> bool {
    let form = str::from_utf8(body).unwrap_or_default();
    caller.service() == Some("sts")
        && form.split('&').any(|field| field == "Action=GetCallerIdentity")
}

/// Who a caller is: a function its role's, everybody else a role of our own.
///
/// Source: AWS STS API reference, `GetCallerIdentity`, query protocol.
pub(crate) fn answer(
    caller: &Caller,
    account: &str,
    function: Option<&Function>,
) -> Response<Full<Bytes>> {
    let key = caller.scope.as_ref().map_or("", |scope| scope.access_key.as_str());
    // Both are others' texts: only what cannot break out of the XML is repeated.
    let user: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
    let arn = match function {
        Some(function) => roles::user(function).replace(['<', '&'], ""),
        None => format!("arn:aws:sts::{account}:assumed-role/stillwire/{user}"),
    };
    let text = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetCallerIdentityResult><Arn>{arn}</Arn>\
         <UserId>{user}</UserId><Account>{account}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        Uuid::new_v4()
    );
    reply(200, "text/xml", text.into())
}
