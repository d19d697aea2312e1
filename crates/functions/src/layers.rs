//! Layers: what they hold, merged into one folder per function, and where each runtime looks in it.
//!
//! On Lambda that folder is `/opt`. Here it is another one, so what code finds by that literal path is not there.
//!
//! Source: AWS Lambda Developer Guide, "Packaging your layer content".

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use stillwire_model::Code;

use crate::code::{replace, unpack};

/// Folders within folders of a layer.
const DEPTH_MAX: usize = 64;

/// Makes the layers available as one folder; `None` where there are none. Disk work: not for the reactor.
///
/// # Errors
/// Which layer cannot be read, and why.
pub(crate) fn place(layers: &[Code], work_dir: &Path) -> Result<Option<PathBuf>, String> {
    let cannot = |what: &Path, error: io::Error| format!("its layer {}: {error}", what.display());
    match layers {
        [] => return Ok(None),
        // One alone is used where it is.
        [Code::Directory { root, .. }] => {
            return fs::canonicalize(root).map(Some).map_err(|error| cannot(root, error));
        }
        _ => {}
    }
    let merged = tempfile::Builder::new().prefix("layers-").tempdir_in(work_dir);
    let merged = merged.map_err(|error| cannot(work_dir, error))?.keep();
    for layer in layers {
        match layer {
            Code::Directory { root, .. } => {
                merge(root, &merged, DEPTH_MAX).map_err(|error| cannot(root, error))?;
            }
            Code::Archive(file) => unpack(file, &merged).map_err(|error| cannot(file, error))?,
            Code::Inline { .. } | Code::Image(_) => return Err("a layer is no archive".to_owned()),
        }
    }
    Ok(Some(merged))
}

/// Puts the files of a folder into another; those that are there already are replaced.
fn merge(from: &Path, to: &Path, depth: usize) -> io::Result<()> {
    if depth == 0 {
        return Err(io::Error::other(format!("more than {DEPTH_MAX} folders within folders")));
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            merge(&path, &target, depth - 1)?;
        } else {
            replace(&target)?;
            // On another file system it has to be a copy.
            fs::hard_link(&path, &target).or_else(|_| fs::copy(&path, &target).map(drop))?;
        }
    }
    Ok(())
}

/// Where Python 3.`minor` finds modules, what wins first.
pub(crate) fn python(layers: &Path, minor: u8) -> impl Iterator<Item = PathBuf> {
    let version = layers.join(format!("python/lib/python3.{minor}/site-packages"));
    [version, layers.join("python")].into_iter().filter(|folder| folder.is_dir())
}

/// Where Node.js `major` finds packages, what wins first.
pub(crate) fn node(layers: &Path, major: u8) -> impl Iterator<Item = PathBuf> {
    let version = layers.join(format!("nodejs/node{major}/node_modules"));
    [version, layers.join("nodejs/node_modules")].into_iter().filter(|folder| folder.is_dir())
}

/// The variables by which every program finds what layers hold.
pub(crate) fn variables(layers: &Path) -> BTreeMap<String, String> {
    let text = |below: &str| layers.join(below).to_string_lossy().into_owned();
    BTreeMap::from([
        ("PATH".to_owned(), format!("/usr/local/bin:/usr/bin:/bin:{}", text("bin"))),
        ("LD_LIBRARY_PATH".to_owned(), text("lib")),
        ("RUBYLIB".to_owned(), text("ruby/lib")),
    ])
}
