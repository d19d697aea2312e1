//! A handshake: stage, authorizer, `$connect`, and only then the 101.
//!
//! Source: API Gateway Developer Guide, "Managing connected users and client apps: `$connect` and
//! `$disconnect` routes": the upgrade is pending until `$connect` has completed.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError};

use stillwire_listen::is_here;
use stillwire_model::{Api, ApiKeySource, Authorization, MappingSource, RouteKey};
use stillwire_websocket::{DeflateConfig, Negotiated, Upgrade, UpgradeError};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::actions::INVOKE;
use crate::admission::{Admission, Departure};
use crate::authorizer::Denied;
use crate::caller::NotAuthorized;
use crate::context::{AuthorizerFate, Context, Fate, IntegrationFate, Verdict, millis_since};
use crate::engine::{Answer, Arrival, Ticket, Welcome};
use crate::event::{self, Moment};
use crate::exchange::Exchange;
use crate::peer::Peer;
use crate::registry::Live;
use crate::request::Request;
use crate::rescue::Failure;
use crate::response::ProxyResponse;
use crate::service::{ApiService, refusal, refusal_saying};
use crate::session::ApiSession;
use crate::shared::Shared;
use crate::site::{self, Found, Site};
use crate::{access, api_keys, authorizer, caller, integration, management};

/// A handshake that is refused.
struct Refusal {
    status: u16,
    said: Said,
}

/// What a client is told that is refused.
enum Said {
    /// The gateway's own text for the status.
    Nothing,
    /// Why.
    Reason(String),
    /// What the key may not do.
    NotAuthorized(NotAuthorized),
    /// What the `$connect` integration wants said.
    Answer(ProxyResponse),
}

impl From<u16> for Refusal {
    fn from(status: u16) -> Self {
        Self { status, said: Said::Nothing }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let said = Said::Reason(failure.frame_text().to_owned());
        Self { status: failure.handshake_status(), said }
    }
}

/// A handshake that is well formed, and for a stage that is there.
struct Candidate {
    upgrade: Upgrade,
    compression: Option<Negotiated>,
    peer: Peer,
    api: Arc<Api>,
    /// Room for the `$disconnect`: it comes first, without it nobody is let in.
    room: mpsc::OwnedPermit<Departure>,
    request_id: String,
}

/// Takes a client through its handshake. What has to call a function does so in a task of its own.
pub(crate) fn begin(
    arrival: Arrival,
    site: &Site,
    shared: &Arc<Shared>,
    ticket: Ticket<ApiService>,
) {
    let request_id = shared.ids.next();
    let candidate = match examine(&arrival, site, shared, &request_id, &ticket) {
        Ok(candidate) => candidate,
        Err(status) => return ticket.refuse(refusal(status, &request_id)),
    };
    let Candidate { api, peer, .. } = &candidate;
    if !peer.place.throttles.admit(api.stages.get(peer.stage()), &RouteKey::Connect) {
        candidate.note(&Fate::of(Failure::Throttled), shared);
        return ticket.refuse(refusal(429, &request_id));
    }
    let asks_nobody = api.connect_route().is_none_or(|route| {
        route.integration.is_none()
            && route.required.is_empty()
            && !route.api_key_required
            && matches!(route.authorization, Authorization::None)
    });
    if asks_nobody {
        candidate.note(&Fate { status: 200, ..Fate::default() }, shared);
        return let_in(candidate, None, shared, ticket);
    }
    let shared = Arc::clone(shared);
    shared.drain.clone().spawn("handshake", async move {
        let mut candidate = candidate;
        let mut fate = Fate::default();
        let answer = ask(&arrival, &mut candidate, &mut fate, &shared).await;
        fate.status = answer.as_ref().map_or_else(|refused| refused.status, |_| 200);
        candidate.note(&fate, &shared);
        match answer {
            Ok(answer) => let_in(candidate, answer, &shared, ticket),
            Err(refused) => ticket.refuse(refusal_answer(&refused, &candidate.request_id)),
        }
    });
}

impl Candidate {
    fn note(&self, fate: &Fate, shared: &Shared) {
        let (api, context) = (&self.api, context_of(&self.peer, &self.request_id));
        access::note(api, api.connect_route().map(|route| &**route), &context, fate, shared);
    }
}

fn context_of<'a>(peer: &'a Peer, request_id: &'a str) -> Context<'a> {
    Context {
        peer,
        event_type: "CONNECT",
        route_key: RouteKey::Connect.as_str(),
        request_id,
        message_id: None,
        epoch_millis: peer.connected_at,
    }
}

/// Checks what can be checked without asking anybody.
fn examine(
    arrival: &Arrival,
    site: &Site,
    shared: &Shared,
    request_id: &str,
    ticket: &Ticket<ApiService>,
) -> Result<Candidate, u16> {
    let found = site::find(&arrival.head, site, &shared.table.load());
    let Found { api: live, place, is_named, .. } =
        found.filter(|found| found.rest.is_empty()).ok_or(403_u16)?;
    let api = Arc::clone(live.load().at_stage(&place.stage));
    let upgrade = Upgrade::check(&arrival.head).map_err(UpgradeError::status)?;
    if !is_named && is_here(arrival.peer) {
        return Err(403);
    }
    let compression = shared.limits.of(&place.stage).compression;
    let compression = compression
        .then(|| DeflateConfig::default().negotiate(arrival.head.all("sec-websocket-extensions")));
    let room = reserve(shared).ok_or(503_u16)?;
    let peer = Peer {
        id: ticket.id(),
        api: live,
        place,
        source_ip: arrival.peer.ip(),
        user_agent: arrival.head.first("user-agent").map(Into::into),
        connected_at: shared.clock.epoch_millis(),
        authorized: None,
        access_key: None,
        api_key: None,
    };
    Ok(Candidate {
        upgrade,
        compression: compression.flatten(),
        peer,
        api,
        room,
        request_id: request_id.to_owned(),
    })
}

/// Lets the client in: it is addressable before it can know that it is connected.
fn let_in(
    candidate: Candidate,
    answer: Option<ProxyResponse>,
    shared: &Arc<Shared>,
    ticket: Ticket<ApiService>,
) {
    let Candidate { upgrade, compression, peer, room, request_id, .. } = candidate;
    let head = accept_head(&upgrade, compression, answer.as_ref(), &request_id);
    let outbox = ticket.outbox(Arc::clone(shared.limits.of(peer.stage())));
    let last_active = AtomicU64::new(peer.connected_at);
    let live = Arc::new(Live { peer, outbox, last_active });
    tracing::info!(connection = %live.peer.id, stage = %live.peer.stage(), "connected");
    let session = ApiSession::new(Admission::new(live, room), Arc::clone(shared));
    ticket.accept(Welcome { head, compression }, session);
}

/// Asks the authorizer and `$connect`, each of which may say no.
async fn ask(
    arrival: &Arrival,
    candidate: &mut Candidate,
    fate: &mut Fate,
    shared: &Shared,
) -> Result<Option<ProxyResponse>, Refusal> {
    let Candidate { peer, api, request_id, .. } = candidate;
    let Some(route) = api.connect_route() else { return Ok(None) };
    let port = peer.domain_name().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let request = Request::new(
        &arrival.head,
        arrival.peer,
        arrival.secure,
        port.unwrap_or(443),
        shared.ids.trace(peer.connected_at),
    );
    let moment = Moment { request_id, epoch_millis: peer.connected_at };
    api_keys::check(ApiKeySource::Header, (api, route), peer, &request, (fate, shared))?;
    let authorizer_millis = match &route.authorization {
        Authorization::None => None,
        Authorization::Custom(authorizer) => {
            let began = Instant::now();
            let id = Arc::<str>::from(shared.ids.invocation());
            let judged =
                authorizer::authorize(authorizer, peer, api, &request, moment, &id, shared).await;
            let status = judged.as_ref().map_or_else(Denied::status, |_| 200);
            let error = judged.as_ref().err().map(Denied::to_string);
            let latency = millis_since(began);
            let request_id = (!matches!(judged, Err(Denied::NoIdentity(_)))).then_some(id);
            fate.authorizer = Some(AuthorizerFate { latency, status, error, request_id });
            if let Ok(_) | Err(Denied::Forbidden { .. }) = &judged {
                fate.authorize = Some(Verdict::of(judged.as_ref()));
            }
            match judged {
                Ok((authorized, millis)) => {
                    peer.authorized = Some(Box::new(authorized));
                    Some(millis)
                }
                Err(denied) => {
                    tracing::warn!(stage = %peer.stage(), authorizer = authorizer.name, %denied, "refused");
                    return Err(denied.status().into());
                }
            }
        }
        Authorization::Iam => {
            let here_and_now = (api.region.as_str(), shared.clock.epoch_millis());
            let checked = shared.keys.check(&arrival.head, b"", arrival.peer, here_and_now);
            fate.authenticate = Some(Verdict::of(checked.as_ref()));
            let access_key = checked.map_err(|error| {
                tracing::warn!(stage = %peer.stage(), %error, "refused: its signature does not let it in");
                Refusal { status: 403, said: Said::Reason(caller::message(&error)) }
            })?;
            let resource = event::connect_arn(api, peer.stage());
            let authorized = shared.keys.authorize(&access_key, INVOKE, resource, api);
            fate.authorize = Some(Verdict::of(authorized.as_ref()));
            authorized.map_err(|refused| {
                tracing::warn!(stage = %peer.stage(), %refused, "refused: its key may not connect");
                Refusal { status: 403, said: Said::NotAuthorized(refused) }
            })?;
            peer.access_key = Some(access_key.into());
            None
        }
        Authorization::Unsupported(reason) => {
            tracing::error!(stage = %peer.stage(), reason, "refused: the authorization of $connect does not run here");
            return Err(500.into());
        }
    };
    api_keys::check(ApiKeySource::Authorizer, (api, route), peer, &request, (fate, shared))?;
    if let Some(missing) = route.required.iter().find(|source| !is_given(source, &request)) {
        let failure = Failure::MissingParameter(format!("{missing:?}"));
        tracing::warn!(stage = %peer.stage(), request = request_id, %failure, "refused");
        let status = failure.handshake_status();
        fate.failure = Some(failure);
        return Err(status.into());
    }
    let Some(integration) = &route.integration else { return Ok(None) };
    let exchange =
        Exchange { context: context_of(peer, request_id), api, body: "", request: Some(&request) };
    let began = Instant::now();
    let mut called = None;
    let answer = if integration::is_function(integration) {
        let payload = event::connect(peer, api, &request, moment, authorizer_millis);
        let trace = Some(Arc::clone(&request.trace));
        let id = Arc::clone(called.insert(shared.ids.invocation().into()));
        let result = integration::call(integration, &exchange, payload, trace, id, shared).await;
        result.and_then(|result| ProxyResponse::parse(&result))
    } else {
        integration::exchange(integration, &exchange, shared).await
    };
    let status = answer.as_ref().ok().map(|answer| answer.status);
    let latency = began.elapsed();
    fate.integration = Some(IntegrationFate { latency, status, request_id: called });
    let answer = answer.map_err(|failure| {
        tracing::warn!(stage = %peer.stage(), request = request_id, %failure, "refused: $connect failed");
        let status = failure.handshake_status();
        fate.failure = Some(failure);
        status
    })?;
    if !answer.is_success() {
        tracing::info!(stage = %peer.stage(), status = answer.status, "refused by $connect");
        return Err(Refusal { status: answer.status, said: Said::Answer(answer) });
    }
    Ok(Some(answer))
}

fn is_given(source: &MappingSource, request: &Request) -> bool {
    let value = match source {
        MappingSource::Header(name) => request.header(name),
        MappingSource::QueryString(name) => request.query(name),
        _ => return true, // nothing else can be required
    };
    value.is_some_and(|value| !value.is_empty())
}

fn reserve(shared: &Shared) -> Option<mpsc::OwnedPermit<Departure>> {
    let departures = shared.departures.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    departures.try_reserve_owned().ok()
}

/// Headers that the handshake itself decides. Choice: what else `$connect` returns is passed on.
const OWN_HEADERS: [&str; 11] = [
    "connection",
    "upgrade",
    "content-length",
    "content-type",
    "transfer-encoding",
    "keep-alive",
    "trailer",
    "sec-websocket-accept",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-extensions",
];

fn accept_head(
    upgrade: &Upgrade,
    compression: Option<Negotiated>,
    answer: Option<&ProxyResponse>,
    request_id: &str,
) -> String {
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nx-amz-apigw-id: {request_id}\r\n",
        upgrade.accept
    );
    if let Some(compression) = compression {
        for part in ["Sec-WebSocket-Extensions: ", &compression.header_value(), "\r\n"] {
            head.push_str(part);
        }
    }
    for (name, value) in answer.into_iter().flat_map(passed_on) {
        if name == "sec-websocket-protocol" && !upgrade.protocols.iter().any(|offer| offer == value)
        {
            tracing::warn!(
                protocol = value,
                "$connect chose a sub-protocol that the client did not offer: the client will refuse it"
            );
        }
        for part in [name, ": ", value, "\r\n"] {
            head.push_str(part);
        }
    }
    head.push_str("\r\n");
    head
}

/// The headers of `$connect` that the client gets.
fn passed_on(answer: &ProxyResponse) -> impl Iterator<Item = (&str, &str)> {
    let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.to_str()));
    headers
        .filter_map(|(name, value)| Some((name, value.ok()?)))
        .filter(|(name, _)| !OWN_HEADERS.contains(name))
}

fn refusal_answer(refused: &Refusal, request_id: &str) -> Answer {
    let said = match &refused.said {
        Said::Nothing => return refusal(refused.status, request_id),
        Said::Reason(reason) => return refusal_saying(reason, refused.status, request_id),
        Said::NotAuthorized(refused) => {
            return management::error_answer(&refused.answer()).with("x-amz-apigw-id", request_id);
        }
        Said::Answer(said) => said,
    };
    // Choice: what the function said is what the client gets.
    let body = said.body.clone().unwrap_or_default();
    let mut answer = Answer { status: refused.status, body, ..Answer::default() }
        .with("x-amz-apigw-id", request_id);
    for (name, value) in passed_on(said) {
        answer = answer.with(name.to_owned(), value);
    }
    answer
}
