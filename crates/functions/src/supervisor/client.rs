//! The daemon's side: asks the supervisor for processes and hears of their ends.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stillwire_drain::Drain;
use tokio::sync::{mpsc, oneshot, watch};

use super::protocol::{self, Channel, Exit, Fork, Report, Request, Spawn};
use super::tree::Tree;

/// How long the supervisor may take for its answer to a spawn request.
const SPAWN_DEADLINE: Duration = Duration::from_secs(10);
/// Requests that may wait for the supervisor.
const REQUESTS_MAX: usize = 256;

/// A running supervisor process, not yet in use.
#[derive(Debug)]
pub struct Supervisor {
    process: Child,
    socket: OwnedFd,
}

impl Supervisor {
    /// Starts `program args…` (in the end [`run`](super::run)) with one end of a socket as its standard input.
    ///
    /// To be called early, while the daemon is small. The supervisor ends when this value, or the
    /// [`Functions`](crate::Functions) made from it, is gone.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn launch(program: &Path, args: &[&str]) -> io::Result<Self> {
        let (ours, theirs) = protocol::pair()?;
        let process = Command::new(program)
            .args(args)
            .stdin(Stdio::from(theirs))
            // Away from the terminal's foreground group, whose ^C is not for it.
            .process_group(0)
            .spawn()?;
        Ok(Self { process, socket: ours })
    }

    /// The id of the supervisor process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn attach(self, drain: &Drain) -> io::Result<Processes> {
        let channel = Arc::new(Channel::new(self.socket)?);
        let (requests, queue) = mpsc::channel(REQUESTS_MAX);
        let processes = Processes(Arc::new(Shared {
            supervisor: self.process.id(),
            requests,
            next: AtomicU64::new(1),
            finish: watch::Sender::new(false),
            watched: Mutex::new(Some(HashMap::new())),
        }));
        let watched = Arc::downgrade(&processes.0);
        let finish = processes.0.finish.subscribe();
        drain.spawn("supervisor", converse(channel, queue, watched, finish, self.process));
        Ok(processes)
    }
}

type Asked = (Request, Vec<OwnedFd>);

/// Starts and ends processes. Clones share the supervisor.
#[derive(Debug, Clone)]
pub(crate) struct Processes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The supervisor's process id.
    supervisor: u32,
    requests: mpsc::Sender<Asked>,
    next: AtomicU64,
    finish: watch::Sender<bool>,
    /// `None` once the supervisor is gone.
    watched: Mutex<Option<HashMap<u64, Watched>>>,
}

#[derive(Debug)]
struct Watched {
    spawned: Option<oneshot::Sender<Result<u32, String>>>,
    /// For a template: what keeps it from forking, once it knows.
    ready: Option<oneshot::Sender<Option<String>>>,
    exited: Option<oneshot::Sender<Exit>>,
}

/// A process that was started. Dropping it kills the whole tree.
#[derive(Debug)]
pub(crate) struct Process {
    id: u64,
    /// Its process id.
    pub(crate) pid: u32,
    /// Resolves when the tree has ended; an error is a supervisor that is gone, and everything with it.
    pub(crate) exited: oneshot::Receiver<Exit>,
    shared: Arc<Shared>,
}

/// Who may use what belongs to one environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    supervisor: u32,
    pid: u32,
    id: u64,
}

impl Owner {
    /// The first process, then all others of its tree. Reads all of `/proc`: not for the reactor.
    pub(crate) fn pids(self) -> impl Iterator<Item = i32> {
        let root = self.pid.cast_signed();
        // The first is mostly the one that is looked for.
        let rest = std::iter::once_with(move || {
            Tree::read().members(self.supervisor.cast_signed(), root, self.id)
        });
        std::iter::once(root).chain(rest.flatten().filter(move |pid| *pid != root))
    }
}

impl Process {
    /// Who it is.
    pub(crate) fn owner(&self) -> Owner {
        Owner { supervisor: self.shared.supervisor, pid: self.pid, id: self.id }
    }

    /// Kills the process and all that descends from it; `exited` tells when that is done.
    pub(crate) fn kill(&self) {
        self.shared.kill(self.id);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exited.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
            self.kill();
        }
    }
}

impl Processes {
    /// A new name for a process.
    pub(crate) fn name(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The supervisor's process id.
    pub(crate) fn supervisor(&self) -> u32 {
        self.0.supervisor
    }

    /// Ends the supervisor, and with it every process.
    pub(crate) fn finish(&self) {
        self.0.finish.send_replace(true);
    }

    /// Starts a process with these three descriptors: standard input or runtime socket, output, error.
    pub(crate) async fn spawn(&self, spawn: Spawn, fds: [OwnedFd; 3]) -> io::Result<Process> {
        self.begin(spawn.id, Request::Spawn(spawn), fds, None).await
    }

    /// Starts a template; the second value resolves with what keeps it from forking, if anything does.
    pub(crate) async fn spawn_template(
        &self,
        spawn: Spawn,
        fds: [OwnedFd; 3],
    ) -> io::Result<(Process, oneshot::Receiver<Option<String>>)> {
        let (ready, problem) = oneshot::channel();
        let process = self.begin(spawn.id, Request::Spawn(spawn), fds, Some(ready)).await?;
        Ok((process, problem))
    }

    /// Starts an environment from a template that is ready.
    pub(crate) async fn fork(&self, fork: Fork, fds: [OwnedFd; 3]) -> io::Result<Process> {
        self.begin(fork.id, Request::Fork(fork), fds, None).await
    }

    async fn begin(
        &self,
        id: u64,
        request: Request,
        fds: [OwnedFd; 3],
        ready: Option<oneshot::Sender<Option<String>>>,
    ) -> io::Result<Process> {
        let (spawned, answer) = oneshot::channel();
        let (exited, exit) = oneshot::channel();
        let gone = || io::Error::other("the supervisor process is gone; restart stillwire");
        self.0
            .lock()
            .as_mut()
            .ok_or_else(gone)?
            .insert(id, Watched { spawned: Some(spawned), ready, exited: Some(exited) });
        let asked = async {
            self.0.requests.send((request, fds.into())).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())
        };
        let Ok(answered) = tokio::time::timeout(SPAWN_DEADLINE, asked).await else {
            self.0.kill(id); // what may still come is nobody's
            return Err(io::Error::other("the supervisor does not answer"));
        };
        let pid = answered?.map_err(io::Error::other)?;
        Ok(Process { id, pid, exited: exit, shared: Arc::clone(&self.0) })
    }
}

impl Shared {
    /// The map is only touched in single steps: a panic cannot leave it half-changed.
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, Watched>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill(&self, id: u64) {
        // A full queue is a supervisor that hangs; its socket's end kills everything.
        if self.requests.try_send((Request::Kill(id), Vec::new())).is_err() {
            tracing::warn!(id, "the supervisor takes no requests");
        }
    }

    fn take(&self, report: Report) {
        let mut watched = self.lock();
        let Some(watched) = watched.as_mut() else { return };
        let (id, answer) = match report {
            Report::Spawned { id, pid } => (id, Ok(pid)),
            Report::Failed { id, reason } => (id, Err(reason)),
            Report::Ready { id, problem } => {
                let waiting = watched.get_mut(&id).and_then(|process| process.ready.take());
                if waiting.is_some_and(|waiting| waiting.send(problem).is_err()) {
                    tracing::debug!(id, "a template was ready after its deadline");
                }
                return;
            }
            Report::Exited { id, exit } => {
                let waiting = watched.remove(&id).and_then(|process| process.exited);
                // A receiver that is gone is a process nobody waits for any more.
                if let Some(waiting) = waiting
                    && waiting.send(exit).is_err()
                {
                    tracing::trace!(id, "nobody waited for this process");
                }
                return;
            }
        };
        let failed = answer.is_err();
        let waiting = watched.get_mut(&id).and_then(|process| process.spawned.take());
        let is_wanted = waiting.is_some_and(|waiting| waiting.send(answer).is_ok());
        if failed {
            watched.remove(&id);
        } else if !is_wanted {
            tracing::warn!(id, "a process started after its deadline, and is ended");
            self.kill(id);
        }
    }
}

/// Owns the socket: sends requests, takes reports, until nobody holds a [`Processes`] or the supervisor is gone.
async fn converse(
    channel: Arc<Channel>,
    mut queue: mpsc::Receiver<Asked>,
    shared: std::sync::Weak<Shared>,
    mut finish: watch::Receiver<bool>,
    mut process: Child,
) {
    loop {
        tokio::select! {
            asked = queue.recv() => match asked {
                Some((request, fds)) => {
                    let Some(sent) = send(&channel, &request, &fds, &shared).await else { break };
                    if let Err(error) = sent {
                        refuse(&shared, &request, &error);
                    }
                }
                None => break,
            },
            () = told(&mut finish) => break,
            goes_on = hear(&channel, &shared) => if !goes_on {
                break;
            },
        }
    }
    // Dropping the watched processes tells everyone who waits that the supervisor is gone.
    if let Some(shared) = shared.upgrade() {
        shared.lock().take();
    }
    drop(channel);
    reap(&mut process).await;
}

/// Sends a request, and takes reports meanwhile: a supervisor that waits for room for its own takes none of ours. `None` is
/// its end.
async fn send(
    channel: &Channel,
    request: &Request,
    fds: &[OwnedFd],
    shared: &std::sync::Weak<Shared>,
) -> Option<io::Result<()>> {
    let sending = channel.send(request, fds);
    tokio::pin!(sending);
    loop {
        tokio::select! {
            sent = &mut sending => return Some(sent),
            goes_on = hear(channel, shared) => if !goes_on {
                return None;
            },
        }
    }
}

/// Takes one report; says whether there may be more.
///
/// # Cancel safety
/// Cancel safe: a report is taken whole or stays in the socket.
async fn hear(channel: &Channel, shared: &std::sync::Weak<Shared>) -> bool {
    match channel.receive::<Report>().await {
        Ok(Some((report, _))) => {
            if let Some(shared) = shared.upgrade() {
                shared.take(report);
            }
        }
        Ok(None) => return false,
        Err(error) => tracing::warn!(%error, "a report of the supervisor could not be read"),
    }
    true
}

async fn told(finish: &mut watch::Receiver<bool>) {
    if finish.wait_for(|finish| *finish).await.is_err() {
        tracing::trace!("nobody holds the supervisor any more");
    }
}

fn refuse(shared: &std::sync::Weak<Shared>, request: &Request, error: &io::Error) {
    let id = match request {
        Request::Spawn(spawn) => spawn.id,
        Request::Fork(fork) => fork.id,
        Request::Kill(_) => return,
    };
    if let Some(shared) = shared.upgrade() {
        shared.take(Report::Failed { id, reason: error.to_string() });
    }
}

/// Waits for the supervisor's end, which follows the end of its socket, so that it leaves no zombie.
async fn reap(process: &mut Child) {
    for _ in 0..200 {
        match process.try_wait() {
            Ok(None) => tokio::time::sleep(Duration::from_millis(10)).await,
            Ok(Some(_)) | Err(_) => return,
        }
    }
    tracing::warn!(pid = process.id(), "the supervisor is late");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both waited for the other to read.
    #[tokio::test]
    async fn reports_are_taken_while_the_supervisor_takes_no_requests() {
        let (ours, theirs) = protocol::pair().unwrap();
        let channel = Arc::new(Channel::new(ours).unwrap());
        let theirs = Channel::new(theirs).unwrap();
        let (requests, queue) = mpsc::channel(REQUESTS_MAX);
        let (ready, heard) = oneshot::channel();
        let watched = Watched { spawned: None, ready: Some(ready), exited: None };
        let shared = Arc::new(Shared {
            requests: requests.clone(),
            supervisor: 1,
            next: AtomicU64::new(8),
            finish: watch::Sender::new(false),
            watched: Mutex::new(Some(HashMap::from([(7, watched)]))),
        });
        let idle = Command::new("true").spawn().unwrap();
        let finish = shared.finish.subscribe();
        let conversation = converse(channel, queue, Arc::downgrade(&shared), finish, idle);
        let talk = async {
            // More than the socket takes, so that the last of them waits for room.
            for _ in 0..REQUESTS_MAX {
                let env = [("X".to_owned(), "x".repeat(100_000))].into();
                let fork = Fork { id: 1, template: 1, env };
                requests.send((Request::Fork(fork), Vec::new())).await.unwrap();
            }
            theirs.send(&Report::Ready { id: 7, problem: None }, &[]).await.unwrap();
            assert_eq!(heard.await.unwrap(), None);
        };
        let both = async {
            tokio::select! {
                () = conversation => panic!("the conversation is over"),
                () = talk => {}
            }
        };
        tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
    }

    /// It went on without an owner.
    #[test]
    fn a_process_that_starts_when_nobody_waits_any_more_is_killed() {
        let (requests, mut queue) = mpsc::channel(1);
        let (spawned, waiting) = oneshot::channel();
        drop(waiting);
        let watched = Watched { spawned: Some(spawned), ready: None, exited: None };
        let shared = Shared {
            requests,
            supervisor: 1,
            next: AtomicU64::new(8),
            finish: watch::Sender::new(false),
            watched: Mutex::new(Some(HashMap::from([(7, watched)]))),
        };
        shared.take(Report::Spawned { id: 7, pid: 1 });
        let (asked, _) = queue.try_recv().unwrap();
        assert!(matches!(asked, Request::Kill(7)), "{asked:?}");
    }
}
