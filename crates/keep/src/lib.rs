//! What outlives a run: a room's state in one file, written whole and put in place at once.
//!
//! Who sees a file sees all of it, and what was written is on the disk.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// Where a state is kept; nowhere, where nothing is to survive.
#[derive(Debug)]
pub struct StateFile {
    file: Option<PathBuf>,
    version: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept<T> {
    version: u32,
    state: T,
}

impl StateFile {
    /// A file whose form has this version.
    pub fn new(file: Option<PathBuf>, version: u32) -> Self {
        Self { file, version }
    }

    /// What was kept; nothing at first.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or is of another version; the text names the file and the remedy.
    pub fn read<T: DeserializeOwned + Default>(&self) -> io::Result<T> {
        let Some(file) = &self.file else { return Ok(T::default()) };
        let text = match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
            text => text?,
        };
        let named = file.display();
        let unreadable = |error: serde_json::Error| {
            io::Error::other(format!("{named} cannot be read: {error}; move it away to begin anew"))
        };
        // The version first: the state of another one may look different.
        let kept: Kept<serde_json::Value> = serde_json::from_slice(&text).map_err(unreadable)?;
        if kept.version != self.version {
            let (found, known) = (kept.version, self.version);
            return Err(io::Error::other(format!(
                "{named} was written by another version of this program ({found}, not {known}); \
                 move it away to begin anew"
            )));
        }
        serde_json::from_value(kept.state).map_err(unreadable)
    }

    /// Keeps a state. When this returns it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written; what was kept before is still there then.
    pub fn write<T: Serialize>(&self, state: T) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let text = serde_json::to_vec_pretty(&Kept { version: self.version, state })?;
        put(file, &text)?;
        fs::File::open(folder_of(file))?.sync_all()
    }
}

/// Writes a file whole: it is there with all its content, or as it was before.
///
/// # Errors
/// When it cannot be written.
pub fn put(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut new = NamedTempFile::new_in(folder_of(file))?;
    new.write_all(content)?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_was_written_and_another_version_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        let first = StateFile::new(Some(file.clone()), 1);
        assert_eq!(first.read::<Vec<String>>().unwrap(), [] as [&str; 0]);
        first.write(["a", "b"]).unwrap();
        assert_eq!(first.read::<Vec<String>>().unwrap(), ["a", "b"]);
        // Another form: what is told is the version, not the difference.
        let error = StateFile::new(Some(file.clone()), 2).read::<u32>().unwrap_err().to_string();
        assert!(error.contains("another version") && error.contains("(1, not 2)"), "{error}");
        fs::write(&file, "no JSON").unwrap();
        let error = first.read::<Vec<String>>().unwrap_err().to_string();
        assert!(error.contains("cannot be read") && error.contains("move it away"), "{error}");
    }

    #[test]
    fn where_nothing_is_to_survive_nothing_is_written() {
        let nowhere = StateFile::new(None, 1);
        nowhere.write(["a"]).unwrap();
        assert_eq!(nowhere.read::<Vec<String>>().unwrap(), [] as [&str; 0]);
    }
}
