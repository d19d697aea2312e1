//! `stillwire supervise`: starts processes for the daemon, reaps them, and dies with it.
//!
//! Single threaded on purpose: the parent-death signal of its children is tied to the thread that started them.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};
use tokio::signal::unix::{SignalKind, signal};

use super::descriptors;
use super::protocol::{Channel, Exit, Report, Request, Role, Spawn, TemplateReport, pair};
use super::templates::Templates;
use super::trampoline::{FREE, MODE_GUEST, MODE_RUNTIME, MODE_TEMPLATE, MODE_TOOL};
use super::tree::{self, Tree};

/// How often a tree is looked at again while it dies.
const SWEEPS_MAX: u32 = 50;
/// The pause between two looks.
const SWEEP_PAUSE: Duration = Duration::from_millis(5);

/// The body of the hidden subcommand `supervise`: serves the socket at standard input until its end.
pub fn run() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = descriptors::keep().and(runtime);
    match runtime.and_then(|runtime| runtime.block_on(serve())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the supervisor failed");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let channel = Channel::new(take_stdin()?)?;
    // Handlers that do nothing: its life is tied to the socket, not to the terminal. Unlike an ignored signal,
    // a handled one is back to its default in the functions.
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut child = signal(SignalKind::child())?;
    let mut supervisor = Supervised {
        channel,
        running: HashMap::new(),
        templates: Templates::new(),
        early: HashMap::new(),
    };
    loop {
        tokio::select! {
            message = supervisor.channel.receive() => match message {
                Ok(Some((request, fds))) => supervisor.handle(request, fds).await,
                Ok(None) => break,
                Err(error) => tracing::warn!(%error, "a request could not be read"),
            },
            (template, report) = supervisor.templates.report() => {
                supervisor.hear(template, report).await;
            }
            _ = child.recv() => supervisor.reap().await,
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    supervisor.end().await;
    Ok(())
}

/// Moves the daemon's socket away from descriptor 0, where every child would find it.
fn take_stdin() -> io::Result<OwnedFd> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    Ok(socket)
}

/// The first process of a tree.
#[derive(Debug, Clone, Copy)]
struct Root {
    /// The daemon's name for it.
    id: u64,
    /// When it started, in ticks.
    started: u64,
}

struct Supervised {
    channel: Channel,
    /// The first process of each tree, by its pid.
    running: HashMap<i32, Root>,
    templates: Templates,
    /// Ends of processes that are not known: those of environments whose template has not told of them yet.
    early: HashMap<i32, Exit>,
}

impl Supervised {
    async fn handle(&mut self, request: Request, fds: Vec<OwnedFd>) {
        match request {
            Request::Spawn(spawn) => {
                let id = spawn.id;
                match start(spawn, fds) {
                    Ok((pid, template)) => {
                        if let Some(socket) = template {
                            self.templates.add(id, socket);
                        }
                        self.register(pid, id);
                        self.report(Report::Spawned { id, pid }).await;
                    }
                    Err(error) => {
                        self.report(Report::Failed { id, reason: error.to_string() }).await;
                    }
                }
            }
            Request::Fork(fork) => {
                let id = fork.id;
                if let Err(error) = self.templates.fork(&fork, &fds).await {
                    self.report(Report::Failed { id, reason: error.to_string() }).await;
                }
            }
            Request::Kill(id) => {
                let root = self.running.iter().find(|(_, known)| known.id == id);
                if let Some(root) = root.map(|(pid, _)| *pid) {
                    kill_all(&Tree::read().members(me(), root, id));
                } else {
                    self.templates.forget(id);
                }
                // The rest of the tree goes when the first process is reaped.
            }
        }
    }

    /// Takes what a template says; `None` is its end.
    async fn hear(&mut self, template: u64, report: Option<TemplateReport>) {
        match report {
            Some(TemplateReport::Ready { problem }) => {
                self.report(Report::Ready { id: template, problem }).await;
            }
            Some(TemplateReport::Forked { id, pid }) => {
                self.templates.forked(template, id);
                let root = pid.cast_signed();
                self.register(pid, id);
                self.report(Report::Spawned { id, pid }).await;
                if let Some(exit) = self.early.remove(&root) {
                    self.ended(root, exit).await;
                }
            }
            Some(TemplateReport::Failed { id, reason }) => {
                self.templates.forked(template, id);
                self.report(Report::Failed { id, reason }).await;
            }
            None => {
                for id in self.templates.remove(template) {
                    let reason = "its template has ended".to_owned();
                    self.report(Report::Failed { id, reason }).await;
                }
            }
        }
        if !self.templates.are_forking() {
            self.early.clear();
        }
    }

    /// Collects what has ended: first processes, and orphans that came to us.
    async fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            let exit = match (status.exit_status(), status.terminating_signal()) {
                (_, Some(signal)) => Exit::Signal(signal),
                (code, None) => Exit::Code(code.unwrap_or_default()),
            };
            self.ended(pid, exit).await;
        }
    }

    async fn ended(&mut self, pid: i32, exit: Exit) {
        let Some(Root { id, started }) = self.running.remove(&pid) else {
            if self.templates.are_forking() {
                self.early.insert(pid, exit);
            }
            return;
        };
        let known = |pid: i32| self.running.contains_key(&pid);
        sweep(|tree| {
            let mut all = tree.members(me(), pid, id);
            all.extend(tree.strays(me(), started, known));
            all
        })
        .await;
        self.report(Report::Exited { id, exit }).await;
    }

    fn register(&mut self, pid: u32, id: u64) {
        self.running.insert(pid.cast_signed(), Root { id, started: tree::started(pid) });
    }

    async fn report(&self, report: Report) {
        if let Err(error) = self.channel.send(&report, &[]).await {
            // The daemon is gone; the end of file on the same socket says what to do.
            tracing::debug!(%error, "a report was not delivered");
        }
    }

    /// Kills everything.
    async fn end(self) {
        sweep(|tree| tree.descendants(me())).await;
    }
}

/// Kills what `find` finds until it finds nothing: a tree may grow while it is cut.
async fn sweep(find: impl Fn(&Tree) -> Vec<i32>) {
    for _ in 0..SWEEPS_MAX {
        let members = find(&Tree::read());
        if members.is_empty() {
            return;
        }
        kill_all(&members);
        tokio::time::sleep(SWEEP_PAUSE).await;
    }
}

fn kill_all(pids: &[i32]) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        if let Err(error) = rustix::process::kill_process(pid, Signal::KILL) {
            tracing::debug!(%error, "already gone");
        }
    }
}

fn me() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Gives the process id, and our end of a template's socket.
fn start(spawn: Spawn, fds: Vec<OwnedFd>) -> io::Result<(u32, Option<OwnedFd>)> {
    let [input, output, error]: [OwnedFd; 3] =
        fds.try_into().map_err(|_| io::Error::other("a spawn request without its descriptors"))?;
    let (mode, input, ours) = match spawn.role {
        Role::Tool => (MODE_TOOL, input, None),
        Role::Environment => (MODE_RUNTIME, input, None),
        Role::Guest => (MODE_GUEST, input, None),
        Role::Template => {
            let (ours, theirs) = pair()?;
            rustix::io::ioctl_fionbio(&theirs, false)?;
            (MODE_TEMPLATE, theirs, Some(ours))
        }
    };
    let confinement = match &spawn.confinement {
        Some(confinement) => serde_json::to_string(confinement)?,
        None => FREE.to_owned(),
    };
    // Not `current_exe`: the file may have been replaced by a newer build, this link still works.
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("enter")
        .arg(me().to_string())
        .arg(mode)
        .arg(confinement)
        .arg(&spawn.program)
        .args(&spawn.args)
        .current_dir(&spawn.cwd)
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        .stderr(Stdio::from(error))
        .process_group(0);
    if let Some(env) = spawn.env {
        command.env_clear().envs(env);
    }
    Ok((command.spawn()?.id(), ours))
}
