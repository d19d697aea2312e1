//! The process of an execution environment: how it starts, what it writes, how it ends.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::code::{Prepared, Reach};
use crate::memory::Memory;
use crate::output::{Allowance, Output, Verdict};
use crate::platform_log::Journal;
use crate::pool::Pool;
use crate::process_env::{self, Place};
use crate::sandbox::{Group, HELPERS};
use crate::supervisor::{Exit, Fork, Owner, Process, Role, Spawn};
use crate::template::Template;

/// How long the end of a killed tree is waited for.
const KILL_MAX: Duration = Duration::from_secs(5);

/// A function's process with what belongs to it alone.
#[derive(Debug)]
pub(crate) struct FunctionProcess {
    process: Process,
    exit: Option<Exit>,
    outputs: [Output; 2],
    allowance: Allowance,
    /// Its memory.
    pub(crate) memory: Memory,
    /// Processes of ours around the function's.
    helpers: usize,
    tmp: TempDir,
    group: Option<Group>,
}

/// Our end of a process's way to the Runtime API.
#[derive(Debug)]
pub(crate) enum Door {
    /// The other end is the process's.
    Socket(tokio::net::UnixStream),
    /// Whoever comes has to be the process, or one of its tree.
    Listener(TcpListener, Owner),
}

/// What a process does by itself.
#[derive(Debug)]
pub(crate) enum Happening {
    /// It wrote something.
    Output,
    /// It ended, and its whole tree with it.
    Exit,
}

impl FunctionProcess {
    /// Starts it, from the function's template where there is one; gives our end of its way to the
    /// Runtime API as well.
    pub(crate) async fn start(
        pool: &Pool,
        prepared: &Arc<Prepared>,
        generation: u64,
    ) -> io::Result<(Self, Door)> {
        if let Some(template) = pool.template(prepared).await {
            match Self::open(pool, prepared, Some(&template), generation).await {
                Err(error) => template.give_up(pool, &error),
                started => return started,
            }
        }
        Self::open(pool, prepared, None, generation).await
    }

    async fn open(
        pool: &Pool,
        prepared: &Prepared,
        template: Option<&Template>,
        generation: u64,
    ) -> io::Result<(Self, Door)> {
        let processes = pool.processes();
        let id = processes.name();
        let tmp = pool.folders().take(generation, pool.work_dir()).await?;
        let (output, output_end) = Output::open()?;
        let (error, error_end) = Output::open()?;
        let strict = pool.strict().await?;
        let log_stream = log_stream(pool.epoch_millis(), &pool.function().version);
        let place = Place {
            id,
            log_stream: &log_stream,
            task_root: &prepared.task_root,
            runtime: &prepared.env,
            tmp: strict.map_or_else(|| tmp.path(), |strict| strict.tmp(tmp.path())),
        };
        let mut env = process_env::variables(pool.function(), pool.variables(), &place);
        let (way, input, role) = Way::open(prepared.reach, &mut env).await?;
        let fds = [input, output_end, error_end];
        let mut group = None;
        let process = if let Some(template) = template {
            let fork = Fork { id, template: template.id, env: template.changes(env) };
            processes.fork(fork, fds).await?
        } else {
            let (confinement, joined) = match strict {
                Some(strict) => {
                    let who = (id, pool.function().memory_mb);
                    let made =
                        strict.confinement(who, prepared, pool.variables(), tmp.path()).await?;
                    (Some(made.0), made.1)
                }
                None => (None, None),
            };
            group = joined;
            let spawn = Spawn {
                id,
                program: prepared.program.clone(),
                args: prepared.args.clone(),
                env: Some(env),
                cwd: prepared.task_root.clone(),
                role,
                confinement,
            };
            processes.spawn(spawn, fds).await?
        };
        let memory = Memory::new(process.pid);
        let outputs = [output, error];
        let allowance = Allowance::new(Instant::now());
        let door = match way {
            Way::Socket(stream) => Door::Socket(stream),
            Way::Listener(listener) => Door::Listener(listener, process.owner()),
        };
        let helpers = if strict.is_some() { HELPERS } else { 0 };
        Ok((Self { process, exit: None, outputs, allowance, memory, helpers, tmp, group }, door))
    }

    /// The next thing it does by itself.
    ///
    /// # Cancel safety
    /// Cancel safe: output stays in its pipe, and an exit is remembered before this resolves.
    pub(crate) async fn happens(&mut self) -> Happening {
        let [output, error] = &self.outputs;
        tokio::select! {
            exit = &mut self.process.exited, if self.exit.is_none() => {
                // Without a supervisor everything was killed.
                self.exit = Some(exit.unwrap_or(Exit::Signal(9)));
                Happening::Exit
            }
            () = output.readable() => Happening::Output,
            () = error.readable() => Happening::Output,
        }
    }

    /// How many processes of ours there are among those that are counted.
    pub(crate) fn helpers(&self) -> usize {
        self.helpers
    }

    /// How it ended, if it has.
    pub(crate) fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// Logs what it wrote so far.
    pub(crate) fn log_output(&mut self, journal: &Journal, request_id: Option<&Arc<str>>) {
        self.take_output(journal, request_id, false);
    }

    /// Kills it with its tree; its exit follows.
    pub(crate) fn kill(&self) {
        self.process.kill();
    }

    /// Kills it with its tree, and waits until it is gone.
    pub(crate) async fn stop(&mut self) {
        if self.exit.is_some() {
            return;
        }
        self.process.kill();
        match tokio::time::timeout(KILL_MAX, &mut self.process.exited).await {
            Ok(exit) => self.exit = Some(exit.unwrap_or(Exit::Signal(9))),
            Err(_) => {
                tracing::warn!(pid = self.process.pid, "a killed function process is still there");
            }
        }
    }

    /// Logs the last words of one that is stopped; gives its folder, unless it is still there.
    pub(crate) fn end(mut self, journal: &Journal) -> Option<TempDir> {
        self.take_output(journal, None, true);
        let untold = self.allowance.untold();
        if untold > 0 {
            journal.notice(format!("{untold} lines dropped: too much output"));
        }
        let (tmp, group) = (self.tmp, self.group);
        let (kept, over) = if self.exit.is_some() { (Some(tmp), None) } else { (None, Some(tmp)) };
        discard((over, group));
        kept
    }

    /// Logs what was written; `over` also takes what has no line end yet.
    fn take_output(&mut self, journal: &Journal, request_id: Option<&Arc<str>>, over: bool) {
        let allowance = &mut self.allowance;
        let mut take = |line: String| match allowance.judge(line.len(), Instant::now()) {
            Verdict::Pass => journal.output(request_id, line),
            Verdict::PassAfter(dropped) => {
                journal.notice(format!("{dropped} lines dropped: too much output"));
                journal.output(request_id, line);
            }
            Verdict::Drop => {}
        };
        for output in &mut self.outputs {
            output.drain(&mut take);
            if over {
                output.finish(&mut take);
            }
        }
    }
}

/// Deleting files is disk work; its result is of no use to anyone.
pub(crate) fn discard(belongings: impl Send + 'static) {
    drop(tokio::task::spawn_blocking(move || drop(belongings)));
}

/// A door before there is a process behind it.
enum Way {
    Socket(tokio::net::UnixStream),
    Listener(TcpListener),
}

impl Way {
    /// Gives our end, and the process's first descriptor and role.
    async fn open(
        reach: Reach,
        env: &mut BTreeMap<String, String>,
    ) -> io::Result<(Self, OwnedFd, Role)> {
        match reach {
            Reach::Inherited => {
                let (ours, theirs) = UnixStream::pair()?;
                ours.set_nonblocking(true)?;
                let stream = tokio::net::UnixStream::from_std(ours)?;
                Ok((Self::Socket(stream), OwnedFd::from(theirs), Role::Environment))
            }
            Reach::Address => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                let address = listener.local_addr()?.to_string();
                env.insert("AWS_LAMBDA_RUNTIME_API".to_owned(), address);
                let null = OwnedFd::from(std::fs::File::open("/dev/null")?);
                Ok((Self::Listener(listener), null, Role::Guest))
            }
        }
    }
}

/// `YYYY/MM/DD/[$LATEST]`, or the number of the version, and 32 hexadecimal digits.
fn log_stream(epoch_millis: u64, version: &str) -> String {
    let day = i64::try_from(epoch_millis)
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
        .map(|time| time.strftime("%Y/%m/%d").to_string())
        .unwrap_or_default();
    format!("{day}/[{version}]{}", uuid::Uuid::new_v4().simple())
}
