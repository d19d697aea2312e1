//! Up to when every record is there that there will ever be.
//!
//! A record's sequence number is the time at which its transaction was under way, but it can be read only once that is
//! kept, however long the disk takes. One transaction writes at a time. So whoever gets a turn to write knows: whatever began earlier is kept
//! or undone, and whatever comes is later.

use std::sync::atomic::{AtomicI64, Ordering};

use super::shards::WINDOW;
use crate::backroom::Backroom;

/// A time in microseconds, before which no sequence number is given out any more.
#[derive(Debug, Default)]
pub(crate) struct Sealed(AtomicI64);

impl Sealed {
    /// The seal. It is moved to the present where another shard has begun since, if nobody is writing right now.
    pub(super) fn to(&self, backroom: &Backroom, now_millis: u64) -> i64 {
        let now = i64::try_from(now_millis.saturating_mul(1000)).unwrap_or(i64::MAX);
        let sealed = self.0.load(Ordering::Acquire);
        if sealed.div_euclid(WINDOW) >= now.div_euclid(WINDOW) || !backroom.is_quiet() {
            return sealed;
        }
        self.0.fetch_max(now, Ordering::AcqRel).max(now)
    }
}
