//! What was made survives a restart: one file, written whole and put in place at once; and a folder of archives.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::state::{State, StoredCode};

/// The version of the file's form.
const VERSION: u32 = 1;

/// Where functions are kept.
#[derive(Debug)]
pub(crate) struct Store {
    /// Nowhere, where nothing is to survive.
    file: Option<PathBuf>,
    /// The archives that were sent.
    code: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept<T> {
    version: u32,
    state: T,
}

impl Store {
    pub(crate) fn new(file: Option<PathBuf>, code: PathBuf) -> Self {
        Self { file, code }
    }

    /// The folder of archives.
    pub(crate) fn code(&self) -> &Path {
        &self.code
    }

    /// What was kept; nothing at first.
    pub(crate) fn read(&self) -> io::Result<State> {
        let Some(file) = &self.file else { return Ok(State::default()) };
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
        let Some(file) = &self.file else { return Ok(()) };
        let text = serde_json::to_vec_pretty(&Kept { version: VERSION, state: state.to_keep() })?;
        let folder = file.parent().unwrap_or_else(|| Path::new("."));
        put(file, &text)?;
        fs::File::open(folder)?.sync_all()
    }

    /// Keeps an archive under a name.
    pub(crate) fn keep(&self, name: &str, archive: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.code)?;
        put(&self.code.join(name), archive)
    }

    /// Removes the archives that no version has any more. Only while nothing runs: a process may be made of one.
    pub(crate) fn tidy(&self, state: &State) {
        let versions = state
            .functions
            .values()
            .flat_map(|function| [&function.latest].into_iter().chain(function.versions.values()));
        let used: BTreeSet<&str> = versions
            .filter_map(|version| match &version.code {
                StoredCode::Kept { file, .. } => Some(file.as_str()),
                StoredCode::Template(_) => None,
            })
            .collect();
        // A folder that is not there has nothing to tidy.
        for entry in fs::read_dir(&self.code).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| !used.contains(name))
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::warn!(file = %entry.path().display(), %error, "code of no function stays");
            }
        }
    }
}

fn put(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut new = NamedTempFile::new_in(file.parent().unwrap_or_else(|| Path::new(".")))?;
    new.write_all(content)?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}
