//! What else a function has: its share of the concurrency, what is done with its events, its tags; and the account's limits.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use stillwire_model::{FunctionArn, LATEST, LambdaReply, limits};

use crate::code;
use crate::error::{Answered, Refused};
use crate::functions::{page, unqualified};
use crate::mappings;
use crate::members::{self, put};
use crate::name::{Named, qualified};
use crate::request::{Members, Request, empty, reply};
use crate::room::Room;
use crate::state::{EventSettings, Function};

/// Invocations of all functions that may run at once. Source: AWS Lambda quotas, "Concurrent executions" (1,000).
const CONCURRENCY: u32 = 1000;

/// What must be left to functions without a share of their own. Source: AWS Lambda, "Reserved concurrency" (100).
const UNRESERVED_MIN: u32 = 100;

/// `GetFunctionConcurrency`, `PutFunctionConcurrency`, `DeleteFunctionConcurrency`.
pub(crate) fn concurrency(
    room: &Room,
    name: &str,
    method: &str,
    request: &Request,
) -> Answered<LambdaReply> {
    let named = unqualified(name)?;
    let shown = |reserved: Option<u32>| match reserved {
        Some(reserved) => json!({ "ReservedConcurrentExecutions": reserved }).to_string(),
        None => "{}".to_owned(),
    };
    match method {
        "GET" => Ok(reply(200, shown(room.state().find(&named, &room.home)?.reserved))),
        "PUT" => {
            let members = request.members()?;
            let reserved = members::number(&members, "ReservedConcurrentExecutions", 0..=u32::MAX)?;
            let reserved = reserved.ok_or_else(|| {
                let constraint = "Member must not be null";
                Refused::invalid_member("null", "reservedConcurrentExecutions", constraint)
            })?;
            room.change(|state| {
                let arn = state.find(&named, &room.home)?.arn.as_str().to_owned();
                let others = state.functions.iter().filter(|(other, _)| **other != arn);
                let others: u64 =
                    others.map(|(_, function)| u64::from(function.reserved.unwrap_or(0))).sum();
                if others + u64::from(reserved) > u64::from(CONCURRENCY - UNRESERVED_MIN) {
                    return Err(Refused::invalid(format!(
                        "Specified ReservedConcurrentExecutions for function decreases account's \
                         UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_MIN}]."
                    )));
                }
                if let Some(function) = state.functions.get_mut(&arn) {
                    function.reserved = Some(reserved);
                }
                Ok(())
            })?;
            Ok(reply(200, shown(Some(reserved))))
        }
        "DELETE" => {
            room.change_function(&named, |function| {
                function.reserved = None;
                Ok(())
            })?;
            Ok(empty(204))
        }
        _ => Err(Refused::unknown_path()),
    }
}

/// The operations on what is done with events.
pub(crate) fn events(
    room: &Room,
    name: &str,
    (method, rest): (&str, &[&str]),
    request: &Request,
) -> Answered<LambdaReply> {
    let named = Named::parse(name, request.queried("Qualifier"))?;
    let key = named.qualifier.clone().unwrap_or_else(|| LATEST.to_owned());
    let unknown = |function: &Function| {
        let arn = qualified(function.arn.as_str(), Some(&key));
        Refused::not_found(format!("The function {arn} doesn't have an EventInvokeConfig"))
    };
    match (method, rest) {
        ("GET", []) => {
            let state = room.state();
            let function = state.find(&named, &room.home)?;
            let settings = function.event_settings.get(&key).ok_or_else(|| unknown(function))?;
            Ok(reply(200, shown_events(function, &key, settings).to_string()))
        }
        ("GET", ["list"]) => {
            let state = room.state();
            let function = state.find(&named, &room.home)?;
            let items: Vec<_> = function.event_settings.iter().collect();
            page(request, "FunctionEventInvokeConfigs", &items, |(key, settings)| {
                shown_events(function, key, settings)
            })
        }
        // POST changes what is there, PUT replaces it.
        ("PUT" | "POST", []) => {
            let seconds = room.ports.clock.epoch_millis() / 1000;
            let given = event_settings(&request.members()?, seconds)?;
            let body = room.change_function(&named, |function| {
                function.configuration(named.qualifier.as_deref())?;
                let settings = if method == "POST" {
                    let old = function.event_settings.get(&key).ok_or_else(|| unknown(function))?;
                    EventSettings {
                        retries: given.retries.or(old.retries),
                        age_seconds: given.age_seconds.or(old.age_seconds),
                        on_success: given.on_success.or_else(|| old.on_success.clone()),
                        on_failure: given.on_failure.or_else(|| old.on_failure.clone()),
                        modified: given.modified,
                    }
                } else {
                    given
                };
                let body = shown_events(function, &key, &settings);
                function.event_settings.insert(key.clone(), settings);
                Ok(body)
            })?;
            Ok(reply(200, body.to_string()))
        }
        ("DELETE", []) => {
            room.change_function(&named, |function| {
                let removed = function.event_settings.remove(&key);
                removed.map(|_| ()).ok_or_else(|| unknown(function))
            })?;
            Ok(empty(204))
        }
        _ => Err(Refused::unknown_path()),
    }
}

/// Reads settings; templates write them as requests do.
pub(crate) fn event_settings(members: &Members, epoch_seconds: u64) -> Answered<EventSettings> {
    let nothing = Members::new();
    let destinations = members::object(members, "DestinationConfig")?.unwrap_or(&nothing);
    let destination = |name: &str| -> Answered<Option<String>> {
        let member = members::object(destinations, name)?.unwrap_or(&nothing);
        Ok(members::text(member, "Destination")?.filter(|to| !to.is_empty()).map(str::to_owned))
    };
    Ok(EventSettings {
        retries: members::number(members, "MaximumRetryAttempts", 0..=2)?,
        age_seconds: members::number(members, "MaximumEventAgeInSeconds", 60..=21_600)?,
        on_success: destination("OnSuccess")?,
        on_failure: destination("OnFailure")?,
        modified: epoch_seconds,
    })
}

fn shown_events(function: &Function, key: &str, settings: &EventSettings) -> Value {
    let destination = |to: &Option<String>| {
        to.as_ref().map_or_else(|| json!({}), |to| json!({ "Destination": to }))
    };
    let mut shown = json!({
        "LastModified": settings.modified,
        "FunctionArn": qualified(function.arn.as_str(), Some(key)),
        "DestinationConfig": {
            "OnSuccess": destination(&settings.on_success),
            "OnFailure": destination(&settings.on_failure),
        },
    });
    if let Some(retries) = settings.retries {
        put(&mut shown, "MaximumRetryAttempts", retries);
    }
    if let Some(age) = settings.age_seconds {
        put(&mut shown, "MaximumEventAgeInSeconds", age);
    }
    shown
}

/// `ListTags`, `TagResource`, `UntagResource`: of functions, and of event source mappings.
pub(crate) fn tags(
    room: &Room,
    arn: &str,
    method: &str,
    request: &Request,
) -> Answered<LambdaReply> {
    if let Some((_, id)) = arn.split_once(":event-source-mapping:") {
        return mappings::tags(room, id, method, request);
    }
    let (arn, _) = FunctionArn::parse(arn).map_err(|error| Refused::invalid(error.to_string()))?;
    let named = Named::parse(arn.as_str(), None)?;
    match method {
        "GET" => {
            let state = room.state();
            let body = json!({ "Tags": state.find(&named, &room.home)?.tags });
            Ok(reply(200, body.to_string()))
        }
        "POST" => {
            let new = read_tags(&request.members()?)?;
            room.change_function(&named, |function| {
                function.tags.extend(new);
                check_tags(&function.tags)
            })?;
            Ok(empty(204))
        }
        "DELETE" => {
            let keys: Vec<&str> = request.queried_all("tagKeys").collect();
            room.change_function(&named, |function| {
                function.tags.retain(|key, _| !keys.contains(&key.as_str()));
                Ok(())
            })?;
            Ok(empty(204))
        }
        _ => Err(Refused::unknown_path()),
    }
}

/// The tags of a request.
pub(crate) fn read_tags(members: &Members) -> Answered<BTreeMap<String, String>> {
    let tags = members::texts(members, "Tags")?.unwrap_or_default().into_iter().collect();
    check_tags(&tags)?;
    Ok(tags)
}

fn check_tags(tags: &BTreeMap<String, String>) -> Answered<()> {
    if tags.len() > limits::TAGS_MAX {
        return Err(Refused::invalid(format!("a function has at most {} tags", limits::TAGS_MAX)));
    }
    Ok(())
}

/// `GetAccountSettings`.
pub(crate) fn account(room: &Room) -> LambdaReply {
    let state = room.state();
    let reserved: u32 = state.functions.values().filter_map(|function| function.reserved).sum();
    let sizes = state.functions.values().map(|function| code::identity(&function.latest.code).1);
    let mut limit = Map::new();
    // Source: AWS Lambda quotas, "Compute and storage".
    for (name, value) in [
        ("TotalCodeSize", 80_530_636_800),
        ("CodeSizeUnzipped", 262_144_000),
        ("CodeSizeZipped", 52_428_800),
        ("ConcurrentExecutions", u64::from(CONCURRENCY)),
        ("UnreservedConcurrentExecutions", u64::from(CONCURRENCY.saturating_sub(reserved))),
    ] {
        limit.insert(name.to_owned(), value.into());
    }
    let usage = json!({
        "TotalCodeSize": sizes.sum::<u64>(),
        "FunctionCount": state.functions.len(),
    });
    reply(200, json!({ "AccountLimit": limit, "AccountUsage": usage }).to_string())
}
