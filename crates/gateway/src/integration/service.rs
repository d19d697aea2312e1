//! `AWS`: an action of a service, or a function with a body of the template's making.
//!
//! `DynamoDB` is served by our own tables; other services by the endpoint that the user named for them.
//!
//! Source: API Gateway v2, `IntegrationUri`: `arn:{partition}:apigateway:{region}:{service}:action/{name}` or `…:path/{path}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::http::{HeaderName, HeaderValue, Method, Request, Uri};
use bytes::Bytes;
use serde::Deserialize;
use stillwire_awswire::{Credentials, SigningScope, endpoint_of, endpoint_variable};
use stillwire_model::{
    FunctionArn, Integration, Invocation, LOCAL_KEYS, MappingTarget, Outcome, TableStores,
    function_of_uri,
};
use stillwire_outbound::service::{self, Ask};

use crate::exchange::Exchange;
use crate::integration::backend::Answered;
use crate::integration::http;
use crate::rescue::Failure;
use crate::shared::Shared;

/// Who answers for services.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) tables: Arc<dyn TableStores>,
    /// Endpoints that the user named, by the service's name in lower case.
    pub(crate) endpoints: BTreeMap<String, String>,
}

/// What a URI asks of which service.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    region: &'a str,
    service: &'a str,
    ask: Ask<'a>,
}

/// Asks a service.
pub(super) async fn ask(
    integration: &Integration,
    uri: &str,
    method: &str,
    body: Bytes,
    exchange: &Exchange<'_>,
    shared: &Shared,
) -> Result<Answered, Failure> {
    let uri = exchange
        .with_stage_variables(uri)
        .map_err(|name| Failure::Unavailable(format!("the stage has no variable {name}")))?;
    if let Some((function, qualifier)) = function_of_uri(&uri) {
        let wanted = Call { function, qualifier, body };
        return wanted.run(is_event(integration, exchange), shared).await;
    }
    let Some(wanted) = parse(&uri) else {
        return Err(Failure::Unavailable(format!("{uri:?} names no action of a service")));
    };
    match (wanted.service, &wanted.ask) {
        ("dynamodb", Ask::Action(action)) => {
            let target = format!("DynamoDB_20120810.{action}");
            let account = &exchange.api.account;
            let store = shared.services.tables.store(account, wanted.region);
            let reply = store.call(&target, body).await;
            Ok(Answered::new(reply.status, reply.body))
        }
        _ => elsewhere(integration, &wanted, method, body, exchange, shared).await,
    }
}

/// A function that gets what the template made.
struct Call {
    function: FunctionArn,
    qualifier: Option<String>,
    body: Bytes,
}

impl Call {
    async fn run(self, is_event: bool, shared: &Shared) -> Result<Answered, Failure> {
        let Self { function, qualifier, body } = self;
        let invocation = Invocation::new(shared.ids.invocation().into(), function, qualifier, body);
        if is_event {
            shared.events.accept(invocation)?;
            return Ok(Answered::new(202, Bytes::new()));
        }
        match shared.invoke.invoke(invocation).await?.outcome {
            Outcome::Returned(result) => Ok(Answered::new(200, result)),
            Outcome::Failed(error) => {
                let message = message_of(&error);
                Ok(Answered { error: Some(message), ..Answered::new(200, error) })
            }
        }
    }
}

/// Whether the function is called without waiting for it.
///
/// Source: Lambda `Invoke`: the header `X-Amz-Invocation-Type: Event`.
fn is_event(integration: &Integration, exchange: &Exchange<'_>) -> bool {
    integration.parameters.iter().any(|mapping| match &mapping.target {
        MappingTarget::Header(name) if name.eq_ignore_ascii_case("x-amz-invocation-type") => {
            exchange.value(&mapping.source).as_deref() == Some("Event")
        }
        _ => false,
    })
}

/// What integration responses of functions are chosen by (`$integration.response.body.errorMessage`).
fn message_of(error: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Error {
        error_message: String,
    }
    serde_json::from_slice(error).map_or_else(|_| String::new(), |error: Error| error.error_message)
}

fn parse(uri: &str) -> Option<Wanted<'_>> {
    let mut fields = uri.splitn(6, ':');
    let ("arn", _, "apigateway") = (fields.next()?, fields.next()?, fields.next()?) else {
        return None;
    };
    let (region, service, rest) = (fields.next()?, fields.next()?, fields.next()?);
    let ask = match rest.split_once('/')? {
        ("action", action) if !action.is_empty() => Ask::Action(action),
        ("path", path) => Ask::Path(path),
        _ => return None,
    };
    Some(Wanted { region, service, ask })
}

/// Signs a request and sends it to the endpoint that the user named.
async fn elsewhere(
    integration: &Integration,
    wanted: &Wanted<'_>,
    method: &str,
    body: Bytes,
    exchange: &Exchange<'_>,
    shared: &Shared,
) -> Result<Answered, Failure> {
    let service = wanted.service;
    let Some(endpoint) = endpoint_of(&shared.services.endpoints, service) else {
        return Err(Failure::Unavailable(format!(
            "there is no {service} here: name an endpoint with {}",
            endpoint_variable(service)
        )));
    };
    let (path, headers) = service::address(service, &wanted.ask, &body);
    let address = format!("{}{path}", endpoint.trim_end_matches('/'));
    let uri: Uri = address
        .parse()
        .map_err(|error| Failure::Unavailable(format!("{address:?} is no address: {error}")))?;
    let mut request = Request::new(body);
    *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap_or(Method::POST);
    *request.uri_mut() = uri;
    let map = request.headers_mut();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            map.insert(name, value);
        }
    }
    for mapping in &integration.parameters {
        if let MappingTarget::Header(name) = &mapping.target
            && let Some(value) = exchange.value(&mapping.source)
            && let Ok(name) = HeaderName::from_bytes(name.as_bytes())
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            map.insert(name, value);
        }
    }
    let seconds = i64::try_from(shared.clock.epoch_millis() / 1000).unwrap_or(0);
    let scope = SigningScope { region: wanted.region, service, epoch_seconds: seconds };
    let keys = Credentials::new(LOCAL_KEYS.access_key, LOCAL_KEYS.secret);
    service::add_signature(&mut request, &keys, &scope);
    http::send(request, integration, shared).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_an_action_or_a_path() {
        let wanted = |service, ask| Some(Wanted { region: "eu-west-1", service, ask });
        for (uri, expected) in [
            (
                "arn:aws:apigateway:eu-west-1:dynamodb:action/PutItem",
                wanted("dynamodb", Ask::Action("PutItem")),
            ),
            (
                "arn:aws:apigateway:eu-west-1:sqs:path/1111/inbox",
                wanted("sqs", Ask::Path("1111/inbox")),
            ),
            ("arn:aws:apigateway:eu-west-1:sqs:other/x", None),
            ("arn:aws:lambda:eu-west-1:1:function:f", None),
            ("https://example.com", None),
        ] {
            assert_eq!(parse(uri), expected, "{uri}");
        }
    }
}
