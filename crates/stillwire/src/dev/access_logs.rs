//! Access logs of stages, as files: one for each log group, in the data folder.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use anyhow::Result;
use stillwire_model::AccessLogs;

/// Lines that may wait for the disk; further ones are dropped and counted.
const LINES_WAITING: usize = 16_384;

/// Writes access logs from a thread of its own: a slow disk slows no client.
#[derive(Debug)]
pub(crate) struct AccessLogFiles {
    lines: SyncSender<(Arc<str>, String)>,
    dropped: AtomicU64,
}

impl AccessLogFiles {
    /// Starts the writer, which ends with the last sender. The folder is made with its first line.
    pub(crate) fn start(folder: PathBuf) -> Result<Arc<Self>> {
        let (lines, waiting) = sync_channel(LINES_WAITING);
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write(&folder, &waiting))?;
        Ok(Arc::new(Self { lines, dropped: AtomicU64::new(0) }))
    }
}

impl AccessLogs for AccessLogFiles {
    fn line(&self, destination: &Arc<str>, line: String) {
        match self.lines.try_send((Arc::clone(destination), line)) {
            Ok(()) => {
                let dropped = self.dropped.swap(0, Ordering::Relaxed);
                if dropped > 0 {
                    tracing::warn!(
                        dropped,
                        "lines of access logs were dropped: the disk is too slow"
                    );
                }
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn write(folder: &Path, waiting: &Receiver<(Arc<str>, String)>) {
    let mut files: HashMap<Arc<str>, Option<BufWriter<File>>> = HashMap::new();
    while let Ok(first) = waiting.recv() {
        // What waits is written together; then it is on its way to the disk, for whoever reads along.
        for (destination, line) in std::iter::once(first).chain(waiting.try_iter()) {
            let file = files.entry(destination).or_insert_with_key(|name| open(folder, name));
            if let Some(out) = file
                && let Err(error) = writeln!(out, "{line}")
            {
                tracing::error!(%error, "an access log cannot be written");
                *file = None; // what follows for it is dropped
            }
        }
        for file in files.values_mut().flatten() {
            file.flush().ok(); // told with the next line
        }
    }
}

fn open(folder: &Path, destination: &str) -> Option<BufWriter<File>> {
    let path = folder.join(file_name(destination));
    let opened = fs::create_dir_all(folder)
        .and_then(|()| OpenOptions::new().create(true).append(true).open(&path));
    match opened {
        Ok(file) => Some(BufWriter::new(file)),
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "an access log cannot be written");
            None
        }
    }
}

/// A log group's name as a file's: `/ws/access` is `ws-access.log`.
fn file_name(destination: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let name: String = destination
        .trim_matches('/')
        .chars()
        .take(128)
        .map(|letter| if is_plain(letter) { letter } else { '-' })
        .collect();
    format!("{}.log", name.trim_start_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_group_has_a_file_in_the_folder_and_nowhere_else() {
        for (destination, expected) in [
            ("/ws/access", "ws-access.log"),
            ("../../etc/passwd", "-..-etc-passwd.log"),
            ("", ".log"),
        ] {
            assert_eq!(file_name(destination), expected);
        }
    }
}
