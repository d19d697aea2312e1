//! The system's clock, behind the model's port.

use std::time::UNIX_EPOCH;

use stillwire_model::Clock;

/// Wall time as the system tells it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn epoch_millis(&self) -> u64 {
        #[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
        let now = std::time::SystemTime::now();
        // A clock before 1970 is shown as 1970.
        now.duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
    }
}
