//! Delivers the `$disconnect`s that connections are owed.

use std::sync::Arc;
use std::time::Duration;

use stillwire_drain::Drain;
use stillwire_model::{Invocation, InvokeError, Invoked, Outcome};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};

use crate::admission::Departure;
use crate::context::{Context, Fate, IntegrationFate};
use crate::exchange::Exchange;
use crate::peer::Peer;
use crate::rescue::Failure;
use crate::shared::Shared;
use crate::{access, event, integration};

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

async fn deliver(Departure { live, ending }: &Departure, shared: &Shared) {
    let peer = &live.peer;
    tracing::info!(
        connection = %peer.id, stage = %peer.stage(), code = ending.status_code,
        reason = ending.reason, "disconnected"
    );
    let api = peer.deployed();
    let Some(route) = api.disconnect_route() else { return };
    let Some(integration) = route.integration.as_deref() else { return };
    let request_id = shared.ids.next();
    let epoch_millis = shared.clock.epoch_millis();
    let payload = event::disconnect(peer, &api, ending, &request_id, epoch_millis);
    let context = Context {
        peer,
        event_type: "DISCONNECT",
        route_key: route.key.as_str(),
        request_id: &request_id,
        message_id: None,
        epoch_millis,
    };
    let exchange = Exchange { context, api: &api, body: "", request: None };
    let began = Instant::now();
    let mut id = None;
    let called = if integration::is_function(integration) {
        match integration::function_of(integration, &exchange) {
            Ok((function, qualifier)) => {
                let request_id = Arc::clone(id.insert(shared.ids.invocation().into()));
                let invocation = Invocation::new(request_id, function, qualifier, payload);
                call(&invocation, shared.time_limit(integration.timeout), peer, shared).await
            }
            Err(failure) => Err(failure),
        }
    } else {
        integration::exchange(integration, &exchange, shared).await.map(|_| ())
    };
    let mut fate = match called {
        Ok(()) => Fate { status: 200, ..Fate::default() },
        Err(failure) => {
            tracing::warn!(connection = %peer.id, %failure, "$disconnect failed");
            Fate::of(failure)
        }
    };
    let latency = began.elapsed();
    fate.integration = Some(IntegrationFate { latency, status: None, request_id: id });
    access::note(&api, Some(route), &context, &fate, shared);
}

/// Calls the function until it has run once, or cannot be made to.
async fn call(
    invocation: &Invocation,
    limit: Duration,
    peer: &Peer,
    shared: &Shared,
) -> Result<(), Failure> {
    let function = &invocation.function;
    for attempt in 0.. {
        // Nobody waits for the result; the limit frees this place for another's goodbye.
        let problem = match timeout(limit, shared.invoke.invoke(invocation.clone())).await {
            Ok(Ok(Invoked { outcome: Outcome::Returned(_), .. })) => break,
            Err(_) => {
                tracing::warn!(connection = %peer.id, %function, "$disconnect still runs; not waited for");
                return Err(Failure::TimedOut);
            }
            Ok(Ok(Invoked { outcome: Outcome::Failed(_), .. })) => {
                // It ran; that it failed is in the function's log, and running it twice may do harm.
                tracing::warn!(connection = %peer.id, %function, "$disconnect: the function failed");
                return Err(Failure::FunctionFailed);
            }
            Ok(Err(problem)) => problem,
        };
        if let (Some(wait), InvokeError::Throttled { .. } | InvokeError::Unavailable { .. }) =
            (RETRY_WAITS.get(attempt), &problem)
        {
            tokio::time::sleep(*wait).await;
        } else {
            tracing::error!(connection = %peer.id, %problem, "$disconnect could not be delivered");
            return Err(problem.into());
        }
    }
    Ok(())
}
