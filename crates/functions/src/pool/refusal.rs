//! What becomes of an invocation that no environment can take.

use std::sync::Arc;

use stillwire_model::{InvokeError, Invoked, Outcome};
use tokio::time::Instant;

use super::circuit::Refusal;
use super::{Pool, State, Work};
use crate::platform_log::Usage;

const RESERVED: &str = "ReservedFunctionConcurrentInvocationLimitExceeded";
const UNRESERVED: &str = "ConcurrentInvocationLimitExceeded";

impl Pool {
    /// The invocation that waited for a start that failed gets its error; the next one tries afresh, unless too many did.
    pub(super) fn fail_head(&self, state: &mut State, refusal: Refusal) {
        if let Some(work) = state.queue.pop_front() {
            self.refuse(work, &refusal);
        }
        if let Some(wait) = state.circuit.failed(refusal, Instant::now()) {
            let name = self.function.name();
            self.journal.notice(format!(
                "{name} cannot be started, again: the next try is in {wait:?}; until then its callers get the same error"
            ));
        }
    }

    /// An invocation whose start failed has its lines in the log like any other.
    pub(super) fn refuse(&self, work: Work, refusal: &Refusal) {
        let failure = match refusal {
            Refusal::Failed(failure) => failure,
            Refusal::Unavailable(reason) => {
                return work.answer(Err(self.unavailable(reason.clone())));
            }
        };
        let usage = Usage {
            duration: work.since.elapsed(),
            memory_mb: self.function.memory_mb,
            peak_mb: 0,
            init: None,
        };
        let journal =
            if work.invocation.log_tail { self.journal.with_tail() } else { self.journal.clone() };
        journal.start(&work.request_id, &self.function.version);
        journal.end(&work.request_id, &usage, Some(failure));
        let outcome = Outcome::Failed(failure.object(&work.request_id));
        let version = Arc::clone(&self.function.version);
        work.answer(Ok(Invoked { outcome, version, log_tail: journal.tail() }));
    }

    /// As many run or wait as may.
    pub(super) fn throttled(&self) -> InvokeError {
        let reserved = self.concurrency.limit() != usize::MAX;
        let reason = if reserved { RESERVED } else { UNRESERVED };
        InvokeError::Throttled { function: self.function.arn.clone(), reason }
    }

    /// Nothing of it can be started.
    pub(super) fn unavailable(&self, reason: String) -> InvokeError {
        InvokeError::Unavailable { function: self.function.arn.clone(), reason }
    }

    /// Refuses what waits.
    pub(crate) fn refuse_queue(&self, reason: &str) {
        let waiting: Vec<Work> = self.lock().queue.drain(..).collect();
        for work in waiting {
            work.answer(Err(self.unavailable(reason.to_owned())));
        }
    }
}
