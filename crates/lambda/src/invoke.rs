//! Invocations: answered at once, as an event stream, or accepted for later.
//!
//! Source: AWS Lambda API, `Invoke`, `InvokeAsync`, `InvokeWithResponseStream`.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use stillwire_model::{FunctionArn, Invocation, Invoked, LambdaReply, Outcome, limits};

use crate::error::{Answered, Refused};
use crate::event_stream;
use crate::events::Event;
use crate::members::put;
use crate::name::Named;
use crate::request::{Request, empty, reply};
use crate::room::Room;

/// What a function is told when a caller sends nothing.
const NO_EVENT: &[u8] = b"{}";

/// The error of a function, as the service names it to callers.
///
/// Source: AWS Lambda API, `Invoke`, `FunctionError`; `Handled` is of runtimes that are gone.
const UNHANDLED: &str = "Unhandled";

/// How an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    RequestResponse,
    Event,
    DryRun,
}

/// A function that exists, as it was named.
/// Headers of an answer.
type Headers = Vec<(&'static str, String)>;

struct Target {
    function: FunctionArn,
    qualifier: Option<String>,
}

/// `Invoke`.
pub(crate) async fn invoke(
    room: &Arc<Room>,
    name: &str,
    request: &Request,
) -> Answered<LambdaReply> {
    let target = target(room, name, request.queried("Qualifier"))?;
    match kind(request, "x-amz-invocation-type")? {
        Kind::DryRun => Ok(empty(204)),
        Kind::Event => accept(room, target, request.body.clone(), request),
        Kind::RequestResponse => {
            let (invoked, headers) = run(room, target, request).await?;
            let (body, failed) = match &invoked.outcome {
                Outcome::Returned(body) => (body.clone(), false),
                Outcome::Failed(error) => (error.clone(), true),
            };
            let mut reply = reply(200, body);
            reply.headers.push(("x-amz-executed-version", invoked.version.to_string()));
            if failed {
                reply.headers.push(("x-amz-function-error", UNHANDLED.to_owned()));
            }
            if let Some(tail) = &invoked.log_tail {
                reply.headers.push(("x-amz-log-result", BASE64_STANDARD.encode(tail)));
            }
            reply.headers.extend(headers);
            Ok(reply)
        }
    }
}

/// `InvokeWithResponseStream`. What a function answers is sent in one piece.
pub(crate) async fn invoke_as_stream(
    room: &Arc<Room>,
    name: &str,
    request: &Request,
) -> Answered<LambdaReply> {
    let target = target(room, name, request.queried("Qualifier"))?;
    match kind(request, "x-amz-invocation-type")? {
        Kind::DryRun => return Ok(empty(204)),
        Kind::Event => {
            let constraint = "Member must satisfy enum value set: [RequestResponse, DryRun]";
            return Err(Refused::invalid_member("Event", "invocationType", constraint));
        }
        Kind::RequestResponse => {}
    }
    let (invoked, mut headers) = run(room, target, request).await?;
    let mut stream = BytesMut::new();
    let mut complete = json!({});
    match &invoked.outcome {
        Outcome::Returned(body) => {
            event_stream::event("PayloadChunk", "application/octet-stream", body, &mut stream);
        }
        Outcome::Failed(error) => {
            put(&mut complete, "ErrorCode", UNHANDLED);
            put(&mut complete, "ErrorDetails", String::from_utf8_lossy(error));
        }
    }
    if let Some(tail) = &invoked.log_tail {
        put(&mut complete, "LogResult", BASE64_STANDARD.encode(tail));
    }
    let complete = complete.to_string();
    event_stream::event("InvokeComplete", "application/json", complete.as_bytes(), &mut stream);
    headers.push(("content-type", "application/vnd.amazon.eventstream".to_owned()));
    headers.push(("x-amz-executed-version", invoked.version.to_string()));
    Ok(LambdaReply { status: 200, headers, body: stream.freeze() })
}

/// `InvokeAsync`, which came before `Invoke` could do this.
pub(crate) fn invoke_async(
    room: &Arc<Room>,
    name: &str,
    request: &Request,
) -> Answered<LambdaReply> {
    let target = target(room, name, None)?;
    accept(room, target, request.body.clone(), request)
}

/// Runs a function and waits for it; gives headers that tell its id and its trace as well.
async fn run(room: &Room, target: Target, request: &Request) -> Answered<(Invoked, Headers)> {
    let payload = payload(&request.body, limits::INVOKE_REQUEST_BYTES_MAX, |limit, _| {
        format!("Request must be smaller than {limit} bytes for the InvokeFunction operation")
    })?;
    let id: Arc<str> = uuid::Uuid::new_v4().to_string().into();
    let Target { function, qualifier } = target;
    let trace = room.trace(request);
    let mut headers = vec![
        ("x-amzn-requestid", id.to_string()),
        ("x-amzn-remapped-content-length", "0".to_owned()),
    ];
    headers.extend(trace.as_ref().map(|trace| ("x-amzn-trace-id", trace.to_string())));
    let invocation = Invocation {
        trace,
        client_context: client_context(request)?.map(Arc::from),
        log_tail: log_tail(request)?,
        waits: false,
        ..Invocation::new(id, function, qualifier, payload)
    };
    Ok((room.ports.invoke.invoke(invocation).await?, headers))
}

/// Takes an event for later.
fn accept(
    room: &Arc<Room>,
    target: Target,
    body: Bytes,
    request: &Request,
) -> Answered<LambdaReply> {
    let payload = payload(&body, limits::EVENT_BYTES_MAX, |limit, size| {
        format!(
            "{size} byte payload is too large for the Event invocation type (limit {limit} bytes)"
        )
    })?;
    let id = uuid::Uuid::new_v4().to_string();
    let Target { function, qualifier } = target;
    let invocation = Invocation {
        trace: room.trace(request),
        ..Invocation::new(id.as_str().into(), function, qualifier, payload)
    };
    room.events.accept(room, Event::new(invocation))?;
    Ok(LambdaReply { headers: vec![("x-amzn-requestid", id)], ..empty(202) })
}

fn target(room: &Room, name: &str, qualifier: Option<&str>) -> Answered<Target> {
    let named = Named::parse(name, qualifier)?;
    let state = room.state();
    let function = state.find(&named, &room.home)?;
    function.configuration(named.qualifier.as_deref())?;
    Ok(Target { function: function.arn.clone(), qualifier: named.qualifier })
}

fn kind(request: &Request, header: &str) -> Answered<Kind> {
    match request.header(header) {
        None | Some("RequestResponse" | "") => Ok(Kind::RequestResponse),
        Some("Event") => Ok(Kind::Event),
        Some("DryRun") => Ok(Kind::DryRun),
        Some(other) => {
            let constraint = "Member must satisfy enum value set: [Event, RequestResponse, DryRun]";
            Err(Refused::invalid_member(other, "invocationType", constraint))
        }
    }
}

fn log_tail(request: &Request) -> Answered<bool> {
    match request.header("x-amz-log-type") {
        None | Some("None" | "") => Ok(false),
        Some("Tail") => Ok(true),
        Some(other) => {
            let constraint = "Member must satisfy enum value set: [None, Tail]";
            Err(Refused::invalid_member(other, "logType", constraint))
        }
    }
}

/// The event: JSON within its bound.
fn payload(
    body: &Bytes,
    bytes_max: usize,
    too_large: impl FnOnce(usize, usize) -> String,
) -> Answered<Bytes> {
    if body.len() > bytes_max {
        return Err(Refused::too_large(too_large(bytes_max, body.len())));
    }
    if body.is_empty() {
        return Ok(Bytes::from_static(NO_EVENT));
    }
    match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) if str::from_utf8(body).is_ok() => Ok(body.clone()),
        Ok(_) => Err(Refused::content("Could not parse request body into json: it is not UTF-8")),
        Err(error) => {
            Err(Refused::content(format!("Could not parse request body into json: {error}")))
        }
    }
}

/// The client context as JSON text that fits a header: on one line, in ASCII.
fn client_context(request: &Request) -> Answered<Option<String>> {
    let Some(encoded) = request.header("x-amz-client-context").filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    if encoded.len() > limits::CLIENT_CONTEXT_BYTES_MAX {
        let text = format!(
            "Client context must be no more than {} bytes.",
            limits::CLIENT_CONTEXT_BYTES_MAX
        );
        return Err(Refused::content(text));
    }
    let context = BASE64_STANDARD
        .decode(encoded)
        .ok()
        .and_then(|text| serde_json::from_slice::<Value>(&text).ok())
        .filter(Value::is_object)
        .ok_or_else(|| {
            Refused::content("Client context must be a valid Base64-encoded JSON object.")
        })?;
    let mut text = String::new();
    for character in context.to_string().chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(text, "\\u{unit:04x}").expect("a String takes all text");
            }
        }
    }
    Ok(Some(text))
}
