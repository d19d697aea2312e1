//! What an API's connection is for: each message becomes a call, and the answer, if any, goes back.

use std::sync::Arc;

use bytes::Bytes;
use stillwire_drain::Drain;
use stillwire_websocket::ProtocolError;

use crate::connection::{Replies, Session};
use crate::ending::Ending;
use crate::event::{self, Moment};
use crate::outbox::{Outbox, PostError};
use crate::registry::Live;
use crate::rescue::{self, Failure};
use crate::shared::Shared;
use crate::{integration, response, route};

/// A client of an API.
#[derive(Debug)]
pub(crate) struct ApiSession {
    pub(crate) live: Arc<Live>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) drain: Drain,
}

impl Session for ApiSession {
    fn outbox(&self) -> &Outbox {
        &self.live.outbox
    }

    /// Turns a message into a call. The call begins here, so calls begin in the order of the messages.
    fn message(&mut self, text: &str, replies: &mut Replies<'_>) {
        let peer = &self.live.peer;
        let api = peer.api.load_full();
        let request_id = self.shared.ids.next();
        let key = route::select(&api.route_selection, text);
        let found = api.message_route(key.as_deref());
        let Some((route, integration)) =
            found.and_then(|route| route.integration.as_ref().map(|target| (route, target)))
        else {
            let frame = error_frame(&self.live, &Failure::NoRoute, &request_id);
            replies.send(&frame);
            return;
        };
        let message_id = self.shared.ids.next();
        let epoch_millis = self.shared.clock.epoch_millis();
        let moment = Moment { request_id: &request_id, epoch_millis };
        let payload = event::message(peer, &api, &route.key, &message_id, moment, text);
        let trace = self.shared.ids.trace(epoch_millis).into();
        let call = integration::call(integration, payload, Some(trace), &self.shared);
        let two_way = route.two_way;
        let live = Arc::clone(&self.live);
        let invocation = InFlight::begin(&live);
        self.drain.spawn("message", async move {
            let result = call.await;
            let reply =
                result.and_then(|result| if two_way { response::reply(&result) } else { Ok(None) });
            match reply {
                Ok(Some(reply)) => send(&live, reply),
                Ok(None) => {}
                Err(failure) => send_error(&live, &failure, &request_id),
            }
            drop(invocation);
        });
    }

    fn active(&mut self) {
        self.live.touch(self.shared.clock.epoch_millis());
    }

    fn ending(&mut self, ending: &Ending, why: Option<ProtocolError>) {
        if let Some(violation) = why {
            let code = ending.status_code;
            tracing::info!(connection = %self.live.peer.id, code, %violation, "closing");
        }
        self.shared.registry.forget(self.live.peer.id);
    }
}

/// Counts an invocation for as long as it runs, also when its task panics.
struct InFlight(Arc<Live>);

impl InFlight {
    fn begin(live: &Arc<Live>) -> Self {
        live.outbox.begin_invocation();
        Self(Arc::clone(live))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.outbox.finish_invocation();
    }
}

fn send(live: &Live, message: Bytes) {
    match live.outbox.post(message) {
        Ok(()) | Err(PostError::Gone) => {} // who has left gets no answer
        Err(PostError::Full) => {
            tracing::warn!(connection = %live.peer.id, "an answer was dropped: the client reads too slowly");
        }
    }
}

fn send_error(live: &Live, failure: &Failure, request_id: &str) {
    send(live, error_frame(live, failure, request_id).into());
}

fn error_frame(live: &Live, failure: &Failure, request_id: &str) -> String {
    tracing::warn!(connection = %live.peer.id, request = request_id, %failure, "message not handled");
    rescue::error_frame(failure, live.peer.id, request_id)
}
