//! Finds the folder that an author edits, behind the copy of it in an assembly.
//!
//! Functions that run from their sources need no synthesis when a line changes. The folder is recognised by its
//! content: all its files are in the asset, byte for byte, and the handler's file is one of them. The search is
//! bounded; when it finds nothing, the asset itself is run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use stillwire_model::Code;

use crate::bundle_record;

/// How many files are looked at.
///
/// Choice: an app with more source files than this is rare, and a wrong start folder (a home) must not hang.
const FILES_MAX: usize = 20_000;

/// How many bytes are compared.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Whether a folder of this name may hold sources that an author edits: it is no assembly, environment or cache.
pub fn is_source_folder(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    !IGNORED.contains(&name.as_ref()) && !name.starts_with('.')
}

/// Folders without sources.
const IGNORED: [&str; 5] = ["cdk.out", "node_modules", "venv", "__pycache__", "target"];

/// Files by their path below a folder, with their size.
type Listing = BTreeMap<PathBuf, u64>;

/// How a folder of sources relates to an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// The asset has these files and no others.
    Equal,
    /// The asset has more.
    Part,
    /// The asset has files of these names and no others, with another content: an edited copy.
    Edited,
    /// It is another folder.
    Other,
}

/// Knows the app's files; asks the disk once for each.
#[derive(Debug)]
pub(crate) struct Sources {
    app: Option<PathBuf>,
    assembly: PathBuf,
    files: Option<Listing>,
    bundled: BTreeMap<String, PathBuf>,
    assets: HashMap<PathBuf, Listing>,
    compared: HashMap<(PathBuf, PathBuf), Likeness>,
    bytes_left: u64,
}

impl Sources {
    /// For an assembly in `assembly`, made from the app in `app`.
    pub(crate) fn new(app: Option<&Path>, assembly: &Path) -> Self {
        Self {
            app: app.map(full),
            assembly: full(assembly),
            files: None,
            bundled: bundle_record::read(assembly),
            assets: HashMap::new(),
            compared: HashMap::new(),
            bytes_left: BYTES_MAX,
        }
    }

    /// How to run the code in the folder `asset` whose entry point is one of `entries`; and what its author
    /// should know about that.
    pub(crate) fn code(&mut self, asset: &Path, entries: &[String]) -> (Code, Option<String>) {
        let root = full(asset);
        // An assembly made without staging names the source folder itself.
        if !root.starts_with(&self.assembly) {
            return (Code::Directory { root, source: None }, None);
        }
        let mut edited = Vec::new();
        let mut best: Option<(usize, PathBuf, Likeness)> = None;
        for candidate in self.candidates(&root, entries) {
            let likeness = self.compare(&root, &candidate);
            if likeness == Likeness::Edited {
                edited.push(candidate);
                continue;
            }
            let count = self.listing(&candidate).len();
            let better = best.as_ref().is_none_or(|(files, ..)| count > *files);
            if likeness != Likeness::Other && better {
                best = Some((count, candidate, likeness));
            }
        }
        match best {
            Some((_, source, Likeness::Equal)) => {
                return (Code::Directory { root: source, source: None }, None);
            }
            Some((_, source, _)) => return (Code::Directory { root, source: Some(source) }, None),
            None => {}
        }
        let recorded = self
            .recorded(&root)
            .filter(|dir| entries.iter().any(|entry| dir.join(entry).is_file()));
        if recorded.is_some() {
            return (Code::Directory { root, source: recorded }, None);
        }
        // Edited since the assembly was made. Which folder it is must be beyond doubt.
        match edited.as_slice() {
            [source] => {
                let note = format!(
                    "{} was changed since the assembly was made: it runs as it is now",
                    source.display()
                );
                (Code::Directory { root: source.clone(), source: None }, Some(note))
            }
            [] => (Code::Directory { root, source: None }, None),
            several => {
                let names: Vec<_> =
                    several.iter().map(|folder| folder.display().to_string()).collect();
                let note = format!(
                    "the copy in {} is run: its source was changed and may be any of {}; \
                     synthesize the app again to run the source",
                    root.display(),
                    names.join(", ")
                );
                (Code::Directory { root, source: None }, Some(note))
            }
        }
    }

    /// The folder that a bundling command read when it made this asset.
    fn recorded(&self, asset: &Path) -> Option<PathBuf> {
        self.bundled.get(asset.file_name()?.to_str()?).cloned()
    }

    /// The folders that have one of the entry points where the asset has it.
    fn candidates(&mut self, asset: &Path, entries: &[String]) -> BTreeSet<PathBuf> {
        let recorded = self.recorded(asset);
        let Some(app) = self.app.clone() else { return recorded.into_iter().collect() };
        let files = self.app_files();
        let present = entries.iter().filter(|entry| asset.join(entry).is_file());
        let mut found: BTreeSet<PathBuf> = present
            .flat_map(|entry| {
                let depth = Path::new(entry).components().count();
                let app = &app;
                files.keys().filter(move |file| file.ends_with(entry)).filter_map(move |file| {
                    file.ancestors().nth(depth).map(|folder| app.join(folder))
                })
            })
            .collect();
        found.extend(recorded);
        found
    }

    fn app_files(&mut self) -> &Listing {
        let app = self.app.clone();
        self.files.get_or_insert_with(|| app.map_or_else(Listing::new, |app| list(&app, true)))
    }

    /// The source files below a folder of the app.
    fn listing(&mut self, folder: &Path) -> Listing {
        let app = self.app.clone();
        match app.as_deref().and_then(|app| folder.strip_prefix(app).ok()) {
            Some(below) => self
                .app_files()
                .iter()
                .filter_map(|(file, size)| Some((file.strip_prefix(below).ok()?.to_owned(), *size)))
                .collect(),
            None => list(folder, true),
        }
    }

    fn compare(&mut self, asset: &Path, folder: &Path) -> Likeness {
        let key = (asset.to_owned(), folder.to_owned());
        if let Some(known) = self.compared.get(&key) {
            return *known;
        }
        let theirs = self.listing(folder);
        let ours =
            self.assets.entry(asset.to_owned()).or_insert_with(|| list(asset, false)).clone();
        let sizes_agree = theirs.iter().all(|(file, size)| ours.get(file) == Some(size));
        let likeness =
            if !theirs.is_empty() && sizes_agree && self.same_bytes(&theirs, asset, folder) {
                if theirs.len() == ours.len() { Likeness::Equal } else { Likeness::Part }
            } else if !theirs.is_empty() && theirs.keys().eq(ours.keys()) {
                Likeness::Edited
            } else {
                Likeness::Other
            };
        self.compared.insert(key, likeness);
        likeness
    }

    fn same_bytes(&mut self, files: &Listing, asset: &Path, folder: &Path) -> bool {
        files.iter().all(|(file, size)| {
            let Some(left) = self.bytes_left.checked_sub(*size) else { return false };
            self.bytes_left = left;
            match (fs::read(asset.join(file)), fs::read(folder.join(file))) {
                (Ok(ours), Ok(theirs)) => ours == theirs,
                _ => false,
            }
        })
    }
}

/// A text that changes when a source file below the app's folder does; `None` when there are too many to tell.
///
/// What is looked at is what an author edits: no assembly, no environment, no compiled file.
pub fn fingerprint(app: &Path) -> Option<String> {
    let files = list(app, true);
    let bytes: u64 = files.values().sum();
    if files.is_empty() || files.len() >= FILES_MAX || bytes > BYTES_MAX {
        return None;
    }
    let mut context = digest::Context::new(&digest::SHA256);
    for (file, size) in &files {
        context.update(file.as_os_str().as_encoded_bytes());
        context.update(&[0]);
        context.update(&size.to_le_bytes());
        context.update(&fs::read(app.join(file)).ok()?);
    }
    Some(hex(context.finish().as_ref()))
}

/// Bytes as a text of digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// The full path, also of what does not exist.
fn full(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The files below `root`, at most [`FILES_MAX`], without compiled Python; in a folder of sources also without
/// what no author edits.
fn list(root: &Path, sources: bool) -> Listing {
    let mut files = Listing::new();
    let mut open = vec![root.to_owned()];
    let mut seen = 0;
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            seen += 1;
            if seen > FILES_MAX {
                return files;
            }
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            // Links to folders are not followed: they may lead in circles.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder {
                if name != "__pycache__" && (is_source_folder(&entry.file_name()) || !sources) {
                    open.push(path);
                }
            } else if !name.ends_with(".pyc")
                && let Ok(metadata) = fs::metadata(&path)
                && metadata.is_file()
                && let Ok(below) = path.strip_prefix(root)
            {
                files.insert(below.to_owned(), metadata.len());
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn code_of(app: &Path) -> Code {
        let assembly = app.join("cdk.out");
        let mut sources = Sources::new(Some(app), &assembly);
        sources.code(&assembly.join("asset.1"), &["main.py".to_owned()]).0
    }

    #[test]
    fn a_fingerprint_changes_with_a_source_file_and_with_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path();
        assert_eq!(fingerprint(app), None);
        write(app, &[("app.py", "a"), ("lib/b.py", "b")]);
        let first = fingerprint(app).unwrap();
        write(
            app,
            &[("cdk.out/manifest.json", "{}"), (".venv/x", "y"), ("__pycache__/a.pyc", "z")],
        );
        assert_eq!(fingerprint(app).unwrap(), first);
        for (name, text) in [("app.py", "c"), ("lib/c.py", "b"), ("cdk.context.json", "{}")] {
            let before = fingerprint(app).unwrap();
            write(app, &[(name, text)]);
            assert_ne!(fingerprint(app).unwrap(), before, "{name}");
        }
    }

    #[test]
    fn a_folder_that_was_edited_since_runs_as_it_is_now_unless_it_may_be_another() {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path().canonicalize().unwrap();
        write(
            &app,
            &[
                ("cdk.out/asset.1/main.py", "a"),
                ("cdk.out/asset.1/util.py", "b"),
                ("functions/main.py", "edited"),
                ("functions/util.py", "b"),
                ("other/main.py", "z"),
            ],
        );
        assert_eq!(code_of(&app), Code::Directory { root: app.join("functions"), source: None });
        write(&app, &[("other/util.py", "z")]);
        let asset = app.join("cdk.out/asset.1");
        assert_eq!(code_of(&app), Code::Directory { root: asset, source: None });
    }

    #[test]
    fn an_asset_with_the_files_of_a_folder_runs_from_that_folder() {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path().canonicalize().unwrap();
        write(
            &app,
            &[
                ("cdk.out/asset.1/main.py", "a"),
                ("cdk.out/asset.1/lib/b.py", "b"),
                ("functions/main.py", "a"),
                ("functions/lib/b.py", "b"),
                ("functions/__pycache__/main.pyc", "x"),
                ("other/main.py", "z"),
                ("node_modules/copy/main.py", "a"),
            ],
        );
        assert_eq!(code_of(&app), Code::Directory { root: app.join("functions"), source: None });
    }

    #[test]
    fn an_asset_with_dependencies_besides_runs_with_its_source_folder_on_top() {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path().canonicalize().unwrap();
        write(
            &app,
            &[
                ("cdk.out/asset.1/main.py", "a"),
                ("cdk.out/asset.1/requests/api.py", "lib"),
                ("functions/main.py", "a"),
            ],
        );
        let root = app.join("cdk.out/asset.1");
        assert_eq!(code_of(&app), Code::Directory { root, source: Some(app.join("functions")) });
    }

    #[test]
    fn code_outside_the_assembly_is_run_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path().canonicalize().unwrap();
        write(&app, &[("functions/main.py", "a"), ("out/manifest.json", "{}")]);
        let mut sources = Sources::new(Some(&app), &app.join("out"));
        let (code, _) = sources.code(&app.join("functions"), &["main.py".to_owned()]);
        assert_eq!(code, Code::Directory { root: app.join("functions"), source: None });
    }
}
