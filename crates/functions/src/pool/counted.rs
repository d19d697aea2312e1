//! An environment as its pool counts it: for as long as its task lives, however that ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::OwnedSemaphorePermit;

use super::Pool;
use crate::environment::End;

/// One environment of a pool. Dropping it without an end is a fault of ours in the environment's task.
#[derive(Debug)]
pub(super) struct Counted {
    pool: Arc<Pool>,
    generation: u64,
    /// Whether its init phase has ended well.
    ready: Arc<AtomicBool>,
    /// Its place among all environments; `None` once its end is told.
    permit: Option<OwnedSemaphorePermit>,
}

impl Counted {
    pub(super) fn new(pool: Arc<Pool>, generation: u64, permit: OwnedSemaphorePermit) -> Self {
        Self { pool, generation, ready: Arc::default(), permit: Some(permit) }
    }

    /// Where the environment notes that it is ready.
    pub(super) fn ready(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.ready)
    }

    /// The environment is over.
    pub(super) fn ended(mut self, end: End) {
        self.tell(end);
    }

    fn tell(&mut self, end: End) {
        if let Some(permit) = self.permit.take() {
            let ready = self.ready.load(Ordering::Relaxed);
            self.pool.ended(end, (self.generation, ready), permit);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Whoever waits for its start must not wait for the next one in vain.
        let fault = std::thread::panicking() && !self.ready.load(Ordering::Relaxed);
        let reason = || "a fault in stillwire ended its environment".to_owned();
        self.tell(if fault { End::NotStarted(reason()) } else { End::Retired });
    }
}
