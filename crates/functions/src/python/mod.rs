//! Python functions: an interpreter, the packages, and the command line that brings up the bootstrap.

mod interpreter;
mod libraries;
mod mentions;

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::sync::OnceCell;

use self::interpreter::Interpreter;
pub use self::interpreter::usual_places;
use self::libraries::Wanted;
pub(crate) use self::libraries::fingerprint;
use self::mentions::Mentions;
use crate::code::{Forks, Prepared, Roots};
use crate::platform_log::Journal;
use crate::supervisor::Processes;

const BOOTSTRAP: &str = include_str!("bootstrap.py");
const TEMPLATE: &str = include_str!("template.py");

/// The oldest minor version whose sockets can take over descriptors, which templates need.
const FORKS_FROM: u8 = 9;

/// What was found and installed so far; each thing once, however many functions want it.
#[derive(Debug)]
pub(crate) struct Pythons {
    places: Vec<PathBuf>,
    cache_dir: PathBuf,
    bootstrap: PathBuf,
    /// What the bootstrap is told about names: our hosts, and where all others of AWS go.
    hosts: Vec<(String, SocketAddr)>,
    aws: SocketAddr,
    templates: bool,
    interpreters: Once<u8, Interpreter>,
    folders: Once<PathBuf, PathBuf>,
    substitutions: Mutex<BTreeSet<u8>>,
}

impl Pythons {
    /// Writes the bootstrap into the work folder.
    pub(crate) fn new(config: &crate::Config) -> std::io::Result<Self> {
        let bootstrap = config.work_dir.join("bootstrap.py");
        std::fs::write(&bootstrap, BOOTSTRAP)?;
        // The bootstrap imports it from beside itself.
        std::fs::write(config.work_dir.join("stillwire_template.py"), TEMPLATE)?;
        Ok(Self {
            places: config.python_places.clone(),
            cache_dir: config.cache_dir.clone(),
            bootstrap,
            hosts: config.hosts.clone(),
            aws: config.aws,
            templates: config.templates,
            interpreters: Once::default(),
            folders: Once::default(),
            substitutions: Mutex::default(),
        })
    }

    /// Finds and installs what a function of Python 3.`minor` needs.
    ///
    /// Gives the command, and the problems that need not keep it from running.
    ///
    /// # Errors
    /// Why it cannot run, and what to do.
    pub(crate) async fn prepare(
        &self,
        processes: &Processes,
        (minor, snap_start): (u8, bool),
        roots: &Roots,
        journal: &Journal,
    ) -> Result<(Prepared, Vec<String>), String> {
        let python = self
            .interpreters
            .get(minor, || interpreter::find(processes, &self.places, minor))
            .await?;
        self.tell_substitution(minor, &python, journal);
        let scanned = roots.clone();
        let (wanted, mentions) = {
            let python = python.clone();
            let scan = tokio::task::spawn_blocking(move || {
                (Wanted::requirements(&python, &scanned), Mentions::find(&scanned))
            });
            scan.await.map_err(|error| error.to_string())?
        };
        let mut problems = Vec::new();
        let mut first: Vec<PathBuf> = roots.folders().cloned().collect();
        if let Some(wanted) = wanted {
            match self.folder(processes, &python, &wanted, journal).await {
                Ok(folder) => first.push(folder),
                Err(problem) => problems.push(problem),
            }
        }
        let mut last = Vec::new();
        let has_boto3 = python.has_boto3 || first.iter().any(|f| f.join("boto3").is_dir());
        if mentions.boto && !has_boto3 {
            match self.folder(processes, &python, &Wanted::boto3(&python), journal).await {
                Ok(folder) => last.push(folder),
                Err(problem) => problems.push(problem),
            }
        }
        Ok((self.command(&python, roots, (&first, &last), &mentions, snap_start), problems))
    }

    async fn folder(
        &self,
        processes: &Processes,
        python: &Interpreter,
        wanted: &Wanted,
        journal: &Journal,
    ) -> Result<PathBuf, String> {
        let tell = |line: String| journal.notice(line);
        let install = || libraries::install(processes, python, wanted, &self.cache_dir, &tell);
        self.folders.get(wanted.folder.clone(), install).await
    }

    fn tell_substitution(&self, minor: u8, found: &Interpreter, journal: &Journal) {
        let mut told = self.substitutions.lock().unwrap_or_else(PoisonError::into_inner);
        if found.minor != minor && told.insert(minor) {
            journal.notice(format!(
                "python3.{minor} is not on this machine: its functions run on python3.{} ({}); \
                 install python3.{minor} to run them on their own version",
                found.minor,
                found.program.display()
            ));
        }
    }

    fn command(
        &self,
        python: &Interpreter,
        roots: &Roots,
        (first, last): (&[PathBuf], &[PathBuf]),
        mentions: &Mentions,
        snap_start: bool,
    ) -> Prepared {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let texts = |paths: &[PathBuf]| paths.iter().map(|path| text(path)).collect::<Vec<_>>();
        let host =
            |(name, at): &(String, SocketAddr)| json!([name, at.ip().to_string(), at.port()]);
        let settings = json!({
            "first": texts(first),
            "last": texts(last),
            "hosts": self.hosts.iter().map(host).collect::<Vec<_>>(),
            "aws": [self.aws.ip().to_string(), self.aws.port()],
            "own": roots.folders().map(|path| text(path)).collect::<Vec<_>>(),
            "services": mentions.boto.then_some(&mentions.services),
            "snap_start": snap_start,
        });
        Prepared {
            program: python.program.clone(),
            // Unbuffered, and without the packages of the user who happens to run this.
            args: vec![
                "-u".to_owned(),
                "-s".to_owned(),
                text(&self.bootstrap),
                settings.to_string(),
            ],
            task_root: roots.root.clone(),
            forks: if !self.templates || python.minor < FORKS_FROM {
                Forks::Never
            } else if snap_start || first.iter().any(|folder| folder.join("boto3").is_dir()) {
                Forks::FromCode
            } else {
                Forks::FromLibraries
            },
        }
    }
}

/// Values that are made once. A failure is not kept: the next one who asks tries again.
#[derive(Debug)]
struct Once<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Once<K, V> {
    async fn get<F>(&self, key: K, make: impl FnOnce() -> F) -> Result<V, String>
    where
        F: Future<Output = Result<V, String>>,
    {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(key).or_default())
        };
        cell.get_or_try_init(make).await.cloned()
    }
}
