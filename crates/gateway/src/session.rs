//! What an API's connection is for: each message becomes a call, and the answer, if any, goes back.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use stillwire_model::{Api, Integration, Route};
use stillwire_websocket::ProtocolError;
use tokio::time::Instant;

use crate::admission::Admission;
use crate::context::{Context, Fate, IntegrationFate};
use crate::engine::{Ending, Incoming, Outbox, Outgoing, PostError, Replies, Session};
use crate::event::{self, Moment};
use crate::exchange::Exchange;
use crate::peer::Peer;
use crate::registry::Live;
use crate::rescue::{self, Failure};
use crate::response::ProxyResponse;
use crate::shared::Shared;
use crate::{access, integration, response, route};

/// A client of an API.
#[derive(Debug)]
pub(crate) struct ApiSession {
    shared: Arc<Shared>,
    admission: Admission,
}

impl ApiSession {
    pub(crate) fn new(admission: Admission, shared: Arc<Shared>) -> Self {
        Self { shared, admission }
    }

    fn live(&self) -> &Arc<Live> {
        self.admission.live()
    }
}

impl Session for ApiSession {
    fn outbox(&self) -> &Outbox {
        &self.live().outbox
    }

    /// Turns a message into a call. The call begins here, so calls begin in the order of the messages.
    fn message(&mut self, message: Incoming<'_>, replies: &mut Replies<'_>) {
        let (live, shared) = (self.live(), &self.shared);
        let peer = &live.peer;
        let api = peer.deployed();
        let ids = Ids { request: shared.ids.next(), message: shared.ids.next() };
        let epoch_millis = shared.clock.epoch_millis();
        let (route, integration) = match find(&api, peer, message) {
            Ok(found) => found,
            Err(Unserved { key, route, failure }) => {
                replies.text(&error_frame(live, &failure, &ids));
                let (metrics, route) = (&peer.place.metrics, route.as_deref());
                metrics.received(&api, route);
                metrics.sent(&api, route);
                let context = ids.context(peer, &key, epoch_millis);
                access::note(&api, route, &context, &Fate::of(failure), shared);
                return;
            }
        };
        peer.place.metrics.received(&api, Some(&route));
        let (live, shared) = (Arc::clone(live), Arc::clone(shared));
        let call = Call { api, route, integration, ids, epoch_millis };
        if let Incoming::Text(text) = message
            && let Some(answer) =
                integration::at_once(&call.integration, &call.asked(text, &live), &shared)
        {
            call.answer_at_once(answer, replies, &live, &shared);
            return;
        }
        let in_flight = InFlight::begin(&live);
        if integration::is_function(&call.integration) {
            let running = call.begin(&live, message, &shared);
            self.shared.drain.spawn("message", async move {
                call.answer_function(running.await, &live, &shared);
                drop(in_flight);
            });
        } else {
            // Choice: where binary messages are let in, templates see them as base64, as functions do.
            let text = match message {
                Incoming::Text(text) => text.to_owned(),
                Incoming::Binary(bytes) => BASE64_STANDARD.encode(bytes),
            };
            self.shared.drain.spawn("message", async move {
                call.exchange(&text, &live, &shared).await;
                drop(in_flight);
            });
        }
    }

    /// Makes the connection addressable, for as long as it is not ending.
    fn opened(&mut self) {
        self.shared.registry.register(self.live());
    }

    fn active(&mut self) {
        self.live().touch(self.shared.clock.epoch_millis());
    }

    fn ending(&mut self, ending: &Ending, why: Option<ProtocolError>) {
        if let Some(violation) = why {
            let code = ending.status_code;
            tracing::info!(connection = %self.live().peer.id, code, %violation, "closing");
        }
        self.shared.registry.forget(self.live().peer.id);
    }

    fn ended(mut self, ending: Ending) {
        self.admission.pay(ending);
    }
}

impl Drop for ApiSession {
    fn drop(&mut self) {
        self.shared.registry.forget(self.live().peer.id);
    }
}

/// The ids of one message.
struct Ids {
    request: String,
    message: String,
}

impl Ids {
    fn context<'a>(&'a self, peer: &'a Peer, route_key: &'a str, epoch_millis: u64) -> Context<'a> {
        Context {
            peer,
            event_type: "MESSAGE",
            route_key,
            request_id: &self.request,
            message_id: Some(&self.message),
            epoch_millis,
        }
    }
}

/// A message on its way through an integration.
struct Call {
    api: Arc<Api>,
    route: Arc<Route>,
    integration: Arc<Integration>,
    ids: Ids,
    epoch_millis: u64,
}

/// What a call led to, when it began, and its id.
type Ran = (Result<Bytes, Failure>, Instant, Arc<str>);

impl Call {
    /// Calls the function; gives the wait for it.
    fn begin(
        &self,
        live: &Live,
        message: Incoming<'_>,
        shared: &Shared,
    ) -> impl Future<Output = Ran> + Send + use<> {
        let moment = Moment { request_id: &self.ids.request, epoch_millis: self.epoch_millis };
        let payload = event::message(
            &live.peer,
            &self.api,
            &self.route.key,
            &self.ids.message,
            moment,
            message,
        );
        let trace = Some(shared.ids.trace(self.epoch_millis).into());
        let exchange = self.asked("", live);
        let id = Arc::<str>::from(shared.ids.invocation());
        let named = Arc::clone(&id);
        let call = integration::call(&self.integration, &exchange, payload, trace, named, shared);
        let began = Instant::now();
        async move { (call.await, began, id) }
    }

    fn answer_function(&self, (result, began, id): Ran, live: &Live, shared: &Shared) {
        let status = result.as_ref().ok().and_then(|result| response::status(result));
        let reply = match result {
            Ok(result) if self.route.two_way => response::reply(&result),
            other => other.map(|_| None),
        };
        let reply = reply.and_then(|reply| self.outgoing(reply, live));
        let latency = began.elapsed();
        let integration = IntegrationFate { latency, status, request_id: Some(id) };
        self.finish(reply, integration, live, shared);
    }

    fn asked<'a>(&'a self, body: &'a str, live: &'a Live) -> Exchange<'a> {
        Exchange { context: self.context(&live.peer), api: &self.api, body, request: None }
    }

    /// What has nothing to wait for is answered with the write that follows the read.
    fn answer_at_once(
        &self,
        answer: Result<ProxyResponse, Failure>,
        replies: &mut Replies<'_>,
        live: &Live,
        shared: &Shared,
    ) {
        let answer = answer.and_then(|answer| {
            let reply = self.outgoing(answer.body, live)?;
            Ok((reply, IntegrationFate { status: Some(answer.status), ..Default::default() }))
        });
        let fate = match answer {
            Ok((reply, integration)) => {
                if let Some(reply) = reply {
                    replies.message(&reply);
                    self.sent(live);
                }
                Fate { status: 200, integration: Some(integration), ..Fate::default() }
            }
            Err(failure) => {
                replies.text(&error_frame(live, &failure, &self.ids));
                self.sent(live);
                Fate::of(failure)
            }
        };
        self.note(&fate, live, shared);
    }

    async fn exchange(&self, body: &str, live: &Live, shared: &Shared) {
        let began = Instant::now();
        let answer =
            integration::exchange(&self.integration, &self.asked(body, live), shared).await;
        let status = answer.as_ref().ok().map(|answer| answer.status);
        let reply = answer.and_then(|answer| self.outgoing(answer.body, live));
        let latency = began.elapsed();
        self.finish(reply, IntegrationFate { latency, status, request_id: None }, live, shared);
    }

    /// What an answer is as a message; a one-way route has none.
    fn outgoing(&self, body: Option<Bytes>, live: &Live) -> Result<Option<Outgoing>, Failure> {
        let Some(body) = body.filter(|_| self.route.two_way) else { return Ok(None) };
        Outgoing::of(body, live.outbox.limits()).map(Some).ok_or(Failure::NotText)
    }

    /// Tells the client what is due to it, and the access log what became of the message.
    fn finish(
        &self,
        reply: Result<Option<Outgoing>, Failure>,
        integration: IntegrationFate,
        live: &Live,
        shared: &Shared,
    ) {
        let fate = match reply {
            Ok(reply) => {
                if let Some(reply) = reply {
                    self.send(reply, live);
                }
                Fate { status: 200, ..Fate::default() }
            }
            Err(failure) => {
                self.send(Outgoing::Text(error_frame(live, &failure, &self.ids).into()), live);
                Fate::of(failure)
            }
        };
        let fate = Fate { integration: Some(integration), ..fate };
        self.note(&fate, live, shared);
    }

    fn send(&self, message: Outgoing, live: &Live) {
        match live.outbox.post(message) {
            Ok(()) => self.sent(live),
            Err(PostError::Gone) => {} // who has left gets no answer
            Err(PostError::Full) => {
                tracing::warn!(connection = %live.peer.id, "an answer was dropped: the client reads too slowly");
            }
        }
    }

    fn sent(&self, live: &Live) {
        live.peer.place.metrics.sent(&self.api, Some(&self.route));
    }

    fn note(&self, fate: &Fate, live: &Live, shared: &Shared) {
        access::note(&self.api, Some(&self.route), &self.context(&live.peer), fate, shared);
    }

    fn context<'a>(&'a self, peer: &'a Peer) -> Context<'a> {
        self.ids.context(peer, self.route.key.as_str(), self.epoch_millis)
    }
}

type Found = (Arc<Route>, Arc<Integration>);

/// A message that leads to no call.
struct Unserved {
    /// The key that was looked for.
    key: String,
    /// The route that was found.
    route: Option<Arc<Route>>,
    failure: Failure,
}

/// The route of a message and what it calls.
fn find(api: &Arc<Api>, peer: &Peer, message: Incoming<'_>) -> Result<Found, Unserved> {
    let key = match message {
        Incoming::Text(text) => route::select(&api.route_selection, text),
        Incoming::Binary(_) => None,
    };
    let found = api.message_route(key.as_deref());
    let Some((route, integration)) =
        found.and_then(|route| Some((route, route.integration.as_ref()?)))
    else {
        let key = key.unwrap_or_default();
        return Err(Unserved { key, route: None, failure: Failure::NoRoute });
    };
    let unserved = |failure| {
        let key = route.key.to_string();
        Unserved { key, route: Some(Arc::clone(route)), failure }
    };
    if !peer.place.throttles.admit(api.stages.get(peer.stage()), &route.key) {
        return Err(unserved(Failure::Throttled));
    }
    let text = match message {
        Incoming::Text(text) => text,
        Incoming::Binary(_) => "", // no JSON, where a model wants some
    };
    peer.api.schemas().validate(api, route, text).map_err(unserved)?;
    Ok((Arc::clone(route), Arc::clone(integration)))
}

/// Counts a message for as long as the application has it, also when its task panics.
struct InFlight(Arc<Live>);

impl InFlight {
    fn begin(live: &Arc<Live>) -> Self {
        live.outbox.begin_message();
        Self(Arc::clone(live))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.outbox.finish_message();
    }
}

fn error_frame(live: &Live, failure: &Failure, ids: &Ids) -> String {
    tracing::warn!(connection = %live.peer.id, request = ids.request, %failure, "message not handled");
    rescue::error_frame(failure, live.peer.id, &ids.request, &ids.message)
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
