//! The handle of the house: deploys functions, invokes them, stops them.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use stillwire_drain::Drain;
use stillwire_model::{
    BoxFuture, Clock, FunctionArn, FunctionLogs, FunctionRelease, Invocation, Invoke, InvokeError,
    Invoked,
};

use crate::group::Group;
use crate::pool::{Concurrency, Pool};
use crate::sandbox::{Isolation, NoSandbox, Sandbox};
use crate::shared::Shared;
use crate::supervisor::Supervisor;
use crate::watch::Watcher;

/// How often idle environments are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How long killed environments are waited for at the end.
const KILL_MAX: Duration = Duration::from_secs(2);

/// What the functions run with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where installed packages are kept from one run to the next.
    pub cache_dir: PathBuf,
    /// Where this run may write; it exists, and belongs to this process alone.
    pub work_dir: PathBuf,
    /// Where interpreters are looked for, in this order; see [`usual_places`](crate::usual_places).
    pub places: Vec<PathBuf>,
    /// How many environments may be in their init phase at once.
    pub cores: usize,
    /// How many environments there may be.
    pub environments_max: usize,
    /// How long an environment may be idle; the last one of a function may longer.
    pub idle_timeout: Duration,
    /// Functions that wait for a debugger, each at its port of this machine.
    pub debug: BTreeMap<FunctionArn, u16>,
    /// Whether environments are forked from templates, where that is sound.
    pub templates: bool,
    /// Names that functions find at an address of ours (the host of an API).
    pub hosts: Vec<(String, SocketAddr)>,
    /// Where functions find every other name of AWS, so that no request leaves the machine by accident.
    pub aws: SocketAddr,
    /// How far environments are kept from everything else. In a strict sandbox each is started on its own: one that was
    /// forked would share its template's name spaces.
    pub sandbox: Sandbox,
    /// What functions in a strict sandbox may read besides what they are known to need.
    pub readable: Vec<PathBuf>,
    /// Folders that functions in a strict sandbox never see, even within what they may read.
    pub hidden: Vec<PathBuf>,
    /// Processes, and with the kernel's own count threads, that an environment may have.
    pub processes_max: usize,
    /// Whether functions are replaced when their files change.
    pub reload: bool,
}

/// Why functions cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder or the supervisor is not usable.
    #[error("functions cannot be run")]
    Io(#[from] io::Error),
    /// Files cannot be watched.
    #[error("files cannot be watched for changes")]
    Watch(#[from] notify::Error),
}

/// Something about a function that its author should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which function.
    pub function: FunctionArn,
    /// What, and what to do.
    pub text: String,
}

/// Runs functions. A cheap handle: clones share everything, and the last one to go ends every process.
#[derive(Debug, Clone)]
pub struct Functions(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    watcher: Option<Arc<Watcher>>,
}

impl Functions {
    /// Takes over the supervisor. Needs a runtime around it; starts no function.
    ///
    /// # Errors
    /// When a folder cannot be written, or files cannot be watched.
    pub fn start(
        config: Config,
        supervisor: Supervisor,
        logs: Arc<dyn FunctionLogs>,
        clock: Arc<dyn Clock>,
        drain: Drain,
    ) -> Result<Self, StartError> {
        std::fs::create_dir_all(&config.cache_dir)?;
        std::fs::create_dir_all(&config.work_dir)?;
        let processes = supervisor.attach(&drain)?;
        let reload = config.reload;
        let shared = Arc::new(Shared::new(config, processes, logs, clock, drain)?);
        let watcher = if reload { Some(Watcher::start(&shared)?) } else { None };
        shared.drain.spawn("idle sweep", sweep(Arc::downgrade(&shared), shared.drain.clone()));
        Ok(Self(Arc::new(Owner { shared, watcher })))
    }

    /// Finds out what the strict sandbox consists of here; `None` where it is not asked for. Without this it is found out
    /// when the first function starts, and none starts where there is none.
    ///
    /// # Errors
    /// When functions could read whatever this user can.
    pub async fn isolation(&self) -> Result<Option<Isolation>, NoSandbox> {
        let strict = self.0.shared.strict().await?;
        Ok(strict.map(|strict| strict.isolation().clone()))
    }

    /// Makes these the functions, each with the variables it gets besides its own.
    ///
    /// Functions that did not change keep their environments; invocations of the others that are under way end
    /// on the old code. Returns at once: interpreters, packages and first environments follow in the background.
    pub fn deploy(&self, releases: Vec<(FunctionRelease, BTreeMap<String, String>)>) {
        let shared = &self.0.shared;
        let mut fresh = Vec::new();
        let mut old = Vec::new();
        {
            let mut groups = shared.groups.write().unwrap_or_else(PoisonError::into_inner);
            let mut next = HashMap::new();
            for (release, variables) in releases {
                let before = groups.remove(&release.latest.arn);
                let reserved = release.latest.reserved_concurrency;
                let concurrency = before.as_ref().map(|group| Arc::clone(&group.concurrency));
                let concurrency =
                    concurrency.unwrap_or_else(|| Arc::new(Concurrency::new(reserved)));
                concurrency.set(reserved);
                let mut pools: Vec<Arc<Pool>> =
                    before.iter().flat_map(Group::pools).cloned().collect();
                let group = Group::new(&release, Arc::clone(&concurrency), |function| {
                    let same = |pool: &Arc<Pool>| {
                        pool.function().runs_as(function) && *pool.variables() == variables
                    };
                    if let Some(kept) = pools.iter().position(same) {
                        return pools.swap_remove(kept);
                    }
                    let (function, variables) = (Arc::clone(function), variables.clone());
                    let concurrency = Arc::clone(&concurrency);
                    let pool =
                        Arc::new(Pool::new(Arc::clone(shared), function, variables, concurrency));
                    fresh.push(Arc::clone(&pool));
                    pool
                });
                old.extend(pools);
                next.insert(release.latest.arn.clone(), group);
            }
            let gone = std::mem::replace(&mut *groups, next);
            old.extend(gone.values().flat_map(Group::pools).cloned());
        }
        for pool in old {
            pool.close();
        }
        // What may run at once may be more now.
        for pool in shared.all_pools() {
            pool.pump();
        }
        for pool in fresh {
            let (shared, watcher) = (Arc::clone(shared), self.0.watcher.clone());
            shared.clone().drain.spawn("prepare a function", async move {
                if let Some(watcher) = watcher {
                    watcher.watch(&pool).await;
                }
                let (preparation, problems) = shared.prepare(&pool).await;
                for problem in &problems {
                    pool.journal().notice(problem.clone());
                }
                pool.set_preparation(preparation, problems);
            });
        }
    }

    /// Takes these names and their addresses in place of those before (`Config::hosts`). Functions that are prepared from now
    /// on find them: call it before [`deploy`](Self::deploy).
    pub fn set_hosts(&self, hosts: &[(String, SocketAddr)]) {
        self.0.shared.names.set_hosts(hosts);
    }

    /// Resolves when every function can be started or is known not to; gives what its author should know.
    ///
    /// # Cancel safety
    /// Cancel safe: it only observes.
    pub async fn prepare(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for pool in self.0.shared.all_pools() {
            let texts = pool.problems().await;
            let function = &pool.function().arn;
            problems
                .extend(texts.into_iter().map(|text| Problem { function: function.clone(), text }));
        }
        problems
    }

    /// How many environments each function has, of any state.
    pub fn environments(&self) -> BTreeMap<FunctionArn, usize> {
        let mut environments = BTreeMap::new();
        for pool in self.0.shared.all_pools() {
            *environments.entry(pool.function().arn.clone()).or_default() += pool.live();
        }
        environments
    }

    /// Takes no more invocations, waits for those under way at most `grace`, then ends every process.
    pub async fn stop(&self, grace: Duration) {
        let shared = &self.0.shared;
        let pools: Vec<Arc<Pool>> = {
            let mut groups = shared.groups.write().unwrap_or_else(PoisonError::into_inner);
            let groups = std::mem::take(&mut *groups);
            groups.values().flat_map(Group::pools).cloned().collect()
        };
        for pool in &pools {
            pool.close();
        }
        if tokio::time::timeout(grace, all_ended(shared)).await.is_err() {
            tracing::debug!("invocations are still under way after the grace period");
        }
        shared.kill.send_replace(true);
        for pool in &pools {
            pool.pump(); // what still waits is refused
        }
        if tokio::time::timeout(KILL_MAX, all_ended(shared)).await.is_err() {
            tracing::warn!("killed environments are still there");
        }
        shared.end_sandbox().await;
        shared.processes.finish();
    }
}

/// Every environment holds a permit.
async fn all_ended(shared: &Shared) {
    let all = u32::try_from(shared.config.environments_max.max(1)).unwrap_or(u32::MAX);
    if shared.environments.acquire_many(all).await.is_err() {
        tracing::debug!("the environments are closed");
    }
}

impl Invoke for Functions {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'static, Result<Invoked, InvokeError>> {
        let function = invocation.function.clone();
        // In the queue before the future is polled: the order of the calls is the order of the starts.
        let pool = self.0.shared.pool(&function, invocation.qualifier.as_deref());
        let submitted = pool.and_then(|pool| pool.submit(invocation));
        Box::pin(async move {
            submitted?.await.unwrap_or_else(|_| {
                let reason =
                    "the invocation was lost: stillwire is stopping, or had a fault".to_owned();
                Err(InvokeError::Unavailable { function, reason })
            })
        })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // The pools hold the shared part, which holds the pools.
        self.shared.groups.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.shared.kill.send_replace(true);
        self.shared.processes.finish();
    }
}

async fn sweep(shared: Weak<Shared>, drain: Drain) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = drain.closing() => return,
        }
        let Some(shared) = shared.upgrade() else { return };
        for pool in shared.all_pools() {
            pool.sweep(shared.config.idle_timeout);
        }
    }
}
