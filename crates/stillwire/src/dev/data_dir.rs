//! Where an app's state is kept, for one Stillwire at a time.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tempfile::TempDir;

use crate::cli::HouseArgs;
use crate::report::hinted;

/// The folder of an app's state. Dropping it lets the next Stillwire in.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Held as long as this process lives.
    _lock: File,
    /// Removed at the end, where nothing is to be kept.
    temporary: Option<TempDir>,
}

impl DataDir {
    /// Opens the folder that the arguments name, or else `usual`.
    pub(crate) fn open(args: &HouseArgs, usual: PathBuf) -> Result<Self> {
        let temporary = args.in_memory.then(|| temporary(&std::env::temp_dir())).transpose()?;
        let path = match (&temporary, &args.data_dir) {
            (Some(temporary), _) => temporary.path().to_owned(),
            (None, Some(path)) => path.clone(),
            (None, None) => usual,
        };
        refuse_foreign(&path)?;
        let lock = lock(&path)?;
        let path = fs::canonicalize(&path)?;
        if temporary.is_none() {
            // What is kept here is no source.
            let ignore = path.join(".gitignore");
            if !ignore.exists() {
                fs::write(ignore, "*\n")?;
            }
        }
        Ok(Self { path, _lock: lock, temporary })
    }

    /// Whether nothing is to survive.
    pub(crate) fn keeps_nothing(&self) -> bool {
        self.temporary.is_some()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where state is kept, for the person at the terminal.
    pub(crate) fn shown(&self) -> String {
        match self.temporary {
            Some(_) => "memory".to_owned(),
            None => self.path.display().to_string(),
        }
    }

    /// A folder for files that nobody needs after this run.
    pub(crate) fn work_dir(&self) -> Result<PathBuf> {
        let work = self.path.join("work");
        if work.exists() {
            fs::remove_dir_all(&work)
                .with_context(|| format!("cannot empty {}", work.display()))?;
        }
        fs::create_dir_all(&work)?;
        Ok(work)
    }
}

/// How the folders of runs that keep nothing begin.
const TEMPORARY_PREFIX: &str = "stillwire-";

/// Leftovers that one start clears away at most.
const LEFTOVERS_MAX: usize = 100;

/// A folder that goes with this run. A run that was killed could not remove its own, so a later one does.
fn temporary(below: &Path) -> std::io::Result<TempDir> {
    let entries = fs::read_dir(below)?.flatten();
    let left = entries.filter(|entry| {
        entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX)
            // Its owner writes into the lock once it holds it: an empty one is of a run that just begins.
            && fs::metadata(entry.path().join("lock")).is_ok_and(|lock| lock.len() > 0)
    });
    for entry in left.take(LEFTOVERS_MAX) {
        // Whoever still runs holds the lock of its folder; what is not ours cannot be removed anyway.
        if let Ok(lock) = lock(&entry.path()) {
            fs::remove_dir_all(entry.path()).ok();
            drop(lock);
        }
    }
    tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempdir_in(below)
}

/// Only an empty folder, or one of ours, may be written to and cleared: what is there already is somebody's.
fn refuse_foreign(path: &Path) -> Result<()> {
    let foreign = match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some() && !path.join("lock").exists(),
        Err(_) => false, // not there, or not readable: the lock says it better
    };
    if foreign {
        return Err(hinted(
            format!("{} is not empty, and holds no state of Stillwire", path.display()),
            "name a new or empty folder with --data-dir",
        ));
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File> {
    let usable = || -> std::io::Result<File> {
        // What users write into their tables is nobody else's.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        File::options().read(true).write(true).create(true).truncate(false).open(path.join("lock"))
    };
    let mut file = usable().map_err(|error| {
        hinted(
            format!("cannot keep state in {}: {error}", path.display()),
            "name another folder with --data-dir, or keep nothing with --in-memory",
        )
    })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut owner = String::new();
            file.read_to_string(&mut owner).ok();
            return Err(hinted(
                format!("another Stillwire (process {}) uses {}", owner.trim(), path.display()),
                "stop it, or name another folder with --data-dir, or keep nothing with --in-memory",
            ));
        }
        Err(error) => return Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_somebody_elses_files_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        refuse_foreign(folder.path()).unwrap();
        fs::write(folder.path().join("thesis.txt"), "").unwrap();
        let error = refuse_foreign(folder.path()).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");
        lock(folder.path()).unwrap();
        refuse_foreign(folder.path()).unwrap();
    }

    #[test]
    fn a_folder_is_for_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        let error = lock(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        lock(folder.path()).unwrap();
    }
}
