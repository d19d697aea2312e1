//! The `$disconnect` that every accepted `$connect` is owed.
//!
//! Room for it is reserved before `$connect` is answered, and an [`Admission`] that is dropped pays as well, so
//! that neither a full queue nor a panicking task can lose it.

use std::sync::Arc;
use std::time::Duration;

use stillwire_drain::Drain;
use stillwire_model::{Invocation, InvokeError, Outcome};
use stillwire_websocket::{CloseCode, CloseFrame, ProtocolError};
use tokio::sync::{Semaphore, mpsc};

use crate::connection::Peer;
use crate::event;
use crate::gateway::Shared;
use crate::integration::function_of;

/// How a connection ended: what its `$disconnect` event says, and the close frame the client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    /// `disconnectStatusCode`.
    pub(crate) status_code: u16,
    /// `disconnectReason`.
    pub(crate) reason: String,
    /// What is due to the client.
    pub(crate) goodbye: Goodbye,
}

/// The close frame that a client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Goodbye {
    /// None: its socket is gone.
    Silent,
    /// One without a code.
    Bare,
    /// One with a code and a reason.
    Frame(CloseFrame),
}

impl Ending {
    /// The client sent a close frame; it gets the same one back.
    ///
    /// Source: observed `$disconnect` events: 1005 with this text where the frame has no code.
    pub(crate) fn by_client(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(frame) => Self {
                status_code: frame.code.get(),
                reason: frame.reason.clone(),
                goodbye: Goodbye::Frame(CloseFrame { reason: String::new(), ..frame }),
            },
            None => Self {
                status_code: 1005,
                reason: "Client-side close frame status not set".to_owned(),
                goodbye: Goodbye::Bare,
            },
        }
    }

    /// Idle too long, too old, or the gateway stops.
    ///
    /// Source: observed: code 1001, reason `Going away`, for the client and in the event.
    pub(crate) fn going_away() -> Self {
        Self::by_gateway(CloseCode::GOING_AWAY, "Going away")
    }

    /// `DELETE @connections/{id}`. Choice: 1000 without a reason.
    pub(crate) fn deleted() -> Self {
        Self::by_gateway(CloseCode::NORMAL, "")
    }

    /// The client broke the protocol or a limit.
    pub(crate) fn by_violation(error: ProtocolError) -> Self {
        let reason = match error.close_code() {
            CloseCode::MESSAGE_TOO_BIG => "Message too big",
            CloseCode::UNSUPPORTED_DATA => "Unsupported data",
            CloseCode::INVALID_PAYLOAD => "Invalid payload data",
            _ => "Protocol error",
        };
        Self::by_gateway(error.close_code(), reason)
    }

    /// The TCP connection is gone, or the task that held it. Choice: 1006 without a reason.
    pub(crate) fn lost() -> Self {
        Self { status_code: 1006, reason: String::new(), goodbye: Goodbye::Silent }
    }

    fn by_gateway(code: CloseCode, reason: &str) -> Self {
        let frame = CloseFrame { code, reason: reason.to_owned() };
        let goodbye = Goodbye::Frame(frame);
        Self { status_code: code.get(), reason: reason.to_owned(), goodbye }
    }
}

/// A connection that has ended.
#[derive(Debug)]
pub(crate) struct Departure {
    peer: Arc<Peer>,
    ending: Ending,
}

/// The accepted right of a connection to exist, and the duty to tell the application when it ends.
#[derive(Debug)]
#[must_use]
pub(crate) struct Admission {
    peer: Arc<Peer>,
    place: Option<mpsc::OwnedPermit<Departure>>,
}

impl Admission {
    /// Takes on the duty for `peer`, with the room that was reserved for it.
    pub(crate) fn new(peer: Arc<Peer>, place: mpsc::OwnedPermit<Departure>) -> Self {
        Self { peer, place: Some(place) }
    }

    /// Pays: the connection ended so.
    pub(crate) fn end(mut self, ending: Ending) {
        self.pay(ending);
    }

    fn pay(&mut self, ending: Ending) {
        if let Some(place) = self.place.take() {
            place.send(Departure { peer: Arc::clone(&self.peer), ending });
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.pay(Ending::lost());
    }
}

/// `$disconnect` invocations that run at once: a mass departure must not take all the functions.
const DELIVERIES_MAX: usize = 64;

/// Waits between attempts when a `$disconnect` could not be invoked. Choice: API Gateway does not retry.
const RETRY_WAITS: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Delivers departures until every admission is paid and the gateway has stopped.
pub(crate) async fn deliver_all(
    mut departures: mpsc::Receiver<Departure>,
    shared: Arc<Shared>,
    drain: Drain,
) {
    let room = Arc::new(Semaphore::new(DELIVERIES_MAX));
    while let Some(departure) = departures.recv().await {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let shared = Arc::clone(&shared);
        drain.spawn("$disconnect", async move {
            deliver(&departure, &shared).await;
            drop(place);
        });
    }
}

async fn deliver(Departure { peer, ending }: &Departure, shared: &Shared) {
    tracing::info!(
        connection = %peer.id, stage = %peer.stage, code = ending.status_code,
        reason = ending.reason, "disconnected"
    );
    let api = peer.api.load_full();
    let Some(route) = api.disconnect_route() else { return };
    let Some((function, qualifier)) = route.integration.as_deref().and_then(function_of) else {
        return;
    };
    let request_id = shared.ids.next();
    let payload = event::disconnect(peer, ending, &request_id, shared.clock.epoch_millis());
    for attempt in 0.. {
        let invocation = Invocation {
            function: function.clone(),
            qualifier: qualifier.clone(),
            payload: payload.clone(),
            trace: None,
        };
        let problem = match shared.invoke.invoke(invocation).await {
            Ok(Outcome::Returned(_)) => return,
            Ok(Outcome::Failed(_)) => {
                // It ran; that it failed is in the function's log, and running it twice may do harm.
                tracing::warn!(connection = %peer.id, %function, "$disconnect: the function failed");
                return;
            }
            Err(problem) => problem,
        };
        if let (Some(wait), InvokeError::Throttled { .. }) = (RETRY_WAITS.get(attempt), &problem) {
            tokio::time::sleep(*wait).await;
        } else {
            tracing::error!(connection = %peer.id, %problem, "$disconnect could not be delivered");
            return;
        }
    }
}
