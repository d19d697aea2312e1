//! Notices that the sources of an app change: everything that is not the code of a function, which is watched where it runs.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use stillwire_deploy::is_source_folder;
use stillwire_functions::is_ignored;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long nothing may change for a change to be over. Editors and `git checkout` write in bursts.
const SETTLE: Duration = Duration::from_millis(50);

/// How long a change may go on before it is taken as it is.
const SETTLE_MAX: Duration = Duration::from_millis(500);

/// How long an assembly must be quiet that somebody else writes: a synthesis writes its files one by one.
const ASSEMBLY_SETTLE: Duration = Duration::from_millis(200);

/// Folders that are watched. Choice: the kernel's limit is shared with editors, and is 8,192 on small machines.
const FOLDERS_MAX: usize = 4_000;

/// Names of changed files that are told.
const NAMES_MAX: usize = 3;

/// Watches the folder of an app.
pub(crate) struct Watch {
    watcher: Mutex<RecommendedWatcher>,
    state: Arc<State>,
}

/// What the watcher's thread and the reader share.
struct State {
    what: Mutex<What>,
    changed: Notify,
}

/// What is watched, and what has changed.
#[derive(Default)]
struct What {
    app: PathBuf,
    /// Code of functions.
    code: Vec<PathBuf>,
    /// An assembly that somebody else makes.
    assembly: Option<PathBuf>,
    folders: BTreeSet<PathBuf>,
    /// Folders that are new, to be watched too.
    fresh: Vec<PathBuf>,
    /// Files that have changed, a few of them.
    names: BTreeSet<PathBuf>,
    /// Whether the assembly was among them.
    of_assembly: bool,
}

impl Watch {
    /// Watches the sources in `app`, a folder.
    pub(crate) fn start(app: &Path) -> notify::Result<Self> {
        let app = fs::canonicalize(app).unwrap_or_else(|_| app.to_owned());
        let what = Mutex::new(What { app: app.clone(), ..What::default() });
        let state = Arc::new(State { what, changed: Notify::new() });
        let seen = Arc::clone(&state);
        let watcher = notify::recommended_watcher(move |event| seen.on_event(event))?;
        let watch = Self { watcher: Mutex::new(watcher), state };
        watch.observe(vec![app]);
        Ok(watch)
    }

    /// What is the code of functions, and which assembly is somebody else's.
    pub(crate) fn learn(&self, code: Vec<PathBuf>, assembly: Option<PathBuf>) {
        let assembly = assembly.and_then(|folder| fs::canonicalize(folder).ok());
        if let Some(folder) = &assembly {
            self.observe_assembly(folder);
        }
        let mut what = self.state.what();
        // What holds the whole app is no folder of code alone.
        what.code = code.into_iter().filter(|folder| !what.app.starts_with(folder)).collect();
        what.assembly = assembly;
    }

    /// Waits for a change and for its end. Gives the names of some of the files.
    ///
    /// # Cancel safety
    /// A change that was noticed is not lost: the next call gives it.
    pub(crate) async fn changed(&self) -> Vec<PathBuf> {
        loop {
            let noticed = self.state.changed.notified();
            if !self.state.what().names.is_empty() {
                break;
            }
            noticed.await;
        }
        let began = Instant::now();
        loop {
            let settle = if self.state.what().of_assembly { ASSEMBLY_SETTLE } else { SETTLE };
            let more = tokio::time::timeout(settle, self.state.changed.notified()).await;
            if more.is_err() || began.elapsed() >= SETTLE_MAX.max(settle) {
                break;
            }
        }
        let fresh = std::mem::take(&mut self.state.what().fresh);
        self.observe(fresh);
        let mut what = self.state.what();
        what.of_assembly = false;
        std::mem::take(&mut what.names).into_iter().collect()
    }

    /// Watches folders, and the folders of sources below them.
    fn observe(&self, mut open: Vec<PathBuf>) {
        while let Some(folder) = open.pop() {
            if !self.add(&folder) {
                return;
            }
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_folder && is_source(&entry.file_name()) {
                    open.push(entry.path());
                }
            }
        }
    }

    /// Watches an assembly with those nested in it, without its assets.
    fn observe_assembly(&self, folder: &Path) {
        self.add(folder);
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_nested = entry.file_name().to_string_lossy().starts_with("assembly-");
            if is_nested && entry.path().is_dir() {
                self.add(&entry.path());
            }
        }
    }

    /// Watches one folder; false when there are too many.
    fn add(&self, folder: &Path) -> bool {
        {
            let mut what = self.state.what();
            if what.folders.len() >= FOLDERS_MAX {
                return false;
            }
            what.folders.insert(folder.to_owned());
        }
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            tracing::warn!(%error, folder = %folder.display(), "a folder is not watched: restart after changes");
        }
        true
    }
}

impl State {
    /// What is locked here changes in single steps.
    fn what(&self) -> MutexGuard<'_, What> {
        self.what.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs in the watcher's own thread.
    fn on_event(&self, event: notify::Result<notify::Event>) {
        let event = match event {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
            Ok(event) => event,
            Err(error) => {
                tracing::debug!(%error, "the watcher of sources");
                return;
            }
        };
        let mut what = self.what();
        let mut changed = false;
        // An overflow of the kernel's queue names no paths: anything may have changed.
        if event.need_rescan() {
            let app = what.app.clone();
            what.names.insert(app);
            changed = true;
        }
        for path in event.paths {
            if !what.concerns(&path) {
                continue;
            }
            if path.is_dir() {
                what.fresh.push(path.clone());
            }
            what.of_assembly |= what.is_of_assembly(&path);
            changed = true;
            if what.names.len() < NAMES_MAX {
                what.names.insert(path);
            }
        }
        drop(what);
        if changed {
            self.changed.notify_one();
        }
    }
}

impl What {
    fn concerns(&self, path: &Path) -> bool {
        if self.is_of_assembly(path) {
            return path.extension().is_some_and(|end| end == "json");
        }
        let Ok(below) = path.strip_prefix(&self.app) else { return false };
        let is_code = self.code.iter().any(|folder| path.starts_with(folder));
        !is_code && below.iter().all(is_source) && below.iter().next().is_some()
    }

    fn is_of_assembly(&self, path: &Path) -> bool {
        self.assembly.as_ref().is_some_and(|folder| path.starts_with(folder))
    }
}

fn is_source(name: &OsStr) -> bool {
    is_source_folder(name) && !is_ignored(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_neither_code_nor_what_tools_write() {
        let what = What {
            app: PathBuf::from("/app"),
            code: vec![PathBuf::from("/app/functions")],
            assembly: Some(PathBuf::from("/app/cdk.out")),
            ..What::default()
        };
        for path in
            ["/app/app.py", "/app/stacks/chat.py", "/app/cdk.json", "/app/cdk.out/manifest.json"]
        {
            assert!(what.concerns(Path::new(path)), "{path}");
        }
        for path in [
            "/app",
            "/app/functions/chat.py",
            "/app/node_modules/x/index.js",
            "/app/.venv/lib/x.py",
            "/app/stacks/__pycache__/chat.pyc",
            "/app/.stillwire/ports.json",
            "/app/cdk.out/asset.1/chat.py",
            "/elsewhere/app.py",
        ] {
            assert!(!what.concerns(Path::new(path)), "{path}");
        }
    }

    #[tokio::test]
    async fn a_burst_is_one_change_and_new_folders_are_watched() {
        let folder = tempfile::tempdir().unwrap();
        let watch = Watch::start(folder.path()).unwrap();
        fs::create_dir(folder.path().join("stacks")).unwrap();
        fs::write(folder.path().join("app.py"), "1").unwrap();
        assert!(!watch.changed().await.is_empty());
        fs::write(folder.path().join("stacks/chat.py"), "1").unwrap();
        let changed = tokio::time::timeout(Duration::from_secs(10), watch.changed()).await;
        let path = folder.path().canonicalize().unwrap().join("stacks/chat.py");
        assert_eq!(changed.unwrap(), [path]);
    }
}
