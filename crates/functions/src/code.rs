//! A function's code: where it is, or where it has to be put first.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use stillwire_model::{Code, Function};

use crate::layers;

/// The most an archive may unpack to.
///
/// Source: AWS Lambda quotas, "Deployment package (.zip file archive) size" (250 MB unzipped).
const ARCHIVE_BYTES_MAX: u64 = 250 * 1024 * 1024;
/// The most files an archive may have.
const ARCHIVE_FILES_MAX: usize = 100_000;

/// Everything needed to start a process of a function.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Variables it needs, which the function's own may override.
    pub(crate) env: BTreeMap<String, String>,
    /// Where the code is; also its working directory.
    pub(crate) task_root: PathBuf,
    /// Whether the program can be a template.
    pub(crate) forks: Forks,
    /// How it reaches the Runtime API.
    pub(crate) reach: Reach,
    /// What a strict sandbox lets it read, besides what belongs to the system.
    pub(crate) readable: Vec<PathBuf>,
}

/// How a runtime reaches the Runtime API of its environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// By a socket it inherits: a bootstrap of ours.
    Inherited,
    /// At the address in `AWS_LAMBDA_RUNTIME_API`: every other.
    Address,
}

/// Whether environments can be forked from a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forks {
    /// The program does not know how.
    Never,
    /// From one that loads nothing of the function's: it serves changed code too.
    FromLibraries,
    /// From one that loads something of the function's.
    FromCode,
}

/// Where the code is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Roots {
    /// What the deployed package holds.
    pub(crate) root: PathBuf,
    /// What its author edits, if elsewhere.
    pub(crate) source: Option<PathBuf>,
    /// What its layers hold, merged: what is `/opt` on Lambda.
    pub(crate) layers: Option<PathBuf>,
}

impl Roots {
    /// The folders, the one whose files win first.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        self.source.iter().chain([&self.root])
    }

    /// The same, and that of the layers last.
    pub(crate) fn with_layers(&self) -> impl Iterator<Item = &PathBuf> {
        self.folders().chain(&self.layers)
    }
}

/// What an interpreter, and the code in `roots`, cannot do without. Disk work: not for the reactor.
pub(crate) fn readable(program: &Path, roots: &Roots) -> impl Iterator<Item = PathBuf> {
    /// What lies beside the folder of the programs, where an interpreter was installed on its own.
    const PARTS: [&str; 6] = ["lib", "lib64", "libexec", "conf", "pyvenv.cfg", "release"];
    // Of a virtual environment and of a link, both ends.
    let real = fs::canonicalize(program).ok();
    let programs: Vec<PathBuf> = [program.to_owned()].into_iter().chain(real).collect();
    let installed = programs.iter().filter_map(|program| program.parent()?.parent());
    let parts = installed.flat_map(|root| PARTS.iter().map(move |part| root.join(part)));
    let folders = programs.iter().filter_map(|program| program.parent().map(Path::to_owned));
    let code = roots.with_layers().cloned();
    parts.chain(folders).chain(code).collect::<Vec<_>>().into_iter()
}

/// The folders that an author's editor changes.
pub(crate) fn watched(function: &Function) -> Vec<PathBuf> {
    let of = |code: &Code| match code {
        Code::Directory { root, source } => source.iter().chain([root]).cloned().collect(),
        Code::Archive(_) | Code::Inline { .. } | Code::Image(_) => Vec::new(),
    };
    [&function.code].into_iter().chain(&function.layers).flat_map(of).collect()
}

/// Makes the code available as a folder. Disk work: not for the reactor.
pub(crate) fn place(function: &Function, work_dir: &Path) -> Result<Roots, String> {
    let (root, source) = place_code(&function.code, work_dir)?;
    Ok(Roots { root, source, layers: layers::place(&function.layers, work_dir)? })
}

/// Gives the folder of the package, and that of its author.
fn place_code(code: &Code, work_dir: &Path) -> Result<(PathBuf, Option<PathBuf>), String> {
    let put = |kind: &str| {
        let folder = tempfile::Builder::new().prefix(kind).tempdir_in(work_dir)?;
        Ok::<PathBuf, io::Error>(folder.keep())
    };
    let cannot =
        |what: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", what.display());
    match code {
        Code::Directory { root, source } => {
            let root = fs::canonicalize(root).map_err(|error| cannot(root, &error))?;
            // A source that is gone is no reason not to run what was deployed.
            let source = source.as_ref().and_then(|source| fs::canonicalize(source).ok());
            let source = source.filter(|source| *source != root);
            Ok((root, source))
        }
        Code::Inline { file_name, text } => {
            let written = put("inline-").and_then(|root| {
                let name = Path::new(file_name).file_name().unwrap_or_else(|| file_name.as_ref());
                fs::write(root.join(name), text)?;
                Ok(root)
            });
            let root = written.map_err(|error| cannot(work_dir, &error))?;
            Ok((root, None))
        }
        Code::Archive(archive) => {
            let root = put("archive-").map_err(|error| cannot(work_dir, &error))?;
            unpack(archive, &root).map_err(|error| cannot(archive, &error))?;
            Ok((root, None))
        }
        Code::Image(image) => Err(format!("the container image {image} is no folder")),
    }
}

/// Unpacks an archive, within bounds and never outside `root`.
pub(crate) fn unpack(archive: &Path, root: &Path) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(io::BufReader::new(fs::File::open(archive)?))?;
    if archive.len() > ARCHIVE_FILES_MAX {
        return Err(io::Error::other(format!("more than {ARCHIVE_FILES_MAX} files")));
    }
    let mut left = ARCHIVE_BYTES_MAX;
    for index in 0..archive.len() {
        let entry = archive.by_index(index)?;
        let Some(name) = entry.enclosed_name() else {
            return Err(io::Error::other(format!("{:?} would lie outside of it", entry.name())));
        };
        let path = root.join(name);
        if entry.is_dir() {
            fs::create_dir_all(&path)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mode = entry.unix_mode();
        // A file that is there already may be shared with a layer: it is replaced, not written to.
        replace(&path)?;
        let mut file = fs::File::create(&path)?;
        // The sizes an archive states are its own claim: count what comes.
        let written = io::copy(&mut entry.take(left + 1), &mut file)?;
        left = left.checked_sub(written).ok_or_else(|| {
            io::Error::other(format!("unpacks to more than {ARCHIVE_BYTES_MAX} bytes"))
        })?;
        // An archive that was made where files have no modes.
        let unknown = mode.is_none() && path.file_name().is_some_and(|name| name == "bootstrap");
        if unknown || mode.is_some_and(|mode| mode & 0o111 != 0) {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// Removes a file that is in the way.
pub(crate) fn replace(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn archive(folder: &Path, names: &[&str]) -> PathBuf {
        let path = folder.join("code.zip");
        let mut writer = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        for name in names {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(b"x = 1").unwrap();
        }
        writer.finish().unwrap();
        path
    }

    #[test]
    fn an_archive_is_unpacked_with_its_folders() {
        let folder = tempfile::tempdir().unwrap();
        let path = archive(folder.path(), &["a.py", "lib/b.py"]);
        let root = folder.path().join("out");
        fs::create_dir(&root).unwrap();
        unpack(&path, &root).unwrap();
        assert_eq!(fs::read_to_string(root.join("lib/b.py")).unwrap(), "x = 1");
    }

    #[test]
    fn a_file_outside_of_the_archive_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = archive(folder.path(), &["../evil.py"]);
        let root = folder.path().join("out");
        fs::create_dir(&root).unwrap();
        assert!(unpack(&path, &root).is_err());
        assert!(!folder.path().join("evil.py").exists());
    }
}
