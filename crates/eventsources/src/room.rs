//! The mappings that there are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stillwire_drain::Drain;
use stillwire_model::{
    Clock, Destinations, EventSourceHost, EventSourceMapping, EventSourceStatus, Invoke, Metrics,
    TableStores,
};
use stillwire_outbound::Outbound;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::metrics::{self, Counters};
use crate::status::Status;
use crate::worker;

/// What reading needs of the house.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Who runs functions.
    pub invoke: Arc<dyn Invoke>,
    /// The tables whose streams are read.
    pub tables: Arc<dyn TableStores>,
    /// Who sends records of what was given up.
    pub destinations: Arc<dyn Destinations>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Sends requests to queues.
    pub outbound: Outbound,
    /// Where services are that run elsewhere, by their names in lower case (`sqs`).
    pub endpoints: BTreeMap<String, String>,
}

/// Runs event source mappings. Clones share everything.
#[derive(Debug, Clone)]
pub struct EventSources(Arc<Room>);

#[derive(Debug)]
struct Room {
    ports: Ports,
    /// Where it is kept how far streams were read; nowhere, where nothing is to survive.
    folder: Option<PathBuf>,
    drain: Drain,
    running: Mutex<BTreeMap<Arc<str>, Running>>,
}

/// A mapping that runs.
#[derive(Debug)]
struct Running {
    /// What it is to be; `None` once it is gone.
    wanted: watch::Sender<Option<Arc<EventSourceMapping>>>,
    status: Status,
    counters: Arc<Counters>,
}

impl EventSources {
    /// Runs nothing yet. How far streams are read is kept in `folder`, which is for that alone.
    pub fn new(folder: Option<PathBuf>, ports: Ports) -> Self {
        let (drain, running) = (Drain::new(), Mutex::default());
        Self(Arc::new(Room { ports, folder, drain, running }))
    }

    /// Waits until every mapping has found where it begins, at most so long.
    pub async fn settle(&self, most: Duration) {
        let all: Vec<Status> =
            self.0.running().values().map(|running| running.status.clone()).collect();
        let settled = async {
            for status in all {
                status.settled().await;
            }
        };
        if timeout(most, settled).await.is_err() {
            tracing::warn!("an event source has not begun yet; it goes on trying");
        }
    }

    /// Begins no further batch, waits for those that run, at most so long, and keeps how far all was read.
    ///
    /// Returns the names of the tasks that were still running, with their number; empty when all ended.
    pub async fn stop(&self, grace: Duration) -> Vec<(&'static str, usize)> {
        self.0.drain.finish(grace).await
    }
}

impl Room {
    fn running(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSourceHost for EventSources {
    fn deploy(&self, mappings: Vec<Arc<EventSourceMapping>>) {
        let room = &self.0;
        let mut running = room.running();
        running.retain(|id, running| {
            let stays = mappings.iter().any(|mapping| mapping.id == *id);
            if !stays {
                running.wanted.send_replace(None);
            }
            stays
        });
        for mapping in mappings {
            if let Some(running) = running.get(&mapping.id) {
                running.wanted.send_if_modified(|wanted| {
                    let changed = wanted.as_ref() != Some(&mapping);
                    if changed {
                        *wanted = Some(mapping);
                    }
                    changed
                });
                continue;
            }
            let id = Arc::clone(&mapping.id);
            let (wanted, seen) = watch::channel(Some(mapping));
            let (status, counters) = (Status::new(), Arc::<Counters>::default());
            let work = worker::work(
                room.ports.clone(),
                (room.folder.clone(), Arc::clone(&id)),
                seen,
                (status.clone(), Arc::clone(&counters), room.drain.clone()),
            );
            room.drain.spawn("event source", work);
            running.insert(id, Running { wanted, status, counters });
        }
    }

    fn status(&self, id: &str) -> Option<EventSourceStatus> {
        self.0.running().get(id).map(|running| running.status.get())
    }
}

impl Metrics for EventSources {
    fn text(&self) -> String {
        let running = self.0.running();
        let mappings: Vec<_> = running
            .iter()
            .filter_map(|(id, running)| {
                let mapping = running.wanted.borrow().clone()?;
                Some((&**id, mapping.function.name().to_owned(), &*running.counters))
            })
            .collect();
        metrics::text(mappings.iter().map(|(id, name, counters)| (*id, name.clone(), *counters)))
    }
}
