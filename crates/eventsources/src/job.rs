//! What all readers of one mapping share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use stillwire_model::{EventSourceMapping, Invocation, InvokeError, Invoked, Outcome};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::filter::Filter;
use crate::metrics::Counters;
use crate::room::Ports;
use crate::status::Status;

/// One run of a mapping: until it is changed, or Stillwire stops.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) mapping: Arc<EventSourceMapping>,
    pub(crate) filter: Filter,
    pub(crate) ports: Ports,
    pub(crate) status: Status,
    pub(crate) counters: Arc<Counters>,
    /// Whether no new invocation is to begin.
    pub(crate) stop: CancellationToken,
}

/// What came of an invocation.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// The function ran.
    Ran(Arc<str>, Invoked),
    /// It did not: it is throttled, not there or cannot run. That is no fault of its batch.
    NotRun,
}

impl Job {
    /// Invokes the function with an event of so many records and waits for the outcome.
    pub(crate) async fn invoke(&self, event: String, records: usize) -> Attempt {
        let id: Arc<str> = Uuid::new_v4().to_string().into();
        let mapping = &self.mapping;
        let (function, qualifier) = (mapping.function.clone(), mapping.qualifier.clone());
        let invocation = Invocation::new(Arc::clone(&id), function, qualifier, Bytes::from(event));
        match self.ports.invoke.invoke(invocation).await {
            Ok(invoked) => {
                self.counters.invoked.add(records);
                match &invoked.outcome {
                    Outcome::Returned(_) => self.status.ok(),
                    Outcome::Failed(_) => self.status.failed(),
                }
                Attempt::Ran(id, invoked)
            }
            Err(InvokeError::Throttled { .. }) => {
                self.problem("the function is throttled");
                Attempt::NotRun
            }
            Err(error) => {
                self.problem(&error.to_string());
                Attempt::NotRun
            }
        }
    }

    /// Tells what is in the way, once.
    pub(crate) fn problem(&self, what: &str) {
        if self.status.problem(what) {
            let (source, function) = (self.mapping.source.arn(), &self.mapping.function);
            tracing::warn!(source, %function, "an event source waits: {what}");
        }
    }

    /// Waits; whether to go on then.
    pub(crate) async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(time) => true,
        }
    }

    /// The present, in milliseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        self.ports.clock.epoch_millis()
    }
}
