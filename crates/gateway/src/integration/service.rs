//! `AWS`: an action of a service, or a function with a body of the template's making.
//!
//! `DynamoDB` is served by our own tables; other services by the endpoint that the user named for them.
//!
//! Source: API Gateway v2, `IntegrationUri`: `arn:{partition}:apigateway:{region}:{service}:action/{name}` or `…:path/{path}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::http::header::{CONTENT_TYPE, HOST};
use ::http::{HeaderName, HeaderValue, Method, Request, Uri};
use bytes::Bytes;
use serde::Deserialize;
use stillwire_awswire::{Credentials, Payload, RawRequest, SigningScope, sign};
use stillwire_model::{
    FunctionArn, Integration, Invocation, LOCAL_KEYS, MappingTarget, Outcome, TableApi,
    function_of_uri,
};

use crate::exchange::Exchange;
use crate::integration::backend::Answered;
use crate::integration::{http, invocation_id};
use crate::rescue::Failure;
use crate::shared::Shared;

/// Who answers for services.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) tables: Arc<dyn TableApi>,
    /// Endpoints that the user named, by the service's name in lower case.
    pub(crate) endpoints: BTreeMap<String, String>,
}

/// The JSON protocol of services with actions: the prefix of `X-Amz-Target`, and the version of the protocol.
///
/// Source: the services' own models (`targetPrefix`, `jsonVersion`). All others speak the query protocol.
const JSON_SERVICES: [(&str, &str, &str); 9] = [
    ("dynamodb", "DynamoDB_20120810", "1.0"),
    ("states", "AWSStepFunctions", "1.0"),
    ("events", "AWSEvents", "1.1"),
    ("kinesis", "Kinesis_20131202", "1.1"),
    ("firehose", "Firehose_20150804", "1.1"),
    ("logs", "Logs_20140328", "1.1"),
    ("ssm", "AmazonSSM", "1.1"),
    ("secretsmanager", "secretsmanager", "1.1"),
    ("kms", "TrentService", "1.1"),
];

/// What a URI asks of which service.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    region: &'a str,
    service: &'a str,
    ask: Ask<'a>,
}

#[derive(Debug, PartialEq, Eq)]
enum Ask<'a> {
    Action(&'a str),
    Path(&'a str),
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
            let reply = shared.services.tables.call(&target, body).await;
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
        let invocation = Invocation::new(invocation_id(), function, qualifier, body);
        let called = shared.invoke.invoke(invocation);
        if is_event {
            shared.drain.spawn("event", async move {
                if let Err(problem) = called.await {
                    tracing::error!(%problem, "an event could not be delivered");
                }
            });
            return Ok(Answered::new(202, Bytes::new()));
        }
        match called.await?.outcome {
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
    let Some(endpoint) = shared.services.endpoints.get(service) else {
        return Err(Failure::Unavailable(format!(
            "there is no {service} here: name an endpoint with AWS_ENDPOINT_URL_{}",
            service.to_ascii_uppercase()
        )));
    };
    let (path, headers) = address(wanted, &body);
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
    add_signature(&mut request, &scope);
    http::send(request, integration, shared).await
}

/// Path and headers of a request, by the protocol of its service.
fn address(wanted: &Wanted<'_>, body: &[u8]) -> (String, Vec<(HeaderName, String)>) {
    let form = || vec![(CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned())];
    match &wanted.ask {
        Ask::Path(path) => (format!("/{path}"), form()),
        Ask::Action(action) => {
            match JSON_SERVICES.iter().find(|(service, ..)| *service == wanted.service) {
                Some((_, prefix, version)) => {
                    let target = HeaderName::from_static("x-amz-target");
                    let kind = format!("application/x-amz-json-{version}");
                    let headers =
                        vec![(target, format!("{prefix}.{action}")), (CONTENT_TYPE, kind)];
                    ("/".to_owned(), headers)
                }
                None if body.windows(7).any(|window| window == b"Action=") => {
                    ("/".to_owned(), form())
                }
                None => (format!("/?Action={action}"), form()),
            }
        }
    }
}

fn add_signature(request: &mut Request<Bytes>, scope: &SigningScope<'_>) {
    if let Some(host) = request.uri().authority().map(|authority| authority.as_str().to_owned())
        && let Ok(host) = HeaderValue::from_str(&host)
    {
        request.headers_mut().insert(HOST, host);
    }
    let headers = request.headers().iter();
    let raw = RawRequest {
        method: request.method().as_str(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        headers: headers
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect(),
        payload: Payload::Body(request.body()),
    };
    let made = sign(&raw, &Credentials::new(LOCAL_KEYS.access_key, LOCAL_KEYS.secret), scope);
    for (name, value) in made {
        if let Ok(value) = HeaderValue::from_str(&value) {
            request.headers_mut().insert(name, value);
        }
    }
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

    #[test]
    fn a_service_is_asked_in_its_own_protocol() {
        let asked = |uri: String, body: &str| {
            let (path, headers) = address(&parse(&uri).unwrap(), body.as_bytes());
            (path, headers.into_iter().map(|(_, value)| value).collect::<Vec<_>>())
        };
        let json = vec![
            "AWSStepFunctions.StartExecution".to_owned(),
            "application/x-amz-json-1.0".to_owned(),
        ];
        let form = vec!["application/x-www-form-urlencoded".to_owned()];
        let arn = |rest: &str| format!("arn:aws:apigateway:us-east-1:{rest}");
        assert_eq!(asked(arn("states:action/StartExecution"), "{}"), ("/".to_owned(), json));
        assert_eq!(
            asked(arn("sns:action/Publish"), "Message=x"),
            ("/?Action=Publish".to_owned(), form.clone())
        );
        assert_eq!(
            asked(arn("sqs:path/1/inbox"), "Action=SendMessage"),
            ("/1/inbox".to_owned(), form)
        );
    }
}
