//! The control plane as the program holds it, and the way of a call to its operation.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use stillwire_awswire::iso_millis;
use stillwire_keep::StateFile;
use stillwire_model::{
    ApiDefinition, ApiHost, BoxFuture, Clock, ControlApi, ControlReply, ControlRequest,
    DomainDefinition,
};

use crate::error::{Answered, Refused, bad_request, not_kept, reply, unknown_path};
use crate::kinds::Kind;
use crate::request::Request;
use crate::state::State;
use crate::{apis, deployments, domains, parts, stages, tags};

/// The version of the form in which the state is kept.
const VERSION: u32 = 1;

/// Where new APIs are at home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
}

/// The control plane. Clones share everything.
#[derive(Debug, Clone)]
pub struct ControlPlane(pub(crate) Arc<Plane>);

/// What earlier runs have built and kept.
#[derive(Debug)]
pub struct Kept {
    state: State,
    store: StateFile,
}

/// The one state, and what every change needs.
#[derive(Debug)]
pub(crate) struct Plane {
    /// Held for the whole of a call: changes come one after the other.
    pub(crate) state: Mutex<State>,
    store: StateFile,
    pub(crate) host: Arc<dyn ApiHost>,
    clock: Arc<dyn Clock>,
    pub(crate) home: Home,
}

/// What a call that went well is answered with.
#[derive(Debug)]
pub(crate) struct Done {
    status: u16,
    body: Option<Value>,
}

impl Kept {
    /// Reads what is kept in `file`; without one, nothing was kept and nothing will be.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn read(file: Option<PathBuf>) -> io::Result<Self> {
        let store = StateFile::new(file, VERSION);
        Ok(Self { state: store.read()?, store })
    }

    /// The ids of the APIs.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.state.apis.keys().map(String::as_str)
    }
}

impl ControlPlane {
    /// Serves what was kept. What templates declare, which is served already, can be read and changed too; what is
    /// changed of it holds until the template is loaded again.
    pub fn start(
        kept: Kept,
        (templates, domains): (&[ApiDefinition], &[DomainDefinition]),
        home: Home,
        host: Arc<dyn ApiHost>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let Kept { mut state, store } = kept;
        for definition in templates {
            state.apis.remove(definition.id.as_str());
        }
        for (id, api) in &state.apis {
            let published = api.definition(id).map(|definition| host.publish(&definition));
            if let Some(Err(problems)) = published {
                tracing::error!(api = id, ?problems, "an API that was built before is not served");
            }
        }
        state.put_domains(domains);
        if let Err(problems) = host.publish_domains(&state.domain_definitions()) {
            tracing::error!(?problems, "the custom domains that were built before are not served");
        }
        let plane = Plane { state: Mutex::new(State::default()), store, host, clock, home };
        plane.put_templates(&mut state, templates);
        *plane.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        Self(Arc::new(plane))
    }
}

impl ControlApi for ControlPlane {
    fn call(&self, request: ControlRequest) -> BoxFuture<'static, ControlReply> {
        let plane = Arc::clone(&self.0);
        Box::pin(async move {
            // Publishing and keeping wait for ports and the disk.
            let answered = tokio::task::spawn_blocking(move || plane.answer(&request)).await;
            answered.unwrap_or_else(|error| {
                tracing::error!(%error, "a call of the control plane panicked");
                reply(&Refused::rest(500, "InternalFailure", "Internal failure"))
            })
        })
    }
}

impl Plane {
    /// The present, as answers write it.
    ///
    /// Source: observed answers: whole seconds.
    pub(crate) fn now(&self) -> String {
        let millis = iso_millis(self.clock.epoch_millis());
        millis.split('.').next().map_or_else(String::new, |seconds| format!("{seconds}Z"))
    }

    /// Keeps a state: when this returns it is on the disk.
    pub(crate) fn keep(&self, state: &State) -> Answered<()> {
        self.store.write(state.to_keep()).map_err(|error| not_kept(&error))
    }

    fn answer(&self, request: &ControlRequest) -> ControlReply {
        // A state is whole between any two calls, because a change is put in place at once.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let answered =
            Request::read(request).and_then(|request| self.operate(&request, &mut state));
        match answered {
            Ok(Done { status, body }) => {
                let body = body.map_or_else(String::new, |body| body.to_string());
                ControlReply { status, error: None, body }
            }
            Err(refused) => reply(&refused),
        }
    }

    fn operate(&self, request: &Request, state: &mut State) -> Answered<Done> {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let method = request.method.as_str();
        match (method, path.as_slice()) {
            ("POST", ["apis"]) => apis::create(self, state, request),
            ("GET", ["apis"]) => apis::list(self, state, request),
            ("GET", ["apis", api]) => apis::get(self, state, api),
            ("PATCH", ["apis", api]) => apis::update(self, state, api, request),
            ("DELETE", ["apis", api]) => apis::delete(self, state, api),
            (_, ["apis", api, "stages", rest @ ..]) => {
                stages::operate(self, state, api, (method, rest), request)
            }
            (_, ["apis", api, "deployments", rest @ ..]) => {
                deployments::operate(self, state, api, (method, rest), request)
            }
            ("DELETE", ["apis", api, "routes", route, "requestparameters", key]) => {
                parts::delete_request_parameter(self, state, (api, route, key))
            }
            ("GET", ["apis", api, "models", model, "template"]) => {
                parts::model_template(state, api, model)
            }
            (_, ["apis", api, segment, rest @ ..]) => match rest {
                [parent, child, rest @ ..] => {
                    let kind = Kind::of_segment(child)
                        .filter(|kind| kind.parent.is_some_and(|(of, _)| of == *segment));
                    let kind = kind.ok_or_else(|| unserved(&path))?;
                    let place = parts::Place { api, kind, parent: Some(parent) };
                    parts::operate(self, state, &place, (method, rest), request)
                }
                rest => {
                    let kind = Kind::of_segment(segment).filter(|kind| kind.parent.is_none());
                    let kind = kind.ok_or_else(|| unserved(&path))?;
                    let place = parts::Place { api, kind, parent: None };
                    parts::operate(self, state, &place, (method, rest), request)
                }
            },
            (_, ["domainnames", _, "routingrules", ..]) => Err(unserved(&path)),
            (_, ["domainnames", rest @ ..]) => {
                domains::operate(self, state, (method, rest), request)
            }
            (_, ["tags", arn]) => tags::operate(self, state, arn, method, request),
            _ => Err(unserved(&path)),
        }
    }
}

/// What is not for WebSocket APIs, or does not exist.
fn unserved(path: &[&str]) -> Refused {
    let known = ["cors", "exports", "vpclinks", "portals", "routingrules"];
    match path.iter().find(|segment| known.contains(segment)) {
        Some(segment) => bad_request(format!(
            "{segment} are not for WebSocket APIs, which is what is served here"
        )),
        None => unknown_path(),
    }
}

impl Done {
    pub(crate) fn created(body: impl Into<Value>) -> Self {
        Self { status: 201, body: Some(body.into()) }
    }

    pub(crate) fn ok(body: impl Into<Value>) -> Self {
        Self { status: 200, body: Some(body.into()) }
    }

    pub(crate) fn gone() -> Self {
        Self { status: 204, body: None }
    }
}
