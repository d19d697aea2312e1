//! Access logs of stages, as files: one for each log group, in the data folder.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use stillwire_model::AccessLogs;

/// Bytes that may wait for the disk; further lines are dropped and counted.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long lines are gathered before they are written together: waking the writer for each costs more than the line.
const GATHER: Duration = Duration::from_millis(20);

/// Writes access logs from a thread of its own: a slow disk slows no client.
#[derive(Debug)]
pub(crate) struct AccessLogFiles {
    desk: Arc<Desk>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// Where lines wait for the writer.
#[derive(Debug, Default)]
struct Desk {
    waiting: Mutex<Waiting>,
    /// Rung with the first line, and at the end.
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    batch: Batch,
    over: bool,
}

#[derive(Debug, Default)]
struct Batch {
    /// Whole lines, by destination.
    lines: BTreeMap<Arc<str>, Vec<u8>>,
    bytes: usize,
    dropped: u64,
}

impl AccessLogFiles {
    /// Starts the writer. The folder is made with its first line.
    pub(crate) fn start(folder: PathBuf) -> Result<Arc<Self>> {
        let desk = Arc::new(Desk::default());
        let of_writer = Arc::clone(&desk);
        let writer = thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write(&folder, &of_writer))?;
        Ok(Arc::new(Self { desk, writer: Mutex::new(Some(writer)) }))
    }

    /// Ends the writer once it has written what waits.
    pub(crate) fn finish(&self) {
        self.desk.waiting().over = true;
        self.desk.bell.notify_one();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            writer.join().ok(); // a panic of it was told
        }
    }
}

impl AccessLogs for AccessLogFiles {
    fn line(&self, destination: &Arc<str>, line: &str) {
        let mut waiting = self.desk.waiting();
        let is_first = waiting.batch.bytes == 0;
        waiting.batch.add(destination, line);
        drop(waiting);
        if is_first {
            self.desk.bell.notify_one();
        }
    }
}

impl Desk {
    /// Between any two calls it is whole.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    fn add(&mut self, destination: &Arc<str>, line: &str) {
        if self.bytes + line.len() >= WAITING_BYTES_MAX {
            self.dropped += 1;
            return;
        }
        self.bytes += line.len() + 1;
        let lines = match self.lines.get_mut(destination) {
            Some(lines) => lines,
            None => self.lines.entry(Arc::clone(destination)).or_default(),
        };
        lines.extend_from_slice(line.as_bytes());
        lines.push(b'\n');
    }
}

fn write(folder: &Path, desk: &Desk) {
    let mut files: HashMap<Arc<str>, Option<File>> = HashMap::new();
    loop {
        let nothing_to_do = |waiting: &mut Waiting| waiting.batch.bytes == 0 && !waiting.over;
        let waiting = desk.bell.wait_while(desk.waiting(), nothing_to_do);
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        let gathered = desk.bell.wait_timeout_while(waiting, GATHER, |waiting| !waiting.over);
        let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        let (batch, over) = (mem::take(&mut waiting.batch), waiting.over);
        drop(waiting);
        if batch.dropped > 0 {
            let dropped = batch.dropped;
            tracing::warn!(dropped, "lines of access logs were dropped: the disk is too slow");
        }
        for (destination, lines) in batch.lines {
            let file = files.entry(destination).or_insert_with_key(|name| open(folder, name));
            if let Some(Err(error)) = file.as_mut().map(|file| file.write_all(&lines)) {
                tracing::error!(%error, "an access log cannot be written");
                *file = None; // what follows for it is dropped
            }
        }
        if over {
            return;
        }
    }
}

fn open(folder: &Path, destination: &str) -> Option<File> {
    let path = folder.join(file_name(destination));
    let opened = fs::create_dir_all(folder)
        .and_then(|()| OpenOptions::new().create(true).append(true).open(&path));
    opened
        .inspect_err(|error| {
            tracing::error!(%error, path = %path.display(), "an access log cannot be written");
        })
        .ok()
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
