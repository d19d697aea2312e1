//! Node.js functions: an interpreter, the AWS SDK, and the command line that brings up the bootstrap.

mod interpreter;
mod mentions;
mod sdk;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio::sync::OnceCell;

use self::interpreter::Interpreter;
use self::mentions::Mentions;
use self::sdk::Wanted;
use crate::code::{self, Forks, Prepared, Reach, Roots};
use crate::layers;
use crate::names::Names;
use crate::once::Once;
use crate::platform_log::Journal;
use crate::supervisor::Processes;
use crate::versions::Substitutions;

/// The bootstrap, by file.
const BOOTSTRAP: [(&str, &str); 8] = [
    ("bootstrap.cjs", include_str!("bootstrap.cjs")),
    ("context.cjs", include_str!("context.cjs")),
    ("errors.cjs", include_str!("errors.cjs")),
    ("link.cjs", include_str!("link.cjs")),
    ("load.cjs", include_str!("load.cjs")),
    ("logs.cjs", include_str!("logs.cjs")),
    ("names.cjs", include_str!("names.cjs")),
    ("packages.cjs", include_str!("packages.cjs")),
];

/// How much of a function's memory its objects may take, in percent; the rest is for what V8 does not count.
///
/// Choice: about what the managed runtimes leave.
const HEAP_PERCENT: u32 = 90;

/// What was found and installed so far; each thing once, however many functions want it.
#[derive(Debug)]
pub(crate) struct Nodes {
    places: Vec<PathBuf>,
    cache_dir: PathBuf,
    bootstrap: PathBuf,
    names: Arc<Names>,
    interpreters: OnceCell<Vec<Interpreter>>,
    folders: Once<PathBuf, PathBuf>,
    substitutions: Substitutions,
}

impl Nodes {
    /// Writes the bootstrap into the work folder.
    pub(crate) fn new(config: &crate::Config, names: Arc<Names>) -> std::io::Result<Self> {
        let folder = config.work_dir.join("node");
        fs::create_dir_all(&folder)?;
        for (name, text) in BOOTSTRAP {
            fs::write(folder.join(name), text)?;
        }
        Ok(Self {
            places: config.places.clone(),
            cache_dir: config.cache_dir.clone(),
            bootstrap: folder.join("bootstrap.cjs"),
            names,
            interpreters: OnceCell::new(),
            folders: Once::default(),
            substitutions: Substitutions::default(),
        })
    }

    /// Finds and installs what a function of Node.js `major` needs.
    ///
    /// Gives the command, and the problems that need not keep it from running.
    ///
    /// # Errors
    /// Why it cannot run, and what to do.
    pub(crate) async fn prepare(
        &self,
        processes: &Processes,
        (major, memory_mb): (u8, u32),
        roots: &Roots,
        journal: &Journal,
    ) -> Result<(Prepared, Vec<String>), String> {
        let all =
            self.interpreters.get_or_init(|| interpreter::find(processes, &self.places)).await;
        let node = interpreter::choose(all, major)?;
        let [wanted, found] = [major, node.major].map(|major| format!("nodejs{major}.x"));
        self.substitutions.tell(&wanted, &found, &node.program, journal);
        let scanned = roots.clone();
        let scan = tokio::task::spawn_blocking(move || {
            let mentions = Mentions::find(&scanned);
            let missing = sdk::missing(&mentions.packages, &scanned, major);
            (mentions, missing)
        });
        let (mentions, missing) = scan.await.map_err(|error| error.to_string())?;
        let mut problems = Vec::new();
        // What the deployed folder has and the folder of its author lacks.
        let mut modules: Vec<PathBuf> =
            roots.source.iter().map(|_| roots.root.join("node_modules")).collect();
        if let Some(layers) = &roots.layers {
            modules.extend(layers::node(layers, major));
        }
        if !missing.is_empty() {
            match self.sdk(processes, node, &Wanted::new(node, missing), journal).await {
                Ok(folder) => modules.push(folder.join("node_modules")),
                Err(problem) => problems.push(problem),
            }
        }
        modules.retain(|folder| folder.is_dir());
        Ok((self.command((major, memory_mb), node, roots, &modules, &mentions), problems))
    }

    async fn sdk(
        &self,
        processes: &Processes,
        node: &Interpreter,
        wanted: &Wanted,
        journal: &Journal,
    ) -> Result<PathBuf, String> {
        let tell = |line: String| journal.notice(line);
        let places = (self.places.as_slice(), self.cache_dir.as_path());
        let install = || sdk::install(processes, node, wanted, places, &tell);
        self.folders.get(wanted.folder.clone(), install).await
    }

    fn command(
        &self,
        (major, memory_mb): (u8, u32),
        node: &Interpreter,
        roots: &Roots,
        modules: &[PathBuf],
        mentions: &Mentions,
    ) -> Prepared {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let texts =
            |paths: &mut dyn Iterator<Item = &PathBuf>| paths.map(|p| text(p)).collect::<Vec<_>>();
        let settings = json!({
            "roots": texts(&mut roots.folders()),
            "major": major,
            "imports": mentions.imports,
            "compile_cache": text(&self.cache_dir.join("node-compiled")),
            "hosts": self.names.hosts(),
            "aws": self.names.aws,
        });
        let heap = memory_mb * HEAP_PERCENT / 100;
        Prepared {
            program: node.program.clone(),
            args: vec![
                format!("--max-old-space-size={heap}"),
                text(&self.bootstrap),
                settings.to_string(),
            ],
            env: BTreeMap::from([("NODE_PATH".to_owned(), texts(&mut modules.iter()).join(":"))]),
            task_root: roots.root.clone(),
            forks: Forks::Never,
            reach: Reach::Inherited,
            readable: code::readable(&node.program, roots)
                .chain(modules.iter().cloned())
                .chain(self.bootstrap.parent().map(Path::to_owned))
                .collect(),
        }
    }
}
