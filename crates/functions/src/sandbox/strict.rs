//! The strict sandbox as the daemon sees it: what there is of it, and what each environment is confined to.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::groups::{Group, Groups};
use super::{Confinement, HELPERS, Isolation, Layers, NoSandbox, mounts, probe};
use crate::Config;
use crate::code::Prepared;
use crate::supervisor::Processes;

/// The strict sandbox of this machine.
#[derive(Debug)]
pub(crate) struct Strict {
    layers: Layers,
    groups: Option<Arc<Groups>>,
    processes: usize,
    counted: Option<u64>,
    hidden: Vec<PathBuf>,
    readable: Vec<PathBuf>,
    isolation: Isolation,
}

impl Strict {
    /// Finds out what there is.
    ///
    /// # Errors
    /// When functions could read whatever this user can.
    pub(crate) async fn find(processes: &Processes, config: &Config) -> Result<Self, NoSandbox> {
        let cannot =
            |error: io::Error| NoSandbox(format!("{}: {error}", config.work_dir.display()));
        let tmp = tempfile::Builder::new().prefix("probe-").tempdir_in(&config.work_dir);
        let tmp = tmp.map_err(cannot)?;
        let mut found = probe::find(processes, tmp.path()).await;
        if !found.layers.namespaces && !found.layers.files {
            return Err(NoSandbox(found.missing.join("; ")));
        }
        let most = config.processes_max.saturating_add(HELPERS);
        let supervisor = processes.supervisor();
        let groups = tokio::task::spawn_blocking(move || Groups::open(supervisor)).await;
        let groups = groups.map_err(|error| NoSandbox(error.to_string()))?;
        let groups = match groups {
            Ok(groups) => {
                found.active.push(format!("cgroup v{}", groups.version()));
                Some(Arc::new(groups))
            }
            Err(reason) => {
                found.missing.push(format!("cgroup ({reason})"));
                None
            }
        };
        let counted = probe::counted(found.layers, most);
        if groups.is_some() || counted.is_some() {
            found.active.push("process limit".to_owned());
        } else {
            found.missing.push("process limit of the kernel (it takes a control group)".to_owned());
        }
        Ok(Self {
            layers: found.layers,
            groups,
            processes: most,
            counted,
            hidden: config.hidden.clone(),
            readable: config.readable.clone(),
            isolation: Isolation { active: found.active, missing: found.missing },
        })
    }

    /// What it consists of.
    pub(crate) fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    /// Nothing runs in it any more.
    pub(crate) async fn end(&self) {
        let Some(groups) = self.groups.clone() else { return };
        if let Err(error) = tokio::task::spawn_blocking(move || groups.end()).await {
            tracing::debug!(%error, "control groups are left");
        }
    }

    /// Where a function finds its own folder, which is `tmp` outside.
    pub(crate) fn tmp<'a>(&self, tmp: &'a Path) -> &'a Path {
        if self.layers.namespaces { Path::new(mounts::TMP) } else { tmp }
    }

    /// What an environment is confined to, and the groups that it belongs to.
    pub(crate) async fn confinement(
        &self,
        (id, memory_mb): (u64, u32),
        prepared: &Prepared,
        variables: &BTreeMap<String, String>,
        tmp: &Path,
    ) -> io::Result<(Confinement, Option<Group>)> {
        let group = match &self.groups {
            Some(groups) => {
                let (groups, most) = (Arc::clone(groups), self.processes);
                let made = tokio::task::spawn_blocking(move || groups.make(id, memory_mb, most));
                Some(made.await.map_err(io::Error::other)??)
            }
            None => None,
        };
        // Certificates of ours, which our own variables name.
        let named = variables.values().map(Path::new).filter(|path| path.is_absolute());
        // A program that lies in somebody's home itself does not open that.
        let needed = prepared.readable.iter().filter(|path| !self.hidden.contains(path));
        let readable = needed.chain(&self.readable).map(PathBuf::as_path);
        let confinement = Confinement {
            layers: self.layers,
            readable: readable.chain(named).map(Path::to_owned).collect(),
            hidden: self.hidden.iter().cloned().collect(),
            tmp: tmp.to_owned(),
            groups: group.as_ref().map(Group::doors).unwrap_or_default(),
            processes: self.counted,
            announce: false,
        };
        Ok((confinement, group))
    }
}
