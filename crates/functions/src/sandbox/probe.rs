//! Which layers this machine has: each is tried on a process that does nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Confinement, Layers, namespaces};
use crate::supervisor::Processes;
use crate::tool::{self, Tool};

/// A process that does nothing is done at once; one that hangs is as good as failed.
const DEADLINE: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) layers: Layers,
    pub(super) active: Vec<String>,
    pub(super) missing: Vec<String>,
}

impl Found {
    /// Notes what came of a layer; gives whether it is there.
    fn note(&mut self, name: &str, tried: Result<Vec<String>, String>) -> bool {
        match tried {
            Ok(words) if words.is_empty() => self.active.push(name.to_owned()),
            Ok(words) => self.active.extend(words),
            Err(reason) => {
                self.missing.push(format!("{name} ({reason})"));
                return false;
            }
        }
        true
    }
}

/// Tries every layer.
pub(super) async fn find(processes: &Processes, tmp: &Path) -> Found {
    let mut found = Found::default();
    let only = |layers| attempt(processes, tmp, layers);
    let tried = only(Layers { namespaces: true, ..Layers::default() }).await;
    found.layers.namespaces = found.note("namespaces", named("namespaces", tried));
    let tried = only(Layers { files: true, ..Layers::default() }).await;
    found.layers.files = found.note("landlock", tried);
    let tried = only(Layers { calls: true, ..Layers::default() }).await;
    found.layers.calls = found.note("seccomp", tried);
    found
}

/// Puts the layer's own name before what it tells besides.
fn named(name: &str, tried: Result<Vec<String>, String>) -> Result<Vec<String>, String> {
    tried.map(|words| [name.to_owned()].into_iter().chain(words).collect())
}

/// Gives what the process told of the layer.
async fn attempt(processes: &Processes, tmp: &Path, layers: Layers) -> Result<Vec<String>, String> {
    let confinement =
        Confinement { layers, tmp: tmp.to_owned(), announce: true, ..Confinement::default() };
    let tool = Tool {
        program: PathBuf::from("/bin/sh"),
        args: vec!["-c".to_owned(), ":".to_owned()],
        cwd: Path::new("/"),
        deadline: DEADLINE,
        confinement: Some(confinement),
    };
    match tool::run(processes, tool, &mut |_| {}).await {
        Ok(finished) if finished.success => Ok(finished.lines),
        Ok(finished) => {
            let line = finished.lines.last().map_or("it fails without a word", |line| line);
            Err(line.rsplit_once("/bin/sh: ").map_or(line, |(_, reason)| reason).to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// How many processes an environment may have by the kernel's own count, where there is one without a control group.
pub(super) fn counted(layers: Layers, most: usize) -> Option<u64> {
    (layers.namespaces && namespaces::counts_processes()).then_some(most as u64)
}
