//! Notices that a function's files changed, so that the next invocation runs the new code.
//!
//! The watcher's thread marks the function at once; from then on its invocations wait until the change has
//! settled. Only if some content really differs are the environments replaced.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use notify::{EventKind, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::cache::fingerprint;
use crate::code;
use crate::pool::Pool;
use crate::shared::Shared;

/// How long nothing may change for a change to be over. Editors and `git checkout` write in bursts.
const SETTLE: Duration = Duration::from_millis(50);
/// How long a change may go on before it is taken as it is.
const SETTLE_MAX: Duration = Duration::from_millis(500);
/// Files of one function that are compared.
const FILES_MAX: usize = 20_000;
/// Larger files are compared by size and time alone.
const HASHED_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Watches the folders of all functions.
pub(crate) struct Watcher {
    notify: Mutex<notify::RecommendedWatcher>,
    targets: Arc<Mutex<Vec<Arc<Target>>>>,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Watcher").finish_non_exhaustive()
    }
}

/// The folders of one function.
#[derive(Debug)]
struct Target {
    pool: Weak<Pool>,
    folders: Vec<PathBuf>,
    files: Mutex<Files>,
    settling: AtomicBool,
}

/// What the files were when last looked at.
type Files = BTreeMap<PathBuf, File>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct File {
    size: u64,
    modified: Option<SystemTime>,
    content: u64,
}

impl Watcher {
    /// Starts watching nothing.
    pub(crate) fn start(shared: &Arc<Shared>) -> notify::Result<Arc<Self>> {
        let targets: Arc<Mutex<Vec<Arc<Target>>>> = Arc::default();
        let wake = Arc::new(Notify::new());
        let (seen, waker) = (Arc::clone(&targets), Arc::clone(&wake));
        let notify = notify::recommended_watcher(move |event| on_event(event, &seen, &waker))?;
        let watcher = Arc::new(Self { notify: Mutex::new(notify), targets });
        let task = settle_changes(Arc::downgrade(&watcher), Arc::downgrade(shared), wake);
        shared.drain.spawn("reload", until_closing(shared.drain.clone(), task));
        Ok(watcher)
    }

    /// Watches the folders of a function from here on; what they hold now is what its environments will run.
    pub(crate) async fn watch(&self, pool: &Arc<Pool>) {
        let folders: Vec<PathBuf> = code::watched(pool.function())
            .iter()
            .filter_map(|folder| std::fs::canonicalize(folder).ok())
            .collect();
        if folders.is_empty() {
            return;
        }
        self.observe(&folders);
        let target = Arc::new(Target {
            pool: Arc::downgrade(pool),
            folders,
            files: Mutex::default(),
            settling: AtomicBool::new(false),
        });
        let files = read(&target).await;
        *lock(&target.files) = files;
        let mut targets = lock(&self.targets);
        targets.retain(|target| target.pool.strong_count() > 0);
        targets.push(target);
    }

    /// Watches folders, and their parents for the moment a folder is replaced as a whole.
    fn observe(&self, folders: &[PathBuf]) {
        let mut notify = lock(&self.notify);
        for folder in folders {
            if let Some(parent) = folder.parent()
                && let Err(error) = notify.watch(parent, RecursiveMode::NonRecursive)
            {
                tracing::debug!(%error, "a parent folder is not watched");
            }
            if let Err(error) = notify.watch(folder, RecursiveMode::Recursive) {
                tracing::warn!(%error, "a function's folder is not watched: restart after changes");
            }
        }
    }
}

/// Runs in the watcher's own thread.
fn on_event(
    event: notify::Result<notify::Event>,
    targets: &Mutex<Vec<Arc<Target>>>,
    wake: &Notify,
) {
    let event = match event {
        Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
        Ok(event) => event,
        Err(error) => {
            tracing::debug!(%error, "the file watcher");
            return;
        }
    };
    let now = Instant::now();
    // An overflow of the kernel's queue names no paths: anything may have changed.
    let anything = event.need_rescan();
    let mut changed = false;
    for target in lock(targets).iter() {
        let concerned = anything || event.paths.iter().any(|path| target.concerns(path));
        if concerned && let Some(pool) = target.pool.upgrade() {
            pool.code_changes(now);
            changed = true;
        }
    }
    if changed {
        wake.notify_one();
    }
}

impl Target {
    fn concerns(&self, path: &Path) -> bool {
        self.folders.iter().any(|folder| {
            path.strip_prefix(folder).is_ok_and(|below| !below.iter().any(is_ignored))
        })
    }
}

/// Whether a file or folder of this name is what tools write beside sources.
pub fn is_ignored(name: &std::ffi::OsStr) -> bool {
    const NAMES: [&str; 9] = [
        "__pycache__",
        ".git",
        "node_modules",
        ".venv",
        ".DS_Store",
        ".idea",
        "4913",
        // Our own state, and what a synthesis writes.
        ".stillwire",
        "cdk.out",
    ];
    const ENDS: [&str; 6] = [".pyc", ".swp", ".swx", "~", ".tmp", "___jb_tmp___"];
    let Some(name) = name.to_str() else { return false };
    NAMES.contains(&name)
        || ENDS.iter().any(|end| name.ends_with(end))
        || name.starts_with(".#")
        || name.starts_with(".goutputstream")
}

async fn until_closing(drain: stillwire_drain::Drain, task: impl Future<Output = ()>) {
    tokio::select! {
        () = task => {}
        () = drain.closing() => {}
    }
}

/// Waits for changes to be over and has each taken care of.
async fn settle_changes(watcher: Weak<Watcher>, shared: Weak<Shared>, wake: Arc<Notify>) {
    let mut next: Option<Instant> = None;
    loop {
        match next {
            Some(due) => {
                // A new change may come meanwhile and make something due later; that is found out then.
                tokio::time::sleep_until(due).await;
            }
            None => {
                // Once in a while, to end when everything else has.
                drop(tokio::time::timeout(Duration::from_secs(1), wake.notified()).await);
            }
        }
        let (Some(watcher), Some(shared)) = (watcher.upgrade(), shared.upgrade()) else { return };
        next = None;
        let targets: Vec<Arc<Target>> = lock(&watcher.targets).clone();
        for target in targets {
            let Some(pool) = target.pool.upgrade() else { continue };
            let Some((first, last)) = pool.changing() else { continue };
            let due = (last + SETTLE).min(first + SETTLE_MAX);
            if due > Instant::now() {
                next = Some(next.map_or(due, |next| next.min(due)));
            } else if target.settling.swap(true, Ordering::AcqRel) {
                next = Some(Instant::now() + SETTLE);
            } else {
                let work = settle(Arc::clone(&watcher), Arc::clone(&shared), target, pool);
                shared.drain.spawn("reload a function", work);
            }
        }
    }
}

async fn settle(watcher: Arc<Watcher>, shared: Arc<Shared>, target: Arc<Target>, pool: Arc<Pool>) {
    let seen = pool.changing().map_or_else(Instant::now, |(_, last)| last);
    // A folder that was replaced has to be watched anew.
    watcher.observe(&target.folders);
    let files = read(&target).await;
    let changed = first_difference(&lock(&target.files), &files);
    // Nothing left at all is a folder in the middle of its replacement.
    let changed = changed.filter(|_| !files.is_empty());
    if let Some(path) = changed {
        let name = target.folders.iter().find_map(|folder| path.strip_prefix(folder).ok());
        let name = name.unwrap_or(&path).display();
        let (preparation, problems) = shared.prepare(&pool).await;
        for problem in problems {
            pool.journal().notice(problem);
        }
        *lock(&target.files) = files;
        pool.settled(seen, Some((preparation, format!("{name} changed"))));
    } else {
        pool.settled(seen, None);
    }
    target.settling.store(false, Ordering::Release);
}

fn first_difference(old: &Files, new: &Files) -> Option<PathBuf> {
    let differs = |(path, file): &(&PathBuf, &File)| {
        old.get(*path).is_none_or(|old| (old.size, old.content) != (file.size, file.content))
    };
    let added = new.iter().find(differs).map(|(path, _)| path);
    added.or_else(|| old.keys().find(|path| !new.contains_key(*path))).cloned()
}

async fn read(target: &Arc<Target>) -> Files {
    let target = Arc::clone(target);
    let look = tokio::task::spawn_blocking(move || {
        let old = lock(&target.files).clone();
        let mut files = Files::new();
        for folder in &target.folders {
            look_into(folder, &old, &mut files);
        }
        files
    });
    look.await.unwrap_or_default()
}

fn look_into(folder: &Path, old: &Files, files: &mut Files) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if files.len() >= FILES_MAX || is_ignored(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        // Follows links, as the interpreter will.
        let Ok(data) = std::fs::metadata(&path) else { continue };
        if data.is_dir() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                look_into(&path, old, files);
            }
            continue;
        }
        let (size, modified) = (data.len(), data.modified().ok());
        let known = old.get(&path).filter(|file| {
            // A time this young may be shared by two different contents.
            let young = modified.and_then(|time| time.elapsed().ok());
            let settled = young.is_some_and(|age| age > Duration::from_secs(2));
            settled && (file.size, file.modified) == (size, modified)
        });
        let content = match known {
            Some(file) => file.content,
            None if size <= HASHED_BYTES_MAX => {
                fingerprint(&std::fs::read(&path).unwrap_or_default())
            }
            None => fingerprint(format!("{modified:?}").as_bytes()),
        };
        files.insert(path, File { size, modified, content });
    }
}

/// What is locked here changes in single steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(folder: &Path) -> Target {
        Target {
            pool: Weak::new(),
            folders: vec![folder.to_owned()],
            files: Mutex::default(),
            settling: AtomicBool::new(false),
        }
    }

    #[test]
    fn caches_and_temporary_files_are_no_change() {
        let target = target(Path::new("/code"));
        for path in ["/code/a.py", "/code/lib/b.json", "/code"] {
            assert!(target.concerns(Path::new(path)), "{path}");
        }
        for path in ["/code/__pycache__/a.pyc", "/code/.git/index", "/code/.a.py.swp", "/else/a.py"]
        {
            assert!(!target.concerns(Path::new(path)), "{path}");
        }
    }

    #[tokio::test]
    async fn only_a_different_content_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let target = Arc::new(target(folder.path()));
        let file = folder.path().join("a.py");
        std::fs::write(&file, "one").unwrap();
        let before = read(&target).await;
        std::fs::write(&file, "one").unwrap();
        assert_eq!(first_difference(&before, &read(&target).await), None);
        std::fs::write(&file, "two").unwrap();
        assert_eq!(first_difference(&before, &read(&target).await), Some(file.clone()));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(first_difference(&before, &read(&target).await), Some(file));
    }
}
