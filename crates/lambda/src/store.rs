//! What was made survives a restart: one file, written whole and put in place at once; and a folder of archives.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use stillwire_keep::{StateFile, put};

use crate::state::{State, StoredCode};

/// The version of the file's form.
const VERSION: u32 = 1;

/// Where functions are kept.
#[derive(Debug)]
pub(crate) struct Store {
    functions: StateFile,
    /// The archives that were sent.
    code: PathBuf,
}

impl Store {
    pub(crate) fn new(file: Option<PathBuf>, code: PathBuf) -> Self {
        Self { functions: StateFile::new(file, VERSION), code }
    }

    /// The folder of archives.
    pub(crate) fn code(&self) -> &Path {
        &self.code
    }

    /// What was kept; nothing at first.
    pub(crate) fn read(&self) -> io::Result<State> {
        self.functions.read()
    }

    /// Keeps a state. When this returns it is on the disk.
    pub(crate) fn write(&self, state: &State) -> io::Result<()> {
        self.functions.write(state.to_keep())
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
