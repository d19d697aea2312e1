//! `@connections`: how a backend reaches a client, and every other plain request to an API's address.
//!
//! Source: service model `apigatewaymanagementapi` 2018-11-29; errors as SDKs parse them: the
//! `x-amzn-ErrorType` header is what gives an exception its class.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde_json::json;
use stillwire_awswire::{ConnectionId, ErrorBody, ServiceError, iso_millis};
use stillwire_listen::is_here;
use stillwire_model::{Api, StageName};

use crate::actions::MANAGE_CONNECTIONS;
use crate::engine::{Answer, Ending, Outgoing, PostError, Request};
use crate::peer::Place;
use crate::registry::Live;
use crate::service::refusal;
use crate::shared::Shared;
use crate::site::{self, Found, Site};
use crate::{caller, event};

/// Answers one HTTP request at an API's address.
pub(crate) fn answer(request: &Request<'_>, site: &Site, shared: &Shared) -> Answer {
    let request_id = shared.ids.next();
    let answer = match respond(request, site, shared, &request_id) {
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

fn respond(
    request: &Request<'_>,
    site: &Site,
    shared: &Shared,
    request_id: &str,
) -> Result<Answer, ServiceError> {
    let method = request.head.method.as_str();
    let found = site::find(request.head, site, &shared.table.load());
    let found = found.filter(|found| found.is_named || !is_here(request.peer));
    let found = found.ok_or_else(|| forbidden("Forbidden"))?;
    let id = match found.rest.as_slice() {
        [marker, id] if marker == "@connections" => id,
        [] if method == "GET" => return Ok(refusal(426, request_id)),
        rest => return Err(no_such_path(rest, method, &found)),
    };
    let answered = operate(request, id, &found, shared);
    let status = answered.as_ref().map_or_else(|error| error.status, |answer| answer.status);
    found.place.metrics.managed(method, status);
    answered
}

/// Answers a request that is for a connection of a stage.
fn operate(
    request: &Request<'_>,
    id: &str,
    Found { api, place, .. }: &Found,
    shared: &Shared,
) -> Result<Answer, ServiceError> {
    if shared.signed.contains(&place.stage) || !is_here(request.peer) {
        check_caller(request, id, &api.load(), &place.stage, shared)?;
    }
    let id = ConnectionId::parse(id)
        .map_err(|error| ServiceError::rest(400, "BadRequestException", error.to_string()))?;
    let find = || {
        let found = shared.registry.find(id);
        let is_here =
            |live: &Arc<Live>| live.peer.api.id() == api.id() && *live.peer.stage() == place.stage;
        found.filter(is_here).ok_or_else(gone)
    };
    match request.head.method.as_str() {
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

/// Whether the request is signed with a key that may make it.
fn check_caller(
    request: &Request<'_>,
    id: &str,
    api: &Api,
    stage: &StageName,
    shared: &Shared,
) -> Result<(), ServiceError> {
    let now = shared.clock.epoch_millis();
    let checked = shared.keys.check(request.head, &request.body, request.peer, (&api.region, now));
    let access_key =
        checked.map_err(|error| ServiceError::rest(403, error.code(), caller::message(&error)))?;
    let method = &request.head.method;
    let resource = event::arn(api, stage, &format!("{method}/@connections/{id}"));
    let authorized = shared.keys.authorize(&access_key, MANAGE_CONNECTIONS, resource, api);
    authorized.map_err(|refused| refused.answer())
}

fn forbidden(message: impl Into<String>) -> ServiceError {
    ServiceError::rest(403, "ForbiddenException", message)
}

/// The answer to a path that is no connection's.
///
/// Source: observed on custom domains, where a stage in the path is one segment too many.
fn no_such_path(rest: &[String], method: &str, found: &Found) -> ServiceError {
    if !found.by_domain || rest.is_empty() {
        return forbidden("Forbidden");
    }
    let Place { stage, domain_name, .. } = &*found.place;
    if rest.first().is_some_and(|first| first == stage.as_str()) {
        tracing::warn!(
            %stage, host = %domain_name,
            "a request has a stage in its path, which custom domains do not have: https://HOST/API-MAPPING-KEY"
        );
    }
    let path = rest.join("/");
    forbidden(format!("No method found matching route {path} for http method {method}."))
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

/// An error as it is answered.
pub(crate) fn error_answer(error: &ServiceError) -> Answer {
    Answer { status: error.status, body: error.body_text().into(), ..Answer::default() }
        .with("Content-Type", "application/json")
        .with("x-amzn-ErrorType", error.code)
}
