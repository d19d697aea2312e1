//! Finds a connection by its id.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stillwire_awswire::ConnectionId;

use crate::ending::Ending;
use crate::outbox::Outbox;
use crate::peer::Peer;

/// Locks that connections share by their ids, so that no lock is everyone's.
const SHARDS: usize = 64;

type Shard = HashMap<ConnectionId, Arc<Live>>;

/// All live connections.
#[derive(Debug)]
pub(crate) struct Registry([Mutex<Shard>; SHARDS]);

/// A live connection, as everyone but its own task sees it.
#[derive(Debug)]
pub(crate) struct Live {
    /// Who it is.
    pub(crate) peer: Arc<Peer>,
    /// Where to post.
    pub(crate) outbox: Outbox,
    /// When the last message went either way, in milliseconds since the epoch.
    pub(crate) last_active: AtomicU64,
}

impl Live {
    /// Notes that a message went either way.
    pub(crate) fn touch(&self, epoch_millis: u64) {
        self.last_active.store(epoch_millis, Ordering::Relaxed);
    }
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }

    /// Makes a connection addressable until the [`Registration`] is dropped.
    pub(crate) fn register(self: &Arc<Self>, live: Arc<Live>) -> Registration {
        self.shard(live.peer.id).insert(live.peer.id, Arc::clone(&live));
        Registration { registry: Arc::clone(self), id: live.peer.id }
    }

    /// The connection of this id, if it lives.
    pub(crate) fn find(&self, id: ConnectionId) -> Option<Arc<Live>> {
        self.shard(id).get(&id).cloned()
    }

    /// Makes a connection unaddressable before its task has ended.
    pub(crate) fn forget(&self, id: ConnectionId) {
        self.shard(id).remove(&id);
    }

    /// How many connections live.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Asks every connection to end.
    pub(crate) fn end_all(&self, ending: &Ending) {
        for shard in &self.0 {
            let live: Vec<_> = lock(shard).values().cloned().collect();
            for connection in live {
                // One that is ending already needs no second wish.
                connection.outbox.end(ending.clone()).ok();
            }
        }
    }

    fn shard(&self, id: ConnectionId) -> MutexGuard<'_, Shard> {
        lock(self.0.get(id.shard() % SHARDS).unwrap_or(&self.0[0]))
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a connection addressable for as long as it lives.
#[derive(Debug)]
#[must_use]
pub(crate) struct Registration {
    registry: Arc<Registry>,
    id: ConnectionId,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.forget(self.id);
    }
}
