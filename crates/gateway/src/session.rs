//! What an API's connection is for: each message becomes a call, and the answer, if any, goes back.

use std::sync::Arc;

use bytes::Bytes;
use stillwire_websocket::ProtocolError;

use crate::admission::Admission;
use crate::engine::{Ending, Incoming, Outbox, Outgoing, PostError, Replies, Session};
use crate::event::{self, Moment};
use crate::registry::Live;
use crate::rescue::{self, Failure};
use crate::shared::Shared;
use crate::{integration, response, route};

/// A client of an API.
#[derive(Debug)]
pub(crate) struct ApiSession {
    shared: Arc<Shared>,
    admission: Admission,
}

impl ApiSession {
    /// Makes the connection addressable, for as long as it is not ending.
    pub(crate) fn begin(admission: Admission, shared: Arc<Shared>) -> Self {
        shared.registry.register(admission.live());
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
        let api = peer.api.load_full();
        let request_id = shared.ids.next();
        let key = match message {
            Incoming::Text(text) => route::select(&api.route_selection, text),
            Incoming::Binary(_) => None,
        };
        let found = api.message_route(key.as_deref());
        let Some((route, integration)) =
            found.and_then(|route| route.integration.as_ref().map(|target| (route, target)))
        else {
            replies.text(&error_frame(live, &Failure::NoRoute, &request_id));
            return;
        };
        let message_id = shared.ids.next();
        let epoch_millis = shared.clock.epoch_millis();
        let moment = Moment { request_id: &request_id, epoch_millis };
        let payload = event::message(peer, &api, &route.key, &message_id, moment, message);
        let trace = shared.ids.trace(epoch_millis).into();
        let call = integration::call(integration, payload, Some(trace), shared);
        let two_way = route.two_way;
        let live = Arc::clone(live);
        let in_flight = InFlight::begin(&live);
        shared.drain.spawn("message", async move {
            let result = call.await;
            let reply =
                result.and_then(|result| if two_way { response::reply(&result) } else { Ok(None) });
            match reply {
                Ok(Some(reply)) => send(&live, reply),
                Ok(None) => {}
                Err(failure) => send(&live, error_frame(&live, &failure, &request_id).into()),
            }
            drop(in_flight);
        });
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

fn send(live: &Live, message: Bytes) {
    match live.outbox.post(Outgoing::Text(message)) {
        Ok(()) | Err(PostError::Gone) => {} // who has left gets no answer
        Err(PostError::Full) => {
            tracing::warn!(connection = %live.peer.id, "an answer was dropped: the client reads too slowly");
        }
    }
}

fn error_frame(live: &Live, failure: &Failure, request_id: &str) -> String {
    tracing::warn!(connection = %live.peer.id, request = request_id, %failure, "message not handled");
    rescue::error_frame(failure, live.peer.id, request_id)
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
