//! The AWS SDK for JavaScript, which every managed Node.js runtime carries: the packages that a function asks for
//! and does not bring are installed once, with npm.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::interpreter::Interpreter;
use crate::cache::{self, fingerprint};
use crate::code::Roots;
use crate::layers;
use crate::supervisor::Processes;

/// The version that is installed, so that two machines run the same: the newest of each package up to this one.
///
/// Choice: the managed runtimes carry some version of the last months.
const VERSION_MAX: &str = "3.1169.0";
/// The same for Node.js 18.
///
/// Source: AWS SDK for JavaScript, "engines" of its packages.
const VERSION_MAX_NODE_18: &str = "3.967.0";
/// The major version of the packages below the SDK.
const SMITHY_MAJOR: &str = "4";

/// How many fetched files are one line of progress.
const PROGRESS_STEP: usize = 25;

/// Packages to install, and where they will be found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The folder below the cache; its packages are in `node_modules`.
    pub(super) folder: PathBuf,
    /// What npm is told, a package with its versions each.
    specs: Vec<String>,
}

impl Wanted {
    pub(super) fn new(node: &Interpreter, packages: BTreeSet<String>) -> Self {
        let version_max = if node.major < 20 { VERSION_MAX_NODE_18 } else { VERSION_MAX };
        let spec = |package: String| {
            if package.starts_with("@smithy/") {
                format!("{package}@{SMITHY_MAJOR}")
            } else {
                format!("{package}@3 <={version_max}")
            }
        };
        let specs: Vec<String> = packages.into_iter().map(spec).collect();
        let key = fingerprint(specs.join("\n").as_bytes());
        Self { folder: PathBuf::from("node").join(format!("sdk-{key:016x}")), specs }
    }
}

/// The packages that lie in no folder in which Node.js would look for them. Disk work: not for the reactor.
pub(super) fn missing(packages: &BTreeSet<String>, roots: &Roots, major: u8) -> BTreeSet<String> {
    let own = roots.folders().flat_map(|root| root.ancestors());
    let own = own.map(|folder| folder.join("node_modules"));
    let folders: Vec<PathBuf> =
        own.chain(roots.layers.iter().flat_map(|layers| layers::node(layers, major))).collect();
    let is_there = |package: &String| folders.iter().any(|folder| folder.join(package).is_dir());
    packages.iter().filter(|package| !is_there(package)).cloned().collect()
}

/// Fills the folder unless it is there.
///
/// # Errors
/// What went wrong, and what to do.
pub(super) async fn install(
    processes: &Processes,
    node: &Interpreter,
    wanted: &Wanted,
    (places, cache_dir): (&[PathBuf], &Path),
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<PathBuf, String> {
    let folder = cache_dir.join(&wanted.folder);
    if folder.is_dir() {
        return Ok(folder);
    }
    let what = wanted.specs.join(", ");
    let failed = |problem: String| {
        format!(
            "cannot install {what}: {problem}; check the network, or put the packages into the \
             function's node_modules"
        )
    };
    let npm = npm(node, places).ok_or_else(|| failed("npm is not on this machine".to_owned()))?;
    tell(format!("installing {what} into {} (once)", folder.display()));
    let fill = async |target: &Path| {
        std::fs::create_dir(target).map_err(|error| error.to_string())?;
        let fixed = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=http"];
        let mut args: Vec<String> = fixed.iter().map(|arg| (*arg).to_owned()).collect();
        args.push("--prefix".to_owned());
        args.push(target.to_string_lossy().into_owned());
        args.extend(wanted.specs.iter().cloned());
        let mut fetched = 0_usize;
        let mut progress = |line: &str| {
            if line.contains("http fetch GET 200") {
                fetched += 1;
                if fetched.is_multiple_of(PROGRESS_STEP) {
                    tell(format!("npm: {fetched} files fetched"));
                }
            }
        };
        cache::run_installer(processes, (&npm, args), target, &mut progress).await
    };
    cache::filled(&folder, fill).await.map_err(failed)?;
    tell(format!("installed {what}"));
    Ok(folder)
}

/// npm: the one beside the interpreter, else the first.
fn npm(node: &Interpreter, places: &[PathBuf]) -> Option<PathBuf> {
    let beside = node.program.parent().map(Path::to_owned);
    let all = beside.into_iter().chain(places.iter().cloned());
    all.map(|place| place.join("npm")).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_that_are_in_no_folder_above_are_missing() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("functions/chat");
        std::fs::create_dir_all(&root).unwrap();
        for there in ["functions/chat/node_modules/@aws-sdk/a", "node_modules/@aws-sdk/b"] {
            std::fs::create_dir_all(folder.path().join(there)).unwrap();
        }
        let packages = ["a", "b", "c"].map(|name| format!("@aws-sdk/{name}")).into();
        let roots = Roots { root, source: None, layers: None };
        assert_eq!(missing(&packages, &roots, 22), BTreeSet::from(["@aws-sdk/c".to_owned()]));
    }

    #[test]
    fn the_version_fits_the_interpreter() {
        let wanted = |major| {
            let packages = BTreeSet::from(["@aws-sdk/a".to_owned(), "@smithy/b".to_owned()]);
            Wanted::new(&Interpreter { program: "node".into(), major }, packages)
        };
        assert_eq!(wanted(22).specs, ["@aws-sdk/a@3 <=3.1169.0", "@smithy/b@4"]);
        assert_ne!(wanted(18).folder, wanted(22).folder);
        assert_eq!(wanted(20).folder, wanted(24).folder);
    }
}
