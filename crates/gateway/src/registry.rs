//! Finds a connection by its id: the id says where it is, so there is no map and no lock that all share.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stillwire_awswire::ConnectionId;

use crate::engine::{Addresses, Ending, Outbox};
use crate::peer::Peer;

/// The live connections of each shard, by their slots.
type Slots = Vec<Option<Arc<Live>>>;

/// All live connections.
#[derive(Debug)]
pub(crate) struct Registry {
    addresses: Addresses,
    shards: Vec<Mutex<Slots>>,
}

/// A live connection, as everyone but its own shard sees it.
#[derive(Debug)]
pub(crate) struct Live {
    /// Who it is.
    pub(crate) peer: Peer,
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
    /// Without connections; ids are read by `addresses`.
    pub(crate) fn new(addresses: Addresses, shards: usize) -> Self {
        Self { addresses, shards: (0..shards).map(|_| Mutex::default()).collect() }
    }

    /// Makes a connection addressable.
    pub(crate) fn register(&self, live: &Arc<Live>) {
        if let Some((mut slots, slot)) = self.place(live.peer.id) {
            if slots.len() <= slot {
                slots.resize(slot + 1, None);
            }
            if let Some(place) = slots.get_mut(slot) {
                *place = Some(Arc::clone(live));
            }
        }
    }

    /// Ends the connections that are meant.
    pub(crate) fn end(&self, ending: &Ending, is_meant: impl Fn(&Peer) -> bool) {
        for slots in &self.shards {
            let slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
            for live in slots.iter().flatten().filter(|live| is_meant(&live.peer)) {
                live.outbox.end(ending.clone()).ok(); // one that is ending already needs no second wish
            }
        }
    }

    /// The connection of this id, if it lives.
    pub(crate) fn find(&self, id: ConnectionId) -> Option<Arc<Live>> {
        let (slots, slot) = self.place(id)?;
        slots.get(slot)?.as_ref().filter(|live| live.peer.id == id).cloned()
    }

    /// Makes a connection unaddressable. Calling it again changes nothing.
    pub(crate) fn forget(&self, id: ConnectionId) {
        if let Some((mut slots, slot)) = self.place(id) {
            let place = slots.get_mut(slot);
            let forgotten = place.and_then(|place| place.take_if(|live| live.peer.id == id));
            drop(slots);
            drop(forgotten); // perhaps the last one, and without the lock
        }
    }

    fn place(&self, id: ConnectionId) -> Option<(MutexGuard<'_, Slots>, usize)> {
        let (shard, slot) = self.addresses.locate(id)?;
        let slots = self.shards.get(shard)?.lock().unwrap_or_else(PoisonError::into_inner);
        Some((slots, slot))
    }
}
