//! The accepted right of a connection to exist, which carries the duty of its `$disconnect`.
//!
//! Room for the event is reserved before `$connect` is answered, and an [`Admission`] that is dropped pays as
//! well, so that neither a full queue nor a fault can lose it.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::engine::Ending;
use crate::registry::Live;

/// A connection that has ended.
#[derive(Debug)]
pub(crate) struct Departure {
    /// Who it was.
    pub(crate) live: Arc<Live>,
    /// How it ended.
    pub(crate) ending: Ending,
}

/// The accepted right of a connection to exist, and the duty to tell the application when it ends.
#[derive(Debug)]
#[must_use]
pub(crate) struct Admission {
    live: Arc<Live>,
    place: Option<mpsc::OwnedPermit<Departure>>,
}

impl Admission {
    /// Takes on the duty for `live`, with the room that was reserved for it.
    pub(crate) fn new(live: Arc<Live>, place: mpsc::OwnedPermit<Departure>) -> Self {
        live.peer.place.metrics.entered();
        Self { live, place: Some(place) }
    }

    /// Whom it admits.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Pays: the connection ended so. Paying again changes nothing.
    pub(crate) fn pay(&mut self, ending: Ending) {
        if let Some(place) = self.place.take() {
            self.live.peer.place.metrics.left(&ending);
            place.send(Departure { live: Arc::clone(&self.live), ending });
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.pay(Ending::lost());
    }
}
