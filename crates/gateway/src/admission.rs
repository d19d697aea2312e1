//! The accepted right of a connection to exist, which carries the duty of its `$disconnect`.
//!
//! Room for the event is reserved before `$connect` is answered, and an [`Admission`] that is dropped pays as
//! well, so that neither a full queue nor a panicking task can lose it.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::ending::Ending;
use crate::peer::Peer;

/// A connection that has ended.
#[derive(Debug)]
pub(crate) struct Departure {
    /// Who it was.
    pub(crate) peer: Arc<Peer>,
    /// How it ended.
    pub(crate) ending: Ending,
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
