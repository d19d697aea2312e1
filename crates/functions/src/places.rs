//! Where interpreters usually are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The folders in which version managers keep one folder per version, below the home folder, and where the programs
/// are in that.
const MANAGERS: [(&str, &str); 9] = [
    (".pyenv/versions", "bin"),
    (".local/share/uv/python", "bin"),
    (".nvm/versions/node", "bin"),
    (".local/share/fnm/node-versions", "installation/bin"),
    (".fnm/node-versions", "installation/bin"),
    (".volta/tools/image/node", "bin"),
    (".asdf/installs/nodejs", "bin"),
    (".local/share/mise/installs/node", "bin"),
    ("n/n/versions/node", "bin"),
];

/// The folders of `PATH`, then what version managers of Python and Node.js keep in the home folder.
pub fn usual_places(path: Option<&OsStr>, home: Option<&Path>) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = path.into_iter().flat_map(std::env::split_paths).collect();
    for (versions, below) in MANAGERS {
        let Some(versions) = home.map(|home| home.join(versions)) else { continue };
        let mut found: Vec<PathBuf> = std::fs::read_dir(versions)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path().join(below))
            .collect();
        found.sort();
        places.append(&mut found);
    }
    places
}
