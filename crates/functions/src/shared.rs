//! What all functions share: the supervisor, the limits of the machine, and who is deployed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use stillwire_drain::Drain;
use stillwire_model::{Clock, FunctionArn, FunctionLogs, InvokeError, Runtime};
use tokio::sync::{OnceCell, Semaphore, watch};

use crate::Config;
use crate::code;
use crate::debug;
use crate::foreign;
use crate::group::Group;
use crate::layers;
use crate::names::Names;
use crate::node::Nodes;
use crate::pool::{Pool, Preparation};
use crate::python::Pythons;
use crate::sandbox::{NoSandbox, Sandbox, Strict};
use crate::supervisor::Processes;
use crate::wrapper;

/// Everything that is there once, however many functions there are.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) processes: Processes,
    pub(crate) logs: Arc<dyn FunctionLogs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) drain: Drain,
    /// One permit per environment in its init phase.
    pub(crate) inits: Arc<Semaphore>,
    /// One permit per environment.
    pub(crate) environments: Arc<Semaphore>,
    /// Ends every environment at once.
    pub(crate) kill: watch::Sender<bool>,
    /// What bootstraps are told about names.
    pub(crate) names: Arc<Names>,
    pub(crate) pythons: Pythons,
    pub(crate) groups: RwLock<HashMap<FunctionArn, Group>>,
    pub(crate) nodes: Nodes,
    /// What the strict sandbox is here, once that was asked.
    strict: OnceCell<Result<Strict, NoSandbox>>,
    /// A function met the limit of all environments and waits for one to end.
    starving: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        processes: Processes,
        logs: Arc<dyn FunctionLogs>,
        clock: Arc<dyn Clock>,
        drain: Drain,
    ) -> std::io::Result<Self> {
        let names = Arc::new(Names::new(&config));
        Ok(Self {
            inits: Arc::new(Semaphore::new(config.cores.max(1))),
            environments: Arc::new(Semaphore::new(config.environments_max.max(1))),
            pythons: Pythons::new(&config, Arc::clone(&names))?,
            nodes: Nodes::new(&config, Arc::clone(&names))?,
            names,
            config,
            processes,
            logs,
            clock,
            drain,
            kill: watch::Sender::new(false),
            groups: RwLock::default(),
            strict: OnceCell::new(),
            starving: AtomicBool::new(false),
        })
    }

    /// Whether every environment was told to end: none starts any more.
    pub(crate) fn is_ending(&self) -> bool {
        *self.kill.borrow()
    }

    /// Ends what was made for the strict sandbox, when nothing runs any more.
    pub(crate) async fn end_sandbox(&self) {
        if let Some(Ok(strict)) = self.strict.get() {
            strict.end().await;
        }
    }

    /// The strict sandbox, where that is asked for.
    pub(crate) async fn strict(&self) -> Result<Option<&Strict>, NoSandbox> {
        if self.config.sandbox == Sandbox::Usual {
            return Ok(None);
        }
        let find = || Strict::find(&self.processes, &self.config);
        self.strict.get_or_init(find).await.as_ref().map(Some).map_err(Clone::clone)
    }

    /// The environments that an invocation goes to.
    pub(crate) fn pool(
        &self,
        function: &FunctionArn,
        qualifier: Option<&str>,
    ) -> Result<Arc<Pool>, InvokeError> {
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        let group =
            groups.get(function).ok_or_else(|| InvokeError::UnknownFunction(function.clone()))?;
        group.pool(qualifier).cloned().ok_or_else(|| InvokeError::UnknownQualifier {
            function: function.clone(),
            qualifier: qualifier.unwrap_or_default().to_owned(),
        })
    }

    pub(crate) fn all_pools(&self) -> Vec<Arc<Pool>> {
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        groups.values().flat_map(Group::pools).cloned().collect()
    }

    /// Ends an idle environment of another function, now or as soon as one is idle.
    pub(crate) fn make_room(&self, hungry: &Arc<Pool>) {
        self.starving.store(true, Ordering::Relaxed);
        let others = self.all_pools();
        others.iter().filter(|pool| !Arc::ptr_eq(pool, hungry)).any(|pool| pool.give_room());
    }

    /// Whether an environment that has nothing to do should make room.
    pub(crate) fn is_starving(&self) -> bool {
        if !self.starving.load(Ordering::Relaxed) {
            return false;
        }
        let starving = self.all_pools().iter().any(|pool| pool.is_waiting());
        self.starving.store(starving, Ordering::Relaxed);
        starving
    }

    /// There is room for an environment: whoever waited may try.
    pub(crate) fn pump_others(&self, done: &Arc<Pool>) {
        let others = self.all_pools();
        let waiting = |pool: &&Arc<Pool>| !Arc::ptr_eq(pool, done) && pool.is_waiting();
        others.iter().filter(waiting).for_each(Pool::pump);
    }

    /// Does everything that comes before the first process of a function.
    ///
    /// Gives the result, and the problems to show.
    pub(crate) async fn prepare(&self, pool: &Pool) -> (Preparation, Vec<String>) {
        match self.try_prepare(pool).await {
            Ok((prepared, problems)) => (Preparation::Ready(Arc::new(prepared)), problems),
            Err(reason) => (Preparation::Failed(reason.clone()), vec![reason]),
        }
    }

    async fn try_prepare(&self, pool: &Pool) -> Result<(code::Prepared, Vec<String>), String> {
        let function = pool.function();
        if let Some(obstacle) = function.obstacle() {
            return Err(obstacle);
        }
        let (placed, work_dir) = (Arc::clone(function), self.config.work_dir.clone());
        let place = tokio::task::spawn_blocking(move || code::place(&placed, &work_dir));
        let roots = place.await.map_err(|error| error.to_string())??;
        let (processes, journal) = (&self.processes, pool.journal());
        let variables = roots.layers.as_deref().map(layers::variables).unwrap_or_default();
        let (mut prepared, mut problems) = match &function.runtime {
            Runtime::Python(minor) => {
                let wanted = (*minor, function.snap_start);
                self.pythons.prepare(processes, wanted, &roots, journal).await?
            }
            Runtime::Node(major) => {
                let wanted = (*major, function.memory_mb);
                self.nodes.prepare(processes, wanted, &roots, journal).await?
            }
            Runtime::Provided(_) | Runtime::Other(_) => {
                let (function, places) = (Arc::clone(function), self.config.places.clone());
                let roots = roots.clone();
                let find = tokio::task::spawn_blocking(move || {
                    foreign::prepare(&function, &roots, &places)
                });
                (find.await.map_err(|error| error.to_string())??, Vec::new())
            }
        };
        prepared.env.extend(variables);
        if let Some(port) = self.config.debug.get(&function.arn) {
            let library = match &function.runtime {
                Runtime::Python(minor) => {
                    Some(self.pythons.debugger(processes, *minor, journal).await?)
                }
                _ => None,
            };
            prepared.readable.extend(library.clone());
            let attached =
                debug::attach(&mut prepared, &function.runtime, *port, library.as_deref());
            problems.extend(attached.err());
        }
        let wrapped = Arc::clone(function);
        let wrap = tokio::task::spawn_blocking(move || {
            wrapper::wrap(&wrapped, &roots, &mut prepared).map(|()| prepared)
        });
        Ok((wrap.await.map_err(|error| error.to_string())??, problems))
    }
}
