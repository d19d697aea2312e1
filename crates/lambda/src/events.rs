//! Events: invocations that nobody waits for.
//!
//! Each function with events has a queue, owned by a task. An event whose function fails comes again after a while, by
//! the same request id; one that is given up, and one that went well, is told to its destination. The queue is in
//! memory: what is in it when Stillwire stops is dropped, with a word in the log.
//!
//! Source: AWS Lambda Developer Guide, "How Lambda handles errors and retries with asynchronous invocation".

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stillwire_model::{FunctionArn, Invocation, InvokeError, Invoked, Outcome, limits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::destination::{self, Condition};
use crate::room::Room;

/// The service's word for a queue that takes no more.
const TOO_MANY: &str = "FunctionInvocationRateLimitExceeded";

/// How long events wait before they are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    /// Before the first and the second repetition for a function that failed.
    pub retry: [Duration; 2],
    /// Before the first repetition for one that was throttled; twice as long each further time.
    pub throttle: Duration,
}

impl Default for Delays {
    fn default() -> Self {
        Self { retry: limits::EVENT_RETRY_DELAYS, throttle: limits::EVENT_THROTTLE_DELAY }
    }
}

/// A place among the events of a function, and as many bytes as it has.
#[derive(Debug)]
struct Share {
    _seat: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

/// An event on its way.
#[derive(Debug)]
pub(crate) struct Event {
    /// What is invoked each time.
    pub(crate) invocation: Invocation,
    accepted: Instant,
    /// How often the function ran.
    pub(crate) attempts: u32,
    throttles: u32,
    /// How many events led to it through destinations.
    pub(crate) chain: u32,
    /// Its share of what may wait.
    share: Option<Share>,
}

impl Event {
    /// An event that was sent just now.
    pub(crate) fn new(invocation: Invocation) -> Self {
        Self {
            invocation,
            accepted: Instant::now(),
            attempts: 0,
            throttles: 0,
            chain: 0,
            share: None,
        }
    }

    /// Which function.
    pub(crate) fn function(&self) -> &FunctionArn {
        &self.invocation.function
    }

    /// The version or alias that was named.
    pub(crate) fn qualifier(&self) -> Option<&str> {
        self.invocation.qualifier.as_deref()
    }

    /// What it goes by.
    pub(crate) fn id(&self) -> &Arc<str> {
        &self.invocation.request_id
    }
}

/// The queues of all functions.
#[derive(Debug)]
pub(crate) struct Events {
    queues: Mutex<HashMap<FunctionArn, Queue>>,
    /// A permit for each byte that may wait.
    bytes: Arc<Semaphore>,
}

#[derive(Debug)]
struct Queue {
    arriving: mpsc::Sender<Event>,
    /// A permit for each event that may wait or run.
    seats: Arc<Semaphore>,
}

impl Events {
    pub(crate) fn new() -> Self {
        let bytes = Arc::new(Semaphore::new(limits::EVENTS_BYTES_MAX));
        Self { queues: Mutex::default(), bytes }
    }

    /// Takes an event.
    pub(crate) fn accept(&self, room: &Arc<Room>, mut event: Event) -> Result<(), InvokeError> {
        let function = event.function().clone();
        let full = || InvokeError::Throttled { function: function.clone(), reason: TOO_MANY };
        let size = u32::try_from(event.invocation.payload.len()).unwrap_or(u32::MAX);
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(size).map_err(|_| full())?;
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(function.clone()).or_insert_with(|| {
            let (arriving, received) = mpsc::channel(limits::EVENTS_PER_FUNCTION_MAX);
            let work = work(Arc::clone(room), function.clone(), received);
            room.ports.drain.spawn("events of a function", work);
            let seats = Arc::new(Semaphore::new(limits::EVENTS_PER_FUNCTION_MAX));
            Queue { arriving, seats }
        });
        let seat = Arc::clone(&queue.seats).try_acquire_owned().map_err(|_| full())?;
        event.share = Some(Share { _seat: seat, _bytes: bytes });
        queue.arriving.try_send(event).map_err(|_| full())
    }

    /// A function is gone: its queue ends with what is in it.
    pub(crate) fn forget(&self, function: &FunctionArn) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).remove(function);
    }
}

/// Runs the events of one function until it is gone, or Stillwire stops.
async fn work(room: Arc<Room>, function: FunctionArn, mut arriving: mpsc::Receiver<Event>) {
    // By the moment they are due, and by their arrival within it.
    let mut waiting: BTreeMap<(Instant, u64), Event> = BTreeMap::new();
    let mut running = JoinSet::new();
    let mut count = 0_u64;
    let mut over = false;
    let drain = room.ports.drain.clone();
    while !(over && waiting.is_empty() && running.is_empty()) {
        while running.len() < limits::EVENTS_RUNNING_MAX
            && let Some(first) = waiting.first_entry()
            && first.key().0 <= Instant::now()
        {
            running.spawn(run(Arc::clone(&room), first.remove()));
        }
        let has_room = running.len() < limits::EVENTS_RUNNING_MAX;
        let due = waiting.first_key_value().map(|((due, _), _)| *due).filter(|_| has_room);
        let mut wait = |event, due| {
            count += 1;
            waiting.insert((due, count), event);
        };
        tokio::select! {
            () = drain.closing() => break,
            event = arriving.recv(), if !over => match event {
                Some(event) => wait(event, Instant::now()),
                None => over = true,
            },
            Some(ended) = running.join_next() => match ended {
                Ok(Some((event, due))) => wait(event, due),
                Ok(None) => {}
                Err(error) => tracing::error!(%function, %error, "an event was lost"),
            },
            () = until(due) => {}
        }
    }
    let dropped = waiting.len() + arriving.len();
    if dropped > 0 {
        tracing::warn!(%function, "stopping: {dropped} waiting events are dropped");
    }
    while let Some(ended) = running.join_next().await {
        if let Ok(Some((event, _))) = ended {
            let id = event.id();
            tracing::warn!(%function, "stopping: the event {id} failed and is dropped");
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Runs an event once. Gives it back with the moment at which it is due again, if it is.
async fn run(room: Arc<Room>, mut event: Event) -> Option<(Event, Instant)> {
    let state = room.state();
    let Some(function) = state.get(event.function()) else {
        tracing::warn!(
            function = %event.function(), event = %event.id(),
            "the event is dropped: its function was deleted"
        );
        return None;
    };
    let settings = function.events(event.qualifier());
    let age_max = settings
        .age_seconds
        .map_or(limits::EVENT_AGE_MAX, |seconds| Duration::from_secs(seconds.into()));
    if event.accepted.elapsed() > age_max {
        destination::tell(&room, &event, Condition::EventAgeExceeded, None).await;
        return None;
    }
    let invoked = room.ports.invoke.invoke(event.invocation.clone()).await;
    let (condition, response, delay) = match invoked {
        Ok(invoked @ Invoked { outcome: Outcome::Returned(_), .. }) => {
            event.attempts += 1;
            (Condition::Success, Some(invoked), None)
        }
        Ok(invoked) => {
            let delays = room.ports.delays.retry.iter().copied();
            let retries = settings.retries.map_or(usize::MAX, |most| most as usize);
            let delay = delays.take(retries).nth(event.attempts as usize);
            event.attempts += 1;
            (Condition::RetriesExhausted, Some(invoked), delay)
        }
        Err(InvokeError::Throttled { .. }) if function.reserved != Some(0) => {
            let delay = room.ports.delays.throttle.saturating_mul(1 << event.throttles.min(16));
            event.throttles += 1;
            let delay = delay.min(limits::EVENT_THROTTLE_DELAY_MAX);
            (Condition::EventAgeExceeded, None, Some(delay))
        }
        Err(error) => {
            tracing::warn!(event = %event.id(), %error, "the event could not be delivered");
            (Condition::RetriesExhausted, None, None)
        }
    };
    let due = delay.map(|delay| Instant::now() + delay);
    let condition = match due {
        Some(due) if due.duration_since(event.accepted) <= age_max => return Some((event, due)),
        Some(_) => Condition::EventAgeExceeded,
        None => condition,
    };
    destination::tell(&room, &event, condition, response.as_ref()).await;
    None
}
