//! What was built survives a restart: one file, written whole and put in place at once.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::state::State;

/// The version of the file's form.
const VERSION: u32 = 1;

/// Where the state is kept; nowhere, where nothing is to survive.
#[derive(Debug)]
pub(crate) struct Store(Option<PathBuf>);

#[derive(Debug, Serialize, Deserialize)]
struct Kept<T> {
    version: u32,
    state: T,
}

impl Store {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self(file)
    }

    /// What was kept; nothing at first.
    pub(crate) fn read(&self) -> io::Result<State> {
        let Some(file) = &self.0 else { return Ok(State::default()) };
        let text = match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
            text => text?,
        };
        let kept: Kept<State> = serde_json::from_slice(&text).map_err(|error| {
            io::Error::other(format!(
                "{} cannot be read: {error}; move it away to begin anew",
                file.display()
            ))
        })?;
        if kept.version != VERSION {
            let (file, version) = (file.display(), kept.version);
            let text = format!(
                "{file} was written by another version of this program ({version}, not {VERSION})"
            );
            return Err(io::Error::other(text));
        }
        Ok(kept.state)
    }

    /// Keeps a state. When this returns it is on the disk.
    pub(crate) fn write(&self, state: &State) -> io::Result<()> {
        let Some(file) = &self.0 else { return Ok(()) };
        let text = serde_json::to_vec_pretty(&Kept { version: VERSION, state: state.to_keep() })?;
        let folder = file.parent().unwrap_or_else(|| Path::new("."));
        let mut new = NamedTempFile::new_in(folder)?;
        new.write_all(&text)?;
        new.as_file().sync_all()?;
        new.persist(file).map_err(|error| error.error)?;
        fs::File::open(folder)?.sync_all()
    }
}
