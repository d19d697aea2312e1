//! What every part of the gateway shares: settings, ports, ids, the live connections.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use stillwire_awswire::RequestIds;
use stillwire_drain::Drain;
use stillwire_model::{AccessLogs, Clock, EventQueue, Invoke, StageName};
use stillwire_outbound::Outbound;
use tokio::sync::mpsc;

use crate::admission::Departure;
use crate::api_keys::Usage;
use crate::caller::{Keys, SignedStages};
use crate::engine::ConnectionLimits;
use crate::integration::{Services, Templates};
use crate::registry::Registry;
use crate::site::Table;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many connections may be open at once.
    pub connections_max: usize,
    /// Tasks that hold connections: one for each core that is there for them.
    pub shards: usize,
    /// Over which time a stop sends clients away, so that they do not all come back at once.
    pub stop_spread: Duration,
    /// What one connection may do.
    pub connection: ConnectionLimits,
    /// What one connection of a stage may do, where that differs.
    pub stages: BTreeMap<StageName, ConnectionLimits>,
    /// The keys that callers sign with.
    pub keys: Keys,
    /// Where requests to `@connections` must be signed.
    pub signed: SignedStages,
    /// Endpoints of services that run elsewhere, by the service's name in lower case (`sqs`).
    pub endpoints: BTreeMap<String, String>,
    /// Whether integrations and authorizers may take as long as they like: a developer looks at them with a debugger.
    pub patient: bool,
}

/// What stands in for the time limits of a patient gateway.
const PATIENCE: Duration = Duration::from_hours(24);

/// What every part of the gateway shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: StageLimits,
    pub(crate) invoke: Arc<dyn Invoke>,
    pub(crate) events: Arc<dyn EventQueue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) access_logs: Arc<dyn AccessLogs>,
    pub(crate) ids: RequestIds,
    /// The APIs and custom domains that are served.
    pub(crate) table: ArcSwap<Table>,
    pub(crate) registry: Registry,
    /// Where admissions reserve room for their departure; `None` once the gateway stops.
    pub(crate) departures: Mutex<Option<mpsc::Sender<Departure>>>,
    pub(crate) keys: Keys,
    pub(crate) signed: SignedStages,
    pub(crate) services: Services,
    pub(crate) templates: Templates,
    pub(crate) outbound: Outbound,
    /// What was used of usage plans.
    pub(crate) usage: Usage,
    pub(crate) patient: bool,
    /// Owns handshakes, messages and `$disconnect`s.
    pub(crate) drain: Drain,
}

impl Shared {
    /// How long something may take whose limit is this.
    pub(crate) fn time_limit(&self, limit: Duration) -> Duration {
        if self.patient { PATIENCE } else { limit }
    }
}

/// What connections may do, by their stage.
#[derive(Debug, Default)]
pub(crate) struct StageLimits {
    usual: Arc<ConnectionLimits>,
    stages: BTreeMap<StageName, Arc<ConnectionLimits>>,
}

impl StageLimits {
    pub(crate) fn new(config: &Config) -> Self {
        let stages = config.stages.iter();
        Self {
            usual: Arc::new(config.connection.clone()),
            stages: stages.map(|(name, limits)| (name.clone(), Arc::new(limits.clone()))).collect(),
        }
    }

    /// What a connection of `stage` may do.
    pub(crate) fn of(&self, stage: &StageName) -> &Arc<ConnectionLimits> {
        self.stages.get(stage).unwrap_or(&self.usual)
    }

    /// The largest message of any stage.
    pub(crate) fn message_bytes_max(&self) -> usize {
        let all = self.stages.values().chain([&self.usual]);
        all.map(|limits| limits.message_bytes_max).max().unwrap_or(0)
    }
}
