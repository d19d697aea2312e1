//! Event source mappings: made, read, changed and removed. Who runs them is an
//! [`EventSourceHost`](stillwire_model::EventSourceHost).
//!
//! Source: service model `lambda`, `EventSourceMappingConfiguration`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stillwire_model::{
    EventSourceMapping, EventSourceState, FunctionArn, InvalidEventSource, LambdaReply, limits,
};
use stillwire_pattern::Pattern;

use crate::error::{Answered, Refused};
use crate::functions::page;
use crate::members::{self, put};
use crate::name::{Named, qualified};
use crate::request::{Members, Request, empty, reply};
use crate::room::{Home, Room};
use crate::settings::read_tags;
use crate::state::State;

/// Members that only a new mapping can be given.
const FIXED: [&str; 3] = ["EventSourceArn", "StartingPosition", "Tags"];

/// A mapping, and what was last done with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Kept", into = "Kept")]
pub(crate) struct Mapping {
    runs: Arc<EventSourceMapping>,
    /// Milliseconds since 1970.
    modified: u64,
    change: Change,
    /// Whether a template declares it, and brings it again.
    pub(crate) of_template: bool,
}

/// What was last done with a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Made,
    Changed,
    Enabled,
    Disabled,
}

/// A mapping as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    id: String,
    function: String,
    members: Members,
    modified: u64,
}

impl From<Mapping> for Kept {
    fn from(mapping: Mapping) -> Self {
        let Mapping { runs: mapping, modified, .. } = mapping;
        let function = qualified(mapping.function.as_str(), mapping.qualifier.as_deref());
        Self { id: mapping.id.to_string(), function, members: mapping.members(), modified }
    }
}

impl TryFrom<Kept> for Mapping {
    type Error = String;

    fn try_from(kept: Kept) -> Result<Self, String> {
        let Kept { id, function, members, modified } = kept;
        let function = FunctionArn::parse(&function).map_err(|error| error.to_string())?;
        let mapping = EventSourceMapping::read(id.into(), function, &members)
            .map_err(|error| error.to_string())?;
        let (runs, change) = (Arc::new(mapping), Change::Made);
        Ok(Self { runs, modified, change, of_template: false })
    }
}

impl Mapping {
    /// A mapping that a template declares.
    pub(crate) fn of_template(runs: Arc<EventSourceMapping>, now: u64) -> Self {
        Self { runs, modified: now, change: Change::Made, of_template: true }
    }

    pub(crate) fn id(&self) -> &str {
        &self.runs.id
    }

    /// What runs.
    pub(crate) fn runs(&self) -> Arc<EventSourceMapping> {
        Arc::clone(&self.runs)
    }

    /// Source: service model, `State` (`Creating`, `Enabling`, `Enabled`, `Disabling`, `Disabled`, `Updating`, or
    /// `Deleting`).
    fn state(&self, state: EventSourceState) -> &'static str {
        match (state, self.change, self.runs.enabled) {
            (EventSourceState::Stopped, _, false) => "Disabled",
            // What is in the way of one that is enabled and does nothing is in its last result.
            (EventSourceState::Running | EventSourceState::Stopped, _, true) => "Enabled",
            (EventSourceState::Running, ..) | (_, Change::Disabled, _) => "Disabling",
            (_, Change::Made, _) => "Creating",
            (_, Change::Changed, _) => "Updating",
            (_, Change::Enabled, _) => "Enabling",
        }
    }

    fn shown(&self, room: &Room, state: Option<&'static str>) -> Value {
        let mapping = &self.runs;
        let status = room.sources.get().and_then(|host| host.status(&mapping.id));
        let found = status.as_ref().map_or(EventSourceState::Starting, |status| status.state);
        let result = status.as_ref().map_or("No records processed", |status| &*status.last_result);
        let mut members = mapping.members();
        members.remove("Enabled"); // `State` says it
        members.remove("Tags"); // `ListTags` does
        let mut shown = Value::Object(members);
        let function = qualified(mapping.function.as_str(), mapping.qualifier.as_deref());
        let (region, account) = (mapping.function.region(), mapping.function.account());
        let arn = format!("arn:aws:lambda:{region}:{account}:event-source-mapping:{}", mapping.id);
        put(&mut shown, "UUID", &*mapping.id);
        put(&mut shown, "EventSourceMappingArn", arn);
        put(&mut shown, "FunctionArn", function);
        put(&mut shown, "State", state.unwrap_or_else(|| self.state(found)));
        put(&mut shown, "StateTransitionReason", "USER_INITIATED");
        put(&mut shown, "LastProcessingResult", result);
        #[allow(
            clippy::cast_precision_loss,
            reason = "seconds with a fraction, as the service has them"
        )]
        put(&mut shown, "LastModified", self.modified as f64 / 1000.0);
        shown
    }
}

/// An operation on mappings: `rest` is what follows them in the path.
pub(crate) fn operate(
    room: &Room,
    (method, rest): (&str, &[&str]),
    request: &Request,
) -> Answered<LambdaReply> {
    match (method, rest) {
        ("GET", []) => list(room, request),
        ("POST", []) => create(room, request),
        ("GET", [id]) => {
            let state = room.state();
            let mapping = state.mappings.get(*id).ok_or_else(unknown)?;
            Ok(reply(200, mapping.shown(room, None).to_string()))
        }
        ("PUT", [id]) => update(room, id, request),
        ("DELETE", [id]) => delete(room, id),
        _ => Err(Refused::unknown_path()),
    }
}

fn unknown() -> Refused {
    Refused::not_found("The resource you requested does not exist.")
}

/// `ListEventSourceMappings`.
fn list(room: &Room, request: &Request) -> Answered<LambdaReply> {
    let asked = |name: &str| request.queried(name).filter(|text| !text.is_empty());
    let source = asked("EventSourceArn");
    let function = asked("FunctionName").map(|name| Named::parse(name, None)).transpose()?;
    let state = room.state();
    let is_meant = |mapping: &&Mapping| {
        let mapping = &mapping.runs;
        source.is_none_or(|source| mapping.source.arn() == source)
            && function.as_ref().is_none_or(|named| {
                let qualifier = named.qualifier.as_deref();
                named.is(&mapping.function)
                    && (qualifier.is_none() || qualifier == mapping.qualifier.as_deref())
            })
    };
    let items: Vec<&Mapping> = state.mappings.values().filter(is_meant).collect();
    page(request, "EventSourceMappings", &items, |mapping| mapping.shown(room, None))
}

/// `CreateEventSourceMapping`.
fn create(room: &Room, request: &Request) -> Answered<LambdaReply> {
    let members = request.members()?;
    let named = Named::parse(members::required(&members, "FunctionName")?, None)?;
    let id = uuid::Uuid::new_v4().to_string();
    let shown = room.change(|state| {
        if state.mappings.len() >= limits::EVENT_SOURCES_MAX {
            let most = limits::EVENT_SOURCES_MAX;
            return Err(Refused::invalid(format!(
                "there are {most} event source mappings already"
            )));
        }
        let function = function(state, &named, &room.home)?;
        let mapping = read(&id, function, &members)?;
        if let Some(other) = state.mappings.values().find(|other| is_same(&other.runs, &mapping)) {
            return Err(Refused::conflict(format!(
                "The event source arn (\" {} \") and function (\" {} \") provided mapping already \
                 exists. Please update or delete the existing mapping with UUID {}",
                mapping.source.arn(),
                mapping.function.name(),
                other.id()
            )));
        }
        let mapping = Mapping {
            runs: Arc::new(mapping),
            modified: room.ports.clock.epoch_millis(),
            change: Change::Made,
            of_template: false,
        };
        let shown = mapping.shown(room, Some("Creating"));
        state.mappings.insert(id, mapping);
        Ok(shown)
    })?;
    Ok(reply(202, shown.to_string()))
}

/// `UpdateEventSourceMapping`: members that are not given stay.
fn update(room: &Room, id: &str, request: &Request) -> Answered<LambdaReply> {
    let given = request.members()?;
    let named = members::text(&given, "FunctionName")?.map(|name| Named::parse(name, None));
    let named = named.transpose()?;
    let shown = room.change(|state| {
        let old = state.mappings.get(id).ok_or_else(unknown)?.clone();
        let function = match &named {
            Some(named) => function(state, named, &room.home)?,
            None => (old.runs.function.clone(), old.runs.qualifier.clone()),
        };
        let mut members = old.runs.members();
        let new = given.iter().filter(|(name, value)| {
            !FIXED.contains(&name.as_str()) && *name != "FunctionName" && !value.is_null()
        });
        members.extend(new.map(|(name, value)| (name.clone(), value.clone())));
        let mapping = read(old.id(), function, &members)?;
        let (change, shown) = match (old.runs.enabled, mapping.enabled) {
            (true, false) => (Change::Disabled, "Disabling"),
            (false, true) => (Change::Enabled, "Enabling"),
            _ => (Change::Changed, "Updating"),
        };
        let mapping = Mapping {
            runs: Arc::new(mapping),
            modified: room.ports.clock.epoch_millis(),
            change,
            of_template: old.of_template,
        };
        let shown = mapping.shown(room, Some(shown));
        state.mappings.insert(id.to_owned(), mapping);
        Ok(shown)
    })?;
    Ok(reply(202, shown.to_string()))
}

/// `ListTags`, `TagResource`, `UntagResource`.
pub(crate) fn tags(
    room: &Room,
    id: &str,
    method: &str,
    request: &Request,
) -> Answered<LambdaReply> {
    let change = |change: &dyn Fn(&mut BTreeMap<String, String>)| {
        room.change(|state| {
            let mapping = state.mappings.get_mut(id).ok_or_else(unknown)?;
            let runs = Arc::make_mut(&mut mapping.runs);
            change(&mut runs.tags);
            if runs.tags.len() > limits::TAGS_MAX {
                let most = limits::TAGS_MAX;
                return Err(Refused::invalid(format!("a mapping has at most {most} tags")));
            }
            Ok(())
        })?;
        Ok(empty(204))
    };
    match method {
        "GET" => {
            let state = room.state();
            let mapping = state.mappings.get(id).ok_or_else(unknown)?;
            Ok(reply(200, json!({ "Tags": mapping.runs.tags }).to_string()))
        }
        "POST" => {
            let new = read_tags(&request.members()?)?;
            change(&|tags| tags.extend(new.clone()))
        }
        "DELETE" => {
            let keys: Vec<&str> = request.queried_all("tagKeys").collect();
            change(&|tags| tags.retain(|key, _| !keys.contains(&key.as_str())))
        }
        _ => Err(Refused::unknown_path()),
    }
}

/// `DeleteEventSourceMapping`.
fn delete(room: &Room, id: &str) -> Answered<LambdaReply> {
    let shown = room.change(|state| {
        let mapping = state.mappings.get(id).ok_or_else(unknown)?;
        let shown = mapping.shown(room, Some("Deleting"));
        state.mappings.remove(id);
        Ok(shown)
    })?;
    Ok(reply(202, shown.to_string()))
}

/// The function that a mapping names, with its version or alias, which must be there.
fn function(state: &State, named: &Named, home: &Home) -> Answered<(FunctionArn, Option<String>)> {
    let function = state.find(named, home)?;
    function.configuration(named.qualifier.as_deref())?;
    Ok((function.arn.clone(), named.qualifier.clone()))
}

fn read(
    id: &str,
    function: (FunctionArn, Option<String>),
    members: &Members,
) -> Answered<EventSourceMapping> {
    let mapping = EventSourceMapping::read(id.into(), function, members).map_err(refused)?;
    for pattern in &mapping.filters {
        if let Err(error) = Pattern::parse(pattern) {
            return Err(Refused::invalid(format!("Invalid filter pattern definition. ({error})")));
        }
    }
    Ok(mapping)
}

fn refused(error: InvalidEventSource) -> Refused {
    match error {
        InvalidEventSource::Missing(member) => {
            Refused::invalid_member("null", &members::camel(member), "Member must not be null")
        }
        InvalidEventSource::OutOfRange { member, value, range } => {
            let constraint = if value < *range.start() {
                format!("Member must have value greater than or equal to {}", range.start())
            } else {
                format!("Member must have value less than or equal to {}", range.end())
            };
            Refused::invalid_member(&value.to_string(), &members::camel(member), &constraint)
        }
        error @ (InvalidEventSource::Unfit { .. } | InvalidEventSource::Source(_)) => {
            Refused::invalid(error.to_string())
        }
    }
}

/// Whether both read the same source for the same function.
fn is_same(one: &EventSourceMapping, other: &EventSourceMapping) -> bool {
    one.source.arn() == other.source.arn()
        && one.function == other.function
        && one.qualifier == other.qualifier
}
