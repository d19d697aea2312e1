//! Events that are handed over before the runtime asks for them.
//!
//! A function that may have one environment only, and answers at once, spends most of its time waiting: for its answer to
//! be heard and for the next event to come. No other environment could ever take the events that wait, so the next few are sent
//! while one still runs. Each begins when the runtime has answered the one before it and asks for the next, and if it never does, it
//! goes back to the queue.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::{Environment, LAST_WORDS_MAX};
use crate::failure::Failure;
use crate::pool::Work;
use crate::runtime_api::CallKind;
use crate::supervisor::Exit;

/// What the last invocation may have taken.
///
/// Choice: all that are ahead together are far below what anybody notices. Code that changes meanwhile serves after them.
const QUICK_MAX: Duration = Duration::from_millis(5);

/// How many events may be ahead.
///
/// Choice: enough that neither side sleeps while the other wakes up.
const EVENTS_MAX: usize = 8;

/// What they may have together, and what the one may have that runs: a socket holds twice that beside their heads, so that
/// neither side has to wait for the other to read.
pub(super) const EVENT_BYTES_MAX: usize = 32 * 1024;

/// The events after the one that runs.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    works: VecDeque<Work>,
    /// What the last invocation took.
    last_took: Option<Duration>,
}

impl Ahead {
    pub(super) fn is_there(&self) -> bool {
        !self.works.is_empty()
    }

    /// How large another may be, if there may be one.
    fn room(&self) -> Option<usize> {
        let bytes: usize = self.works.iter().map(|work| work.invocation.payload.len()).sum();
        (self.works.len() < EVENTS_MAX).then(|| EVENT_BYTES_MAX.saturating_sub(bytes))
    }

    /// The runtime asks for what it has.
    pub(super) fn take(&mut self) -> Option<Work> {
        self.works.pop_front()
    }

    pub(super) fn took(&mut self, duration: Duration) {
        self.last_took = Some(duration);
    }
}

impl Environment {
    /// Hands over the next events of the queue, as far as that is sound.
    pub(super) fn look_ahead(&mut self) {
        let is_quick = self.ahead.last_took.is_some_and(|took| took <= QUICK_MAX);
        if !is_quick || !self.runtime.takes_ahead() {
            return;
        }
        while let Some(room) = self.ahead.room()
            && let Some(work) = self.pool.take_ahead(self.generation, room)
        {
            let limit = ("stillwire-time-limit-ms", self.pool.time_limit().as_millis().to_string());
            self.runtime.answer_ahead(self.event(&work, limit));
            self.ahead.works.push_back(work);
        }
        // Where they cannot be sent the connection ends, and they go back.
        drop(self.runtime.flush());
    }

    /// After the end of the process: what it never began is somebody else's.
    pub(super) async fn give_back_ahead(&mut self) {
        if !self.ahead.is_there() {
            return;
        }
        // A bootstrap of ours asks before it begins; what it asked may be in the socket still.
        let mut begun = 0;
        let listen = async {
            while let Some((call, _)) = self.runtime.call().await {
                begun += usize::from(matches!(call, CallKind::Next));
            }
        };
        if tokio::time::timeout(LAST_WORDS_MAX, listen).await.is_err() {
            tracing::debug!("a process holds the runtime's socket after the runtime's end");
        }
        for _ in 0..begun {
            let Some(work) = self.ahead.take() else { break };
            let running = self.begin(work, Instant::now());
            self.fail(running, Failure::Exit(self.process.exit().unwrap_or(Exit::Signal(9))));
        }
        self.pool.give_back(std::mem::take(&mut self.ahead.works));
    }
}
