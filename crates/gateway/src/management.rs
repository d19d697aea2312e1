//! `@connections`: how a backend reaches a client, and every other plain request to an API's address.
//!
//! Source: service model `apigatewaymanagementapi` 2018-11-29; errors as SDKs parse them: the
//! `x-amzn-ErrorType` header is what gives an exception its class.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde_json::json;
use stillwire_awswire::{ConnectionId, ErrorBody, ServiceError, iso_millis};
use stillwire_listen::http::{BodyError, body};
use stillwire_listen::is_own_host;
use stillwire_model::StageName;

use crate::ending::Ending;
use crate::outbox::PostError;
use crate::peer::LiveApi;
use crate::registry::Live;
use crate::shared::Shared;

/// Answers one HTTP request at an API's address.
pub(crate) async fn answer(
    request: Request<Incoming>,
    api: Arc<LiveApi>,
    shared: Arc<Shared>,
) -> Response<Full<Bytes>> {
    let request_id = shared.ids.next();
    let mut response = match respond(request, &api, &shared).await {
        Ok(response) => response,
        Err(error) => error_response(&error),
    };
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("x-amzn-requestid", id.clone());
        response.headers_mut().insert("x-amz-apigw-id", id);
    }
    response
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

async fn respond(
    request: Request<Incoming>,
    api: &LiveApi,
    shared: &Shared,
) -> Result<Response<Full<Bytes>>, ServiceError> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    if host != api.domain_name() && !is_own_host(host) {
        return Err(ServiceError::rest(403, "ForbiddenException", "Forbidden"));
    }
    let target = target_of(request.uri().path(), |stage| api.load().stages.contains_key(stage));
    let (stage, id) = match target {
        Target::Connection { stage, id } => (stage, id),
        Target::Stage if request.method() == Method::GET => return Ok(upgrade_required()),
        Target::Stage | Target::Nothing => {
            return Err(ServiceError::rest(403, "ForbiddenException", "Forbidden"));
        }
    };
    let id = ConnectionId::parse(&id)
        .map_err(|error| ServiceError::rest(400, "BadRequestException", error.to_string()))?;
    let find = || {
        let found = shared.registry.find(id);
        let here = found.filter(|live| live.peer.api.id() == api.id() && live.peer.stage == stage);
        here.ok_or_else(gone)
    };
    match *request.method() {
        Method::POST => {
            let limit = shared.config.connection.message_bytes_max;
            let data = body(request.into_body(), limit).await.map_err(|error| match error {
                BodyError::TooLarge => ServiceError::rest(
                    413,
                    "PayloadTooLargeException",
                    format!("Message too long: the limit is {limit} bytes"),
                ),
                BodyError::Incomplete => {
                    ServiceError::rest(400, "BadRequestException", "The body did not arrive")
                }
            })?;
            post(find()?.as_ref(), data)
        }
        Method::GET => Ok(describe(find()?.as_ref())),
        Method::DELETE => {
            let live = find()?;
            shared.registry.forget(id); // a second DELETE answers 410 at once
            live.outbox.end(Ending::deleted()).map_err(|_| gone())?;
            Ok(status(StatusCode::NO_CONTENT))
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

fn post(live: &Live, data: Bytes) -> Result<Response<Full<Bytes>>, ServiceError> {
    if str::from_utf8(&data).is_err() {
        // Choice: clients get text frames, so what is no text cannot be sent.
        return Err(ServiceError::rest(
            400,
            "BadRequestException",
            "Data is not UTF-8 text, and this API sends text messages only",
        ));
    }
    match live.outbox.post(data) {
        Ok(()) => Ok(status(StatusCode::OK)),
        Err(PostError::Gone) => Err(gone()),
        Err(PostError::Full) => Err(ServiceError::rest(
            429,
            "LimitExceededException",
            "The client reads too slowly: its buffer is full",
        )),
    }
}

fn describe(live: &Live) -> Response<Full<Bytes>> {
    let peer = &live.peer;
    let text = json!({
        "connectedAt": iso_millis(peer.connected_at),
        "identity": { "sourceIp": peer.source_ip, "userAgent": peer.user_agent },
        "lastActiveAt": iso_millis(live.last_active.load(Ordering::Relaxed)),
    });
    json_response(StatusCode::OK, text.to_string())
}

/// Unknown, closed, or not yet established: one answer, with an empty body.
fn gone() -> ServiceError {
    ServiceError { status: 410, code: "GoneException", body: ErrorBody::Empty }
}

fn error_response(error: &ServiceError) -> Response<Full<Bytes>> {
    let code = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(code, error.body_text());
    let kind = HeaderValue::from_static(error.code);
    response.headers_mut().insert("x-amzn-errortype", kind);
    response
}

fn json_response(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn upgrade_required() -> Response<Full<Bytes>> {
    let mut response = status(StatusCode::UPGRADE_REQUIRED);
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response
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
