//! The local AWS endpoint: where the SDKs of functions send what is not for an API's own address.
//!
//! It finds the service a request is for and hands it to the room that serves it. A service that is not served
//! here is answered with an error that says how to name an endpoint that does; nothing is passed on to AWS.

mod apigateway;
mod dynamodb;
mod identity;
mod lambda;
mod partiql;
mod roles;
mod table_access;
mod unserved;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use stillwire_awswire::{CredentialScope, service_of_host};
use stillwire_drain::Drain;
use stillwire_listen::http::{BodyError, body};
use stillwire_listen::{Accepted, Door, http as serving, is_own_host};
use stillwire_model::{ControlApi, LambdaApi, Metrics};
use uuid::Uuid;

pub use dynamodb::{TableAuth, Tables};
pub use roles::{InvalidRole, Roles};

/// The largest request that services here take, but for Lambda, which has a limit of its own. Source: DynamoDB quotas, "Request size" (16 MB).
pub(crate) const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Source: Prometheus, "Exposition formats", text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The endpoint and the rooms behind it.
#[derive(Debug, Clone)]
pub struct Front {
    rooms: Rooms,
    account: Arc<str>,
}

/// What the endpoint serves.
#[derive(Debug, Clone)]
pub struct Rooms {
    /// `DynamoDB`.
    pub tables: Tables,
    /// API Gateway's control plane.
    pub control: Arc<dyn ControlApi>,
    /// Lambda.
    pub lambda: Arc<dyn LambdaApi>,
    /// What `GET /metrics` shows.
    pub metrics: Arc<dyn Metrics>,
}

impl Front {
    /// An endpoint that serves these rooms; `account` is who callers are told they are.
    pub fn new(rooms: Rooms, account: &str) -> Self {
        Self { rooms, account: account.into() }
    }

    /// Serves requests at `door` until the drain begins.
    pub fn serve(self, door: Door, drain: &Drain) {
        let inner = drain.clone();
        let accepting = door.open("aws connection", drain.clone(), move |accepted: Accepted| {
            let (front, drain) = (self.clone(), inner.clone());
            async move {
                let Accepted { stream, place, .. } = accepted;
                serving::serve(stream, &drain, |request| front.clone().answer(request)).await;
                drop(place);
            }
        });
        drain.spawn("aws door", accepting);
    }

    async fn answer(self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, incoming) = request.into_parts();
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let scope = header("authorization").map(CredentialScope::parse);
        let target = header("x-amz-target").unwrap_or_default();
        let caller = Caller {
            scope: match scope {
                Some(Ok(scope)) => Some(scope),
                Some(Err(_)) | None => None,
            },
            signed: scope_given(header("authorization")),
            host: header("host").unwrap_or_default().to_owned(),
            content_type: header("content-type").unwrap_or_default().to_owned(),
            target: target.to_owned(),
        };
        if !is_own_host(&caller.host) {
            tracing::warn!(host = caller.host, "refused: the request is for another host");
            return text(StatusCode::FORBIDDEN, "this address serves local programs only\n");
        }
        if parts.method == Method::GET && !caller.signed {
            match parts.uri.path() {
                "/" => return dynamodb::health(&self.rooms.tables.region),
                "/metrics" => return reply(200, METRICS_TYPE, self.rooms.metrics.text().into()),
                _ => {}
            }
        }
        let for_lambda = lambda::is_for(&caller);
        let bytes_max = if for_lambda { lambda::bytes_max(&parts) } else { REQUEST_BYTES_MAX };
        let body = match body(incoming, bytes_max).await {
            Ok(body) => body,
            Err(BodyError::TooLarge) if for_lambda => return lambda::too_large(&parts),
            Err(BodyError::TooLarge) => return text(StatusCode::PAYLOAD_TOO_LARGE, ""),
            Err(BodyError::Incomplete) => return text(StatusCode::BAD_REQUEST, ""),
        };
        if dynamodb::is_for(&caller) {
            let tables = &self.rooms.tables;
            return dynamodb::answer(tables, &caller, &self.account, &parts, body).await;
        }
        if apigateway::is_for(&caller, parts.uri.path()) {
            return apigateway::answer(self.rooms.control.as_ref(), &parts, body).await;
        }
        if for_lambda {
            return lambda::answer(self.rooms.lambda.as_ref(), &parts, body).await;
        }
        if identity::is_for(&caller, &body) {
            let key = caller.scope.as_ref().map(|scope| scope.access_key.as_str());
            let function = key.and_then(|key| self.rooms.tables.functions.function(key));
            let account = caller.account(&self.account);
            return identity::answer(&caller, account, function.as_deref());
        }
        unserved::answer(&caller)
    }
}

/// Who calls, and what for.
#[derive(Debug)]
pub(crate) struct Caller {
    /// What the signature names, if it is one.
    pub(crate) scope: Option<CredentialScope>,
    /// Whether there is an `Authorization` header at all.
    pub(crate) signed: bool,
    pub(crate) host: String,
    pub(crate) content_type: String,
    pub(crate) target: String,
}

impl Caller {
    /// The account that the caller's key names, or else `home`. A key of twelve digits is an account's own.
    fn account<'a>(&'a self, home: &'a str) -> &'a str {
        let key = self.scope.as_ref().map(|scope| scope.access_key.as_str());
        key.filter(|key| key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit()))
            .unwrap_or(home)
    }

    /// The service by its signing name, from the signature or else from a host name of AWS.
    pub(crate) fn service(&self) -> Option<&str> {
        match &self.scope {
            Some(scope) => Some(&scope.service),
            None => service_of_host(&self.host),
        }
    }
}

fn scope_given(authorization: Option<&str>) -> bool {
    authorization.is_some_and(|text| !text.is_empty())
}

/// An answer with the request id that SDKs print.
pub(crate) fn reply(status: u16, content_type: &str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Ok(content_type) = HeaderValue::from_str(content_type) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    response
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    reply(status.as_u16(), "text/plain", Bytes::from_static(text.as_bytes()))
}
