//! The local AWS endpoint: where the SDKs of functions send what is not for an API's own address.
//!
//! It finds the service a request is for and hands it to the room that serves it. A service that is not served
//! here is answered with an error that says how to name an endpoint that does; nothing is passed on to AWS.

mod apigateway;
mod dynamodb;
mod lambda;
mod number;
mod objects;
mod outgoing;
mod partiql;
mod roles;
mod services;
mod signed;
mod table_access;
mod table_facts;
mod unserved;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use stillwire_awswire::{CredentialScope, service_of_host};
use stillwire_drain::Drain;
use stillwire_listen::http::{BodyError, body};
use stillwire_listen::{Accepted, Door, http as serving, is_here, is_own_host};
use stillwire_model::{
    ControlApi, Function, IssuedKeys, LambdaApi, Metrics, ObjectApi, ServiceApi, ServiceCaller,
    account_of_key,
};
use uuid::Uuid;

pub use dynamodb::{TableAuth, Tables};
use outgoing::Outgoing;
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
    own_name: Option<Arc<str>>,
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
    /// Services that take requests whole, by their signing names (`cloudformation`, `sts`).
    pub services: BTreeMap<&'static str, Arc<dyn ServiceApi>>,
    /// S3, as far as it is here.
    pub objects: Arc<dyn ObjectApi>,
    /// The temporary keys that were given out.
    pub issued: Arc<dyn IssuedKeys>,
    /// What `GET /metrics` shows, one after the other.
    pub metrics: Vec<Arc<dyn Metrics>>,
}

impl Front {
    /// An endpoint that serves these rooms; `account` is who callers are told they are, `own_name` what other machines know this
    /// one as.
    pub fn new(rooms: Rooms, account: &str, own_name: Option<&str>) -> Self {
        Self { rooms, account: account.into(), own_name: own_name.map(Into::into) }
    }

    /// Serves requests at `door` until the drain begins.
    pub fn serve(self, door: Door, drain: &Drain) {
        let inner = drain.clone();
        door.open("aws connection", drain, move |accepted: Accepted| {
            let (front, drain) = (self.clone(), inner.clone());
            async move {
                let Accepted { stream, peer, place } = accepted;
                let answer = |request| front.clone().answer(request, peer);
                serving::serve(stream, &drain, answer).await;
                drop(place);
            }
        });
    }

    async fn answer(self, request: Request<Incoming>, peer: SocketAddr) -> Response<Outgoing> {
        let (parts, incoming) = request.into_parts();
        let caller = Caller::of(&parts);
        // Whoever comes from elsewhere, or by the name that others know, has to sign: a proxy on this machine may have let them
        // in. No page can make a browser do that.
        let is_local = is_here(peer) && is_own_host(&caller.host);
        if is_here(peer) && !is_local && !self.is_named_by(&caller.host) {
            tracing::warn!(host = caller.host, "refused: the request is for another host");
            let refusal = "this address serves local programs only\n";
            return text(StatusCode::FORBIDDEN, refusal).map(Outgoing::Whole);
        }
        if objects::is_for(&caller) {
            let permitted = signed::permit_unread(&self.rooms, &parts, (peer, is_local));
            return match permitted {
                Ok(()) => objects::answer(&self, &caller, parts, incoming).await,
                Err(refused) => (*refused).map(Outgoing::Whole),
            };
        }
        self.answer_whole(caller, parts, incoming, (peer, is_local)).await.map(Outgoing::Whole)
    }

    /// Whether a `Host` header is the name that other machines know.
    fn is_named_by(&self, host: &str) -> bool {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        self.own_name.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    /// Answers where a request is read to its end first.
    async fn answer_whole(
        &self,
        caller: Caller,
        parts: http::request::Parts,
        incoming: Incoming,
        (peer, is_local): (SocketAddr, bool),
    ) -> Response<Full<Bytes>> {
        if parts.method == Method::GET && !caller.signed {
            match parts.uri.path() {
                "/" => return dynamodb::health(&self.rooms.tables.region),
                "/metrics" if is_local => {
                    let text: String = self.rooms.metrics.iter().map(|of| of.text()).collect();
                    return reply(200, METRICS_TYPE, text.into());
                }
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
        if let Err(refused) = signed::permit(&self.rooms, &caller, &parts, &body, (peer, is_local))
        {
            return *refused;
        }
        let function = self.function(&caller);
        if dynamodb::is_for(&caller) {
            let (tables, account) =
                (&self.rooms.tables, self.account(&caller, function.as_deref()));
            return dynamodb::answer(&self.rooms, tables, &caller, account, &parts, body).await;
        }
        let from = self.from(&caller, function.as_deref());
        if apigateway::is_for(&caller, parts.uri.path()) {
            return apigateway::answer(self.rooms.control.as_ref(), &parts, body).await;
        }
        if for_lambda {
            return lambda::answer(self.rooms.lambda.as_ref(), from, &parts, body).await;
        }
        match caller.service().and_then(|name| self.rooms.services.get(name)) {
            Some(service) => services::answer(service.as_ref(), caller, from, &parts, body).await,
            None => unserved::answer(&caller),
        }
    }

    /// The function that calls, if it is one.
    fn function(&self, caller: &Caller) -> Option<Arc<Function>> {
        self.rooms.tables.functions.function(&caller.scope.as_ref()?.access_key)
    }

    fn account<'a>(&'a self, caller: &'a Caller, function: Option<&'a Function>) -> &'a str {
        let of_key = || account_of_key(&caller.scope.as_ref()?.access_key);
        match function {
            Some(function) => function.arn.account(),
            None => of_key().unwrap_or(&self.account),
        }
    }

    /// Who calls, as services know callers: a function is at home where it is; a key may name its account.
    fn from(&self, caller: &Caller, function: Option<&Function>) -> ServiceCaller {
        let access_key = caller.scope.as_ref().map(|scope| scope.access_key.clone());
        let access_key = access_key.unwrap_or_default();
        let account = self.account(caller, function);
        let region = caller.scope.as_ref().map(|scope| scope.region.as_str());
        ServiceCaller {
            account: account.into(),
            region: region.unwrap_or(&self.rooms.tables.region).into(),
            function: function.map(roles::user),
            access_key,
        }
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
    fn of(parts: &http::request::Parts) -> Self {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let authorization = header("authorization");
        let scope = match authorization {
            Some(authorization) => CredentialScope::parse(authorization).ok(),
            None => CredentialScope::of_query(parts.uri.query().unwrap_or_default()),
        };
        let owned = |name: &str| header(name).unwrap_or_default().to_owned();
        Self {
            signed: scope_given(authorization) || scope.is_some(),
            scope,
            host: owned("host"),
            content_type: owned("content-type"),
            target: owned("x-amz-target"),
        }
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
    reply_as(&Uuid::new_v4().to_string(), status, content_type, body)
}

/// An answer with this request id.
pub(crate) fn reply_as(
    id: &str,
    status: u16,
    content_type: &str,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
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
