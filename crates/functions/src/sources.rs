//! Looks through the source of a function: its texts of a language, one after the other.

use std::fs;
use std::path::Path;

use crate::code::Roots;

/// The most files that are read.
const FILES_MAX: usize = 2000;

/// What is looked at.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Folders that hold nothing of the function's own.
    pub(crate) skipped: &'static [&'static str],
    /// The ends of names.
    pub(crate) extensions: &'static [&'static str],
    /// The largest file that is read, in bytes.
    pub(crate) file_bytes_max: u64,
}

impl Sources {
    /// Gives each text to `read`; gives whether that were all, or there was too much to read. Disk work: not for the
    /// reactor.
    pub(crate) fn read(&self, roots: &Roots, read: &mut dyn FnMut(&str)) -> bool {
        let mut left = FILES_MAX;
        roots.with_layers().all(|root| self.search(root, &mut left, read))
    }

    fn search(&self, folder: &Path, left: &mut usize, read: &mut dyn FnMut(&str)) -> bool {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if *left == 0 {
                return false;
            }
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            if kind.is_dir() {
                let is_skipped = self.skipped.iter().any(|name| entry.file_name() == *name);
                if !is_skipped && !self.search(&path, left, read) {
                    return false;
                }
            } else if path.extension().is_some_and(|end| self.extensions.iter().any(|e| end == *e))
            {
                *left -= 1;
                if entry.metadata().is_ok_and(|data| data.len() <= self.file_bytes_max) {
                    let text = fs::read(&path).unwrap_or_default();
                    read(&String::from_utf8_lossy(&text));
                }
            }
        }
        true
    }
}
