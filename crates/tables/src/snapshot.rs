//! A copy of the stores, as they are at one moment, while they serve.
//!
//! Any process may take one: the stores are `SQLite` files in WAL mode, so a reader sees one state and waits for nobody.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// How long a copy waits for a store that is being opened.
const BUSY: Duration = Duration::from_secs(10);

/// A copy cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// There are no stores to copy.
    #[error("there are no tables in {0}")]
    Nothing(PathBuf),
    /// A file is there already. It is not overwritten.
    #[error("{0} is there already")]
    Exists(PathBuf),
    /// A folder cannot be read or made.
    #[error("{path}: {source}")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A store cannot be copied.
    #[error("cannot copy {path}: {source}")]
    Store {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: rusqlite::Error,
    },
}

/// Copies every store of `folder` into the folder `to`, under the same names. Each copy is whole and as of one moment. To go
/// back, put the files into the data folder of a Stillwire that does not run.
///
/// # Errors
/// When there is nothing to copy, a copy is there already, or a file cannot be read or written. A copy that is not whole
/// is not left.
pub fn snapshot(folder: &Path, to: &Path) -> Result<Vec<PathBuf>, SnapshotError> {
    let within = |path: &Path| {
        let path = path.to_owned();
        move |source| SnapshotError::Folder { path, source }
    };
    let entries = std::fs::read_dir(folder).map_err(within(folder))?.flatten();
    let mut stores: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_store).collect();
    stores.sort();
    if stores.is_empty() {
        return Err(SnapshotError::Nothing(folder.to_owned()));
    }
    std::fs::create_dir_all(to).map_err(within(to))?;
    let mut copies = Vec::new();
    for store in stores {
        let copy = to.join(store.file_name().unwrap_or_default());
        if copy.exists() {
            return Err(SnapshotError::Exists(copy));
        }
        let copied = copy_store(&store, &copy);
        if let Err(source) = copied {
            std::fs::remove_file(&copy).ok(); // what there is of it
            return Err(SnapshotError::Store { path: store, source });
        }
        copies.push(copy);
    }
    Ok(copies)
}

/// Whether a file is a store: `tables.db`, or `tables-ACCOUNT-REGION.db`.
#[expect(clippy::ptr_arg, reason = "a filter of an iterator over owned paths")]
fn is_store(path: &PathBuf) -> bool {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let is_ours = name == "tables" || name.starts_with("tables-");
    is_ours && path.extension().is_some_and(|extension| extension == "db")
}

fn copy_store(store: &Path, copy: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(store, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    Ok(())
}
