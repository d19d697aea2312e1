//! Whether the disk can still be trusted.
//!
//! When the disk fails to keep what was written, nobody knows what it holds, and asking it again proves nothing: a
//! kernel reports a failed flush once and forgets it. From then on nothing is acknowledged, and the program
//! is told to end.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stillwire_model::Reply;
use tokio::sync::Notify;

use crate::errors::internal;

/// How `SQLite` words a failed read, write or flush (`SQLITE_IOERR`).
const DISK_FAILED: &str = "disk I/O error";

/// Shared by all stores: they have one disk. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    failed: AtomicBool,
    told: Notify,
}

impl Health {
    /// Looks at the reason of a failed request.
    pub(crate) fn look_at(&self, reason: &str) {
        if reason.contains(DISK_FAILED) {
            self.fail(&reason);
        }
    }

    /// The disk has failed.
    pub(crate) fn fail(&self, reason: &dyn fmt::Display) {
        if !self.inner.failed.swap(true, Ordering::SeqCst) {
            tracing::error!(
                %reason,
                "the disk has failed to keep the tables; nothing is acknowledged any more"
            );
            self.inner.told.notify_waiters();
        }
    }

    /// The answer to every request once the disk has failed.
    pub(crate) fn refusal(&self) -> Option<Reply> {
        self.has_failed().then(|| internal(&"the disk has failed before"))
    }

    fn has_failed(&self) -> bool {
        self.inner.failed.load(Ordering::SeqCst)
    }

    /// Resolves once the disk has failed.
    pub(crate) async fn failed(&self) {
        let told = self.inner.told.notified();
        tokio::pin!(told);
        told.as_mut().enable();
        if !self.has_failed() {
            told.await;
        }
    }
}
