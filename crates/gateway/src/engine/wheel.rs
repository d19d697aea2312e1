//! Deadlines of many connections: one timer wheel for a shard.
//!
//! An entry is a number and costs four bytes. Nothing is ever taken out early: whoever arms a later deadline
//! lets the old entry fire and looks again. So arming is a push, and a wheel at rest costs no CPU at all.

/// Milliseconds since the engine began.
pub(crate) type Millis = u64;

/// How exact deadlines are. Choice: the shortest of them is one second.
pub(crate) const TICK: Millis = 64;

/// Slots of the wheel; deadlines beyond them fire early and are armed again.
const SLOTS: u64 = 4096;

/// Armed deadlines, by when they fire.
#[derive(Debug)]
pub(crate) struct Wheel {
    slots: Vec<Vec<u32>>,
    /// One bit for each slot that is not empty.
    occupied: [u64; (SLOTS / 64) as usize],
    /// All ticks up to this one have fired.
    fired: u64,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            occupied: [0; (SLOTS / 64) as usize],
            fired: 0,
        }
    }

    /// Arms a deadline for `key`; gives when it will fire: not before `due`, or at the wheel's horizon.
    pub(crate) fn arm(&mut self, key: u32, due: Millis) -> Millis {
        let tick = due.div_ceil(TICK).clamp(self.fired + 1, self.fired + SLOTS - 1);
        let (slot, word, bit) = place(tick);
        if let (Some(keys), Some(word)) = (self.slots.get_mut(slot), self.occupied.get_mut(word)) {
            keys.push(key);
            *word |= bit;
        }
        tick * TICK
    }

    /// When the next entry fires.
    pub(crate) fn next(&self) -> Option<Millis> {
        let mut tick = self.fired + 1;
        let end = self.fired + SLOTS;
        while tick < end {
            let (_, word, bit) = place(tick);
            let ahead = self.occupied.get(word).map_or(0, |word| word & !(bit - 1));
            let beyond = tick - tick % 64 + 64;
            if ahead != 0 {
                let found = tick - tick % 64 + u64::from(ahead.trailing_zeros());
                return (found < end).then_some(found * TICK);
            }
            tick = beyond;
        }
        // A word that holds both the oldest and the newest ticks was looked at from its middle only.
        let (_, word, bit) = place(end);
        let behind = self.occupied.get(word).map_or(0, |word| word & (bit - 1));
        (behind != 0).then(|| (end - end % 64 + u64::from(behind.trailing_zeros())) * TICK)
    }

    /// Moves the keys that fire up to `now` to `due`, each with the time it was armed for.
    pub(crate) fn expire(&mut self, now: Millis, due: &mut Vec<(u32, Millis)>) {
        let until = now / TICK;
        while let Some(at) = self.next()
            && at / TICK <= until
        {
            let tick = at / TICK;
            self.fired = tick;
            let (slot, word, bit) = place(tick);
            if let (Some(keys), Some(word)) =
                (self.slots.get_mut(slot), self.occupied.get_mut(word))
            {
                *word &= !bit;
                due.extend(std::mem::take(keys).into_iter().map(|key| (key, at)));
            }
        }
        self.fired = self.fired.max(until);
    }
}

/// The slot of a tick, and its place in the bitmap.
fn place(tick: u64) -> (usize, usize, u64) {
    let slot = usize::try_from(tick % SLOTS).unwrap_or(0);
    (slot, slot / 64, 1 << (slot % 64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expire(wheel: &mut Wheel, now: Millis) -> Vec<(u32, Millis)> {
        let mut due = Vec::new();
        wheel.expire(now, &mut due);
        due
    }

    #[test]
    fn a_deadline_fires_once_and_not_early() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.next(), None);
        let at = wheel.arm(7, 1000);
        assert!((1000..1000 + TICK).contains(&at));
        assert_eq!(wheel.next(), Some(at));
        assert_eq!(expire(&mut wheel, at - 1), []);
        assert_eq!(expire(&mut wheel, at), [(7, at)]);
        assert_eq!(expire(&mut wheel, at + 100_000), []);
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_deadline_in_the_past_fires_with_the_next_tick() {
        let mut wheel = Wheel::new();
        expire(&mut wheel, 10_000);
        let at = wheel.arm(1, 3);
        assert!(at > 10_000 - TICK && at <= 10_000 + TICK);
        assert_eq!(expire(&mut wheel, at), [(1, at)]);
    }

    #[test]
    fn a_far_deadline_fires_at_the_horizon() {
        let mut wheel = Wheel::new();
        let at = wheel.arm(1, 7_200_000);
        assert!(at <= SLOTS * TICK && at > SLOTS * TICK / 2);
        assert_eq!(expire(&mut wheel, at), [(1, at)]);
    }

    proptest! {
        #[test]
        fn everything_fires_in_its_tick(
            steps in proptest::collection::vec((0u64..400_000, 0u64..50_000), 1..60),
        ) {
            let mut wheel = Wheel::new();
            let mut now = 0;
            let mut armed = Vec::new();
            for (key, (ahead, pause)) in (0u32..).zip(steps) {
                armed.push((key, wheel.arm(key, now + ahead)));
                prop_assert_eq!(wheel.next(), armed.iter().map(|(_, at)| *at).min());
                now += pause;
                let mut due = expire(&mut wheel, now);
                let mut expected: Vec<_> =
                    armed.extract_if(.., |(_, at)| *at / TICK <= now / TICK).collect();
                due.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(due, expected);
            }
        }
    }
}
