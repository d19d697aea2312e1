//! When a write is acknowledged, and what makes it durable.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dynoxide::storage::Storage;
use dynoxide::{Database, DynoxideError};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::health::Health;

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Once it is on the disk.
    #[default]
    Commit,
    /// Once the system has it: it is on the disk 10 ms later. The end of the program loses nothing, however it
    /// comes; that of the machine loses at most the last moment.
    Interval,
    /// Nothing is to survive, and nothing is written to a disk. The folder only names the stores.
    Memory,
}

/// How long what was acknowledged may not be on the disk yet.
const INTERVAL: Duration = Duration::from_millis(10);

impl Durability {
    /// Where a store that would have this file is, as the engine is told.
    pub(crate) fn place_of(self, file: &Path) -> PathBuf {
        if self != Self::Memory {
            return file.to_owned();
        }
        // Shared by the connections of this process that name it so. Source: SQLite, "The memdb VFS" and "URI Filenames".
        let mut place = "file:".to_owned();
        for character in file.to_string_lossy().chars() {
            match character {
                '%' => place.push_str("%25"),
                '?' => place.push_str("%3f"),
                '#' => place.push_str("%23"),
                other => place.push(other),
            }
        }
        place.push_str("?vfs=memdb");
        place.into()
    }

    /// Applies to the engine's connection. The names of its methods are about loading; these are the settings that they make.
    pub(crate) fn apply_to_engine(self, database: &Database) -> Result<(), DynoxideError> {
        match self {
            Self::Interval => database.disable_bulk_loading(), // synchronous = NORMAL
            // Its own setting; and where there is no disk, none matters.
            Self::Commit | Self::Memory => Ok(()),
        }
    }

    /// Applies to another connection to the engine's file.
    pub(crate) fn apply_to_storage(self, storage: &Storage) -> Result<(), DynoxideError> {
        match self {
            Self::Interval => storage.disable_bulk_loading(),
            Self::Commit | Self::Memory => Ok(()),
        }
    }
}

/// Puts on the disk what was acknowledged before.
#[derive(Debug)]
pub(crate) struct Flusher(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The file that writes go to first.
    log: PathBuf,
    health: Health,
    written: AtomicBool,
    bell: Notify,
}

impl Flusher {
    /// For the engine's file. It runs as long as the threads do.
    pub(crate) fn start(file: &Path, health: Health, threads: &Handle) -> Self {
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        let (written, bell) = (AtomicBool::new(false), Notify::new());
        let shared = Arc::new(Shared { log: log.into(), health, written, bell });
        threads.spawn(flush(Arc::clone(&shared), threads.clone()));
        Self(shared)
    }

    /// Something was written.
    pub(crate) fn wrote(&self) {
        if !self.0.written.swap(true, Ordering::AcqRel) {
            self.0.bell.notify_one();
        }
    }
}

async fn flush(shared: Arc<Shared>, threads: Handle) {
    loop {
        shared.bell.notified().await;
        tokio::time::sleep(INTERVAL).await;
        // What is written from here on asks for the next turn.
        shared.written.store(false, Ordering::Release);
        let at_work = Arc::clone(&shared);
        // Not on the engine's own threads: the disk may take its time.
        let flushed = threads.spawn_blocking(move || at_work.flush()).await;
        if let Err(error) = flushed.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            shared.health.fail(&error);
            return;
        }
    }
}

impl Shared {
    fn flush(&self) -> io::Result<()> {
        File::open(&self.log)?.sync_data()
    }
}
