//! `stillwire enter`: the last steps inside a new process, before it becomes the function.
//!
//! These steps would be a `pre_exec` closure elsewhere; as a program of their own they need no unsafe code and
//! no fork.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Resource, Rlimit, Signal};

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

/// The body of the hidden subcommand `enter PARENT MODE PROGRAM [ARGUMENT…]`. Returns only if it fails.
pub fn enter() -> ExitCode {
    // The arguments end ours: what comes before them (`stillwire enter`) is the caller's business.
    let mut args = std::env::args_os().skip_while(|arg| arg != "enter").skip(1);
    let (Some(parent), Some(mode), Some(program)) = (args.next(), args.next(), args.next()) else {
        return complain("this subcommand is used by stillwire itself");
    };
    match become_program(&parent, &mode, &program, args) {
        Ok(never) => match never {},
        Err(error) => complain(&format!("{}: {error}", program.display())),
    }
}

#[allow(clippy::print_stderr, reason = "standard error is the function's log here")]
fn complain(problem: &str) -> ExitCode {
    eprintln!("stillwire: cannot start {problem}");
    ExitCode::from(127)
}

fn become_program(
    parent: &OsStr,
    mode: &OsStr,
    program: &OsStr,
    args: impl Iterator<Item = OsString>,
) -> io::Result<std::convert::Infallible> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // A parent that died before the line above sends no signal any more.
    let now = rustix::process::getppid().map(Pid::as_raw_pid);
    if parent.to_str().and_then(|pid| pid.parse().ok()) != now {
        return Err(io::Error::other("the supervisor is gone"));
    }
    let mut command = Command::new(program);
    command.args(args);
    let variable = match mode.to_str() {
        Some(MODE_RUNTIME) => Some(RUNTIME_FD),
        Some(MODE_TEMPLATE) => Some(TEMPLATE_FD),
        _ => None,
    };
    if mode != MODE_TOOL {
        lower(Resource::Nofile, FILES_MAX)?;
        lower(Resource::Core, 0)?;
    }
    if let Some(variable) = variable {
        // A plain `dup` is inherited by the program, and is not the standard input that handlers may read.
        let socket = rustix::io::dup(rustix::stdio::stdin())?;
        let null = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        let number = std::os::fd::AsRawFd::as_raw_fd(&socket).to_string();
        command.env(variable, number);
        let error = command.exec();
        drop(socket);
        return Err(error);
    }
    Err(command.exec())
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
