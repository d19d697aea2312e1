//! What happens to a pool besides invocations: new code, an end, old age, and the needs of others.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::environment::End;

use super::{Idle, Pool, Preparation, State, Trial, Work};

/// How long one may wait: longer than any caller does, long enough for libraries to be installed.
const QUEUE_WAIT_MAX: Duration = Duration::from_mins(5);

impl Pool {
    /// The code is being changed: nothing starts until that is settled.
    pub(crate) fn code_changes(&self, now: Instant) {
        let mut state = self.lock();
        if state.closed {
            return; // nobody settles it any more
        }
        let first = state.changing.map_or(now, |(first, _)| first);
        state.changing = Some((first, now));
    }

    /// When the code was first and last seen changing.
    pub(crate) fn changing(&self) -> Option<(Instant, Instant)> {
        self.lock().changing
    }

    /// The change seen until `seen` is settled. With a new preparation, and why there is one, the environments are
    /// replaced: at once, or where some serve, once one has loaded the new code.
    pub(crate) fn settled(self: &Arc<Self>, seen: Instant, renewed: Option<(Preparation, String)>) {
        let (mut replaced, mut failed, mut kept) = (None, None, None);
        {
            let mut state = self.lock();
            if state.changing.is_some_and(|(_, last)| last <= seen) {
                state.changing = None;
            }
            if let Some((preparation, why)) = renewed {
                state.generations += 1;
                let generation = state.generations;
                state.suppressed = false;
                match preparation {
                    // A debugger has room for one environment.
                    Preparation::Ready(prepared) if state.serves() && !self.is_debugged() => {
                        state.trial = Some(Trial { generation, prepared, why, begun: false });
                    }
                    // What is loaded needs no preparation.
                    Preparation::Failed(_) if state.serves() => {
                        state.trial = None;
                        state.broken = true;
                        kept = Some(why);
                    }
                    preparation => {
                        failed = preparation.failed();
                        state.replace(generation, preparation);
                        replaced = Some(why);
                    }
                }
            }
        }
        if let Some(why) = replaced {
            self.tell_reload(&why);
        }
        if let Some(why) = kept {
            self.tell_broken(&why);
        }
        if let Some(reason) = failed {
            self.refuse_queue(&reason);
        }
        self.move_on(true);
    }

    fn tell_reload(&self, why: &str) {
        self.journal.notice(format!("reloaded {} ({why})", self.function.name()));
    }

    fn tell_broken(&self, why: &str) {
        self.journal.notice(format!(
            "{} is not reloaded ({why}): the new code cannot be loaded; \
             what was loaded before serves on until that is mended",
            self.function.name()
        ));
    }

    /// An environment of this generation has loaded its code. Where it was on trial, it replaces those before it.
    pub(super) fn prove(&self, state: &mut State, generation: u64) -> bool {
        let trial = state.trial.take_if(|trial| trial.generation == generation);
        let Some(trial) = trial else { return false };
        state.replace(generation, Preparation::Ready(trial.prepared));
        self.tell_reload(&trial.why);
        true
    }

    /// An environment of this generation has ended before it was ready. Where it was on trial, nothing is replaced.
    pub(super) fn disprove(&self, state: &mut State, generation: u64, end: &End) -> bool {
        let trial = state.trial.take_if(|trial| trial.generation == generation);
        let Some(Trial { why, .. }) = trial else { return false };
        if !matches!(end, End::Retired) {
            state.broken = true;
            self.tell_broken(&why);
        }
        true
    }

    /// Ends when its queue is empty, which it works off with the code that is there.
    pub(crate) fn close(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            state.closed = true;
            state.changing = None;
            state.trial = None;
            state.idle.clear();
        }
        self.pump();
    }

    /// Ends the environment that was idle longest, to make room for another function's.
    pub(crate) fn give_room(&self) -> bool {
        let mut state = self.lock();
        let found = !state.idle.is_empty();
        if found {
            state.idle.remove(0);
        }
        found
    }

    /// Whether its queue waits for an environment.
    pub(crate) fn is_waiting(&self) -> bool {
        let state = self.lock();
        let ready = matches!(state.preparation, Preparation::Ready(_)) && state.changing.is_none();
        ready && state.queue.len() > state.starting
    }

    /// The number of its environments.
    pub(crate) fn live(&self) -> usize {
        self.lock().live
    }

    /// Ends environments that were idle for long, except the last, and invocations that waited for long; and what they left.
    pub(crate) fn sweep(&self, idle_timeout: Duration) {
        let now = Instant::now();
        let expired: Vec<Work> = {
            let mut state = self.lock();
            let spare = state.live.saturating_sub(1);
            let old = |idle: &&Idle| now.duration_since(idle.since) >= idle_timeout;
            let count = state.idle.iter().take_while(old).count().min(spare);
            state.idle.drain(..count);
            let late = |work: &&Work| now.duration_since(work.since) >= QUEUE_WAIT_MAX;
            let count = state.queue.iter().take_while(late).count();
            state.queue.drain(..count).collect()
        };
        for work in expired {
            work.answer(Err(self.throttled()));
        }
        self.folders.sweep(idle_timeout);
    }
}
