//! Where records of events go: to another function, or to a service that runs elsewhere.
//!
//! Source: AWS Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations".

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Uri};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use stillwire_awswire::{Credentials, SigningScope, endpoint_of, endpoint_variable, iso_millis};
use stillwire_model::{FunctionArn, Invocation, Invoked, LATEST, LOCAL_KEYS, Outcome, limits};
use stillwire_outbound::service::{self, Ask};

use crate::events::Event;
use crate::name::qualified;
use crate::room::Room;

/// How long a service may take to accept a record. Choice: as long as an integration.
const SEND_TIMEOUT: Duration = limits::INTEGRATION_TIMEOUT_MAX;

/// Why an event is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Condition {
    Success,
    RetriesExhausted,
    EventAgeExceeded,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    version: &'static str,
    timestamp: String,
    request_context: RequestContext<'a>,
    request_payload: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<ResponseContext<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_payload: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: &'a str,
    function_arn: String,
    condition: Condition,
    approximate_invoke_count: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext<'a> {
    status_code: u16,
    executed_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_error: Option<&'static str>,
}

/// A request to a service that takes records.
struct Delivery<'a> {
    /// The ARN of what takes it.
    to: &'a str,
    service: &'a str,
    region: &'a str,
    ask: Ask<'a>,
    body: String,
}

/// Tells what became of an event to whom its function names.
pub(crate) async fn tell(
    room: &Arc<Room>,
    event: &Event,
    condition: Condition,
    invoked: Option<&Invoked>,
) {
    let state = room.state();
    let Some(function) = state.get(event.function()) else { return };
    let qualifier = event.qualifier();
    let settings = function.events(qualifier);
    let destination = match condition {
        Condition::Success => settings.on_success,
        Condition::RetriesExhausted | Condition::EventAgeExceeded => settings.on_failure,
    };
    let dead_letter = function.dead_letter(qualifier).filter(|_| condition != Condition::Success);
    if condition != Condition::Success {
        let untold = destination.is_none() && dead_letter.is_none();
        let end = if untold {
            ": it is dropped, for there is neither an on-failure destination nor a dead-letter queue"
        } else {
            ""
        };
        tracing::warn!(
            function = %event.function(), event = %event.id(), attempts = event.attempts, ?condition,
            "an event is given up{end}"
        );
    }
    if let Some(to) = destination {
        let record = record(room, event, condition, invoked);
        send_record(room, event, condition, &to, record).await;
    }
    if let Some(to) = dead_letter {
        send_dead_letter(room, event, invoked, &to).await;
    }
}

fn record(room: &Room, event: &Event, condition: Condition, invoked: Option<&Invoked>) -> String {
    let response_payload = invoked.map(|invoked| match &invoked.outcome {
        Outcome::Returned(body) | Outcome::Failed(body) => raw(body),
    });
    let record = Record {
        version: "1.0",
        timestamp: iso_millis(room.ports.clock.epoch_millis()),
        request_context: RequestContext {
            request_id: event.id(),
            function_arn: qualified(
                event.function().as_str(),
                Some(event.qualifier().unwrap_or(LATEST)),
            ),
            condition,
            approximate_invoke_count: event.attempts,
        },
        request_payload: raw(&event.invocation.payload),
        response_context: invoked.map(|invoked| ResponseContext {
            status_code: 200,
            executed_version: &invoked.version,
            function_error: matches!(invoked.outcome, Outcome::Failed(_)).then_some("Unhandled"),
        }),
        response_payload,
    };
    serde_json::to_string(&record).unwrap_or_default()
}

/// JSON as it is; anything else as a text.
fn raw(text: &[u8]) -> Box<RawValue> {
    let text = String::from_utf8_lossy(text);
    RawValue::from_string(text.clone().into_owned()).unwrap_or_else(|_| {
        let quoted = serde_json::Value::from(text).to_string();
        RawValue::from_string(quoted).expect("a text in quotes is JSON")
    })
}

async fn send_record(
    room: &Arc<Room>,
    event: &Event,
    condition: Condition,
    to: &str,
    record: String,
) {
    let fields: Vec<&str> = to.splitn(6, ':').collect();
    let ["arn", _, service, region, account, resource] = fields.as_slice() else {
        tracing::warn!(function = %event.function(), to, "a record is dropped: this is no ARN");
        return;
    };
    let (account, resource) = (*account, *resource);
    let delivery = |ask, body| Delivery { to, service, region, ask, body };
    match *service {
        "lambda" => invoke(room, event, to, record),
        "sqs" => {
            let path = format!("{account}/{resource}");
            let body = form(&[
                ("Action", "SendMessage"),
                ("Version", "2012-11-05"),
                ("MessageBody", &record),
            ]);
            send(room, event, delivery(Ask::Path(&path), body)).await;
        }
        "sns" => {
            let body = form(&[
                ("Action", "Publish"),
                ("Version", "2010-03-31"),
                ("TopicArn", to),
                ("Message", &record),
            ]);
            send(room, event, delivery(Ask::Action("Publish"), body)).await;
        }
        "events" => {
            let ended = if condition == Condition::Success { "Success" } else { "Failure" };
            let qualifier = event.qualifier().unwrap_or(LATEST);
            let entry = json!({
                "Source": "lambda",
                "DetailType": format!("Lambda Function Invocation Result - {ended}"),
                "Detail": record,
                "EventBusName": to,
                "Resources": [to, qualified(event.function().as_str(), Some(qualifier))],
            });
            let body = json!({ "Entries": [entry] }).to_string();
            send(room, event, delivery(Ask::Action("PutEvents"), body)).await;
        }
        other => tracing::warn!(
            function = %event.function(), event = %event.id(), to,
            "a record is dropped: {other} takes none here"
        ),
    }
}

/// The event itself, as it came, with what went wrong beside it.
///
/// Source: AWS Lambda Developer Guide, "Adding a dead-letter queue".
async fn send_dead_letter(room: &Room, event: &Event, invoked: Option<&Invoked>, to: &str) {
    let fields: Vec<&str> = to.splitn(6, ':').collect();
    let ["arn", _, service, region, account, resource] = fields.as_slice() else { return };
    let payload = String::from_utf8_lossy(&event.invocation.payload);
    let (code, message) = match invoked.map(|invoked| &invoked.outcome) {
        Some(Outcome::Failed(error)) => {
            let error: serde_json::Value = serde_json::from_slice(error).unwrap_or_default();
            let text = error.get("errorMessage").and_then(serde_json::Value::as_str);
            ("200", text.unwrap_or_default().chars().take(1024).collect())
        }
        _ => ("429", "Rate Exceeded.".to_owned()),
    };
    // SQS and SNS name their attributes differently.
    let (path, action, prefix, own) = match *service {
        "sqs" => (
            Some(format!("{account}/{resource}")),
            "SendMessage",
            "MessageAttribute",
            vec![("Version", "2012-11-05"), ("MessageBody", &*payload)],
        ),
        "sns" => (
            None,
            "Publish",
            "MessageAttributes.entry",
            vec![("Version", "2010-03-31"), ("TopicArn", to), ("Message", &*payload)],
        ),
        other => {
            tracing::warn!(function = %event.function(), to, "an event is dropped: {other} takes none");
            return;
        }
    };
    let attributes = [
        ("RequestID", "String", &**event.id()),
        ("ErrorCode", "Number", code),
        ("ErrorMessage", "String", &message),
    ];
    let mut pairs: Vec<(String, String)> = vec![("Action".to_owned(), action.to_owned())];
    pairs.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    for (index, (name, kind, value)) in attributes.into_iter().enumerate() {
        let prefix = format!("{prefix}.{}", index + 1);
        pairs.push((format!("{prefix}.Name"), name.to_owned()));
        pairs.push((format!("{prefix}.Value.DataType"), kind.to_owned()));
        pairs.push((format!("{prefix}.Value.StringValue"), value.to_owned()));
    }
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let ask = path.as_deref().map_or(Ask::Action(action), Ask::Path);
    send(room, event, Delivery { to, service, region, ask, body }).await;
}

/// Another function gets the record as an event.
fn invoke(room: &Arc<Room>, event: &Event, to: &str, record: String) {
    let refused = |why: &str| {
        tracing::warn!(
            function = %event.function(), event = %event.id(), to,
            "a record is dropped: {why}"
        );
    };
    let Ok((function, qualifier)) = FunctionArn::parse(to) else {
        return refused("this is not the ARN of a function");
    };
    if event.chain >= limits::EVENT_CHAIN_MAX {
        return refused("events and their destinations run in a circle");
    }
    if room.state().get(&function).is_none() {
        return refused("there is no such function here");
    }
    let id = uuid::Uuid::new_v4().to_string().into();
    let mut next = Event::new(Invocation::new(id, function, qualifier, Bytes::from(record)));
    next.chain = event.chain + 1;
    if room.events.accept(room, next).is_err() {
        refused("too many events wait");
    }
}

/// Signs a request and sends it to the endpoint that the user named.
async fn send(room: &Room, event: &Event, delivery: Delivery<'_>) {
    let Delivery { to, service, region, ask, body } = delivery;
    let failed = |why: String| {
        tracing::warn!(
            function = %event.function(), event = %event.id(), to, "a record is dropped: {why}"
        );
    };
    let Some(endpoint) = endpoint_of(&room.ports.endpoints, service) else {
        let variable = endpoint_variable(service);
        return failed(format!("there is no {service} here: name an endpoint with {variable}"));
    };
    let (path, headers) = service::address(service, &ask, body.as_bytes());
    let address = format!("{}{path}", endpoint.trim_end_matches('/'));
    let uri: Uri = match address.parse() {
        Ok(uri) => uri,
        Err(error) => return failed(format!("{address:?} is no address: {error}")),
    };
    let mut request = Request::post(uri).body(Bytes::from(body)).unwrap_or_default();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            request.headers_mut().insert(name, value);
        }
    }
    let seconds = i64::try_from(room.ports.clock.epoch_millis() / 1000).unwrap_or(0);
    let scope = SigningScope { region, service, epoch_seconds: seconds };
    let keys = Credentials::new(LOCAL_KEYS.access_key, LOCAL_KEYS.secret);
    service::add_signature(&mut request, &keys, &scope);
    match room.ports.outbound.send(request, SEND_TIMEOUT).await {
        Ok(answer) if answer.status().is_success() => {}
        Ok(answer) => {
            let text: String = String::from_utf8_lossy(answer.body()).chars().take(200).collect();
            failed(format!("{service} answered {}: {text}", answer.status()));
        }
        Err(error) => failed(format!("{address}: {error}")),
    }
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
