//! Folders for temporary files that environments leave to the next of their function.
//!
//! On Lambda an environment that ran out of time, or whose process ended, is reset: its process is another, its `/tmp` stays.
//!
//! Source: AWS Lambda Developer Guide, "Lambda execution environment lifecycle".

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::process;

/// Folders of one function that may wait: as many environments rarely fail at once.
const FOLDERS_MAX: usize = 8;
/// How long a start waits for the end of an environment that is reset: its processes are being killed.
const RESET_MAX: Duration = Duration::from_secs(1);

/// Folders of one function.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    left: Mutex<Vec<Left>>,
    /// How many environments are being reset.
    resets: Arc<watch::Sender<usize>>,
}

#[derive(Debug)]
struct Left {
    generation: u64,
    since: Instant,
    folder: TempDir,
}

/// An environment that is being reset. Dropping it tells that this is over.
#[derive(Debug)]
pub(crate) struct Reset(Arc<watch::Sender<usize>>);

impl Drop for Reset {
    fn drop(&mut self) {
        self.0.send_modify(|resets| *resets -= 1);
    }
}

impl Folders {
    /// An environment will leave its folder.
    pub(crate) fn reset(&self) -> Reset {
        self.resets.send_modify(|resets| *resets += 1);
        Reset(Arc::clone(&self.resets))
    }

    /// Leaves one to the next environment of this generation.
    pub(crate) fn leave(&self, generation: u64, folder: TempDir) {
        let mut left = self.lock();
        left.push(Left { generation, since: Instant::now(), folder });
        let spare = left.len().saturating_sub(FOLDERS_MAX);
        discard(left.drain(..spare).collect());
    }

    /// The one that was left last, or a new one.
    pub(crate) async fn take(&self, generation: u64, work_dir: &Path) -> io::Result<TempDir> {
        let mut resets = self.resets.subscribe();
        let found = async {
            loop {
                let found = self.last(generation);
                if found.is_some() || *resets.borrow_and_update() == 0 {
                    return found;
                }
                if resets.changed().await.is_err() {
                    return None;
                }
            }
        };
        match tokio::time::timeout(RESET_MAX, found).await {
            Ok(Some(folder)) => Ok(folder),
            Ok(None) | Err(_) => tempfile::Builder::new().prefix("env-").tempdir_in(work_dir),
        }
    }

    /// The one that was left last; those of other code go.
    fn last(&self, generation: u64) -> Option<TempDir> {
        let mut left = self.lock();
        let (mut fitting, others): (Vec<Left>, _) =
            left.drain(..).partition(|one| one.generation == generation);
        discard(others);
        let last = fitting.pop();
        *left = fitting;
        last.map(|one| one.folder)
    }

    /// Lets go of those that nobody has taken for so long.
    pub(crate) fn sweep(&self, idle_timeout: Duration) {
        let mut left = self.lock();
        let old = left.iter().take_while(|one| one.since.elapsed() >= idle_timeout).count();
        discard(left.drain(..old).collect());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Left>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn discard(folders: Vec<Left>) {
    if !folders.is_empty() {
        process::discard(folders);
    }
}
