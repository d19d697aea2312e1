//! The service as the program holds it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use stillwire_awswire::{RequestIds, iso_millis};
use stillwire_drain::Drain;
use stillwire_model::{
    BoxFuture, Clock, Destinations, EventQueue, EventRecord, EventSourceHost, EventSourceMapping,
    FunctionArn, FunctionDefinition, FunctionHost, Invocation, Invoke, InvokeError, LambdaApi,
    LambdaReply, LambdaRequest, StackObjects,
};
use stillwire_outbound::Outbound;

use crate::dispatch::{self, Parcel};
use crate::error::{Answered, Refused};
use crate::events::{Delays, Event, Events};
use crate::mappings::Mapping;
use crate::name::{Named, qualified};
use crate::request::Request;
use crate::route;
use crate::state::{Function, State};
use crate::store::Store;
use crate::template;

/// Where functions are at home that are named without account and region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
}

/// What the service needs of the house.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Who runs functions.
    pub invoke: Arc<dyn Invoke>,
    /// Who deploys them.
    pub host: Arc<dyn FunctionHost>,
    /// Where code is that was uploaded for deployments.
    pub objects: Arc<dyn StackObjects>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Who owns the queues of events.
    pub drain: Drain,
    /// Sends records to services that run elsewhere.
    pub outbound: Outbound,
    /// Where those are: endpoints that the user named, by the service's name in lower case (`sqs`).
    pub endpoints: BTreeMap<String, String>,
    /// How long events wait before they are tried again.
    pub delays: Delays,
}

/// What earlier runs have made and kept.
#[derive(Debug)]
pub struct Kept {
    state: State,
    store: Store,
}

/// The Lambda API. Clones share everything.
#[derive(Debug, Clone)]
pub struct Lambda(Arc<Room>);

/// What all operations share.
#[derive(Debug)]
pub(crate) struct Room {
    current: RwLock<Arc<State>>,
    /// Held for the whole of a change: changes come one after the other.
    changing: Mutex<()>,
    pub(crate) store: Store,
    pub(crate) home: Home,
    pub(crate) ports: Ports,
    pub(crate) events: Events,
    /// Who runs event source mappings, from when they may run.
    pub(crate) sources: OnceLock<Arc<dyn EventSourceHost>>,
    /// Makes the roots of traces; `None` on a machine without a random source.
    traces: Option<RequestIds>,
}

impl Kept {
    /// Reads what is kept in `file`; without one, nothing was kept and nothing will be. Code that is sent goes to the
    /// folder `code`, which is for it alone.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn read(file: Option<PathBuf>, code: PathBuf) -> io::Result<Self> {
        let store = Store::new(file, code);
        let state = store.read()?;
        store.tidy(&state);
        Ok(Self { state, store })
    }
}

impl Lambda {
    /// Deploys what templates declare, and what was kept. What is changed of the former holds until they are loaded
    /// again.
    pub fn start(
        kept: Kept,
        (definitions, mappings): (&[FunctionDefinition], Vec<Arc<EventSourceMapping>>),
        home: Home,
        ports: Ports,
    ) -> Self {
        let Kept { mut state, store } = kept;
        let now = last_modified(ports.clock.epoch_millis());
        for definition in definitions {
            let function = template::function(definition, &now, ports.clock.epoch_millis());
            let arn = function.arn.as_str().to_owned();
            if state.functions.insert(arn.clone(), function).is_some_and(|old| old.origin.is_none())
            {
                tracing::warn!(
                    function = arn,
                    "the template's function stands in for one of its name that was made by a call"
                );
            }
        }
        for mapping in mappings {
            let mapping = Mapping::of_template(mapping, ports.clock.epoch_millis());
            state.mappings.insert(mapping.id().to_owned(), mapping);
        }
        ports.host.deploy(state.releases(store.code()));
        Self(Arc::new(Room {
            current: RwLock::new(Arc::new(state)),
            changing: Mutex::new(()),
            store,
            home,
            ports,
            events: Events::new(),
            sources: OnceLock::new(),
            traces: RequestIds::new(),
        }))
    }
}

impl Lambda {
    /// Runs the event source mappings from now on. Once: who runs them is not changed.
    pub fn run_event_sources(&self, host: Arc<dyn EventSourceHost>) {
        let room = &self.0;
        // No change comes between what is deployed here and what a change deploys.
        let _turn = room.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if room.sources.set(host).is_ok() {
            room.deploy_sources(&room.state());
        }
    }
}

/// How templates differ from those before.
#[derive(Debug, Default)]
pub struct TemplateChange {
    /// The functions that they declare no more.
    pub gone: Vec<FunctionArn>,
    /// The functions that are new or declared otherwise.
    pub functions: Vec<FunctionDefinition>,
    /// The ids of the event source mappings that they declare no more.
    pub gone_mappings: Vec<Arc<str>>,
    /// The event source mappings that are new or declared otherwise.
    pub mappings: Vec<Arc<EventSourceMapping>>,
}

impl Lambda {
    /// Takes what templates declare now in place of what they declared, and deploys it. What calls have changed of the rest
    /// stays. Waits for the disk.
    ///
    /// # Errors
    /// When what was made by calls cannot be kept any more: then nothing is changed.
    pub fn replace_templates(&self, change: &TemplateChange) -> Result<(), String> {
        let room = &self.0;
        let (now, millis) = (room.now(), room.ports.clock.epoch_millis());
        let replaced = room.change(|state| {
            for arn in &change.gone {
                state.functions.remove(arn.as_str());
            }
            for definition in &change.functions {
                let function = template::function(definition, &now, millis);
                state.functions.insert(function.arn.as_str().to_owned(), function);
            }
            for id in &change.gone_mappings {
                state.mappings.remove(&**id);
            }
            for mapping in &change.mappings {
                let mapping = Mapping::of_template(Arc::clone(mapping), millis);
                state.mappings.insert(mapping.id().to_owned(), mapping);
            }
            Ok(())
        });
        replaced.map_err(Refused::into_message)
    }

    /// Deploys all functions again: what they get besides their own settings has changed.
    pub fn deploy_again(&self) {
        let room = &self.0;
        let _turn = room.changing.lock().unwrap_or_else(PoisonError::into_inner);
        room.ports.host.deploy(room.state().releases(room.store.code()));
    }
}

impl Destinations for Lambda {
    fn send(&self, record: EventRecord) -> BoxFuture<'static, Result<(), String>> {
        let room = Arc::clone(&self.0);
        Box::pin(async move {
            let EventRecord { to, function, body, object_key } = record;
            let parcel = Parcel {
                to: &to,
                function: &function,
                ended: "Failure",
                body,
                object_key: &object_key,
                chain: 0,
            };
            dispatch::send(&room, parcel).await
        })
    }
}

impl LambdaApi for Lambda {
    fn call(&self, request: LambdaRequest) -> BoxFuture<'static, LambdaReply> {
        let room = Arc::clone(&self.0);
        Box::pin(async move {
            let answered = match Request::read(request) {
                Ok(request) => route::answer(&room, room.addressed(request)).await,
                Err(refused) => Err(refused),
            };
            answered.unwrap_or_else(|refused| refused.reply())
        })
    }
}

impl EventQueue for Lambda {
    fn accept(&self, event: Invocation) -> Result<(), InvokeError> {
        if self.0.state().get(&event.function).is_none() {
            return Err(InvokeError::UnknownFunction(event.function));
        }
        self.0.events.accept(&self.0, Event::new(event))
    }
}

impl Room {
    /// What there is.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state: the change is kept and deployed, or not made at all. Waits for the disk.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> Answered<T>) -> Answered<T> {
        // A panic cannot leave a state half-changed: it is replaced whole.
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.state();
        let mut next = State::clone(&before);
        let value = change(&mut next)?;
        if next == *before {
            return Ok(value);
        }
        self.store.write(&next).map_err(|error| Refused::not_kept(&error))?;
        let next = Arc::new(next);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&next);
        self.ports.host.deploy(next.releases(self.store.code()));
        self.deploy_sources(&next);
        Ok(value)
    }

    fn deploy_sources(&self, state: &State) {
        if let Some(host) = self.sources.get() {
            host.deploy(state.mappings.values().map(Mapping::runs).collect());
        }
    }

    /// Changes one function.
    pub(crate) fn change_function<T>(
        &self,
        named: &Named,
        change: impl FnOnce(&mut Function) -> Answered<T>,
    ) -> Answered<T> {
        self.change(|state| {
            let arn = state.find(named, &self.home)?.arn.as_str().to_owned();
            let function =
                state.functions.get_mut(&arn).ok_or_else(|| Refused::no_function(&arn))?;
            change(function)
        })
    }

    /// The ARN of a new function, which is where its maker is.
    pub(crate) fn arn(named: &Named, from: &Home) -> FunctionArn {
        let region = named.region.as_deref().unwrap_or(&from.region);
        let account = named.account.as_deref().unwrap_or(&from.account);
        FunctionArn::new("aws", region, account, &named.name)
    }

    /// A request that names one of the caller's own functions, where it has one of that name: others may too.
    fn addressed(&self, mut request: Request) -> Request {
        let [first, name, ..] = request.path.as_mut_slice() else { return request };
        if first == "functions"
            && let Ok(named) = Named::parse(name, None)
            && named.account.is_none()
        {
            let arn = Self::arn(&named, &request.from);
            if self.state().get(&arn).is_some() {
                *name = qualified(arn.as_str(), named.qualifier.as_deref());
            }
        }
        request
    }

    /// The tracing header of a request, or a new one.
    ///
    /// Source: AWS X-Ray Developer Guide, "Tracing header"; Lambda gives every invocation one.
    pub(crate) fn trace(&self, request: &Request) -> Option<Arc<str>> {
        let given = request.header("x-amzn-trace-id").filter(|text| text.starts_with("Root="));
        let new = || Some(self.traces.as_ref()?.trace(self.ports.clock.epoch_millis()).into());
        given.map(Arc::from).or_else(new)
    }

    /// The present, as configurations write it.
    pub(crate) fn now(&self) -> String {
        last_modified(self.ports.clock.epoch_millis())
    }
}

/// A time as `LastModified` has it: `2025-02-04T09:12:33.120+0000`.
///
/// Source: AWS Lambda API, `FunctionConfiguration` (ISO 8601, `YYYY-MM-DDThh:mm:ss.sTZD`).
fn last_modified(epoch_millis: u64) -> String {
    iso_millis(epoch_millis).replace('Z', "+0000")
}

/// A new revision.
pub(crate) fn revision() -> String {
    uuid::Uuid::new_v4().to_string()
}
