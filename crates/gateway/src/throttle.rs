//! Throttling: a token bucket for each stage and route.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use stillwire_model::{Api, RouteKey, Stage, StageName, Throttle};
use tokio::time::Instant;

/// The buckets of an API's stages. They outlive its versions.
#[derive(Debug, Default)]
pub(crate) struct ApiThrottles(Mutex<BTreeMap<StageName, Arc<Throttles>>>);

/// The buckets of a stage.
#[derive(Debug, Default)]
pub(crate) struct Throttles(Mutex<BTreeMap<RouteKey, Bucket>>);

/// A token bucket. It begins full.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl ApiThrottles {
    /// Lets go of stages that are gone.
    pub(crate) fn deploy(&self, api: &Api) {
        let mut stages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stages.retain(|name, _| api.stages.contains_key(name));
    }

    /// The buckets of a stage.
    pub(crate) fn stage(&self, name: &StageName) -> Arc<Throttles> {
        let mut stages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(stages.entry(name.clone()).or_default())
    }
}

impl Throttles {
    /// Whether a request of this route may pass; takes its token. `stage` says how many may.
    pub(crate) fn admit(&self, stage: Option<&Stage>, route: &RouteKey) -> bool {
        let throttle = stage.and_then(|stage| stage.settings(route).throttle);
        let Some(throttle) = throttle else { return true };
        let now = Instant::now();
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(route) {
            return bucket.take(throttle, now);
        }
        // At most one for each route.
        let bucket = buckets.entry(route.clone()).or_insert_with(|| Bucket::new(throttle, now));
        bucket.take(throttle, now)
    }
}

impl Bucket {
    pub(crate) fn new(throttle: Throttle, now: Instant) -> Self {
        Self { tokens: throttle.burst.into(), filled_at: now }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, throttle: Throttle, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.filled_at = now;
        self.tokens = (self.tokens + passed * throttle.rate).min(throttle.burst.into());
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let throttle = Throttle { rate: 2.0, burst: 3 };
        let start = Instant::now();
        let mut bucket = Bucket { tokens: 3.0, filled_at: start };
        let mut take = |millis| bucket.take(throttle, start + Duration::from_millis(millis));
        assert_eq!([0, 0, 0, 0, 499].map(&mut take), [true, true, true, false, false]);
        assert_eq!([500, 501, 1000].map(&mut take), [true, false, true]);
        assert_eq!([60_000, 60_000, 60_000, 60_000].map(&mut take), [true, true, true, false]);
    }

    #[test]
    fn a_burst_of_nothing_lets_nobody_pass() {
        let mut bucket = Bucket { tokens: 0.0, filled_at: Instant::now() };
        let throttle = Throttle { rate: 0.0, burst: 0 };
        assert!(!bucket.take(throttle, Instant::now() + Duration::from_hours(1)));
    }
}
