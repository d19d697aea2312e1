//! As much of `rsync` as bundling uses: copy a folder, follow links, leave out patterns.
//!
//! Source: `aws-lambda-python-alpha`, `rsync -rLv [--exclude='PATTERN'] /asset-input/ /asset-output`; rsync(1),
//! "FILTER RULES".

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How deep folders may be nested: links are followed, and links may lead in circles.
const DEPTH_MAX: usize = 64;

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub enum RsyncError {
    /// An option that is not emulated.
    #[error("rsync {0}: this option is not known here")]
    UnknownOption(String),
    /// Not one source and one destination.
    #[error("rsync: a source and a destination are expected")]
    Usage,
    /// A file could not be copied.
    #[error("rsync: {path} cannot be copied")]
    Copy {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Links that lead in a circle.
    #[error("rsync: {0} is nested too deeply; is there a link to a folder above it?")]
    TooDeep(PathBuf),
}

/// Copies as `rsync ARGS…` would.
pub(crate) fn run(args: &[String]) -> Result<(), RsyncError> {
    let mut excluded = Vec::new();
    let mut paths = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if let Some(pattern) = arg.strip_prefix("--exclude=") {
            excluded.push(pattern.to_owned());
        } else if arg == "--exclude" {
            excluded.push(rest.next().ok_or(RsyncError::Usage)?.clone());
        } else if let Some(letters) = arg.strip_prefix('-') {
            // r: recursive, L: follow links, v: say what is copied, a: keep attributes, q, z: without effect here
            if letters.is_empty() || !letters.chars().all(|letter| "rLvaqz".contains(letter)) {
                return Err(RsyncError::UnknownOption(arg.clone()));
            }
        } else {
            paths.push(arg);
        }
    }
    let [from, to] = paths.as_slice() else { return Err(RsyncError::Usage) };
    let source = Path::new(from.as_str());
    // Without a slash at the end, the folder itself is copied, not only what is in it.
    let target = match source.file_name() {
        Some(name) if !from.ends_with('/') => Path::new(to.as_str()).join(name),
        _ => PathBuf::from(to.as_str()),
    };
    copy(source, &target, "", &excluded, 0)
}

fn copy(
    from: &Path,
    to: &Path,
    below: &str,
    excluded: &[String],
    depth: usize,
) -> Result<(), RsyncError> {
    let failed = |source| RsyncError::Copy { path: from.to_owned(), source };
    if depth > DEPTH_MAX {
        return Err(RsyncError::TooDeep(from.to_owned()));
    }
    if !from.is_dir() {
        return fs::copy(from, to).map(drop).map_err(failed);
    }
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let path = format!("{below}/{}", name.to_string_lossy());
        let folder = entry.path().is_dir();
        if excluded.iter().any(|pattern| is_excluded(pattern, &path, folder)) {
            continue;
        }
        copy(&entry.path(), &to.join(&name), &path, excluded, depth + 1)?;
    }
    Ok(())
}

/// Whether a pattern names a path below the source (which begins with `/`).
fn is_excluded(pattern: &str, path: &str, folder: bool) -> bool {
    let (pattern, folders_only) = match pattern.strip_suffix('/') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    if folders_only && !folder {
        return false;
    }
    if pattern.starts_with('/') {
        return is_like(pattern, path);
    }
    // Elsewhere the pattern may begin at any folder.
    path.match_indices('/')
        .any(|(at, _)| path.get(at + 1..).is_some_and(|tail| is_like(pattern, tail)))
}

/// `*` stands for anything but a slash, `**` for anything, `?` for one character.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut characters = pattern.chars();
    match characters.next() {
        None => text.is_empty(),
        Some('*') => {
            let (rest, whole) = match characters.as_str().strip_prefix('*') {
                Some(rest) => (rest, true),
                None => (characters.as_str(), false),
            };
            let end = if whole { text.len() } else { text.find('/').unwrap_or(text.len()) };
            (0..=end).any(|at| text.get(at..).is_some_and(|tail| is_like(rest, tail)))
        }
        Some(wanted) => {
            let mut others = text.chars();
            let fits = others.next().is_some_and(|c| c == wanted || wanted == '?' && c != '/');
            fits && is_like(characters.as_str(), others.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_copied_with_its_links_followed_and_patterns_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("lib/__pycache__")).unwrap();
        for name in ["main.py", "lib/a.py", "lib/__pycache__/a.pyc", "notes.md"] {
            fs::write(from.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink(from.join("lib"), from.join("link")).unwrap();
        let source = format!("{}/", from.display());
        let args =
            ["-rLv", "--exclude=__pycache__", "--exclude", "*.md", &source, to.to_str().unwrap()];
        run(&args.map(str::to_owned)).unwrap();
        assert_eq!(fs::read_to_string(to.join("link/a.py")).unwrap(), "lib/a.py");
        assert!(!fs::symlink_metadata(to.join("link")).unwrap().is_symlink());
        for name in ["lib/__pycache__", "notes.md"] {
            assert!(!to.join(name).exists(), "{name}");
        }
    }

    #[test]
    fn patterns_are_anchored_as_in_rsync() {
        for (pattern, path, folder, expected) in [
            ("*.pyc", "/a/b.pyc", false, true),
            ("*.pyc", "/a/b.py", false, false),
            ("/a", "/a", true, true),
            ("/a", "/b/a", true, false),
            ("a/b", "/x/a/b", false, true),
            ("tests/", "/tests", true, true),
            ("tests/", "/tests", false, false),
            ("a*c", "/a/c", false, false),
            ("a**c", "/a/c", false, true),
        ] {
            assert_eq!(is_excluded(pattern, path, folder), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_and_a_circle_ends() {
        let error = |args: &[&str]| {
            run(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(error(&["-x", "a", "b"]), "rsync -x: this option is not known here");
        assert_eq!(error(&["-r", "a"]), "rsync: a source and a destination are expected");
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
        let source = format!("{}/", dir.path().display());
        let to = tempfile::tempdir().unwrap();
        let text = error(&["-rL", &source, to.path().to_str().unwrap()]);
        assert!(text.contains("cannot be copied") || text.contains("nested too deeply"), "{text}");
    }
}
