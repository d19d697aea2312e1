//! An execution environment: one process, one invocation at a time, from its start to its end.
//!
//! One task owns everything here: the process, its runtime's connection, its output and its state. The pool
//! gives it work, the `phase` says what fits the moment, and [`End`] tells the pool why it is over.

mod ahead;

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stillwire_model::{Invoked, Outcome};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use self::ahead::Ahead;
use crate::code::Prepared;
use crate::failure::Failure;
use crate::phase::{Awaited, Phase, Running, Settling, Step};
use crate::platform_log::{Journal, Usage};
use crate::pool::{Pool, Reset, Turn, Work};
use crate::process::{self, FunctionProcess, Happening};
use crate::runtime::{Asker, Runtime};
use crate::runtime_api::{Answer, CallKind};
use crate::supervisor::Exit;

/// How long a process may take to end after its connection did, or the other way round.
const PARTING_MAX: Duration = Duration::from_secs(1);
/// How long a runtime that reported a failed init may take to read the answer and end by itself.
const LAST_WORDS_MAX: Duration = Duration::from_millis(200);
/// How often a new environment looks whether one that has just answered is free again.
const SETTLING_PAUSE: Duration = Duration::from_millis(1);
/// How often an environment that works is looked at for how much memory it takes.
const MEMORY_LOOK_EVERY: Duration = Duration::from_millis(100);
/// The same for one that rests: threads of it may go on.
const RESTING_LOOK_EVERY: Duration = Duration::from_secs(5);

/// Why an environment is over.
#[derive(Debug)]
pub(crate) enum End {
    /// It was no longer needed, or failed while it was idle, or the invocation it ended with has been answered.
    Retired,
    /// It never became ready.
    InitFailed(Failure),
    /// It was not ready in time.
    InitTimeout(Duration),
    /// Its process could not be started.
    NotStarted(String),
}

/// What an environment is started with.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) pool: Arc<Pool>,
    pub(crate) generation: u64,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) init_limit: Duration,
    pub(crate) kill: watch::Receiver<bool>,
}

/// Runs an environment to its end; gives why it is over. `ready` is set once its init phase has ended well.
pub(crate) async fn run(start: Start, ready: Arc<AtomicBool>) -> End {
    let pool = Arc::clone(&start.pool);
    // A caller that sends the next event at once should find the environment that has answered, and not pay for a
    // process. To wait for as long as a start takes costs at most twice what was right.
    let began = Instant::now();
    let patience = began + pool.start_takes();
    while pool.is_settling() && Instant::now() < patience {
        tokio::time::sleep(SETTLING_PAUSE).await;
    }
    let Ok(permit) = pool.inits().acquire_owned().await else { return End::Retired };
    if !pool.wants(start.generation, began) {
        // While it waited for its turn the code changed, or others have done the work.
        return End::Retired;
    }
    match Environment::open(start, ready, permit).await {
        Ok(mut environment) => {
            let end = environment.live().await;
            environment.close(end).await
        }
        Err(error) => End::NotStarted(format!("its process cannot be started: {error}")),
    }
}

struct Environment {
    pool: Arc<Pool>,
    generation: u64,
    init_limit: Duration,
    kill: watch::Receiver<bool>,
    process: FunctionProcess,
    runtime: Runtime,
    /// `None` only while a step is taken.
    phase: Option<Phase>,
    mailbox: Option<oneshot::Receiver<Work>>,
    ahead: Ahead,
    deadline: Instant,
    /// When to look at its memory.
    memory_look: Instant,
    started: Instant,
    /// Held during the init phase.
    init: Option<tokio::sync::OwnedSemaphorePermit>,
    /// Whether init has ended well.
    ready: Arc<AtomicBool>,
    /// What init took, until the first report told it.
    init_took: Option<Duration>,
    /// Whether what ended it is the function's doing: its folder is for the next one.
    reset: Option<Reset>,
    /// The function's log; during an invocation whose caller wants the end of it, one that remembers it.
    journal: Journal,
}

impl Environment {
    async fn open(
        start: Start,
        ready: Arc<AtomicBool>,
        permit: tokio::sync::OwnedSemaphorePermit,
    ) -> io::Result<Self> {
        let started = Instant::now();
        let pool = start.pool;
        let (process, door) =
            FunctionProcess::start(&pool, &start.prepared, start.generation).await?;
        Ok(Self {
            generation: start.generation,
            init_limit: start.init_limit,
            kill: start.kill,
            process,
            runtime: Runtime::open(door),
            phase: Some(Phase::Init),
            mailbox: None,
            ahead: Ahead::default(),
            deadline: started + start.init_limit,
            memory_look: started + MEMORY_LOOK_EVERY,
            started,
            init: Some(permit),
            ready,
            init_took: None,
            reset: None,
            journal: pool.journal().clone(),
            pool,
        })
    }

    /// Lives until there is a reason to end.
    async fn live(&mut self) -> End {
        loop {
            let flow = tokio::select! {
                biased;
                call = self.runtime.call() => match call {
                    Some((kind, asker)) => self.on_call(kind, asker),
                    None => self.on_connection_end(),
                },
                work = work(&mut self.mailbox) => self.on_work(work),
                happened = self.process.happens() => match happened {
                    Happening::Output => { self.drain_outputs(); ControlFlow::Continue(()) }
                    Happening::Exit => self.on_exit(),
                },
                () = tokio::time::sleep_until(self.deadline.min(self.memory_look)) => self.on_time(),
                () = killed(&mut self.kill) => ControlFlow::Break(End::Retired),
            };
            if let ControlFlow::Break(end) = flow {
                return end;
            }
        }
    }

    fn on_call(&mut self, kind: CallKind, asker: Asker) -> ControlFlow<End> {
        let phase = self.phase.take().expect("a step puts the phase back");
        if let CallKind::Next = kind {
            return match phase.next(asker) {
                Ok((waiting, mut finished)) => {
                    self.phase = Some(Phase::Idle(waiting));
                    if let Some(finished) = &mut finished {
                        self.drain_outputs_of(&finished.request_id);
                        self.report(finished);
                    }
                    let flow = self.become_ready();
                    // Until it has taken what waits, nobody is to start an environment for that.
                    drop(finished);
                    flow
                }
                Err((phase, refusal)) => self.refuse(phase, *refusal),
            };
        }
        match phase.outcome(kind) {
            Step::Outcome { running, outcome, failure, accepted } => {
                if !self.ahead.is_there() {
                    self.runtime.answer(asker, accepted); // else its answer was sent before it
                }
                let (settling, told) = running.settle(outcome, failure);
                self.tell(told);
                self.phase = Some(Phase::Settling(settling));
                ControlFlow::Continue(())
            }
            Step::InitError(failure) => {
                self.runtime.answer(asker, Answer::accepted());
                self.phase = Some(Phase::Init);
                ControlFlow::Break(End::InitFailed(failure))
            }
            Step::Refused { phase, refusal } => self.refuse(phase, (asker, refusal)),
        }
    }

    fn refuse(&mut self, phase: Phase, (asker, refusal): (Asker, Answer)) -> ControlFlow<End> {
        let function = self.pool.function().name();
        tracing::debug!(function, ?refusal, "a call of its runtime is refused");
        self.runtime.answer(asker, refusal);
        self.phase = Some(phase);
        ControlFlow::Continue(())
    }

    /// Offers the environment to the pool.
    fn become_ready(&mut self) -> ControlFlow<End> {
        let first = self.init.take().is_some();
        if first {
            let took = self.started.elapsed();
            self.pool.start_took(took);
            self.init_took = Some(took);
            self.pool.journal().init_over(took, None);
            self.ready.store(true, Ordering::Relaxed);
        }
        if let Some(work) = self.ahead.take() {
            let running = self.begin(work, Instant::now());
            self.phase = Some(Phase::Running(running));
            self.look_ahead();
            return ControlFlow::Continue(());
        }
        self.deadline = far_future();
        match self.pool.ready(self.generation, first) {
            Turn::Work(work) => self.deliver(*work),
            Turn::Wait(mailbox) => {
                self.mailbox = Some(mailbox);
                ControlFlow::Continue(())
            }
            Turn::Retire => ControlFlow::Break(End::Retired),
        }
    }

    fn on_work(&mut self, work: Option<Work>) -> ControlFlow<End> {
        self.mailbox = None;
        match work {
            Some(work) => self.deliver(work),
            None => ControlFlow::Break(End::Retired),
        }
    }

    /// Hands the event to the waiting runtime.
    fn deliver(&mut self, work: Work) -> ControlFlow<End> {
        let Some(Phase::Idle(waiting)) = self.phase.take() else {
            unreachable!("work is taken in the idle phase only");
        };
        self.drain_outputs();
        // Before it is sent: others may run in between.
        let now = Instant::now();
        let limit = u64::try_from(self.pool.time_limit().as_millis()).unwrap_or(0);
        let deadline = (self.pool.epoch_millis() + limit).to_string();
        let event = self.event(&work, ("lambda-runtime-deadline-ms", deadline));
        let is_small = work.invocation.payload.len() <= ahead::EVENT_BYTES_MAX;
        if waiting.is_closed() || self.runtime.send(waiting, event).is_err() {
            // The runtime hung up while it waited, and asked for nothing since.
            self.pool.give_back([work]);
            return ControlFlow::Break(End::Retired);
        }
        let running = self.begin(work, now);
        self.phase = Some(Phase::Running(running));
        if is_small {
            self.look_ahead();
        }
        ControlFlow::Continue(())
    }

    /// The runtime has the event and begins.
    fn begin(&mut self, work: Work, now: Instant) -> Running {
        if work.invocation.log_tail {
            self.journal = self.pool.journal().with_tail();
        }
        self.journal.start(&work.request_id, &self.pool.function().version);
        self.deadline = now + self.pool.time_limit();
        self.memory_look = now + MEMORY_LOOK_EVERY;
        Running {
            request_id: work.request_id,
            caller: work.reply,
            since: now,
            settling: Arc::clone(self.pool.settling()),
            place: work.place,
            log_tail: work.invocation.log_tail,
        }
    }

    /// The event as the runtime gets it; `until` is the header that tells until when it may run.
    fn event(&self, work: &Work, until: (&'static str, String)) -> Answer {
        let arn = &self.pool.function().arn;
        let arn = match &work.invocation.qualifier {
            Some(qualifier) => format!("{arn}:{qualifier}"),
            None => arn.to_string(),
        };
        let mut headers = vec![
            ("lambda-runtime-aws-request-id", work.request_id.to_string()),
            until,
            ("lambda-runtime-invoked-function-arn", arn),
        ];
        if let Some(trace) = &work.invocation.trace {
            headers.push(("lambda-runtime-trace-id", trace.to_string()));
        }
        if let Some(context) = &work.invocation.client_context {
            headers.push(("lambda-runtime-client-context", context.to_string()));
        }
        Answer::event(headers, work.invocation.payload.clone())
    }

    fn on_exit(&mut self) -> ControlFlow<End> {
        self.runtime.process_ended();
        if self.runtime.is_over() || matches!(self.phase, Some(Phase::Idle(_))) {
            return self.crashed();
        }
        // What it sent before it ended is still in the socket.
        self.deadline = Instant::now() + PARTING_MAX;
        ControlFlow::Continue(())
    }

    fn on_connection_end(&mut self) -> ControlFlow<End> {
        if self.process.exit().is_some() || matches!(self.phase, Some(Phase::Idle(_))) {
            return self.crashed();
        }
        self.deadline = self.deadline.min(Instant::now() + PARTING_MAX);
        ControlFlow::Continue(())
    }

    fn on_time(&mut self) -> ControlFlow<End> {
        let now = Instant::now();
        if now >= self.deadline {
            return self.on_deadline();
        }
        let rests = matches!(self.phase, Some(Phase::Idle(_)));
        self.memory_look = now + if rests { RESTING_LOOK_EVERY } else { MEMORY_LOOK_EVERY };
        let limit = u64::from(self.pool.function().memory_mb);
        let most = self.pool.processes_max();
        let taken = self.process.memory.now();
        let excess = if self.pool.is_debugged() {
            return ControlFlow::Continue(()); // a debugger takes its share, too
        } else if taken.mb > limit {
            format!(
                "more than its memory of {limit} MB: it is ended; `MemorySize` sets how much it may have"
            )
        } else if taken.processes > most + self.process.helpers() {
            format!("more than {most} processes: it is ended")
        } else {
            return ControlFlow::Continue(());
        };
        if self.process.exit().is_none() {
            let name = self.pool.function().name();
            self.pool.journal().notice(format!("an environment of {name} takes {excess}"));
            self.process.kill();
        }
        ControlFlow::Continue(())
    }

    fn on_deadline(&mut self) -> ControlFlow<End> {
        if self.process.exit().is_some() || self.runtime.is_over() {
            return self.crashed();
        }
        self.reset = Some(self.pool.folders().reset());
        self.drain_outputs();
        match self.phase.take() {
            Some(Phase::Running(running)) => {
                let limit = self.pool.time_limit();
                let failure = Failure::Timeout(limit);
                self.journal.timeout(&running.request_id, limit);
                self.fail(running, failure);
                ControlFlow::Break(End::Retired)
            }
            Some(Phase::Settling(mut settling)) => {
                let limit = self.pool.time_limit();
                settling.failure = Some(Failure::Timeout(limit));
                self.report(&mut settling);
                ControlFlow::Break(End::Retired)
            }
            _ => ControlFlow::Break(End::InitTimeout(self.init_limit)),
        }
    }

    /// The process has ended without being asked to.
    fn crashed(&mut self) -> ControlFlow<End> {
        self.reset = Some(self.pool.folders().reset());
        self.drain_outputs();
        let failure = Failure::Exit(self.process.exit().unwrap_or(Exit::Signal(9)));
        match self.phase.take() {
            Some(Phase::Running(running)) => {
                self.fail(running, failure);
                ControlFlow::Break(End::Retired)
            }
            Some(Phase::Settling(mut settling)) => {
                settling.failure = Some(failure);
                self.report(&mut settling);
                ControlFlow::Break(End::Retired)
            }
            Some(Phase::Init) => ControlFlow::Break(End::InitFailed(failure)),
            _ => ControlFlow::Break(End::Retired),
        }
    }

    fn fail(&mut self, running: Running, failure: Failure) {
        let object = failure.object(&running.request_id);
        let (mut settling, told) = running.settle(Outcome::Failed(object), Some(failure));
        self.tell(told);
        self.report(&mut settling);
    }

    /// The invocation is over: its report, and what its caller waits for.
    fn report(&mut self, finished: &mut Settling) {
        let duration = finished.since.elapsed();
        self.ahead.took(duration);
        let usage = Usage {
            duration,
            memory_mb: self.pool.function().memory_mb,
            peak_mb: self.process.memory.peak_mb().min(self.pool.function().memory_mb.into()),
            init: self.init_took.take(),
        };
        self.journal.end(&finished.request_id, &usage, finished.failure.as_ref());
        self.tell(finished.awaited.take().map(|awaited| *awaited));
        if self.journal.has_tail() {
            self.journal = self.pool.journal().clone();
        }
    }

    /// Gives the caller its outcome.
    fn tell(&self, awaited: Option<Awaited>) {
        let Some((caller, outcome)) = awaited else { return };
        let version = Arc::clone(&self.pool.function().version);
        let invoked = Invoked { outcome, version, log_tail: self.journal.tail() };
        if caller.send(Ok(invoked)).is_err() {
            tracing::trace!("a caller went away before the outcome");
        }
    }

    fn drain_outputs(&mut self) {
        let id = self.phase.as_ref().and_then(Phase::request_id);
        self.process.log_output(&self.journal, id);
    }

    /// Logs what an invocation wrote that has just ended.
    fn drain_outputs_of(&mut self, id: &Arc<str>) {
        self.process.log_output(&self.journal, Some(id));
    }

    /// Serves a process that ends by itself, until it has.
    async fn last_words(&mut self) {
        while self.process.exit().is_none() {
            tokio::select! {
                happened = self.process.happens() => if let Happening::Output = happened {
                    self.drain_outputs();
                },
                _ = self.runtime.call() => {}
            }
        }
    }

    /// Ends the process and cleans up.
    async fn close(mut self, end: End) -> End {
        // Whoever waits for an event would take the loss of its call for that of its connection.
        let mut waiting = None;
        match self.phase.take() {
            // Killed from outside: a shutdown that could not wait.
            Some(Phase::Running(running)) => self.fail(running, Failure::Exit(Exit::Signal(9))),
            other => waiting = other,
        }
        if let Some(mut mailbox) = self.mailbox.take() {
            mailbox.close();
            if let Ok(work) = mailbox.try_recv() {
                // It came while the process was ending: somebody else's work.
                self.pool.give_back([work]);
            }
        }
        if let End::InitFailed(_) = &end {
            drop(tokio::time::timeout(LAST_WORDS_MAX, self.last_words()).await);
        }
        // The connection goes after the process, which would complain of its loss.
        self.process.stop().await;
        self.give_back_ahead().await;
        let folder = self.process.end(self.pool.journal());
        match folder {
            Some(folder) if self.reset.is_some() => {
                self.pool.folders().leave(self.generation, folder);
            }
            other => process::discard(other),
        }
        self.reset = None;
        drop(waiting);
        self.runtime.close();
        if let End::InitFailed(failure) = &end {
            self.pool.journal().init_over(self.started.elapsed(), Some(failure));
        }
        end
    }
}

async fn work(mailbox: &mut Option<oneshot::Receiver<Work>>) -> Option<Work> {
    match mailbox {
        Some(mailbox) => mailbox.await.ok(),
        None => std::future::pending().await,
    }
}

/// Resolves when everything is to end at once.
async fn killed(kill: &mut watch::Receiver<bool>) {
    if kill.wait_for(|kill| *kill).await.is_err() {
        tracing::debug!("nobody owns the functions any more");
    }
}

fn far_future() -> Instant {
    Instant::now() + Duration::from_hours(24 * 365)
}
