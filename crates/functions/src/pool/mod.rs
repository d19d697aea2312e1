//! The environments of one function, and the invocations that wait for one.
//!
//! An invocation joins the queue; [`Pool::pump`] gives the head of the queue to the environment that was idle
//! last, and starts environments for the rest. Whoever changes something that may let the queue move pumps.
//! The lock is held for a few lines and never across an await; no other lock is taken under it.

mod circuit;
mod concurrency;
mod counted;
mod folders;
mod preparation;
mod refusal;
mod upkeep;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stillwire_model::{Function, Invocation, InvokeError, Invoked, limits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::Instant;

use self::circuit::{Circuit, Refusal};
pub(crate) use self::concurrency::{Concurrency, Place};
use self::counted::Counted;
pub(crate) use self::folders::{Folders, Reset};
pub(crate) use self::preparation::Preparation;
use crate::code::Prepared;
use crate::debug;
use crate::entry::Entry;
use crate::environment::{self, End, Start};
use crate::failure::Failure;
use crate::platform_log::Journal;
use crate::sandbox::Strict;
use crate::shared::Shared;
use crate::supervisor::Processes;
use crate::template::{Template, TemplateSlot};

/// What a start is taken to last at least, and at most.
const START_LEAST: Duration = Duration::from_millis(20);
/// See [`START_LEAST`].
const START_MOST: Duration = Duration::from_millis(500);

/// Invocations of one function that may wait.
///
/// Choice: a thousand is Lambda's default for what runs at once in a whole account.
const QUEUE_MAX: usize = 1000;

/// What the caller of an invocation gets.
pub(crate) type Reply = Result<Invoked, InvokeError>;

/// An invocation on its way to an environment.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) request_id: Arc<str>,
    pub(crate) invocation: Invocation,
    pub(crate) reply: oneshot::Sender<Reply>,
    pub(crate) place: Place,
    since: Instant,
}

/// What an environment does next.
#[derive(Debug)]
pub(crate) enum Turn {
    /// This.
    Work(Box<Work>),
    /// Whatever comes; a closed mailbox means it is no longer needed.
    Wait(oneshot::Receiver<Work>),
    /// End.
    Retire,
}

/// All environments of one version of a function.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    function: Arc<Function>,
    variables: BTreeMap<String, String>,
    journal: Journal,
    concurrency: Arc<Concurrency>,
    entry: Entry,
    /// What the author should know; `None` until the preparation is over.
    problems: watch::Sender<Option<Vec<String>>>,
    /// How many environments have answered and are not free yet.
    settling: Arc<AtomicUsize>,
    /// How long the last start took, in microseconds; 0 before the first.
    start_micros: AtomicU64,
    template: TemplateSlot,
    folders: Folders,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Which version of the code serves.
    generation: u64,
    /// How many versions there were.
    generations: u64,
    /// A newer version that has to show first that it can be loaded. Meanwhile invocations wait for it.
    trial: Option<Trial>,
    /// The code on disk cannot be loaded: only environments that are there can serve.
    broken: bool,
    preparation: Preparation,
    /// When the code was first and last seen changing, while that is not settled.
    changing: Option<(Instant, Instant)>,
    queue: VecDeque<Work>,
    /// The one that was idle last is at the end.
    idle: Vec<Idle>,
    /// Environments in their init phase or before it.
    starting: usize,
    /// All environments, of any generation.
    live: usize,
    /// The next init runs under the function's own limit, for the last one met Lambda's.
    suppressed: bool,
    /// Failures to start, in a row.
    circuit: Circuit,
    /// No longer deployed: works off its queue and ends.
    closed: bool,
}

/// A version of the code on trial.
#[derive(Debug)]
struct Trial {
    generation: u64,
    prepared: Arc<Prepared>,
    /// Why there is a new version.
    why: String,
    /// An environment was started on it.
    begun: bool,
}

#[derive(Debug)]
struct Idle {
    mailbox: oneshot::Sender<Work>,
    since: Instant,
}

impl Pool {
    /// A function that is not prepared yet.
    pub(crate) fn new(
        shared: Arc<Shared>,
        function: Arc<Function>,
        variables: BTreeMap<String, String>,
        concurrency: Arc<Concurrency>,
    ) -> Self {
        let entry = Entry::new(&function);
        let (logs, clock) = (Arc::clone(&shared.logs), Arc::clone(&shared.clock));
        let journal = Journal::new(logs, clock, &function);
        let state = State {
            generation: 1,
            generations: 1,
            trial: None,
            broken: false,
            preparation: Preparation::Pending,
            changing: None,
            queue: VecDeque::new(),
            idle: Vec::new(),
            starting: 0,
            live: 0,
            suppressed: false,
            circuit: Circuit::default(),
            closed: false,
        };
        let problems = watch::Sender::new(None);
        Self {
            shared,
            function,
            variables,
            journal,
            concurrency,
            entry,
            problems,
            settling: Arc::default(),
            start_micros: AtomicU64::new(0),
            template: TemplateSlot::default(),
            folders: Folders::default(),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn function(&self) -> &Arc<Function> {
        &self.function
    }

    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Whether it waits for a debugger.
    pub(crate) fn is_debugged(&self) -> bool {
        self.shared.config.debug.contains_key(&self.function.arn)
    }

    /// How long one invocation may take.
    pub(crate) fn time_limit(&self) -> Duration {
        if self.is_debugged() { debug::PATIENCE } else { self.function.timeout }
    }

    pub(crate) fn settling(&self) -> &Arc<AtomicUsize> {
        &self.settling
    }

    /// Notes how long an environment took to start.
    pub(crate) fn start_took(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.start_micros.store(micros, Ordering::Relaxed);
    }

    /// How long another would take, as far as is known, within bounds.
    pub(crate) fn start_takes(&self) -> Duration {
        Duration::from_micros(self.start_micros.load(Ordering::Relaxed))
            .clamp(START_LEAST, START_MOST)
    }

    pub(crate) fn is_settling(&self) -> bool {
        self.settling.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn inits(&self) -> Arc<Semaphore> {
        Arc::clone(&self.shared.inits)
    }

    pub(crate) fn processes(&self) -> &Processes {
        &self.shared.processes
    }

    /// The template to fork from, where there is one.
    pub(crate) async fn template(&self, prepared: &Arc<Prepared>) -> Option<Arc<Template>> {
        self.template.get(self, prepared).await
    }

    /// The strict sandbox, where that is asked for.
    pub(crate) async fn strict(&self) -> std::io::Result<Option<&Strict>> {
        self.shared.strict().await.map_err(std::io::Error::other)
    }

    /// Processes that an environment may have, of the function's.
    pub(crate) fn processes_max(&self) -> usize {
        self.shared.config.processes_max
    }

    /// Runs something of the function's beside its environments.
    pub(crate) fn spawn(
        &self,
        what: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.shared.drain.spawn(what, task);
    }

    pub(crate) fn work_dir(&self) -> &Path {
        &self.shared.config.work_dir
    }

    /// Folders for temporary files.
    pub(crate) fn folders(&self) -> &Folders {
        &self.folders
    }

    pub(crate) fn epoch_millis(&self) -> u64 {
        self.shared.clock.epoch_millis()
    }

    /// Puts an invocation at the end of the queue.
    pub(crate) fn submit(
        self: &Arc<Self>,
        invocation: Invocation,
    ) -> Result<oneshot::Receiver<Reply>, InvokeError> {
        let (reply, outcome) = oneshot::channel();
        if self.shared.config.reload && self.entry.is_newer() {
            self.code_changes(Instant::now());
        }
        {
            let mut state = self.lock();
            if let Preparation::Failed(reason) = &state.preparation {
                return Err(self.unavailable(reason.clone()));
            }
            if self.concurrency.limit() == 0 || state.queue.len() >= QUEUE_MAX {
                return Err(self.throttled());
            }
            let place = self.concurrency.enter(invocation.waits).ok_or_else(|| self.throttled())?;
            let request_id = Arc::clone(&invocation.request_id);
            let since = Instant::now();
            state.queue.push_back(Work { request_id, invocation, reply, place, since });
        }
        self.pump();
        Ok(outcome)
    }

    /// Moves the queue as far as it goes.
    pub(crate) fn pump(self: &Arc<Self>) {
        self.move_on(false);
    }

    /// Starts a first environment before anybody asks.
    pub(crate) fn warm_up(self: &Arc<Self>) {
        self.move_on(true);
    }

    fn move_on(self: &Arc<Self>, warm_up: bool) {
        if self.shared.is_ending() {
            // Nothing starts any more: what comes back from an environment that was killed has nowhere to go.
            return self.refuse_queue("stillwire is stopping");
        }
        let mut starts = Vec::new();
        let mut starved = false;
        {
            let mut state = self.lock();
            let prepared = match &state.preparation {
                Preparation::Ready(prepared) if state.changing.is_none() => Arc::clone(prepared),
                _ => return,
            };
            if let Some(refusal) = state.circuit.refusal(Instant::now()).cloned()
                && !state.serves()
            {
                state.queue.drain(..).for_each(|work| self.refuse(work, &refusal));
                return;
            }
            let reserved = self.concurrency.limit();
            let wanted = if let Some(trial) = &state.trial {
                usize::from(!trial.begun)
            } else {
                state.deliver();
                let least =
                    usize::from(warm_up && state.live == 0 && reserved > 0 && !state.closed);
                let waiting = if state.broken && state.live > 0 { 0 } else { state.queue.len() };
                let room = if state.circuit.is_doubtful() { 1 } else { reserved };
                let room = room.min(reserved).saturating_sub(state.live);
                waiting.max(least).saturating_sub(state.starting).min(room)
            };
            for _ in 0..wanted {
                let Ok(permit) = Arc::clone(&self.shared.environments).try_acquire_owned() else {
                    starved = !state.queue.is_empty() || state.trial.is_some();
                    if state.trial.is_some() && !state.idle.is_empty() {
                        state.idle.remove(0); // nobody else may have any to spare
                    }
                    break;
                };
                state.starting += 1;
                state.live += 1;
                let init_limit = if state.suppressed || self.is_debugged() {
                    self.time_limit()
                } else {
                    limits::FUNCTION_INIT_TIMEOUT
                };
                let (generation, prepared) = match &mut state.trial {
                    Some(trial) => {
                        trial.begun = true;
                        (trial.generation, Arc::clone(&trial.prepared))
                    }
                    None => (state.generation, Arc::clone(&prepared)),
                };
                let (pool, kill) = (Arc::clone(self), self.shared.kill.subscribe());
                starts.push((Start { pool, generation, prepared, init_limit, kill }, permit));
            }
        }
        for (start, permit) in starts {
            let counted = Counted::new(Arc::clone(self), start.generation, permit);
            self.shared.drain.spawn("environment", async move {
                let end = environment::run(start, counted.ready()).await;
                counted.ended(end);
            });
        }
        if starved {
            self.shared.make_room(self);
        }
    }

    /// Whether an environment of this generation, whose start began then, is still worth its init phase.
    pub(crate) fn wants(&self, generation: u64, began: Instant) -> bool {
        let state = self.lock();
        let alone = state.live == 1;
        // Work that came since then waits for one that has just answered, and that is free sooner.
        let waits = state.queue.front().is_some_and(|work| work.since <= began);
        let needed = waits && state.queue.len() >= state.starting || alone;
        let on_trial = state.trial.as_ref().is_some_and(|trial| trial.generation == generation);
        (on_trial || state.generation == generation && needed) && !self.shared.is_ending()
    }

    /// An environment has nothing to do; `first` says that its init phase is just over.
    pub(crate) fn ready(self: &Arc<Self>, generation: u64, first: bool) -> Turn {
        let starving = self.shared.is_starving();
        let (turn, proven) = {
            let mut state = self.lock();
            let mut proven = false;
            if first {
                state.starting -= 1;
                state.suppressed = false;
                state.circuit.reset();
                proven = self.prove(&mut state, generation);
            }
            (state.turn(generation, starving), proven)
        };
        if proven {
            self.pump(); // what waited for it may be more than one can serve
        }
        turn
    }

    /// The head of the queue, where nobody but this environment may ever take it, now or later, and it is small enough.
    pub(crate) fn take_ahead(&self, generation: u64, bytes_max: usize) -> Option<Work> {
        let mut state = self.lock();
        let is_alone = self.concurrency.limit() == 1 && state.live == 1;
        let is_current =
            state.generation == generation && state.trial.is_none() && state.changing.is_none();
        if !is_alone || !is_current || self.is_debugged() {
            return None;
        }
        state.queue.pop_front_if(|work| work.invocation.payload.len() <= bytes_max)
    }

    /// Work that an environment took and could not begin, in the order in which it was taken.
    pub(crate) fn give_back(
        self: &Arc<Self>,
        works: impl IntoIterator<Item = Work, IntoIter: DoubleEndedIterator>,
    ) {
        {
            let mut state = self.lock();
            works.into_iter().rev().for_each(|work| state.queue.push_front(work));
        }
        self.pump();
    }

    fn ended(
        self: &Arc<Self>,
        end: End,
        (generation, ready): (u64, bool),
        permit: OwnedSemaphorePermit,
    ) {
        {
            let mut state = self.lock();
            state.live -= 1;
            let was_on_trial = !ready && self.disprove(&mut state, generation, &end);
            if !ready {
                state.starting -= 1;
            }
            match end {
                _ if was_on_trial => {}
                // Its code was replaced meanwhile: how it failed says nothing of the code that serves now.
                _ if generation != state.generation => {}
                End::Retired => {}
                End::InitFailed(failure) => {
                    state.suppressed = false;
                    self.fail_head(&mut state, Refusal::Failed(failure));
                }
                End::InitTimeout(_) if !state.suppressed => state.suppressed = true,
                End::InitTimeout(limit) => {
                    state.suppressed = false;
                    self.fail_head(&mut state, Refusal::Failed(Failure::Timeout(limit)));
                }
                End::NotStarted(reason) => {
                    self.journal.notice(reason.clone());
                    self.fail_head(&mut state, Refusal::Unavailable(reason));
                }
            }
        }
        drop(permit);
        self.pump();
        self.shared.pump_others(self);
    }

    /// Interpreter, libraries and code are known, or known to be missing.
    pub(crate) fn set_preparation(
        self: &Arc<Self>,
        preparation: Preparation,
        problems: Vec<String>,
    ) {
        let failed = preparation.failed();
        self.lock().preparation = preparation;
        if let Some(reason) = failed {
            self.refuse_queue(&reason);
        }
        self.warm_up();
        self.problems.send_replace(Some(problems));
    }

    /// What the author should know, once the preparation is over.
    pub(crate) async fn problems(&self) -> Vec<String> {
        let mut problems = self.problems.subscribe();
        let known = problems.wait_for(Option::is_some).await;
        known.ok().and_then(|known| known.clone()).unwrap_or_default()
    }

    /// Every change under the lock is complete before anything in it can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether there are environments that serve, or could.
    fn serves(&self) -> bool {
        self.live > self.starting
    }

    /// What an environment that has nothing to do does next.
    fn turn(&mut self, generation: u64, starving: bool) -> Turn {
        if generation != self.generation {
            return Turn::Retire;
        }
        if self.changing.is_none()
            && self.trial.is_none()
            && let Some(work) = self.queue.pop_front()
        {
            return Turn::Work(Box::new(work));
        }
        if starving || self.closed && self.queue.is_empty() {
            return Turn::Retire;
        }
        let (mailbox, work) = oneshot::channel();
        self.idle.push(Idle { mailbox, since: Instant::now() });
        Turn::Wait(work)
    }

    /// Another version of the code serves from now on.
    fn replace(&mut self, generation: u64, preparation: Preparation) {
        self.generation = generation;
        self.preparation = preparation;
        self.trial = None;
        self.broken = false;
        self.circuit.reset();
        self.idle.clear();
    }

    /// Gives the head of the queue to idle environments, newest first.
    fn deliver(&mut self) {
        while let Some(work) = self.queue.pop_front() {
            let Some(idle) = self.idle.pop() else {
                self.queue.push_front(work);
                return;
            };
            // One that has just ended gives the work back.
            if let Err(work) = idle.mailbox.send(work) {
                self.queue.push_front(work);
            }
        }
    }
}

impl Work {
    fn answer(self, answer: Reply) {
        let Self { reply, place, .. } = self;
        drop(place);
        if reply.send(answer).is_err() {
            tracing::trace!("a caller went away before the outcome");
        }
    }
}
