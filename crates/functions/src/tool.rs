//! Runs a tool (an interpreter's probe, pip) to its end: through the supervisor, with a deadline.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::output::Output;
use crate::sandbox::Confinement;
use crate::supervisor::{Exit, Processes, Role, Spawn};

/// Lines of output that are kept.
const LINES_MAX: usize = 200;

/// A tool to run.
#[derive(Debug)]
pub(crate) struct Tool<'a> {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) cwd: &'a Path,
    pub(crate) deadline: Duration,
    pub(crate) confinement: Option<Confinement>,
}

/// How a tool ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) success: bool,
    /// The last lines it wrote, of both streams.
    pub(crate) lines: Vec<String>,
}

/// Runs a tool in the daemon's own environment; `progress` sees each line as it comes.
///
/// # Errors
/// When it cannot be started, or is not done by its deadline; then it is killed.
pub(crate) async fn run(
    processes: &Processes,
    tool: Tool<'_>,
    progress: &mut (dyn FnMut(&str) + Send),
) -> io::Result<Finished> {
    let (mut output, output_end) = Output::open()?;
    let (mut error, error_end) = Output::open()?;
    let null = OwnedFd::from(std::fs::File::open("/dev/null")?);
    let spawn = Spawn {
        id: processes.name(),
        program: tool.program,
        args: tool.args,
        env: None,
        cwd: tool.cwd.to_owned(),
        role: Role::Tool,
        confinement: tool.confinement,
    };
    let mut process = processes.spawn(spawn, [null, output_end, error_end]).await?;
    let mut lines = Vec::new();
    let mut take = |line: String| {
        progress(&line);
        if lines.len() == LINES_MAX {
            lines.remove(0);
        }
        lines.push(line);
    };
    let work = async {
        loop {
            tokio::select! {
                exit = &mut process.exited => {
                    output.drain(&mut take);
                    error.drain(&mut take);
                    return exit;
                }
                () = output.readable() => output.drain(&mut take),
                () = error.readable() => error.drain(&mut take),
            }
        }
    };
    let exit = tokio::time::timeout(tool.deadline, work)
        .await
        .map_err(|_| io::Error::other(format!("not done after {:?}", tool.deadline)))?
        .map_err(|_| io::Error::other("the supervisor process is gone"))?;
    Ok(Finished { success: exit == Exit::Code(0), lines })
}
