//! The service as the program holds it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stillwire_awswire::{Query, query_answer, query_refusal};
use stillwire_drain::Drain;
use stillwire_model::{
    BoxFuture, Clock, ServiceApi, ServiceReply, ServiceRequest, StackHost, StackObjects,
};
use uuid::Uuid;

use crate::error::{Answered, Refused};
use crate::reading::Reading;
use crate::route;
use crate::state::{Place, Stack, State};
use crate::store::{Kept, Store};
use crate::toolkit;

/// Source: service model `cloudformation`.
const NAMESPACE: &str = "http://cloudformation.amazonaws.com/doc/2010-05-15/";

/// What the service needs of the house.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Who reads, applies and removes stacks.
    pub host: Arc<dyn StackHost>,
    /// Where templates are that were uploaded.
    pub objects: Arc<dyn StackObjects>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Who owns the operations that are on their way.
    pub drain: Drain,
}

/// The CloudFormation API. Clones share everything.
#[derive(Debug, Clone)]
pub struct CloudFormation(Arc<Room>);

/// What all operations share.
#[derive(Debug)]
pub(crate) struct Room {
    state: Mutex<State>,
    store: Store,
    pub(crate) ports: Ports,
    /// Held for the whole of an operation: the host has one at a time. Its bound is that of stacks, each of which has one.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl CloudFormation {
    /// Serves what was kept, and what is deployed from now on. The host runs [`Kept::deployed`] already.
    pub fn start(kept: Kept, ports: Ports) -> Self {
        let Kept { state, store } = kept;
        let turn = tokio::sync::Mutex::new(());
        Self(Arc::new(Room { state: Mutex::new(state), store, ports, turn }))
    }

    /// Reads what was kept once more: what it comes to may be something else in this run, addresses above all. Waits for the
    /// disk.
    pub fn settle(&self) {
        let stacks: Vec<Stack> = self.0.state().all().cloned().collect();
        for stack in stacks {
            let request = stack.deployed_request();
            let Some(request) = request.filter(|_| !stack.is_gone() && stack.parent.is_none())
            else {
                continue;
            };
            match self.0.ports.host.read(&request) {
                Ok(reading) => {
                    let reading = Reading::from(reading);
                    self.0.settle(&stack.id, &reading);
                    for nested in reading.nested.values() {
                        self.0.settle(&nested.id, &nested.reading);
                    }
                }
                Err(problems) => {
                    tracing::warn!(stack = %request.name, ?problems, "a stack that was deployed cannot be read");
                }
            }
        }
    }
}

impl ServiceApi for CloudFormation {
    fn call(&self, request: ServiceRequest) -> BoxFuture<'static, ServiceReply> {
        let room = Arc::clone(&self.0);
        Box::pin(async move {
            // Reading templates and keeping stacks wait for the disk.
            let answered = tokio::task::spawn_blocking(move || answer(&room, &request)).await;
            answered.unwrap_or_else(|error| {
                tracing::error!(%error, "a call of CloudFormation panicked");
                refusal(&Refused::new(500, "InternalFailure", "Internal failure"))
            })
        })
    }
}

fn answer(room: &Arc<Room>, request: &ServiceRequest) -> ServiceReply {
    let form = if request.body.is_empty() { request.query.as_bytes() } else { &request.body };
    let place = Place {
        account: request.caller.account.to_string(),
        region: request.caller.region.to_string(),
    };
    let answered = Query::parse(form)
        .map_err(|error| Refused::invalid(error.to_string()))
        .and_then(|query| Ok((route::answer(room, &place, &query)?, query)));
    match answered {
        Ok((result, query)) => {
            let request_id = Uuid::new_v4().to_string();
            let body = query_answer(query.action(), NAMESPACE, &request_id, |xml| {
                xml.append(&result);
            });
            reply(200, request_id, body)
        }
        Err(refused) => refusal(&refused),
    }
}

fn refusal(refused: &Refused) -> ServiceReply {
    let request_id = Uuid::new_v4().to_string();
    let Refused { status, code, message } = refused;
    let body = query_refusal((*status, code, message), NAMESPACE, &request_id);
    reply(*status, request_id, body)
}

fn reply(status: u16, request_id: String, body: String) -> ServiceReply {
    ServiceReply { status, content_type: "text/xml", request_id, body: body.into() }
}

impl Room {
    /// Whoever holds it may wait for the disk, so it is not for threads that serve connections.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A stack is replaced whole, so a panic leaves none half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> u64 {
        self.ports.clock.epoch_millis()
    }

    /// A copy of the stack that is meant: by its ARN, or by name where it is there.
    pub(crate) fn find(&self, place: &Place, named: &str) -> Option<Stack> {
        let mut state = self.state();
        let found = state.find(place, named).cloned();
        if found.is_some() || !toolkit::is_meant(place, named) {
            return found;
        }
        let stack = toolkit::stack(place);
        state.put(stack.clone());
        Some(stack)
    }

    /// Keeps a stack in place of what it was: when this returns it is on the disk.
    pub(crate) fn keep(&self, state: &mut State, stack: Stack) -> Answered<()> {
        self.store.keep(&stack).map_err(|error| Refused::not_kept(&error))?;
        state.put(stack);
        for id in state.forget_oldest() {
            self.store.forget(&id);
        }
        Ok(())
    }

    /// Has the stack of an ARN changed and kept. What became of an operation holds even where it cannot be kept: what
    /// runs, runs.
    pub(crate) fn record(&self, id: &str, change: impl FnOnce(&mut Stack)) {
        let mut state = self.state();
        let Some(mut stack) = state.by_id(id).cloned() else { return };
        change(&mut stack);
        if self.keep(&mut state, stack.clone()).is_err() {
            state.put(stack);
        }
    }

    /// Has what a stack comes to in this run. An operation that began meanwhile knows better.
    fn settle(&self, id: &str, reading: &Reading) {
        let mut state = self.state();
        let Some(mut stack) = state.by_id(id).filter(|stack| !stack.status.is_busy()).cloned()
        else {
            return;
        };
        if let Some(deployed) = &mut stack.deployed {
            deployed.reading = reading.clone();
            state.put(stack);
        }
    }

    /// Makes the buckets that a stack declares.
    pub(crate) fn keep_buckets(&self, place: &Place, reading: &Reading) {
        for bucket in reading.resources.iter().filter(|one| one.kind == "AWS::S3::Bucket") {
            let name = &bucket.physical_id;
            let kept = self.ports.objects.keep_bucket(&place.account, &place.region, name);
            if let Err(problem) = kept {
                tracing::warn!(bucket = name, problem, "a bucket of a stack cannot be made");
            }
        }
    }
}
