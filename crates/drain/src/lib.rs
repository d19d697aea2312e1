//! Tasks with an owner.
//!
//! Every task of the program is spawned through a [`Drain`], so that a shutdown can say "stop", wait for
//! everyone with a deadline, and name who was late. It knows nothing about what the tasks do.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Owns a set of tasks and their common end. Clones share the set.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    tasks: TaskTracker,
    closing: CancellationToken,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Drain {
    /// An owner without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task under `name` (what an operator reads when it is late).
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(Counted { task, presence: Presence::enter(name, &self.running) })
    }

    /// Resolves once [`Drain::begin`] was called.
    ///
    /// # Cancel safety
    /// Cancel safe: it only observes.
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Whether the drain has begun.
    pub fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Asks every task to finish. Calling it again changes nothing.
    pub fn begin(&self) {
        self.closing.cancel();
        self.tasks.close();
    }

    /// Begins the drain and waits for the tasks, at most `grace`.
    ///
    /// Returns the names of the tasks that were still running, with their number; empty when all ended.
    pub async fn finish(&self, grace: Duration) -> Vec<(&'static str, usize)> {
        self.begin();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_ok() {
            return Vec::new();
        }
        let late = lock(&self.running).iter().map(|(name, count)| (*name, *count)).collect();
        tracing::debug!(?late, "tasks still running after the grace period");
        late
    }
}

pin_project! {
    /// A task and its count. An `async` block would hold the task's state twice.
    struct Counted<F> {
        #[pin]
        task: F,
        presence: Presence,
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().task.poll(cx)
    }
}

/// Counts one running task for as long as it lives, also when it panics.
struct Presence {
    name: &'static str,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Presence {
    fn enter(name: &'static str, running: &Arc<Mutex<BTreeMap<&'static str, usize>>>) -> Self {
        *lock(running).entry(name).or_default() += 1;
        Self { name, running: Arc::clone(running) }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut running = lock(&self.running);
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}

/// The counts are plain integers: a panic while they were held cannot have left them half-written.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn finish_waits_for_tasks_that_heed_the_closing() {
        let drain = Drain::new();
        let inner = drain.clone();
        drain.spawn("polite", async move { inner.closing().await });
        assert_eq!(drain.finish(Duration::from_secs(1)).await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn finish_names_who_is_late() {
        let drain = Drain::new();
        drain.spawn("deaf", std::future::pending::<()>());
        assert_eq!(drain.finish(Duration::from_secs(1)).await, [("deaf", 1)]);
    }
}
