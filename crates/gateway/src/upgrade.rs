//! A handshake: stage, authorizer, `$connect`, and only then the 101.
//!
//! Source: API Gateway Developer Guide, "Managing connected users and client apps: `$connect` and
//! `$disconnect` routes": the upgrade is pending until `$connect` has completed.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, PoisonError};

use stillwire_awswire::ConnectionId;
use stillwire_drain::Drain;
use stillwire_listen::Stream;
use stillwire_model::{Api, Authorization, StageName};
use stillwire_websocket::{RequestHead, Upgrade, UpgradeError};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::time::{Duration, timeout};

use crate::admission::{Admission, Departure};
use crate::connection::Connection;
use crate::ending::Ending;
use crate::event::{self, Moment};
use crate::outbox::Outbox;
use crate::peer::{LiveApi, Peer};
use crate::registry::{Live, Registration};
use crate::request::Request;
use crate::rescue::status_text;
use crate::response::ProxyResponse;
use crate::session::ApiSession;
use crate::shared::Shared;
use crate::{authorizer, integration};

/// How long a client may take to receive the answer to its handshake.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that asks to be let in.
pub(crate) struct Arrival {
    pub(crate) stream: Stream,
    pub(crate) peer: SocketAddr,
    pub(crate) request: RequestHead,
    /// What it sent after its handshake.
    pub(crate) rest: Vec<u8>,
}

/// A client that was let in.
pub(crate) struct Opened {
    connection: Connection<Stream, ApiSession>,
    registration: Registration,
    admission: Admission,
}

impl Opened {
    /// Serves the client until it leaves, then pays the `$disconnect`.
    pub(crate) async fn run(self) {
        let ending = self.connection.await;
        drop(self.registration);
        self.admission.end(ending);
    }
}

/// A handshake that is refused: the status, and what the `$connect` function wants said with it.
struct Refusal {
    status: u16,
    answer: Option<ProxyResponse>,
}

impl From<u16> for Refusal {
    fn from(status: u16) -> Self {
        Self { status, answer: None }
    }
}

/// Takes a client through the handshake; `None` when it was refused, and told so.
pub(crate) async fn open(
    mut arrival: Arrival,
    live_api: Arc<LiveApi>,
    shared: Arc<Shared>,
    drain: Drain,
) -> Option<Opened> {
    let api = live_api.load_full();
    let request_id = shared.ids.next();
    let admitted = admit(&arrival, &api, &live_api, &request_id, &shared).await;
    let (upgrade, live, admission, answer) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => {
            refuse(&mut arrival.stream, &refusal, &request_id).await;
            return None;
        }
    };
    // Addressable before the client can know that it is connected.
    let registration = shared.registry.register(Arc::clone(&live));
    if drain.is_closing() {
        // The stop may have passed over the registry just before; its wish is repeated, harmlessly.
        live.outbox.end(Ending::going_away()).ok();
    }
    let head = accept_head(&upgrade, answer.as_ref(), &request_id);
    let written = timeout(ANSWER_TIMEOUT, arrival.stream.write_all(head.as_bytes())).await;
    if !matches!(written, Ok(Ok(()))) {
        // The client left while `$connect` ran: the application believes in it, so it is told.
        drop(registration);
        admission.end(Ending::lost());
        return None;
    }
    tracing::info!(connection = %live.peer.id, stage = %live.peer.stage, "connected");
    let limits = shared.config.connection.clone();
    let session = ApiSession { live, shared, drain };
    let connection = Connection::new(arrival.stream, session, limits, arrival.rest);
    Some(Opened { connection, registration, admission })
}

type Admitted = (Upgrade, Arc<Live>, Admission, Option<ProxyResponse>);

/// Everything that may say no.
async fn admit(
    arrival: &Arrival,
    api: &Arc<Api>,
    live_api: &Arc<LiveApi>,
    request_id: &str,
    shared: &Arc<Shared>,
) -> Result<Admitted, Refusal> {
    let stage = stage_of(&arrival.request, api).ok_or(403)?;
    let upgrade = Upgrade::check(&arrival.request).map_err(UpgradeError::status)?;
    // Room for the `$disconnect` comes first: without it nobody is let in.
    let place = reserve(shared).ok_or(503)?;
    let epoch_millis = shared.clock.epoch_millis();
    let peer = Peer {
        id: ConnectionId::random().ok_or(500)?,
        api: Arc::clone(live_api),
        stage,
        source_ip: arrival.peer.ip().to_string(),
        user_agent: arrival.request.first("user-agent").map(str::to_owned),
        connected_at: epoch_millis,
        authorized: OnceLock::new(),
    };
    let port = live_api.domain_name().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let request = Request::new(
        &arrival.request,
        arrival.peer,
        arrival.stream.is_secure(),
        port.unwrap_or(443),
        shared.ids.trace(epoch_millis),
    );
    let moment = Moment { request_id, epoch_millis };

    let Some(route) = api.connect_route() else {
        return Ok(accept(peer, place, upgrade, None));
    };
    let authorizer_millis = match &route.authorization {
        Authorization::None => None,
        Authorization::Custom(authorizer) => {
            match authorizer::authorize(authorizer, &peer, api, &request, moment, shared).await {
                Ok((authorized, millis)) => {
                    peer.authorized.set(authorized).ok();
                    Some(millis)
                }
                Err(denied) => {
                    tracing::warn!(stage = %peer.stage, authorizer = authorizer.name, %denied, "refused");
                    return Err(denied.status().into());
                }
            }
        }
        Authorization::Unsupported(reason) => {
            tracing::error!(stage = %peer.stage, reason, "refused: the authorization of $connect does not run here");
            return Err(500.into());
        }
    };
    let Some(integration) = &route.integration else {
        return Ok(accept(peer, place, upgrade, None));
    };
    let payload = event::connect(&peer, api, &request, moment, authorizer_millis);
    let trace = Some(Arc::clone(&request.trace));
    let result = integration::call(integration, payload, trace, shared).await;
    let answer = result.and_then(|result| ProxyResponse::parse(&result)).map_err(|failure| {
        tracing::warn!(stage = %peer.stage, request = request_id, %failure, "refused: $connect failed");
        failure.handshake_status()
    })?;
    if !answer.is_success() {
        tracing::info!(stage = %peer.stage, status = answer.status, "refused by $connect");
        return Err(Refusal { status: answer.status, answer: Some(answer) });
    }
    Ok(accept(peer, place, upgrade, Some(answer)))
}

fn accept(
    peer: Peer,
    place: mpsc::OwnedPermit<Departure>,
    upgrade: Upgrade,
    answer: Option<ProxyResponse>,
) -> Admitted {
    let peer = Arc::new(peer);
    let admission = Admission::new(Arc::clone(&peer), place);
    let last_active = AtomicU64::new(peer.connected_at);
    (upgrade, Arc::new(Live { peer, outbox: Outbox::default(), last_active }), admission, answer)
}

fn reserve(shared: &Shared) -> Option<mpsc::OwnedPermit<Departure>> {
    let departures = shared.departures.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    departures.try_reserve_owned().ok()
}

/// The stage a handshake is for: `/{stage}` or `/{stage}/`, and `/` where the stage is `$default`.
fn stage_of(request: &RequestHead, api: &Api) -> Option<StageName> {
    let (path, _) = request.path_and_query();
    let segment = path.strip_prefix('/')?;
    let segment = segment.strip_suffix('/').unwrap_or(segment);
    let name = StageName::parse(if segment.is_empty() { "$default" } else { segment }).ok()?;
    api.stages.contains_key(&name).then_some(name)
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

fn accept_head(upgrade: &Upgrade, answer: Option<&ProxyResponse>, request_id: &str) -> String {
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nx-amz-apigw-id: {request_id}\r\n",
        upgrade.accept
    );
    if let Some(answer) = answer {
        write_headers(&mut head, answer, upgrade);
    }
    head.push_str("\r\n");
    head
}

fn write_headers(head: &mut String, answer: &ProxyResponse, upgrade: &Upgrade) {
    for (name, value) in &answer.headers {
        if OWN_HEADERS.contains(&name.as_str()) {
            continue;
        }
        let Ok(value) = value.to_str() else { continue };
        if name == "sec-websocket-protocol" && !upgrade.protocols.iter().any(|offer| offer == value)
        {
            tracing::warn!(
                protocol = value,
                "$connect chose a sub-protocol that the client did not offer: the client will refuse it"
            );
        }
        for part in [name.as_str(), ": ", value, "\r\n"] {
            head.push_str(part);
        }
    }
}

async fn refuse(stream: &mut Stream, refusal: &Refusal, request_id: &str) {
    let status = refusal.status;
    let (body, kind) = match &refusal.answer {
        // Choice: what the function said is what the client gets.
        Some(answer) => (answer.body.clone().unwrap_or_default(), None),
        None if status == 426 => (bytes::Bytes::new(), None),
        None => {
            let text = format!(r#"{{"message":"{}"}}"#, status_text(status));
            (text.into(), Some("application/json"))
        }
    };
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Refused");
    let mut head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Length: {}\r\nConnection: close\r\n\
         x-amz-apigw-id: {request_id}\r\n",
        body.len()
    );
    if let Some(kind) = kind {
        head.push_str("Content-Type: ");
        head.push_str(kind);
        head.push_str("\r\n");
    }
    if status == 426 {
        head.push_str("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    }
    if status == 503 {
        head.push_str("Retry-After: 1\r\n");
    }
    if let Some(answer) = &refusal.answer {
        write_headers(&mut head, answer, &Upgrade { accept: String::new(), protocols: Vec::new() });
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&body);
    let answer = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    };
    if !matches!(timeout(ANSWER_TIMEOUT, answer).await, Ok(Ok(()))) {
        tracing::debug!("a client left before it was refused");
    }
}

/// Refuses a request that could not even be read.
pub(crate) async fn refuse_status(stream: &mut Stream, status: u16, shared: &Shared) {
    refuse(stream, &status.into(), &shared.ids.next()).await;
}
