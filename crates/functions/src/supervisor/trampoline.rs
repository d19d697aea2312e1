//! `stillwire enter`: the last steps inside a new process, before it becomes the function.
//!
//! These steps would be a `pre_exec` closure elsewhere; as a program of their own they need no unsafe code and
//! no fork.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Resource, Rlimit, Signal};

use crate::sandbox::{self, Confinement, INSIDE};

/// Where a function's bootstrap finds the number of its runtime socket.
const RUNTIME_FD: &str = "STILLWIRE_RUNTIME_FD";

/// The mode of [`enter`] that hands standard input on as a runtime socket.
pub(super) const MODE_RUNTIME: &str = "runtime";
/// Where a template finds the number of its socket to the supervisor.
const TEMPLATE_FD: &str = "STILLWIRE_TEMPLATE_FD";

/// The mode of [`enter`] that hands standard input on as a template's socket.
pub(super) const MODE_TEMPLATE: &str = "template";
/// The mode of [`enter`] that leaves standard input to a function.
pub(super) const MODE_GUEST: &str = "guest";
/// The mode of [`enter`] that leaves standard input alone.
pub(super) const MODE_TOOL: &str = "tool";

/// Open files of a function.
///
/// Source: AWS Lambda quotas, "File descriptors" (1,024).
const FILES_MAX: u64 = 1024;

/// What stands for the confinement of a process that has none.
pub(super) const FREE: &str = "-";

/// The body of the hidden subcommand `enter PARENT MODE CONFINEMENT PROGRAM [ARGUMENT…]`. Returns if it fails, or if
/// the program runs beside it, in name spaces of its own.
pub fn enter() -> ExitCode {
    // The arguments end ours: what comes before them (`stillwire enter`) is the caller's business.
    let mut args = std::env::args_os().skip_while(|arg| arg != "enter").skip(1);
    let Some(parent) = args.next() else {
        return complain("this subcommand is used by stillwire itself");
    };
    let rest: Vec<OsString> = args.collect();
    let [mode, confinement, program, args @ ..] = rest.as_slice() else {
        return complain("this subcommand is used by stillwire itself");
    };
    let steps = || {
        let confinement = match confinement.to_str() {
            Some(FREE) => None,
            Some(text) => Some(serde_json::from_str::<Confinement>(text)?),
            None => return Err(io::Error::other("its confinement is no text")),
        };
        if parent == INSIDE {
            return sandbox::inside(&confinement.unwrap_or_default(), || {
                prepare(mode, program, args)
            });
        }
        prepare_process(&parent, mode)?;
        if let Some(confinement) = confinement
            && let Some(ended) = sandbox::confine(&confinement, &rest)?
        {
            return Ok(ended);
        }
        Err(prepare(mode, program, args)?.command.exec())
    };
    steps().unwrap_or_else(|error: io::Error| complain(&format!("{}: {error}", program.display())))
}

#[allow(clippy::print_stderr, reason = "standard error is the function's log here")]
fn complain(problem: &str) -> ExitCode {
    eprintln!("stillwire: cannot start {problem}");
    ExitCode::from(127)
}

/// Binds the process to its parent's life, and sets the limits of a function.
fn prepare_process(parent: &OsStr, mode: &OsStr) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // A parent that died before the line above sends no signal any more.
    let now = rustix::process::getppid().map(Pid::as_raw_pid);
    if parent.to_str().and_then(|pid| pid.parse().ok()) != now {
        return Err(io::Error::other("the supervisor is gone"));
    }
    if mode != MODE_TOOL {
        lower(Resource::Nofile, FILES_MAX)?;
        lower(Resource::Core, 0)?;
    }
    Ok(())
}

/// A program that is ready to be run, with the socket that it inherits.
pub(crate) struct Ready {
    pub(crate) command: Command,
    /// Not closed by an `exec`; to be kept until then.
    pub(crate) socket: Option<OwnedFd>,
}

fn prepare(mode: &OsStr, program: &OsStr, args: &[OsString]) -> io::Result<Ready> {
    let mut command = Command::new(program);
    command.args(args);
    let variable = match mode.to_str() {
        Some(MODE_RUNTIME) => RUNTIME_FD,
        Some(MODE_TEMPLATE) => TEMPLATE_FD,
        _ => return Ok(Ready { command, socket: None }),
    };
    // A plain `dup` is inherited by the program, and is not the standard input that handlers may read.
    let socket = rustix::io::dup(rustix::stdio::stdin())?;
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    command.env(variable, socket.as_raw_fd().to_string());
    Ok(Ready { command, socket: Some(socket) })
}

/// Lowers a limit; one that is lower already stays.
fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(resource);
    let least = |value: Option<u64>| Some(value.map_or(limit, |value| value.min(limit)));
    Ok(rustix::process::setrlimit(
        resource,
        Rlimit { current: least(now.current), maximum: least(now.maximum) },
    )?)
}
