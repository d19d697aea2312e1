//! Folders as archives: the same content gives the same archive.

use std::fs;
use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use stillwire_deploy::files_of;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// An archive of a folder.
pub(crate) fn of_folder(folder: &Path) -> Result<Bytes> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let files = files_of(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for path in files {
        let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        let mode = fs::metadata(&path)?.permissions().mode();
        // Without times: a checkout of the same files is the same archive.
        let options = SimpleFileOptions::default().unix_permissions(mode);
        archive.start_file(name, options)?;
        archive.write_all(&fs::read(&path)?)?;
    }
    Ok(archive.finish()?.into_inner().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_is_the_same_archive() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/__pycache__")).unwrap();
        fs::write(folder.path().join("a/b.py"), "x = 1").unwrap();
        fs::write(folder.path().join("a/__pycache__/b.pyc"), "x").unwrap();
        let archive = of_folder(folder.path()).unwrap();
        assert_eq!(of_folder(folder.path()).unwrap(), archive);
        let read = zip::ZipArchive::new(Cursor::new(archive.to_vec())).unwrap();
        let names: Vec<String> = read.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["a/b.py"]);
        assert!(of_folder(&folder.path().join("none")).is_err());
    }
}
