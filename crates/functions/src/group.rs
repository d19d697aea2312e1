//! A function with its versions: which of them an invocation means.
//!
//! Source: AWS Lambda Developer Guide, "Manage Lambda function versions" and "Create an alias".

use std::collections::BTreeMap;
use std::sync::Arc;

use stillwire_model::{Alias, FunctionRelease, LATEST};

use crate::pool::{Concurrency, Pool};

/// One function as it is deployed.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) concurrency: Arc<Concurrency>,
    latest: Arc<Pool>,
    /// Published versions by their numbers.
    versions: BTreeMap<Arc<str>, Arc<Pool>>,
    aliases: BTreeMap<String, Alias>,
}

impl Group {
    /// Deploys a release. `pool` gives the pool of each of its functions: an old one or a new one.
    pub(crate) fn new(
        release: &FunctionRelease,
        concurrency: Arc<Concurrency>,
        mut pool: impl FnMut(&Arc<stillwire_model::Function>) -> Arc<Pool>,
    ) -> Self {
        let latest = pool(&release.latest);
        let versions = release.versions.iter();
        let versions = versions.map(|version| (Arc::clone(&version.version), pool(version)));
        let versions = versions.collect();
        Self { concurrency, latest, versions, aliases: release.aliases.clone() }
    }

    /// What a version or alias means; without one, what the function is now.
    pub(crate) fn pool(&self, qualifier: Option<&str>) -> Option<&Arc<Pool>> {
        match qualifier {
            None | Some(LATEST) => Some(&self.latest),
            Some(name) => self.version(name).or_else(|| {
                let alias = self.aliases.get(name)?;
                self.version(choose(alias, rand()))
            }),
        }
    }

    fn version(&self, version: &str) -> Option<&Arc<Pool>> {
        if version == LATEST { Some(&self.latest) } else { self.versions.get(version) }
    }

    /// The pools of all versions.
    pub(crate) fn pools(&self) -> impl Iterator<Item = &Arc<Pool>> {
        [&self.latest].into_iter().chain(self.versions.values())
    }
}

/// The version that an invocation of an alias goes to; `chance` is evenly spread from 0 to 1.
fn choose(alias: &Alias, chance: f64) -> &str {
    match &alias.second {
        Some((version, share)) if chance < *share => version,
        _ => &alias.version,
    }
}

/// A number from 0 to 1, without the 1.
fn rand() -> f64 {
    let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
    let high = u32::try_from(random >> 32).unwrap_or_default();
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_sends_its_share_to_the_second_version() {
        let alias = Alias { version: "1".to_owned(), second: Some(("2".to_owned(), 0.25)) };
        assert_eq!((choose(&alias, 0.2499), choose(&alias, 0.25)), ("2", "1"));
        let alias = Alias { second: None, ..alias };
        assert_eq!(choose(&alias, 0.0), "1");
        assert!((0..100).map(|_| rand()).all(|chance| (0.0..1.0).contains(&chance)));
    }
}
