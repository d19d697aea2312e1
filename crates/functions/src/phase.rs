//! The states of an execution environment, and which call of the runtime leads from one to the next.
//!
//! Every step consumes the state it leaves, so that none can be taken twice. No I/O and no clock here.
//!
//! Source: AWS Lambda Developer Guide, "Lambda execution environment lifecycle".

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stillwire_model::Outcome;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::pool::{Place, Reply};
use crate::runtime::Asker;
use crate::runtime_api::{Answer, CallKind};

/// Where an environment stands.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The runtime starts and loads the function.
    Init,
    /// The runtime waits for an event; here is where it goes.
    Idle(Asker),
    /// The handler runs.
    Running(Running),
    /// The caller has its outcome, the runtime has not yet asked for more.
    Settling(Settling),
}

/// An invocation without an outcome.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) request_id: Arc<str>,
    pub(crate) caller: oneshot::Sender<Reply>,
    pub(crate) since: Instant,
    /// How many environments of the function are settling.
    pub(crate) settling: Arc<AtomicUsize>,
    /// Its share of the function's concurrency.
    pub(crate) place: Place,
    /// Whether the caller wants the end of the log, which is only there when the invocation is over.
    pub(crate) log_tail: bool,
}

/// An invocation with an outcome.
#[derive(Debug)]
pub(crate) struct Settling {
    pub(crate) request_id: Arc<str>,
    pub(crate) since: Instant,
    pub(crate) failure: Option<Failure>,
    /// Who gets the outcome together with the end of the log, once that is written.
    pub(crate) awaited: Option<Box<Awaited>>,
    _counted: Counted,
}

/// A caller and its outcome.
pub(crate) type Awaited = (oneshot::Sender<Reply>, Outcome);

/// Counts one settling environment for as long as it settles.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a call that brings an outcome leads to.
#[derive(Debug)]
pub(crate) enum Step {
    /// The invocation has its outcome.
    Outcome { running: Running, outcome: Outcome, failure: Option<Failure>, accepted: Answer },
    /// The function cannot be initialised.
    InitError(Failure),
    /// Not now; nothing changed.
    Refused { phase: Phase, refusal: Answer },
}

/// A state unchanged, and whom to tell what.
type Refusal = (Phase, Box<(Asker, Answer)>);

impl Running {
    /// The outcome is known: the state after it, and whom to tell now.
    pub(crate) fn settle(
        self,
        outcome: Outcome,
        failure: Option<Failure>,
    ) -> (Settling, Option<Awaited>) {
        let Self { request_id, caller, since, settling, place, log_tail } = self;
        // Whoever hears of the outcome may invoke again at once.
        drop(place);
        settling.fetch_add(1, Ordering::Relaxed);
        let (awaited, told) = match (caller, outcome) {
            later if log_tail => (Some(Box::new(later)), None),
            now => (None, Some(now)),
        };
        let settled = Settling { request_id, since, failure, awaited, _counted: Counted(settling) };
        (settled, told)
    }
}

impl Phase {
    /// Which invocation the output belongs to now.
    pub(crate) fn request_id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Running(running) => Some(&running.request_id),
            Self::Settling(settling) => Some(&settling.request_id),
            Self::Init | Self::Idle(_) => None,
        }
    }

    /// The runtime asks for an event: what to answer to, and the invocation that is over by this.
    pub(crate) fn next(self, asker: Asker) -> Result<(Asker, Option<Settling>), Refusal> {
        match self {
            Self::Init => Ok((asker, None)),
            Self::Settling(settling) => Ok((asker, Some(settling))),
            // It hung up and asks anew.
            Self::Idle(waiting) if waiting.is_closed() => Ok((asker, None)),
            other => {
                let refusal = Answer::invalid_transition(other.name(), "Ready");
                Err((other, Box::new((asker, refusal))))
            }
        }
    }

    /// The runtime reports an outcome, or that there will be none.
    pub(crate) fn outcome(self, call: CallKind) -> Step {
        match (self, call) {
            (Self::Running(running), CallKind::Response { id, body })
                if *id == *running.request_id =>
            {
                let (outcome, failure, accepted) = if let Some(body) = body {
                    (Outcome::Returned(body), None, Answer::accepted())
                } else {
                    let failure = Failure::ResponseTooLarge;
                    let object = failure.object(&running.request_id);
                    (Outcome::Failed(object), Some(failure), Answer::too_large())
                };
                Step::Outcome { running, outcome, failure, accepted }
            }
            (Self::Running(running), CallKind::Truncated { id }) if *id == *running.request_id => {
                let failure = Failure::TruncatedResponse;
                let outcome = Outcome::Failed(failure.object(&running.request_id));
                Step::Outcome {
                    running,
                    outcome,
                    failure: Some(failure),
                    accepted: Answer::truncated(),
                }
            }
            (Self::Running(running), CallKind::Error { id, body })
                if *id == *running.request_id =>
            {
                let failure = Some(Failure::reported(body.clone()));
                let (outcome, accepted) = (Outcome::Failed(body), Answer::accepted());
                Step::Outcome { running, outcome, failure, accepted }
            }
            (Self::Init, CallKind::InitError(body)) => Step::InitError(Failure::reported(body)),
            (
                phase,
                CallKind::Response { .. } | CallKind::Truncated { .. } | CallKind::Error { .. },
            ) if !matches!(phase, Self::Init) => {
                Step::Refused { phase, refusal: Answer::invalid_request_id() }
            }
            (phase, call) => {
                let to = match call {
                    CallKind::Next => "Ready",
                    CallKind::Response { .. } | CallKind::Truncated { .. } => "InvocationResponse",
                    CallKind::Error { .. } => "InvocationErrorResponse",
                    CallKind::InitError(_) => "InitError",
                };
                let refusal = Answer::invalid_transition(phase.name(), to);
                Step::Refused { phase, refusal }
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Init => "Started",
            Self::Idle(_) => "Ready",
            Self::Running(_) => "Running",
            Self::Settling(_) => "InvocationResponse",
        }
    }
}
