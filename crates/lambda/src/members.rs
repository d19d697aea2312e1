//! Members of a body, by type.
//!
//! Source: service model `lambda`; a member of another type is a `SerializationException` there, and an
//! `InvalidRequestContentException` here, which clients can catch.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::error::{Answered, Refused};
use crate::request::Members;

fn wrong(name: &str, expected: &str) -> Refused {
    Refused::content(format!("{name} is not {expected}"))
}

/// A text.
pub(crate) fn text<'a>(members: &'a Members, name: &str) -> Answered<Option<&'a str>> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(name, "a text")),
    }
}

/// A text that must be there.
pub(crate) fn required<'a>(members: &'a Members, name: &str) -> Answered<&'a str> {
    text(members, name)?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Refused::invalid_member("null", &camel(name), "Member must not be null"))
}

/// A whole number within a range.
pub(crate) fn number(
    members: &Members,
    name: &str,
    range: RangeInclusive<u32>,
) -> Answered<Option<u32>> {
    let value = match members.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let number = value.as_i64().ok_or_else(|| wrong(name, "a whole number"))?;
    match u32::try_from(number) {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => {
            let constraint = if number < i64::from(*range.start()) {
                format!("Member must have value greater than or equal to {}", range.start())
            } else {
                format!("Member must have value less than or equal to {}", range.end())
            };
            Err(Refused::invalid_member(&number.to_string(), &camel(name), &constraint))
        }
    }
}

/// Yes or no.
pub(crate) fn truth(members: &Members, name: &str) -> Answered<bool> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(truth)) => Ok(*truth),
        Some(_) => Err(wrong(name, "true or false")),
    }
}

/// Members of a member.
pub(crate) fn object<'a>(members: &'a Members, name: &str) -> Answered<Option<&'a Members>> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(wrong(name, "an object")),
    }
}

/// Texts by name.
pub(crate) fn texts(members: &Members, name: &str) -> Answered<Option<Vec<(String, String)>>> {
    let Some(object) = object(members, name)? else { return Ok(None) };
    let pairs = object.iter().map(|(key, value)| match value {
        Value::String(text) => Ok((key.clone(), text.clone())),
        _ => Err(wrong(&format!("{name}.{key}"), "a text")),
    });
    pairs.collect::<Answered<_>>().map(Some)
}

/// Adds a member to an answer, which is an object.
pub(crate) fn put(answer: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Object(members) = answer {
        members.insert(name.to_owned(), value.into());
    }
}

/// A member's name as refusals write it.
pub(crate) fn camel(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
