//! The gateway as the program holds it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use stillwire_awswire::RequestIds;
use stillwire_drain::Drain;
use stillwire_listen::Door;
use stillwire_model::{Api, ApiId, Clock, Invoke, limits};
use tokio::sync::mpsc;

use crate::departure::{self, Departure, Ending};
use crate::entrance;
use crate::registry::Registry;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many connections may be open at once.
    pub connections_max: usize,
    /// What one connection may do.
    pub connection: ConnectionLimits,
}

/// What one connection may do; API Gateway's own limits by default.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// How long it may be without a message in either direction.
    pub idle_timeout: Duration,
    /// How long it may live.
    pub lifetime_max: Duration,
    /// The largest frame it may send, in bytes; messages to it are split into such frames.
    pub frame_bytes_max: usize,
    /// The largest message it may send, in bytes.
    pub message_bytes_max: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            idle_timeout: limits::IDLE_TIMEOUT,
            lifetime_max: limits::CONNECTION_LIFETIME_MAX,
            frame_bytes_max: limits::FRAME_BYTES_MAX,
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
        }
    }
}

/// What the gateway needs of the other rooms.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Runs functions.
    pub invoke: Arc<dyn Invoke>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// What every part of the gateway shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) invoke: Arc<dyn Invoke>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: RequestIds,
    pub(crate) registry: Arc<Registry>,
    /// Where admissions reserve room for their departure; `None` once the gateway stops.
    pub(crate) departures: Mutex<Option<mpsc::Sender<Departure>>>,
}

/// An API at its address. Deploying replaces the API; its connections stay.
#[derive(Debug)]
pub(crate) struct LiveApi {
    id: ApiId,
    domain_name: String,
    current: ArcSwap<Api>,
}

impl LiveApi {
    pub(crate) fn new(api: Arc<Api>, domain_name: String) -> Self {
        Self { id: api.id.clone(), domain_name, current: ArcSwap::new(api) }
    }

    pub(crate) fn id(&self) -> &ApiId {
        &self.id
    }

    pub(crate) fn domain_name(&self) -> &str {
        &self.domain_name
    }

    /// The API as it is deployed now, for a short look.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Api>> {
        self.current.load()
    }

    /// The API as it is deployed now, for the whole life of a message.
    pub(crate) fn load_full(&self) -> Arc<Api> {
        self.current.load_full()
    }
}

/// Holds connections and serves APIs. Clones share everything.
#[derive(Debug, Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
    apis: Arc<Mutex<HashMap<ApiId, Arc<LiveApi>>>>,
    drain: Drain,
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
        let deliveries = departure::deliver_all(arriving, Arc::clone(&shared), drain.clone());
        drain.spawn("departures", deliveries);
        Some(Self { shared, apis: Arc::default(), drain })
    }

    /// Serves `api` at `door`. Functions reach it as `domain_name` (`localhost:7800`).
    pub fn serve(&self, api: Arc<Api>, domain_name: String, door: Door) {
        let live = Arc::new(LiveApi::new(api, domain_name));
        self.lock_apis().insert(live.id.clone(), Arc::clone(&live));
        let (shared, drain) = (Arc::clone(&self.shared), self.drain.clone());
        let accepting = door.open("connection", self.drain.clone(), move |accepted| {
            entrance::enter(accepted, Arc::clone(&live), Arc::clone(&shared), drain.clone())
        });
        self.drain.spawn("door", accepting);
    }

    /// Replaces an API that is being served; false when it is not. Messages that were routed keep the old one.
    pub fn deploy(&self, api: Arc<Api>) -> bool {
        match self.lock_apis().get(&api.id) {
            Some(live) => {
                live.current.store(api);
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
    /// Returns what was still running after `grace`.
    pub async fn stop(&self, grace: Duration) -> Vec<(&'static str, usize)> {
        self.drain.begin();
        self.shared.departures.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.shared.registry.end_all(&Ending::going_away());
        self.drain.finish(grace).await
    }

    fn lock_apis(&self) -> std::sync::MutexGuard<'_, HashMap<ApiId, Arc<LiveApi>>> {
        self.apis.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
