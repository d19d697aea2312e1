//! The file of a function's entry point, glanced at before each invocation.
//!
//! The watcher learns of a save a moment after it happened. Whoever saves the handler and sends a message in the
//! same moment is to get the new code all the same.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use stillwire_model::{Function, Runtime};

use crate::code;

/// Where the entry point is, and when that file was last written as far as is known.
#[derive(Debug)]
pub(crate) struct Entry {
    /// In each folder of the function that may have it.
    files: Vec<PathBuf>,
    seen: Mutex<Vec<Option<SystemTime>>>,
}

impl Entry {
    /// Looks for the first time.
    pub(crate) fn new(function: &Function) -> Self {
        let module = function.handler.rsplit_once('.').map_or("", |(module, _)| module);
        let file = match function.runtime {
            Runtime::Python(_) if !module.is_empty() => {
                Some(format!("{}.py", module.replace('.', "/")))
            }
            _ => None,
        };
        let folders = code::watched(function);
        let files: Vec<PathBuf> =
            folders.iter().filter_map(|folder| Some(folder.join(file.as_ref()?))).collect();
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
