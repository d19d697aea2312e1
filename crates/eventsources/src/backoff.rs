//! How long something that failed waits before it is tried again.

use std::time::Duration;

/// `first`, twice as long each further time, at most `most`; up to a tenth less, so that many do not come at once.
///
/// `failures` counts from 1.
pub(crate) fn delay(first: Duration, most: Duration, failures: u32) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(most);
    // A UUID is the random source at hand.
    let random = u32::from(uuid::Uuid::new_v4().as_bytes().first().copied().unwrap_or(0));
    doubled.saturating_sub(doubled / 10 * random / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let (first, most) = (Duration::from_millis(100), Duration::from_mins(1));
        for (failures, expected) in [(1, 100), (2, 200), (5, 1600), (11, 60_000), (1000, 60_000)] {
            let delay = delay(first, most, failures).as_millis();
            assert!((expected * 9 / 10..=expected).contains(&delay), "{failures}: {delay}");
        }
    }
}
