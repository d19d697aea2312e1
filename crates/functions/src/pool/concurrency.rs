//! How many invocations of a function may be under way: those of all its versions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many invocations of a function may run at once, and how many are under way: those of all its versions.
///
/// Source: AWS Lambda Developer Guide, "Configuring reserved concurrency": the limit is the function's, not a version's.
#[derive(Debug)]
pub(crate) struct Concurrency {
    /// [`usize::MAX`] where there is no limit.
    reserved: AtomicUsize,
    under_way: AtomicUsize,
}

/// The share of one invocation, for as long as it waits or runs.
#[derive(Debug)]
pub(crate) struct Place(Arc<Concurrency>);

impl Concurrency {
    pub(crate) fn new(reserved: Option<u32>) -> Self {
        let concurrency =
            Self { reserved: AtomicUsize::new(usize::MAX), under_way: AtomicUsize::new(0) };
        concurrency.set(reserved);
        concurrency
    }

    /// Changes the limit.
    pub(crate) fn set(&self, reserved: Option<u32>) {
        let limit = reserved.map_or(usize::MAX, |limit| limit as usize);
        self.reserved.store(limit, Ordering::Relaxed);
    }

    /// The limit.
    pub(super) fn limit(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }

    /// A place for one more; `None` where it may not wait and all that may run do.
    pub(super) fn enter(self: &Arc<Self>, waits: bool) -> Option<Place> {
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(self));
        (waits || before < self.limit()).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
