//! `@connections`: how a backend reaches a client, and every other plain request to an API's address.
//!
//! Source: service model `apigatewaymanagementapi` 2018-11-29; errors as SDKs parse them: the
//! `x-amzn-ErrorType` header is what gives an exception its class.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::json;
use stillwire_awswire::{ConnectionId, ErrorBody, ServiceError, iso_millis};
use stillwire_listen::is_own_host;
use stillwire_model::StageName;

use crate::caller;
use crate::engine::{Answer, Ending, Outgoing, PostError, Request};
use crate::peer::LiveApi;
use crate::registry::Live;
use crate::service::refusal;
use crate::shared::Shared;

/// Answers one HTTP request at an API's address.
pub(crate) fn answer(request: &Request<'_>, api: &LiveApi, shared: &Shared) -> Answer {
    let request_id = shared.ids.next();
    let answer = match respond(request, api, shared, &request_id) {
        Ok(answer) => answer,
        Err(error) => error_answer(&error),
    };
    answer.with("x-amzn-RequestId", request_id.as_str()).with("x-amz-apigw-id", request_id)
}

/// The answer to a body that is larger than any connection takes.
pub(crate) fn too_large(limit: usize) -> Answer {
    error_answer(&ServiceError::rest(
        413,
        "PayloadTooLargeException",
        format!("Message too long: the limit is {limit} bytes"),
    ))
}

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// `/{stage}/@connections/{id}`.
    Connection { stage: StageName, id: String },
    /// `/{stage}`, which is no place for plain HTTP.
    Stage,
    /// Anything else.
    Nothing,
}

fn respond(
    request: &Request<'_>,
    api: &LiveApi,
    shared: &Shared,
    request_id: &str,
) -> Result<Answer, ServiceError> {
    let forbidden = || ServiceError::rest(403, "ForbiddenException", "Forbidden");
    let host = request.head.first("host").unwrap_or_default();
    if host != api.domain_name() && !is_own_host(host) {
        return Err(forbidden());
    }
    let (path, _) = request.head.path_and_query();
    let method = request.head.method.as_str();
    let target = target_of(path, |stage| {
        let api = api.load();
        api.stages.contains_key(stage) && api.at_stage(stage).execute_api_endpoint
    });
    let (stage, id) = match target {
        Target::Connection { stage, id } => (stage, id),
        Target::Stage if method == "GET" => return Ok(refusal(426, request_id)),
        Target::Stage | Target::Nothing => return Err(forbidden()),
    };
    if shared.keys.required {
        let region = api.load().region.clone();
        let now = shared.clock.epoch_millis();
        shared
            .keys
            .check(request.head, &request.body, &region, now)
            .map_err(|error| ServiceError::rest(403, error.code(), caller::message(&error)))?;
    }
    let id = ConnectionId::parse(&id)
        .map_err(|error| ServiceError::rest(400, "BadRequestException", error.to_string()))?;
    let find = || {
        let found = shared.registry.find(id);
        let here = found.filter(|live| live.peer.api.id() == api.id() && live.peer.stage == stage);
        here.ok_or_else(gone)
    };
    match method {
        "POST" => post(find()?.as_ref(), request.body.clone()),
        "GET" => Ok(describe(find()?.as_ref())),
        "DELETE" => {
            let live = find()?;
            shared.registry.forget(id); // a second DELETE answers 410 at once
            live.outbox.end(Ending::deleted()).map_err(|_| gone())?;
            Ok(Answer { status: 204, ..Answer::default() })
        }
        _ => Err(ServiceError::rest(
            403,
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        )),
    }
}

fn target_of(path: &str, is_stage: impl Fn(&StageName) -> bool) -> Target {
    // An endpoint with a trailing slash gives an empty segment.
    let segments: Option<Vec<String>> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8().ok().map(String::from))
        .collect();
    let stage_named = |name: &str| StageName::parse(name).ok().filter(&is_stage);
    match segments.as_deref() {
        Some([stage, marker, id]) if marker == "@connections" => match stage_named(stage) {
            Some(stage) => Target::Connection { stage, id: id.clone() },
            None => Target::Nothing,
        },
        Some([stage]) if stage_named(stage).is_some() => Target::Stage,
        _ => Target::Nothing,
    }
}

/// Status 200 promises that the message stands in the bounded queue of a live connection, behind all that were
/// accepted before it.
fn post(live: &Live, data: Bytes) -> Result<Answer, ServiceError> {
    let limits = live.outbox.limits();
    if data.len() > limits.message_bytes_max {
        return Err(ServiceError::rest(
            413,
            "PayloadTooLargeException",
            format!("Message too long: the limit is {} bytes", limits.message_bytes_max),
        ));
    }
    let Some(message) = Outgoing::of(data, limits) else {
        // Choice: clients get text frames, so what is no text cannot be sent.
        return Err(ServiceError::rest(
            400,
            "BadRequestException",
            "Data is not UTF-8 text, and this API sends text messages only",
        ));
    };
    match live.outbox.post(message) {
        Ok(()) => Ok(Answer { status: 200, ..Answer::default() }),
        Err(PostError::Gone) => Err(gone()),
        Err(PostError::Full) => Err(ServiceError::rest(
            429,
            "LimitExceededException",
            "The client reads too slowly: its buffer is full",
        )),
    }
}

fn describe(live: &Live) -> Answer {
    let peer = &live.peer;
    let text = json!({
        "connectedAt": iso_millis(peer.connected_at),
        "identity": { "sourceIp": peer.source_ip.to_string(), "userAgent": peer.user_agent },
        "lastActiveAt": iso_millis(live.last_active.load(Ordering::Relaxed)),
    });
    Answer { status: 200, body: text.to_string().into(), ..Answer::default() }
        .with("Content-Type", "application/json")
}

/// Unknown, closed, or not yet established: one answer, with an empty body.
fn gone() -> ServiceError {
    ServiceError { status: 410, code: "GoneException", body: ErrorBody::Empty }
}

fn error_answer(error: &ServiceError) -> Answer {
    Answer { status: error.status, body: error.body_text().into(), ..Answer::default() }
        .with("Content-Type", "application/json")
        .with("x-amzn-ErrorType", error.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Target {
        target_of(path, |stage| stage.as_str() == "dev")
    }

    #[test]
    fn both_spellings_of_a_path_name_the_connection() {
        let id = "L0SM9cOFvHcCIhw=".to_owned();
        let stage = StageName::parse("dev").unwrap();
        for path in [
            "/dev/@connections/L0SM9cOFvHcCIhw%3D",
            "/dev/%40connections/L0SM9cOFvHcCIhw=",
            "/dev//@connections/L0SM9cOFvHcCIhw=",
        ] {
            let stage = stage.clone();
            assert_eq!(target(path), Target::Connection { stage, id: id.clone() }, "{path}");
        }
    }

    #[test]
    fn other_paths_name_nothing() {
        for path in [
            "/",
            "/prod",
            "/prod/@connections/x",
            "/@connections/L0SM9cOFvHcCIhw=",
            "/dev/x",
            "/dev/@connections",
            "/dev/@connections/a/b",
        ] {
            assert_eq!(target(path), Target::Nothing, "{path}");
        }
        assert_eq!(target("/dev"), Target::Stage);
        assert_eq!(target("/dev/"), Target::Stage);
    }
}
