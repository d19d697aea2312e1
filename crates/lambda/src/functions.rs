//! Functions: made, read, changed and removed.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stillwire_model::{LATEST, LambdaReply, limits};

use crate::code;
use crate::configuration::{apply, shown};
use crate::error::{Answered, Refused};
use crate::members::{self, put};
use crate::name::{Named, is_word};
use crate::request::{Members, Request, empty, reply};
use crate::room::{Room, revision};
use crate::settings;
use crate::state::{Configuration, Function};

/// Items of a page. Source: service model, `MaxListItems` (50 functions at most, whatever is asked for).
const PAGE_MAX: usize = 50;

/// Characters of a new function's name. Source: AWS Lambda API, `CreateFunction` (64).
const NAME_CHARS_MAX: usize = 64;

/// `ListFunctions`.
pub(crate) fn list(room: &Room, request: &Request) -> Answered<LambdaReply> {
    let all = request.queried("FunctionVersion") == Some("ALL");
    let state = room.state();
    let mut items = Vec::new();
    for function in state.functions.values() {
        items.push((function, &function.latest));
        if all {
            items.extend(function.versions.values().map(|version| (function, version)));
        }
    }
    // Among all versions, what the function is now is named by its version too.
    let show = |(function, version): &(&Function, &Configuration)| {
        let qualifier = (version.version != LATEST || all).then_some(version.version.as_str());
        shown(room, function, version, qualifier)
    };
    page(request, "Functions", &items, show)
}

/// One page of a list.
pub(crate) fn page<T>(
    request: &Request,
    name: &str,
    items: &[T],
    show: impl Fn(&T) -> Value,
) -> Answered<LambdaReply> {
    let start = match request.queried("Marker").filter(|marker| !marker.is_empty()) {
        None => 0,
        Some(marker) => marker
            .parse::<usize>()
            .map_err(|_| Refused::invalid(format!("Invalid Marker: {marker:.40}")))?,
    };
    let size = match request.queried("MaxItems") {
        None => PAGE_MAX,
        Some(text) => match text.parse::<usize>() {
            Ok(size) if (1..=10_000).contains(&size) => size.min(PAGE_MAX),
            _ => {
                let constraint = "Member must have value between 1 and 10000";
                return Err(Refused::invalid_member(text, "maxItems", constraint));
            }
        },
    };
    let shown: Vec<Value> = items.iter().skip(start).take(size).map(show).collect();
    let end = start.saturating_add(shown.len());
    let mut body = json!({ name: shown });
    if end < items.len() {
        put(&mut body, "NextMarker", end.to_string());
    }
    Ok(reply(200, body.to_string()))
}

/// `GetFunction`.
pub(crate) fn get(room: &Room, name: &str, request: &Request) -> Answered<LambdaReply> {
    let named = Named::parse(name, request.queried("Qualifier"))?;
    let state = room.state();
    let function = state.find(&named, &room.home)?;
    let configuration = function.configuration(named.qualifier.as_deref())?;
    let mut body = json!({
        "Configuration": shown(room, function, configuration, named.qualifier.as_deref()),
        "Code": {
            "RepositoryType": "S3",
            "Location": code::location(&configuration.code, room.store.code()),
        },
    });
    if !function.tags.is_empty() {
        put(&mut body, "Tags", json!(function.tags));
    }
    if let Some(reserved) = function.reserved {
        put(&mut body, "Concurrency", json!({ "ReservedConcurrentExecutions": reserved }));
    }
    Ok(reply(200, body.to_string()))
}

/// `GetFunctionConfiguration`.
pub(crate) fn configuration(room: &Room, name: &str, request: &Request) -> Answered<LambdaReply> {
    let named = Named::parse(name, request.queried("Qualifier"))?;
    let state = room.state();
    let function = state.find(&named, &room.home)?;
    let configuration = function.configuration(named.qualifier.as_deref())?;
    let body = shown(room, function, configuration, named.qualifier.as_deref());
    Ok(reply(200, body.to_string()))
}

/// `CreateFunction`.
pub(crate) fn create(room: &Room, request: &Request) -> Answered<LambdaReply> {
    let members = request.members()?;
    let named = Named::parse(members::required(&members, "FunctionName")?, None)?;
    if named.qualifier.is_some() || !is_word(&named.name) || named.name.contains('.') {
        return Err(Refused::invalid("a new function has a name and no version"));
    }
    if named.name.chars().count() > NAME_CHARS_MAX {
        let constraint = "Member must have length less than or equal to 64";
        return Err(Refused::invalid_member(&named.name, "functionName", constraint));
    }
    for member in ["Role", "Runtime", "Handler"] {
        if member != "Role" && members::text(&members, "PackageType")? == Some("Image") {
            continue; // an image is refused as such, below
        }
        members::required(&members, member)?;
    }
    let arn = Room::arn(&named, &request.from);
    if room.state().get(&arn).is_some() {
        return Err(exists(&named.name));
    }
    let nothing = Members::new();
    let sent = members::object(&members, "Code")?.unwrap_or(&nothing);
    let mut configuration = Configuration {
        version: LATEST.to_owned(),
        runtime: String::new(),
        handler: String::new(),
        memory_mb: limits::FUNCTION_MEMORY_MB,
        timeout_seconds: u32::try_from(limits::FUNCTION_TIMEOUT.as_secs()).unwrap_or(u32::MAX),
        environment: BTreeMap::new(),
        members: Members::new(),
        code: code::take(room, sent, (&arn, true))?,
        layers: Vec::new(),
        modified: room.now(),
        revision: revision(),
    };
    apply(&mut configuration, &members)?;
    let tags = settings::read_tags(&members)?;
    let publish = members::truth(&members, "Publish")?;
    // Only what is right so far is worth its place on the disk.
    configuration.code = code::take(room, sent, (&arn, false))?;
    let mut function = Function {
        arn: arn.clone(),
        latest: configuration,
        versions: BTreeMap::new(),
        last_version: 0,
        aliases: BTreeMap::new(),
        policies: BTreeMap::new(),
        event_settings: BTreeMap::new(),
        reserved: None,
        tags,
        origin: None,
    };
    if publish {
        function.publish(None, &room.now());
    }
    let body = room.change(|state| {
        if state.get(&arn).is_some() {
            return Err(exists(&named.name));
        }
        let body = answer(room, &function, publish);
        state.functions.insert(arn.as_str().to_owned(), function);
        Ok(body)
    })?;
    Ok(reply(201, body.to_string()))
}

fn exists(name: &str) -> Refused {
    Refused::conflict(format!("Function already exist: {name}"))
}

/// What is answered to a change: the version that was published, or what the function is now.
fn answer(room: &Room, function: &Function, published: bool) -> Value {
    match function.versions.get(&function.last_version).filter(|_| published) {
        Some(version) => shown(room, function, version, Some(&version.version)),
        None => shown(room, function, &function.latest, None),
    }
}

/// `UpdateFunctionCode`.
pub(crate) fn update_code(room: &Room, name: &str, request: &Request) -> Answered<LambdaReply> {
    let named = unqualified(name)?;
    let arn = room.state().find(&named, &room.home)?.arn.clone();
    let members = request.members()?;
    let (dry_run, publish) =
        (members::truth(&members, "DryRun")?, members::truth(&members, "Publish")?);
    let code = code::take(room, &members, (&arn, dry_run))?;
    let change = |function: &mut Function| {
        check_revision(function, &members)?;
        function.latest.code = code;
        if let Some(architectures) = members.get("Architectures") {
            function.latest.members.insert("Architectures".to_owned(), architectures.clone());
        }
        touch(room, function);
        if publish {
            function.publish(None, &room.now());
        }
        Ok(answer(room, function, publish))
    };
    let body = if dry_run {
        let mut copy = room.state().find(&named, &room.home)?.clone();
        change(&mut copy)?
    } else {
        room.change_function(&named, change)?
    };
    Ok(reply(200, body.to_string()))
}

/// `UpdateFunctionConfiguration`.
pub(crate) fn update_configuration(
    room: &Room,
    name: &str,
    request: &Request,
) -> Answered<LambdaReply> {
    let named = unqualified(name)?;
    let members = request.members()?;
    let body = room.change_function(&named, |function| {
        check_revision(function, &members)?;
        apply(&mut function.latest, &members)?;
        touch(room, function);
        Ok(answer(room, function, false))
    })?;
    Ok(reply(200, body.to_string()))
}

/// `DeleteFunction`.
///
/// Source: AWS Lambda API, `DeleteFunction`: a version that an alias names, and `$LATEST`, cannot be deleted alone.
pub(crate) fn delete(room: &Room, name: &str, request: &Request) -> Answered<LambdaReply> {
    let named = Named::parse(name, request.queried("Qualifier"))?;
    let Some(qualifier) = named.qualifier.clone() else {
        let arn = room.change(|state| {
            let arn = state.find(&named, &room.home)?.arn.clone();
            state.functions.remove(arn.as_str());
            Ok(arn)
        })?;
        room.events.forget(&arn);
        return Ok(empty(204));
    };
    room.change_function(&named, |function| {
        if qualifier == LATEST || function.aliases.contains_key(&qualifier) {
            return Err(Refused::invalid(format!(
                "{qualifier} cannot be deleted by DeleteFunction: only a published version can"
            )));
        }
        function.configuration(Some(&qualifier))?;
        let names = |alias: &&crate::state::Alias| {
            alias.version == qualifier
                || alias.second.as_ref().is_some_and(|(version, _)| *version == qualifier)
        };
        if function.aliases.values().any(|alias| names(&alias)) {
            return Err(Refused::conflict(format!(
                "Version {qualifier} of the function {} is used by an alias",
                function.arn
            )));
        }
        if let Ok(number) = qualifier.parse() {
            function.versions.remove(&number);
        }
        function.event_settings.remove(&qualifier);
        function.policies.remove(&qualifier);
        Ok(())
    })?;
    Ok(empty(204))
}

/// The name of a function whose present is meant.
pub(crate) fn unqualified(name: &str) -> Answered<Named> {
    let named = Named::parse(name, None)?;
    match named.qualifier.as_deref() {
        None | Some(LATEST) => Ok(Named { qualifier: None, ..named }),
        Some(_) => Err(Refused::invalid("a published version cannot be changed")),
    }
}

/// A change that is meant for another state is refused.
pub(crate) fn check_revision(function: &Function, members: &Members) -> Answered<()> {
    match members::text(members, "RevisionId")? {
        Some(revision) if revision != function.latest.revision => Err(Refused::outdated()),
        _ => Ok(()),
    }
}

/// The function was changed just now.
fn touch(room: &Room, function: &mut Function) {
    function.latest.modified = room.now();
    function.latest.revision = revision();
}
