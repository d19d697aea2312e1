//! Published versions.
//!
//! Source: AWS Lambda API, `PublishVersion`, `ListVersionsByFunction`.

use stillwire_model::LambdaReply;

use crate::code;
use crate::configuration::shown;
use crate::error::{Answered, Refused};
use crate::functions::{check_revision, page, unqualified};
use crate::members;
use crate::request::{Request, reply};
use crate::room::Room;

/// `ListVersionsByFunction`.
pub(crate) fn list(room: &Room, name: &str, request: &Request) -> Answered<LambdaReply> {
    let named = unqualified(name)?;
    let state = room.state();
    let function = state.find(&named, &room.home)?;
    let items: Vec<_> = [&function.latest].into_iter().chain(function.versions.values()).collect();
    page(request, "Versions", &items, |version| {
        shown(room, function, version, Some(&version.version))
    })
}

/// `PublishVersion`.
pub(crate) fn publish(room: &Room, name: &str, request: &Request) -> Answered<LambdaReply> {
    let named = unqualified(name)?;
    let members = request.members()?;
    let description = members::text(&members, "Description")?.map(str::to_owned);
    let expected = members::text(&members, "CodeSha256")?;
    let body = room.change_function(&named, |function| {
        check_revision(function, &members)?;
        if let Some(expected) = expected {
            let (sha256, _) = code::identity(&function.latest.code);
            if sha256 != expected {
                return Err(Refused::invalid(format!(
                    "CodeSHA256 ({expected}) is different from current CodeSHA256 in $LATEST ({sha256}). \
                     Please try again with the CodeSHA256 in $LATEST."
                )));
            }
        }
        let last = function.versions.get(&function.last_version);
        if !last.is_some_and(|last| function.latest.is_same_as(last)) {
            function.publish(description, &room.now());
        }
        let version = function
            .versions
            .get(&function.last_version)
            .ok_or_else(|| Refused::no_function(function.arn.as_str()))?;
        Ok(shown(room, function, version, Some(&version.version)))
    })?;
    Ok(reply(201, body.to_string()))
}
