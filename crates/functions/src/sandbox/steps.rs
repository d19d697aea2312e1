//! The steps from a process of ours to a confined program.
//!
//! A name space of processes begins with the next process, and its first one has duties: it adopts orphans, and its end is
//! the end of all. So there are three: one outside, which the supervisor knows and which ends as the function does; the
//! first inside, which lays out everything and waits; and the function. Each is a program of its own and none a fork of a
//! larger one, so this needs no unsafe code.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus};

use rustix::process::{Resource, Rlimit, Signal, WaitOptions};

use super::{Confinement, calls, files, mounts, namespaces};
use crate::supervisor::Ready;

/// The word in the command line of the first process inside that stands where others have the supervisor's pid.
pub(crate) const INSIDE: &str = "inside";

/// Confines this process, and what it becomes. Where name spaces are asked for, a process inside of them goes on with the
/// command line `rest`, and this one ends as that did; otherwise there is no result, and the caller goes on.
///
/// # Errors
/// What could not be had.
pub(crate) fn confine(
    confinement: &Confinement,
    rest: &[OsString],
) -> io::Result<Option<ExitCode>> {
    for group in &confinement.groups {
        fs::write(group, "0").map_err(|error| told("the control group", &error))?;
    }
    if !confinement.layers.namespaces {
        restrict(confinement)?;
        return Ok(None);
    }
    namespaces::leave()?;
    // The change of rights may have cleared it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let path = last_words(confinement);
    let last_words =
        File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    let child = Command::new("/proc/self/exe").args(["enter", INSIDE]).args(rest).spawn()?;
    // What is the function's is nobody else's: its connection ends with it.
    close_stdio()?;
    outlive(child, last_words).map(Some)
}

/// Waits for the first process inside, and ends as the function did.
fn outlive(mut child: Child, mut last_words: File) -> io::Result<ExitCode> {
    let status = child.wait()?;
    let mut text = String::new();
    last_words.read_to_string(&mut text)?;
    let ended = text.parse().map_or(status, ExitStatus::from_raw);
    if let Some(signal) = ended.signal().and_then(Signal::from_named_raw) {
        rustix::process::kill_process(rustix::process::getpid(), signal)?;
    }
    Ok(ExitCode::from(u8::try_from(ended.code().unwrap_or(127)).unwrap_or(u8::MAX)))
}

/// The first process inside: lays out what the function may see and do, starts it, and adopts what it leaves behind.
///
/// # Errors
/// What could not be had.
pub(crate) fn inside(
    confinement: &Confinement,
    prepare: impl FnOnce() -> io::Result<Ready>,
) -> io::Result<ExitCode> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // An exit status has no room for a signal, and the first process of a name space cannot send itself one. Both ends
    // hold the file before its place is covered, and nobody else finds it.
    let path = last_words(confinement);
    let mut last_words = File::options().write(true).open(&path)?;
    fs::remove_file(path)?;
    let own_proc = mounts::lay_out(confinement)?;
    if confinement.announce && !own_proc {
        announce("mounts without a /proc of their own");
    }
    if let Some(most) = confinement.processes {
        let most = Some(most);
        rustix::process::setrlimit(Resource::Nproc, Rlimit { current: most, maximum: most })?;
    }
    restrict(confinement)?;
    let Ready { mut command, socket } = prepare()?;
    let child = command.spawn()?;
    drop(socket);
    close_stdio()?;
    while let Some((pid, status)) = rustix::process::wait(WaitOptions::empty())? {
        if pid.as_raw_nonzero().get().cast_unsigned() == child.id() {
            write!(last_words, "{}", status.as_raw())?;
            break; // and with this process all others end
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Gives up rights, files and calls. Nothing brings them back.
fn restrict(confinement: &Confinement) -> io::Result<()> {
    if confinement.layers.namespaces {
        namespaces::drop_rights().map_err(|error| told("giving up rights", &error))?;
    }
    if confinement.layers.files {
        let version = files::apply(confinement).map_err(|error| told("landlock", &error))?;
        if confinement.announce {
            announce(&format!("landlock v{version}"));
        }
    }
    if confinement.layers.calls {
        calls::apply().map_err(|error| told("seccomp", &error))?;
    }
    Ok(())
}

/// Where the status of the function is left for the process outside: beside the only folder that the function sees.
fn last_words(confinement: &Confinement) -> PathBuf {
    confinement.tmp.with_extension("ended")
}

/// Lets go of what belongs to the function.
fn close_stdio() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(rustix::stdio::dup2_stderr(&null)?)
}

#[allow(clippy::print_stdout, reason = "a probe reads it")]
fn announce(what: &str) {
    println!("{what}");
}

fn told(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
