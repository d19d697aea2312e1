//! Aliases: names for versions.
//!
//! Source: AWS Lambda API, `CreateAlias`, `GetAlias`, `ListAliases`, `UpdateAlias`, `DeleteAlias`.

use serde_json::{Value, json};
use stillwire_model::{LATEST, LambdaReply};

use crate::error::{Answered, Refused};
use crate::functions::{page, unqualified};
use crate::members::{self, put};
use crate::name::qualified;
use crate::request::{Members, Request, empty, reply};
use crate::room::{Room, revision};
use crate::state::{Alias, Function};
use crate::template::weights;

pub(crate) fn operate(
    room: &Room,
    function: &str,
    (method, rest): (&str, &[&str]),
    request: &Request,
) -> Answered<LambdaReply> {
    let named = unqualified(function)?;
    match (method, rest) {
        ("GET", []) => {
            let state = room.state();
            let function = state.find(&named, &room.home)?;
            let wanted = request.queried("FunctionVersion");
            let items: Vec<_> = function
                .aliases
                .iter()
                .filter(|(_, alias)| wanted.is_none_or(|version| version == alias.version))
                .collect();
            page(request, "Aliases", &items, |(name, alias)| shown(function, name, alias))
        }
        ("POST", []) => {
            let members = request.members()?;
            let name = members::required(&members, "Name")?;
            let version = members::required(&members, "FunctionVersion")?;
            check_name(name)?;
            let body = room.change_function(&named, |function| {
                if function.aliases.contains_key(name) {
                    let arn = qualified(function.arn.as_str(), Some(name));
                    return Err(Refused::conflict(format!("Alias already exists: {arn}")));
                }
                let mut alias = Alias {
                    version: version.to_owned(),
                    description: members::text(&members, "Description")?.unwrap_or_default().into(),
                    second: None,
                    revision: revision(),
                };
                read_routing(&mut alias, &members)?;
                check(function, &alias)?;
                let body = shown(function, name, &alias);
                function.aliases.insert(name.to_owned(), alias);
                Ok(body)
            })?;
            Ok(reply(201, body.to_string()))
        }
        ("GET", [name]) => {
            let state = room.state();
            let function = state.find(&named, &room.home)?;
            let alias = function.aliases.get(*name).ok_or_else(|| unknown(function, name))?;
            Ok(reply(200, shown(function, name, alias).to_string()))
        }
        ("PUT", [name]) => {
            let members = request.members()?;
            let body = room.change_function(&named, |function| {
                let mut alias =
                    function.aliases.get(*name).ok_or_else(|| unknown(function, name))?.clone();
                if members::text(&members, "RevisionId")?.is_some_and(|id| id != alias.revision) {
                    return Err(Refused::outdated());
                }
                if let Some(version) = members::text(&members, "FunctionVersion")? {
                    version.clone_into(&mut alias.version);
                }
                if let Some(description) = members::text(&members, "Description")? {
                    description.clone_into(&mut alias.description);
                }
                read_routing(&mut alias, &members)?;
                alias.revision = revision();
                check(function, &alias)?;
                let body = shown(function, name, &alias);
                function.aliases.insert((*name).to_owned(), alias);
                Ok(body)
            })?;
            Ok(reply(200, body.to_string()))
        }
        ("DELETE", [name]) => {
            // One that is not there is gone as well.
            room.change_function(&named, |function| {
                function.aliases.remove(*name);
                function.policies.remove(*name);
                function.event_settings.remove(*name);
                Ok(())
            })?;
            Ok(empty(204))
        }
        _ => Err(Refused::unknown_path()),
    }
}

fn unknown(function: &Function, name: &str) -> Refused {
    let arn = qualified(function.arn.as_str(), Some(name));
    Refused::not_found(format!("Cannot find alias arn: {arn}"))
}

/// Source: service model, `Alias` (letters, digits, `-` and `_`, and not a number).
fn check_name(name: &str) -> Answered<()> {
    let byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let fits = (1..=128).contains(&name.len())
        && name.bytes().all(byte)
        && !name.bytes().all(|byte| byte.is_ascii_digit());
    if fits {
        return Ok(());
    }
    let constraint = "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)";
    Err(Refused::invalid_member(name, "name", constraint))
}

/// Puts what a request says about a second version into an alias; a request that says nothing changes nothing.
fn read_routing(alias: &mut Alias, members: &Members) -> Answered<()> {
    let Some(routing) = members::object(members, "RoutingConfig")? else { return Ok(()) };
    let weights = members::object(routing, "AdditionalVersionWeights")?;
    let mut weights = weights.into_iter().flatten();
    let first = weights.next().map(|(version, share)| (version.clone(), share.as_f64()));
    alias.second = match (first, weights.next()) {
        (None, _) => None,
        (Some((version, Some(share))), None) if (0.0..=1.0).contains(&share) => {
            Some((version, share))
        }
        _ => {
            let text = "an alias has one additional version, with a weight from 0 to 1";
            return Err(Refused::invalid(text));
        }
    };
    Ok(())
}

/// An alias names versions that there are; one with two names none that still changes.
fn check(function: &Function, alias: &Alias) -> Answered<()> {
    let exists = |version: &str| {
        version == LATEST
            || version.parse().is_ok_and(|number| function.versions.contains_key(&number))
    };
    for version in [Some(&alias.version), alias.second.as_ref().map(|(version, _)| version)] {
        if let Some(version) = version.filter(|version| !exists(version)) {
            let arn = qualified(function.arn.as_str(), Some(version));
            return Err(Refused::no_function(&arn));
        }
    }
    match &alias.second {
        Some((version, _)) if version == LATEST || alias.version == LATEST => {
            Err(Refused::invalid(
                "$LATEST is not supported for an alias pointing to more than 1 version",
            ))
        }
        _ => Ok(()),
    }
}

fn shown(function: &Function, name: &str, alias: &Alias) -> Value {
    let mut shown = json!({
        "AliasArn": qualified(function.arn.as_str(), Some(name)),
        "Name": name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision,
    });
    if alias.second.is_some() {
        put(&mut shown, "RoutingConfig", weights(alias.second.as_ref()));
    }
    shown
}
