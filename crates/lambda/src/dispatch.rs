//! Sends records to where they go: to another function, or to a service that runs elsewhere.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri};
use serde_json::json;
use stillwire_awswire::{Credentials, SigningScope, endpoint_of, endpoint_variable};
use stillwire_model::{FunctionArn, Invocation, LOCAL_KEYS, limits};
use stillwire_outbound::service::{self, Ask};

use crate::events::Event;
use crate::room::Room;

/// How long a service may take to accept a record. Choice: as long as an integration.
const SEND_TIMEOUT: Duration = limits::INTEGRATION_TIMEOUT_MAX;

/// A record, and where it goes.
#[derive(Debug)]
pub(crate) struct Parcel<'a> {
    /// The ARN of who gets it.
    pub(crate) to: &'a str,
    /// The ARN of the function it is about, with a version or alias.
    pub(crate) function: &'a str,
    /// `Success` or `Failure`.
    pub(crate) ended: &'static str,
    /// The record, as JSON text.
    pub(crate) body: String,
    /// The name that it gets in a bucket.
    pub(crate) object_key: &'a str,
    /// How many events led to it.
    pub(crate) chain: u32,
}

/// A request to a service that takes records.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    pub(crate) ask: Ask<'a>,
    pub(crate) body: String,
}

/// Sends a record.
///
/// # Errors
/// Why it could not be sent.
pub(crate) async fn send(room: &Arc<Room>, parcel: Parcel<'_>) -> Result<(), String> {
    let Parcel { to, function, ended, body: record, object_key, chain } = parcel;
    let fields: Vec<&str> = to.splitn(6, ':').collect();
    let ["arn", _, service, region, account, resource] = fields.as_slice() else {
        return Err("this is no ARN".to_owned());
    };
    let (account, resource) = (*account, *resource);
    let delivery = |ask, body| Delivery { service, region, ask, body };
    match *service {
        "lambda" => invoke(room, to, record, chain),
        "sqs" => {
            let path = format!("{account}/{resource}");
            let body = form(&[
                ("Action", "SendMessage"),
                ("Version", "2012-11-05"),
                ("MessageBody", &record),
            ]);
            ask(room, delivery(Ask::Path(&path), body)).await
        }
        "sns" => {
            let body = form(&[
                ("Action", "Publish"),
                ("Version", "2010-03-31"),
                ("TopicArn", to),
                ("Message", &record),
            ]);
            ask(room, delivery(Ask::Action("Publish"), body)).await
        }
        "events" => {
            let entry = json!({
                "Source": "lambda",
                "DetailType": format!("Lambda Function Invocation Result - {ended}"),
                "Detail": record,
                "EventBusName": to,
                "Resources": [to, function],
            });
            let body = json!({ "Entries": [entry] }).to_string();
            ask(room, delivery(Ask::Action("PutEvents"), body)).await
        }
        "s3" => {
            // The ARN of a bucket has no region: the function's is as good as any.
            let region = function.split(':').nth(3).unwrap_or_default();
            let address = address(room, "s3", &format!("/{resource}/{object_key}"))?;
            let mut request = Request::new(Bytes::from(record));
            *request.method_mut() = Method::PUT;
            *request.uri_mut() = address;
            request
                .headers_mut()
                .insert("content-type", HeaderValue::from_static("application/json"));
            exchange(room, "s3", region, request).await
        }
        other => Err(format!("{other} takes none here")),
    }
}

/// Another function gets the record as an event.
fn invoke(room: &Arc<Room>, to: &str, record: String, chain: u32) -> Result<(), String> {
    let refused = |why: &str| Err(why.to_owned());
    let Ok((function, qualifier)) = FunctionArn::parse(to) else {
        return refused("this is not the ARN of a function");
    };
    if chain >= limits::EVENT_CHAIN_MAX {
        return refused("events and their destinations run in a circle");
    }
    if room.state().get(&function).is_none() {
        return refused("there is no such function here");
    }
    let id = uuid::Uuid::new_v4().to_string().into();
    let mut next = Event::new(Invocation::new(id, function, qualifier, Bytes::from(record)));
    next.chain = chain + 1;
    room.events.accept(room, next).map_err(|_| "too many events wait".to_owned())
}

/// Asks a service to take something.
///
/// # Errors
/// Why it did not.
pub(crate) async fn ask(room: &Room, delivery: Delivery<'_>) -> Result<(), String> {
    let Delivery { service, region, ask, body } = delivery;
    let (path, headers) = service::address(service, &ask, body.as_bytes());
    let mut request =
        Request::post(address(room, service, &path)?).body(Bytes::from(body)).unwrap_or_default();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            request.headers_mut().insert(name, value);
        }
    }
    exchange(room, service, region, request).await
}

/// An address of a service, at the endpoint that the user named.
fn address(room: &Room, service: &str, path: &str) -> Result<Uri, String> {
    let Some(endpoint) = endpoint_of(&room.ports.endpoints, service) else {
        let variable = endpoint_variable(service);
        return Err(format!("there is no {service} here: name an endpoint with {variable}"));
    };
    let address = format!("{}{path}", endpoint.trim_end_matches('/'));
    address.parse().map_err(|error| format!("{address:?} is no address: {error}"))
}

/// Signs a request and sends it.
async fn exchange(
    room: &Room,
    service: &str,
    region: &str,
    mut request: Request<Bytes>,
) -> Result<(), String> {
    let seconds = i64::try_from(room.ports.clock.epoch_millis() / 1000).unwrap_or(0);
    let scope = SigningScope { region, service, epoch_seconds: seconds };
    let keys = Credentials::new(LOCAL_KEYS.access_key, LOCAL_KEYS.secret);
    service::add_signature(&mut request, &keys, &scope);
    let address = request.uri().to_string();
    match room.ports.outbound.send(request, SEND_TIMEOUT).await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => {
            let text: String = String::from_utf8_lossy(answer.body()).chars().take(200).collect();
            Err(format!("{service} answered {}: {text}", answer.status()))
        }
        Err(error) => Err(format!("{address}: {error}")),
    }
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
