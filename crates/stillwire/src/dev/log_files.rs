//! Logs as files in the data folder: those of functions, and the access logs of stages, one for each log group.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use aws_lc_rs::digest::{SHA256, digest};
use stillwire_model::AccessLogs;

/// Bytes that may wait for the disk; further lines are dropped and counted.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Room of a log that is kept from one batch to the next.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// How long lines are gathered before they are written together: waking the writer for each costs more than the line.
const GATHER: Duration = Duration::from_millis(20);

/// How large the files of a log may become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotation {
    /// A file that has this many bytes is put aside.
    pub(crate) bytes: u64,
    /// How many are kept that were put aside: `NAME.log.1` is the newest.
    pub(crate) old: u32,
}

/// Which log it is.
#[derive(Debug)]
struct Log {
    /// What it is called, in words.
    what: &'static str,
    folder: PathBuf,
    /// Without it, files grow as they will.
    rotation: Option<Rotation>,
}

/// Writes logs from a thread of its own: a slow disk slows no client.
#[derive(Debug)]
pub(crate) struct LogFiles {
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

impl LogFiles {
    /// Starts the writer. The folder is made with its first line.
    pub(crate) fn start(
        what: &'static str,
        folder: PathBuf,
        rotation: Option<Rotation>,
    ) -> Result<Arc<Self>> {
        let desk = Arc::new(Desk::default());
        let of_writer = Arc::clone(&desk);
        let log = Log { what, folder, rotation };
        let writer =
            thread::Builder::new().name(what.to_owned()).spawn(move || write(&log, &of_writer))?;
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

impl LogFiles {
    /// Takes one line for the file of this name.
    pub(crate) fn add(&self, destination: &Arc<str>, line: &str) {
        let mut waiting = self.desk.waiting();
        let is_first = waiting.batch.bytes == 0;
        waiting.batch.add(destination, line);
        drop(waiting);
        if is_first {
            self.desk.bell.notify_one();
        }
    }
}

impl AccessLogs for LogFiles {
    fn line(&self, destination: &Arc<str>, line: &str) {
        self.add(destination, line);
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

    /// What is to be written.
    fn written(&self) -> impl Iterator<Item = (&Arc<str>, &[u8])> {
        let all = self.lines.iter().map(|(destination, lines)| (destination, lines.as_slice()));
        all.filter(|(_, lines)| !lines.is_empty())
    }

    /// Makes room for the next lines.
    fn clear(&mut self) {
        (self.bytes, self.dropped) = (0, 0);
        for lines in self.lines.values_mut() {
            lines.clear();
            lines.shrink_to(KEPT_BYTES_MAX);
        }
    }
}

/// A file that is written to, and its size.
struct Open {
    file: File,
    bytes: u64,
}

fn write(log: &Log, desk: &Desk) {
    let mut files: HashMap<Arc<str>, Option<Open>> = HashMap::new();
    // Two take turns, so that a busy log needs no new memory.
    let mut batch = Batch::default();
    loop {
        let nothing_to_do = |waiting: &mut Waiting| waiting.batch.bytes == 0 && !waiting.over;
        let waiting = desk.bell.wait_while(desk.waiting(), nothing_to_do);
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        let gathered = desk.bell.wait_timeout_while(waiting, GATHER, |waiting| !waiting.over);
        let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        mem::swap(&mut waiting.batch, &mut batch);
        let over = waiting.over;
        drop(waiting);
        if batch.dropped > 0 {
            let dropped = batch.dropped;
            tracing::warn!(dropped, "lines of the {} were dropped: the disk is too slow", log.what);
        }
        for (destination, lines) in batch.written() {
            let path = log.folder.join(file_name(destination));
            let place = files.entry(Arc::clone(destination)).or_insert_with(|| log.open(&path));
            let Some(open) = place else { continue };
            match open.file.write_all(lines) {
                Ok(()) => open.bytes += u64::try_from(lines.len()).unwrap_or_default(),
                Err(error) => {
                    log.tell(&path, &error);
                    *place = None; // what follows for it is dropped
                    continue;
                }
            }
            if let Some(rotation) = log.rotation.filter(|rotation| open.bytes >= rotation.bytes) {
                if let Err(error) = put_aside(&path, rotation.old) {
                    log.tell(&path, &error);
                }
                *place = log.open(&path);
            }
        }
        batch.clear();
        if over {
            return;
        }
    }
}

impl Log {
    fn open(&self, path: &Path) -> Option<Open> {
        let opened = fs::create_dir_all(&self.folder)
            .and_then(|()| OpenOptions::new().create(true).append(true).open(path))
            .and_then(|file| Ok(Open { bytes: file.metadata()?.len(), file }));
        opened.inspect_err(|error| self.tell(path, error)).ok()
    }

    fn tell(&self, path: &Path, error: &io::Error) {
        tracing::error!(%error, path = %path.display(), "the {} cannot be written", self.what);
    }
}

/// Makes a file the newest of the old ones; the oldest goes.
fn put_aside(path: &Path, old: u32) -> io::Result<()> {
    for number in (1..old).rev() {
        match fs::rename(aside(path, number), aside(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, aside(path, 1))
}

/// The name of a file that was put aside.
pub(crate) fn aside(path: &Path, number: u32) -> PathBuf {
    path.with_extension(format!("log.{number}"))
}

/// Letters of a log group's name that a file's name begins with; a longer one is told apart by a digest.
const NAME_LETTERS_MAX: usize = 180;

/// A log group's name as a file's: `/ws/access` is `+ws+access.log`. No two groups share one.
///
/// Source: Amazon `CloudWatch` Logs API, `CreateLogGroup`: letters, digits, `.`, `-`, `_`, `/` and `#`, at most 512. So `+`, `%`
/// and `~` are free to stand for what a file's name cannot have.
fn file_name(destination: &str) -> String {
    let mut name = String::new();
    for (at, letter) in destination.chars().enumerate() {
        match letter {
            '/' => name.push('+'),
            // A file that begins with a dot is hidden, and two are another folder.
            '.' if at == 0 => name.push_str("%2E"),
            letter if letter.is_ascii_alphanumeric() || "._-#".contains(letter) => {
                name.push(letter);
            }
            letter => {
                let mut bytes = [0; 4];
                let bytes = letter.encode_utf8(&mut bytes).bytes();
                name.extend(bytes.map(|byte| format!("%{byte:02X}")));
            }
        }
    }
    if let Some((cut, _)) = name.char_indices().nth(NAME_LETTERS_MAX) {
        let digest = digest(&SHA256, destination.as_bytes());
        name.truncate(cut);
        name.push('~');
        name.extend(digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")));
    }
    format!("{name}.log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_group_has_a_file_in_the_folder_and_nowhere_else() {
        for (destination, expected) in [
            ("/ws/access", "+ws+access.log"),
            ("my-logs_2#x.y", "my-logs_2#x.y.log"),
            ("../../etc/passwd", "%2E.+..+etc+passwd.log"),
            ("a b+é%", "a%20b%2B%C3%A9%25.log"),
            ("", ".log"),
        ] {
            assert_eq!(file_name(destination), expected);
        }
    }

    /// Those that differ only in `/` and `-` shared one, and long ones that differ late.
    #[test]
    fn no_two_log_groups_share_a_file() {
        let long = "x".repeat(400);
        let groups = ["/ws/access", "/ws-access", "ws/access", "ws-access", "ws+access", ""];
        let mut names: Vec<String> = groups.into_iter().map(file_name).collect();
        names.extend([format!("{long}1"), format!("{long}2")].map(|group| file_name(&group)));
        assert!(names.iter().all(|name| name.len() < 250), "{names:?}");
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
    }

    #[test]
    fn a_log_is_put_aside_and_only_so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = Rotation { bytes: 10, old: 2 };
        let name = Arc::from("functions");
        for line in ["the first", "the second", "the third", "the last"] {
            let log = folder.path().to_owned();
            let files = LogFiles::start("test log", log, Some(rotation)).unwrap();
            files.add(&name, line);
            files.finish();
        }
        let path = folder.path().join("functions.log");
        let text = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        assert_eq!(text(&path), "the last\n");
        assert_eq!(text(&aside(&path, 1)), "the third\n");
        assert_eq!(text(&aside(&path, 2)), "the second\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
