//! How other tasks tell a shard that something waits for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The slots of a shard's connections that something waits for.
///
/// A connection rings once until it is looked at, so the list is never longer than the shard's connections; a
/// burst of posts wakes the shard once.
#[derive(Debug, Default)]
pub(crate) struct Bell(Mutex<Rung>);

#[derive(Debug, Default)]
struct Rung {
    slots: Vec<u32>,
    /// Something waits that has no slot.
    called: bool,
    /// The shard does nothing until it is woken.
    resting: bool,
    waker: Option<Waker>,
}

impl Bell {
    /// Asks the shard to look at the connection in `slot`.
    pub(crate) fn ring(&self, slot: u32) {
        let mut rung = self.lock();
        rung.slots.push(slot);
        wake(rung);
    }

    /// Asks the shard to look around.
    pub(crate) fn call(&self) {
        let mut rung = self.lock();
        rung.called = true;
        wake(rung);
    }

    /// For the shard: takes the slots that have rung into `slots`, which is empty; says whether it was called.
    pub(crate) fn take(&self, slots: &mut Vec<u32>) -> bool {
        let mut rung = self.lock();
        rung.resting = false;
        std::mem::swap(&mut rung.slots, slots);
        std::mem::take(&mut rung.called)
    }

    /// For the shard: lets it rest until `waker` is woken; false when something waits already.
    pub(crate) fn rest(&self, waker: &Waker) -> bool {
        let mut rung = self.lock();
        rung.resting = rung.slots.is_empty() && !rung.called;
        if rung.resting && rung.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            rung.waker = Some(waker.clone());
        }
        rung.resting
    }

    /// The fields are whole between any two statements, so a panic elsewhere cannot have broken them.
    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the shard where it rests, after the lock is gone.
fn wake(mut rung: MutexGuard<'_, Rung>) {
    if std::mem::take(&mut rung.resting) {
        let waker = rung.waker.clone();
        drop(rung);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
