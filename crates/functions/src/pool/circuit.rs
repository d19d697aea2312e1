//! Keeps a function that cannot be started from being started over and over.
//!
//! After a few failures in a row the next start has to wait, twice as long each time; meanwhile invocations that nobody can
//! serve get the last failure at once. A start that works, or new code, ends this. No clock here.

use std::time::Duration;

use tokio::time::Instant;

use crate::failure::Failure;

/// Failures in a row that cost no wait: somebody may be trying things out.
const FREE: u32 = 3;
/// The first wait.
const WAIT_FIRST: Duration = Duration::from_millis(100);
/// The longest.
const WAIT_MOST: Duration = Duration::from_secs(30);

/// Why an environment could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The function's own doing: what its caller gets.
    Failed(Failure),
    /// There is no process.
    Unavailable(String),
}

/// The failures in a row.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    failures: u32,
    last: Option<(Refusal, Instant)>,
}

impl Circuit {
    /// A start failed; gives how long the next one has to wait, if it has.
    pub(super) fn failed(&mut self, refusal: Refusal, now: Instant) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        let doublings = self.failures.checked_sub(FREE)?.min(16);
        let wait = (WAIT_FIRST * 2_u32.pow(doublings)).min(WAIT_MOST);
        self.last = Some((refusal, now + wait));
        Some(wait)
    }

    /// What invocations get at this moment, where nothing may be started.
    pub(super) fn refusal(&self, now: Instant) -> Option<&Refusal> {
        let (refusal, until) = self.last.as_ref()?;
        (now < *until).then_some(refusal)
    }

    /// Whether the next start is a try: one at a time will do.
    pub(super) fn is_doubtful(&self) -> bool {
        self.last.is_some()
    }

    /// A start worked, or the code is another.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_half_a_minute_and_ends_with_a_start_that_works() {
        let mut circuit = Circuit::default();
        let now = Instant::now();
        let refusal = Refusal::Unavailable("no".to_owned());
        let waits: Vec<Option<u128>> =
            (0..40).map(|_| Some(circuit.failed(refusal.clone(), now)?.as_millis())).collect();
        assert_eq!(waits[..5], [None, None, Some(100), Some(200), Some(400)]);
        assert_eq!(waits[39], Some(30_000));
        assert_eq!(circuit.refusal(now), Some(&refusal));
        assert_eq!(circuit.refusal(now + WAIT_MOST), None);
        assert!(circuit.is_doubtful());
        circuit.reset();
        assert_eq!((circuit.refusal(now), circuit.is_doubtful()), (None, false));
    }
}
