//! The gateway as the program holds it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stillwire_awswire::RequestIds;
use stillwire_drain::Drain;
use stillwire_listen::Door;
use stillwire_model::{Api, ApiId, Clock, Invoke};
use tokio::sync::mpsc;

use crate::ending::Ending;
use crate::peer::LiveApi;
use crate::registry::Registry;
use crate::shared::{Config, Shared};
use crate::{delivery, entrance};

/// What the gateway needs of the other rooms.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Runs functions.
    pub invoke: Arc<dyn Invoke>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// How long plain requests under way may take once no function is left that could have sent them.
const DOORS_GRACE: Duration = Duration::from_secs(1);

/// Holds connections and serves APIs. Clones share everything.
#[derive(Debug, Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
    apis: Arc<Mutex<HashMap<ApiId, Arc<LiveApi>>>>,
    /// Clients, their messages and their `$disconnect`s.
    drain: Drain,
    /// Ports and plain requests, which stay until the functions that may need `@connections` have ended.
    doors: Drain,
}

impl Gateway {
    /// A gateway without APIs; `None` when the system has no random source.
    pub fn new(config: Config, ports: Ports) -> Option<Self> {
        let (departures, arriving) = mpsc::channel(config.connections_max.max(1));
        let shared = Arc::new(Shared {
            config,
            invoke: ports.invoke,
            clock: ports.clock,
            ids: RequestIds::new()?,
            registry: Arc::new(Registry::new()),
            departures: Mutex::new(Some(departures)),
        });
        let drain = Drain::new();
        let deliveries = delivery::deliver_all(arriving, Arc::clone(&shared), drain.clone());
        drain.spawn("departures", deliveries);
        Some(Self { shared, apis: Arc::default(), drain, doors: Drain::new() })
    }

    /// Serves `api` at `door`. Functions reach it as `domain_name` (`localhost:7800`).
    pub fn serve(&self, api: Arc<Api>, domain_name: String, door: Door) {
        let live = Arc::new(LiveApi::new(api, domain_name));
        self.lock_apis().insert(live.id().clone(), Arc::clone(&live));
        let shared = Arc::clone(&self.shared);
        let (drain, doors) = (self.drain.clone(), self.doors.clone());
        let accepting = door.open("request", self.doors.clone(), move |accepted| {
            let (live, shared) = (Arc::clone(&live), Arc::clone(&shared));
            entrance::enter(accepted, live, shared, drain.clone(), doors.clone())
        });
        self.doors.spawn("door", accepting);
    }

    /// Replaces an API that is being served; false when it is not. Messages that were routed keep the old one.
    pub fn deploy(&self, api: Arc<Api>) -> bool {
        match self.lock_apis().get(&api.id) {
            Some(live) => {
                live.replace(api);
                true
            }
            None => false,
        }
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.registry.len()
    }

    /// Stops: no new connection, close 1001 for every client, invocations finish, `$disconnect`s are delivered.
    ///
    /// `@connections` answers until all that is done: functions under way may still post, and learn who is gone.
    ///
    /// Returns what was still running after `grace`.
    pub async fn stop(&self, grace: Duration) -> Vec<(&'static str, usize)> {
        self.drain.begin();
        self.shared.departures.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.shared.registry.end_all(&Ending::going_away());
        let mut late = self.drain.finish(grace).await;
        late.extend(self.doors.finish(DOORS_GRACE).await);
        late
    }

    fn lock_apis(&self) -> std::sync::MutexGuard<'_, HashMap<ApiId, Arc<LiveApi>>> {
        self.apis.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
