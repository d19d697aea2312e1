//! What is told of a mapping while it runs.

use std::sync::Arc;

use stillwire_model::{EventSourceState, EventSourceStatus};
use tokio::sync::watch;

/// Source: AWS Lambda API, `LastProcessingResult`, as the service words it.
const NOTHING: &str = "No records processed";
const OK: &str = "OK";
const FAILED: &str = "PROBLEM: Function call failed";

/// The state of one mapping. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Status(Arc<watch::Sender<EventSourceStatus>>);

impl Status {
    pub(crate) fn new() -> Self {
        let first =
            EventSourceStatus { state: EventSourceState::Starting, last_result: NOTHING.into() };
        Self(Arc::new(watch::Sender::new(first)))
    }

    pub(crate) fn get(&self) -> EventSourceStatus {
        self.0.borrow().clone()
    }

    pub(crate) fn set(&self, state: EventSourceState) {
        self.0.send_if_modified(|status| std::mem::replace(&mut status.state, state) != state);
    }

    /// An invocation went well.
    pub(crate) fn ok(&self) {
        self.result(OK);
    }

    /// An invocation failed.
    pub(crate) fn failed(&self) {
        self.result(FAILED);
    }

    /// Something is in the way; whether that is news.
    pub(crate) fn problem(&self, what: &str) -> bool {
        self.result(&format!("PROBLEM: {what}"))
    }

    fn result(&self, text: &str) -> bool {
        self.0.send_if_modified(|status| {
            let new = &*status.last_result != text;
            if new {
                status.last_result = text.into();
            }
            new
        })
    }

    /// Waits until the mapping has found where it begins.
    pub(crate) async fn settled(&self) {
        let mut seen = self.0.subscribe();
        // The sender is at hand, so this cannot fail.
        seen.wait_for(|status| status.state != EventSourceState::Starting).await.ok();
    }
}
