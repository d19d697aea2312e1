//! Which version of an interpreter runs a function that names another.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::platform_log::Journal;

/// The version itself, then newer ones from the nearest, then older ones from the nearest.
pub(crate) fn preference(wanted: u8, known: RangeInclusive<u8>) -> impl Iterator<Item = u8> {
    let (first, last) = known.into_inner();
    let newer = wanted.max(first)..=last;
    newer.chain((first..wanted.min(last.saturating_add(1))).rev())
}

/// Tells of each substitution once.
#[derive(Debug, Default)]
pub(crate) struct Substitutions(Mutex<BTreeSet<String>>);

impl Substitutions {
    /// Functions of the version `wanted` run on `found`, at `program`.
    pub(crate) fn tell(&self, wanted: &str, found: &str, program: &Path, journal: &Journal) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found != wanted && told.insert(wanted.to_owned()) {
            journal.notice(format!(
                "{wanted} is not on this machine: its functions run on {found} ({}); \
                 install {wanted} to run them on their own version",
                program.display()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_are_preferred_to_older_ones() {
        let order: Vec<u8> = preference(9, 6..=12).collect();
        assert_eq!(order, [9, 10, 11, 12, 8, 7, 6]);
        assert_eq!(preference(30, 6..=8).collect::<Vec<_>>(), [8, 7, 6]);
        assert_eq!(preference(2, 6..=8).collect::<Vec<_>>(), [6, 7, 8]);
    }
}
