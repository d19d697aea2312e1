//! What is told of events, and to whom.
//!
//! Source: AWS Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations".

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use stillwire_awswire::{RequestContext, ResponseContext, iso_millis, record_key};
use stillwire_model::{Invoked, LATEST, Outcome};
use stillwire_outbound::service::Ask;

use crate::dispatch::{self, Delivery, Parcel};
use crate::events::Event;
use crate::name::qualified;
use crate::room::Room;

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
    request_context: RequestContext<'a, Condition>,
    request_payload: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<ResponseContext<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_payload: Option<Box<RawValue>>,
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
    let untold = |to: &str, sent: Result<(), String>| {
        if let Err(why) = sent {
            tracing::warn!(
                function = %event.function(), event = %event.id(), to, "a record is dropped: {why}"
            );
        }
    };
    if let Some(to) = destination {
        let parcel = Parcel {
            to: &to,
            function: &named(event),
            ended: if condition == Condition::Success { "Success" } else { "Failure" },
            body: record(room, event, condition, invoked),
            object_key: &object_key(room, event),
            chain: event.chain,
        };
        untold(&to, dispatch::send(room, parcel).await);
    }
    if let Some(to) = dead_letter {
        untold(&to, send_dead_letter(room, event, invoked, &to).await);
    }
}

/// The function of an event as records name it.
fn named(event: &Event) -> String {
    qualified(event.function().as_str(), Some(event.qualifier().unwrap_or(LATEST)))
}

/// Source: AWS Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations", S3: the key is
/// `aws/lambda/async/{function}/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-{UUID}`.
fn object_key(room: &Room, event: &Event) -> String {
    let prefix = format!("aws/lambda/async/{}", event.function().name());
    record_key(&prefix, room.ports.clock.epoch_millis(), &uuid::Uuid::new_v4().to_string())
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
            function_arn: named(event),
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

/// The event itself, as it came, with what went wrong beside it.
///
/// Source: AWS Lambda Developer Guide, "Adding a dead-letter queue".
async fn send_dead_letter(
    room: &Room,
    event: &Event,
    invoked: Option<&Invoked>,
    to: &str,
) -> Result<(), String> {
    let fields: Vec<&str> = to.splitn(6, ':').collect();
    let ["arn", _, service, region, account, resource] = fields.as_slice() else {
        return Err("this is no ARN".to_owned());
    };
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
        other => return Err(format!("{other} takes none")),
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
    dispatch::ask(room, Delivery { service, region, ask, body }).await
}
