//! Events that are handed over before the runtime asks for them.
//!
//! A function that may have one environment only, and answers at once, spends most of its time waiting: for its answer to
//! be heard and for the next event to come. No other environment could ever take that event, so it is sent while the one before
//! it still runs. It begins when the runtime has answered that one, and if it never does, it goes back to the queue.

use std::time::Duration;

use tokio::time::Instant;

use super::{Environment, LAST_WORDS_MAX};
use crate::failure::Failure;
use crate::pool::Work;
use crate::runtime_api::CallKind;
use crate::supervisor::Exit;

/// What the last invocation may have taken.
///
/// Choice: far below what anybody notices. Code that changes meanwhile serves from the next event on.
const QUICK_MAX: Duration = Duration::from_millis(5);

/// The largest event of which a socket holds two beside their heads, so that neither side has to wait for the other to read.
pub(super) const EVENT_BYTES_MAX: usize = 32 * 1024;

/// The event after the one that runs.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    work: Option<Work>,
    /// The one before it is over: the runtime may have begun.
    is_begun: bool,
    /// What the last invocation took.
    last_took: Option<Duration>,
}

impl Ahead {
    pub(super) fn is_there(&self) -> bool {
        self.work.is_some()
    }

    /// The invocation before it has its outcome.
    pub(super) fn outcome_came(&mut self) {
        self.is_begun = self.is_there();
    }

    /// The runtime asks for what it has.
    pub(super) fn take(&mut self) -> Option<Work> {
        self.is_begun = false;
        self.work.take()
    }

    pub(super) fn took(&mut self, duration: Duration) {
        self.last_took = Some(duration);
    }
}

impl Environment {
    /// Hands over the next event of the queue, if that is sound.
    pub(super) fn look_ahead(&mut self) {
        let is_quick = self.ahead.last_took.is_some_and(|took| took <= QUICK_MAX);
        if !is_quick || !self.runtime.takes_ahead() {
            return;
        }
        let Some(work) = self.pool.take_ahead(self.generation, EVENT_BYTES_MAX) else { return };
        let limit = ("stillwire-time-limit-ms", self.pool.time_limit().as_millis().to_string());
        let event = self.event(&work, limit);
        // Where it cannot be sent the connection ends, and it goes back.
        drop(self.runtime.send_ahead(event));
        self.ahead.work = Some(work);
    }

    /// After the end of the process: what it never began is somebody else's.
    pub(super) async fn give_back_ahead(&mut self) {
        let mut is_begun = self.ahead.is_begun;
        let Some(work) = self.ahead.take() else { return };
        let listen = async {
            while let Some((call, _)) = self.runtime.call().await {
                is_begun |= matches!(
                    call,
                    CallKind::Response { .. } | CallKind::Truncated { .. } | CallKind::Error { .. }
                );
            }
        };
        if tokio::time::timeout(LAST_WORDS_MAX, listen).await.is_err() {
            tracing::debug!("a process holds the runtime's socket after the runtime's end");
        }
        if is_begun {
            let running = self.begin(work, Instant::now());
            self.fail(running, Failure::Exit(self.process.exit().unwrap_or(Exit::Signal(9))));
        } else {
            self.pool.give_back(work);
        }
    }
}
