//! The authority's files, each there whole or not at all.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::AuthorityError;

/// Where distributions keep the public authorities in one file.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The file in which the system keeps the public authorities, if it has one.
pub fn system_bundle() -> Option<PathBuf> {
    SYSTEM_BUNDLES.iter().map(PathBuf::from).find(|path| path.exists())
}

/// Makes a folder that only its owner opens.
pub(super) fn create_private_dir(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a file that only its owner reads, unless it exists.
pub(super) fn publish_new(path: &Path, content: &[u8]) -> Result<(), AuthorityError> {
    let temporary = write_beside(path, content)?;
    // A link fails where the name is taken, so the first of two processes wins and both read one file.
    let linked = fs::hard_link(&temporary, path);
    let removed = fs::remove_file(&temporary);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(AuthorityError::File { action: "create", path: path.into(), source: error })
        }
        _ => removed.map_err(|source| AuthorityError::File {
            action: "remove",
            path: temporary,
            source,
        }),
    }
}

/// Writes a file whole: readers see the old text or the new one.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), AuthorityError> {
    let temporary = write_beside(path, content)?;
    fs::rename(&temporary, path).map_err(|source| AuthorityError::File {
        action: "replace",
        path: path.into(),
        source,
    })
}

fn write_beside(path: &Path, content: &[u8]) -> Result<PathBuf, AuthorityError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()
    };
    match write() {
        Ok(()) => Ok(temporary),
        Err(source) => Err(AuthorityError::File { action: "write", path: temporary, source }),
    }
}

/// Reads a file, as text.
pub(super) fn read(path: &Path) -> Result<String, AuthorityError> {
    fs::read_to_string(path).map_err(|source| AuthorityError::File {
        action: "read",
        path: path.into(),
        source,
    })
}
