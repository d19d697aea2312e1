//! The file of a function's entry point, glanced at before each invocation.
//!
//! The watcher learns of a save a moment after it happened. Whoever saves the handler and sends a message in the
//! same moment is to get the new code all the same.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use stillwire_model::Function;

use crate::code;

/// Where the entry point is, and when that file was last written as far as is known.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Every file that may be it, in each folder of the function.
    files: Vec<PathBuf>,
    seen: Mutex<Vec<Option<SystemTime>>>,
}

impl Entry {
    /// Looks for the first time.
    pub(crate) fn new(function: &Function) -> Self {
        let names = function.runtime.entry_files(&function.handler);
        let folders = code::watched(function);
        let files: Vec<PathBuf> = folders
            .iter()
            .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
            .collect();
        let seen = Mutex::new(files.iter().map(modified).collect());
        Self { files, seen }
    }

    /// Whether the file was written since the last look.
    pub(crate) fn is_newer(&self) -> bool {
        if self.files.is_empty() {
            return false;
        }
        let now: Vec<_> = self.files.iter().map(modified).collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = *seen != now;
        *seen = now;
        newer
    }
}

fn modified(file: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}
