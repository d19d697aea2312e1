//! Follows the sources of an app: a change is read, and what runs becomes what it says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use stillwire_deploy::Loaded;

use crate::check;
use crate::dev::live::Live;
use crate::dev::synthesis::{Source, Workshop};
use crate::dev::watch::Watch;

/// How often one synthesis is begun anew because its sources changed meanwhile. An app that writes into its own folder would
/// never be synthesized otherwise.
const RESTARTS_MAX: usize = 3;

/// What follows the sources.
pub(crate) struct Follower {
    pub(crate) live: Arc<Live>,
    pub(crate) source: Source,
    pub(crate) workshop: Workshop,
}

impl Follower {
    /// Follows the sources until it is dropped. `seen` is what they were when they were read.
    ///
    /// # Cancel safety
    /// What was begun to be applied is carried on by whoever holds the app.
    pub(crate) async fn follow(self, watch: Watch, mut seen: Option<String>) {
        loop {
            self.learn(&watch).await;
            let names = watch.changed().await;
            // What is written and is what it was is no change, as far as that can be told.
            let now = self.source.fingerprint();
            let is_same = now.is_some() && now == seen && self.source.foreign_assembly().is_none();
            seen = now;
            if is_same {
                continue;
            }
            self.workshop
                .screen
                .progress(&format!("{} changed", shown(self.source.app_dir(), &names)));
            let applied = match self.load(&watch).await {
                Ok(loaded) => match check::strict(&self.workshop.args.app, &loaded) {
                    Ok(()) => self.live.replace_source(loaded).await,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            if let Err(error) = applied {
                self.workshop.screen.refused(&error);
            }
        }
    }

    async fn learn(&self, watch: &Watch) {
        watch.learn(self.live.functions().await, self.source.foreign_assembly());
    }

    /// Reads the app; begins anew when its sources change meanwhile.
    async fn load(&self, watch: &Watch) -> Result<Loaded> {
        let mut restarts = 0;
        loop {
            let before = self.source.fingerprint();
            let exports = self.live.exports().await;
            let loading = self.source.load(&self.workshop, exports);
            tokio::pin!(loading);
            loop {
                tokio::select! {
                    loaded = &mut loading => return loaded,
                    _names = watch.changed(), if restarts < RESTARTS_MAX => {}
                }
                // What a synthesis writes into its own folder may be what was there.
                if before.is_none() || self.source.fingerprint() != before {
                    break;
                }
            }
            restarts += 1;
            self.workshop.screen.progress("changed again, beginning anew");
        }
    }
}

/// Some files, as the person who edits them names them.
fn shown(app: &Path, names: &[PathBuf]) -> String {
    let app = app.canonicalize().unwrap_or_else(|_| app.to_owned());
    let names =
        names.iter().map(|path| path.strip_prefix(&app).unwrap_or(path).display().to_string());
    names.collect::<Vec<_>>().join(", ")
}
