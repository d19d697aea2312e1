//! Python functions: an interpreter, the packages, and the command line that brings up the bootstrap.

mod interpreter;
mod libraries;
mod mentions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use self::interpreter::Interpreter;
use self::libraries::Wanted;
use self::mentions::Mentions;
use crate::code::{self, Forks, Prepared, Reach, Roots};
use crate::layers;
use crate::names::Names;
use crate::once::Once;
use crate::platform_log::Journal;
use crate::sandbox::Sandbox;
use crate::supervisor::Processes;
use crate::versions::Substitutions;

/// The bootstrap and what it imports from beside itself, by file.
const BOOTSTRAP: [(&str, &str); 11] = [
    ("bootstrap.py", include_str!("bootstrap.py")),
    ("stillwire_context.py", include_str!("context.py")),
    ("stillwire_errors.py", include_str!("errors.py")),
    ("stillwire_lessons.py", include_str!("lessons.py")),
    ("stillwire_link.py", include_str!("link.py")),
    ("stillwire_load.py", include_str!("load.py")),
    ("stillwire_logs.py", include_str!("logs.py")),
    ("stillwire_names.py", include_str!("names.py")),
    ("stillwire_results.py", include_str!("results.py")),
    ("stillwire_sharing.py", include_str!("sharing.py")),
    ("stillwire_template.py", include_str!("template.py")),
];

/// The oldest minor version whose sockets can take over descriptors, which templates need.
const FORKS_FROM: u8 = 9;

/// What was found and installed so far; each thing once, however many functions want it.
#[derive(Debug)]
pub(crate) struct Pythons {
    places: Vec<PathBuf>,
    cache_dir: PathBuf,
    /// Where the bootstrap is, with the bytecode that Python keeps of its parts.
    folder: PathBuf,
    names: Arc<Names>,
    templates: bool,
    interpreters: Once<u8, Interpreter>,
    folders: Once<PathBuf, PathBuf>,
    substitutions: Substitutions,
}

impl Pythons {
    /// Writes the bootstrap into the work folder.
    pub(crate) fn new(config: &crate::Config, names: Arc<Names>) -> std::io::Result<Self> {
        let folder = config.work_dir.join("python");
        std::fs::create_dir_all(&folder)?;
        for (name, text) in BOOTSTRAP {
            std::fs::write(folder.join(name), text)?;
        }
        Ok(Self {
            places: config.places.clone(),
            cache_dir: config.cache_dir.clone(),
            folder,
            names,
            templates: config.templates && config.sandbox == Sandbox::Usual,
            interpreters: Once::default(),
            folders: Once::default(),
            substitutions: Substitutions::default(),
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
        let [wanted, found] = [minor, python.minor].map(|minor| format!("python3.{minor}"));
        self.substitutions.tell(&wanted, &found, &python.program, journal);
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
        if let Some(layers) = &roots.layers {
            first.extend(layers::python(layers, minor));
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

    /// The folder with `debugpy`.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub(crate) async fn debugger(
        &self,
        processes: &Processes,
        minor: u8,
        journal: &Journal,
    ) -> Result<PathBuf, String> {
        let find = || interpreter::find(processes, &self.places, minor);
        let python = self.interpreters.get(minor, find).await?;
        self.folder(processes, &python, &Wanted::debugpy(&python), journal).await
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
        let settings = json!({
            "first": texts(first),
            "last": texts(last),
            "hosts": self.names.hosts(),
            "aws": self.names.aws,
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
                text(&self.folder.join("bootstrap.py")),
                settings.to_string(),
            ],
            env: BTreeMap::new(),
            task_root: roots.root.clone(),
            forks: if !self.templates || python.minor < FORKS_FROM {
                Forks::Never
            } else if snap_start || first.iter().any(|folder| folder.join("boto3").is_dir()) {
                Forks::FromCode
            } else {
                Forks::FromLibraries
            },
            reach: Reach::Inherited,
            readable: code::readable(&python.program, roots)
                .chain(first.iter().chain(last).cloned())
                .chain([self.folder.clone()])
                .collect(),
        }
    }
}
