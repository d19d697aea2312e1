//! The strict sandbox: what an execution environment may reach, enforced by the kernel.
//!
//! Every environment has its own process group, limits, variables and temporary folder. A strict one has besides, where the
//! system allows, name spaces of its own (`namespaces`, with `mounts` for what it sees of the file system), rules for files
//! (`files`), a list of system calls that it is denied (`calls`) and limits that the kernel keeps (`groups`). The network
//! stays: the SDKs of functions reach us, and what their authors named, over it.
//!
//! A [`Confinement`] is a value: the daemon makes it, the supervisor hands it on, and the first steps of the new process
//! (`steps`) carry it out before the function's program is there. A layer that was available at the start and fails then
//! keeps the process from starting: nothing runs with less than was said.

mod calls;
mod files;
mod groups;
mod mounts;
mod namespaces;
mod probe;
mod steps;
mod strict;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use self::groups::Group;
pub(crate) use self::steps::{INSIDE, confine, inside};
pub(crate) use self::strict::Strict;

/// How far execution environments are kept from everything else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// By what every process can be given: from crashes of each other, not from code that means harm.
    #[default]
    Usual,
    /// By all that the kernel offers.
    Strict,
}

/// What a strict sandbox consists of on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolation {
    /// What is active, in words.
    pub active: Vec<String>,
    /// What cannot be had, and why.
    pub missing: Vec<String>,
}

/// Why there is no strict sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no strict sandbox can be had here: {0}")]
pub struct NoSandbox(pub(crate) String);

/// The layers that a process applies to itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layers {
    /// Name spaces of its own, with a view of the file system.
    pub(crate) namespaces: bool,
    /// Landlock.
    pub(crate) files: bool,
    /// Seccomp.
    pub(crate) calls: bool,
}

/// What a process is confined to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Confinement {
    pub(crate) layers: Layers,
    /// What it may read and execute besides the system's programs and libraries.
    pub(crate) readable: BTreeSet<PathBuf>,
    /// What it must not see, in whatever it may read this lies.
    pub(crate) hidden: BTreeSet<PathBuf>,
    /// The only folder it may write to; with name spaces it sees it as `/tmp`.
    pub(crate) tmp: PathBuf,
    /// Where control groups take processes in: files.
    pub(crate) groups: Vec<PathBuf>,
    /// Processes and threads it may have, where the kernel counts them by name space.
    pub(crate) processes: Option<u64>,
    /// Tell on standard output what was got, for a probe.
    pub(crate) announce: bool,
}

/// Processes of ours in each confined environment: one outside of its name spaces, and the first inside.
pub(crate) const HELPERS: usize = 2;
