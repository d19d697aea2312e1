//! How far a stream was read: kept on the disk, never ahead of what was done.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stillwire_keep::StateFile;
use tokio::sync::watch;

use crate::stream::{OpenWindow, Sequence};

/// The version of the file's form.
const VERSION: u32 = 1;

/// How long writes of one file are apart, at least. Choice: a crash repeats what was done within it, and the disk has
/// time for the tables.
const WRITE_PAUSE: Duration = Duration::from_millis(20);

/// How far the stream of one mapping was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// The ARN that the mapping names, and where it was to begin: with another one all begins anew.
    pub(crate) source: String,
    pub(crate) starting_position: String,
    /// The ARN of the stream that was read.
    pub(crate) stream: String,
    /// By shard. One that is not here is read from its beginning.
    pub(crate) shards: BTreeMap<String, ShardPosition>,
}

/// How far a shard was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShardPosition {
    pub(crate) position: Position,
    /// How many lanes there were.
    pub(crate) lanes: u32,
    /// What lanes have done beyond the position, by their numbers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) done: BTreeMap<usize, Sequence>,
    /// The tumbling window that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) window: Option<OpenWindow>,
}

/// A place in a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Position {
    /// Before the oldest record that there still is.
    TrimHorizon,
    /// At this record.
    At(Sequence),
    /// After this record.
    After(Sequence),
    /// After the last one of a shard that gets no more.
    End,
}

impl From<Position> for ShardPosition {
    fn from(position: Position) -> Self {
        Self { position, lanes: 1, done: BTreeMap::new(), window: None }
    }
}

/// The checkpoint of a mapping, and its file. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoints(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    current: Mutex<Checkpoint>,
    changes: watch::Sender<u64>,
    file: StateFile,
}

/// The file of a mapping in the folder of checkpoints; nowhere, where nothing is to survive.
pub(crate) fn file_of(folder: Option<&Path>, id: &str) -> Option<PathBuf> {
    folder.map(|folder| folder.join(format!("{id}.json")))
}

impl Checkpoints {
    /// Reads what was kept; nothing at first. Makes the file's folder. Waits for the disk.
    ///
    /// # Errors
    /// When there is a file that cannot be read, or there can be none.
    pub(crate) fn read(file: Option<PathBuf>) -> io::Result<Self> {
        if let Some(folder) = file.as_deref().and_then(Path::parent) {
            std::fs::create_dir_all(folder)?;
        }
        let file = StateFile::new(file, VERSION);
        let current = Mutex::new(file.read()?);
        Ok(Self(Arc::new(Inner { current, changes: watch::Sender::new(0), file })))
    }

    pub(crate) fn get(&self) -> Checkpoint {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the checkpoint. It is on the disk once the writer had its turn.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Checkpoint)) {
        change(&mut self.0.current.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.changes.send_modify(|count| *count += 1);
    }

    /// Writes what has changed, again and again: while one write is under way changes gather for the next.
    ///
    /// # Cancel safety
    /// What was not written when this is dropped is written by [`write`](Self::write).
    pub(crate) async fn keep_writing(&self) {
        let mut changes = self.0.changes.subscribe();
        // The sender is at hand, so this goes on until it is dropped.
        while changes.changed().await.is_ok() {
            self.write().await;
            tokio::time::sleep(WRITE_PAUSE).await;
        }
    }

    /// Writes the checkpoint as it is now.
    pub(crate) async fn write(&self) {
        let inner = Arc::clone(&self.0);
        let write = move || {
            let current = inner.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
            inner.file.write(current)
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(
                %error,
                "how far a stream was read cannot be kept: after a crash its records are read again"
            ),
            Err(error) => tracing::error!(%error, "keeping how far a stream was read panicked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = file_of(Some(folder.path()), "id");
        let first = Checkpoints::read(file.clone()).unwrap();
        assert_eq!(first.get(), Checkpoint::default());
        let done = [(2, Sequence::new("12"))].into();
        let at = Position::At(Sequence::new("10"));
        let shard = ShardPosition { position: at, lanes: 4, done, window: None };
        first.change(|checkpoint| {
            checkpoint.stream = "arn".to_owned();
            checkpoint.shards.insert("shard-1".to_owned(), shard);
            checkpoint.shards.insert("shard-0".to_owned(), Position::End.into());
        });
        first.write().await;
        assert_eq!(Checkpoints::read(file).unwrap().get(), first.get());
    }
}
