//! Evaluates a selection expression on the bytes of a message.
//!
//! No tree is built: each step into the body skims the JSON once and keeps only where the value is.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use stillwire_model::{Part, PathStep, SelectionExpression};

use crate::integration::Answered;

/// The route key that `expression` gives for `message`; `None` when it looks into a body that is not JSON.
///
/// Source: API Gateway Developer Guide, "Working with routes for WebSocket APIs": a missing path is the empty
/// text; strings are unquoted; arrays print as `[a, b]`.
pub fn select(expression: &SelectionExpression, message: &str) -> Option<String> {
    select_with(expression, message, None)
}

/// The same, where a backend's answer may be asked about as well.
pub(crate) fn select_with(
    expression: &SelectionExpression,
    message: &str,
    answered: Option<&Answered>,
) -> Option<String> {
    if !expression.reads_body() {
        return Some(join(expression, answered, |_| Cow::Borrowed("")));
    }
    let body: &RawValue = serde_json::from_str(message).ok()?;
    Some(join(expression, answered, |path| match find(body, path) {
        Some(value) => text_of(value),
        None => Cow::Borrowed(""),
    }))
}

fn join<'a>(
    expression: &SelectionExpression,
    answered: Option<&Answered>,
    body: impl Fn(&[PathStep]) -> Cow<'a, str>,
) -> String {
    let mut key = String::new();
    for part in expression.parts() {
        match part {
            Part::Text(text) => key.push_str(text),
            Part::Body(path) => key.push_str(&body(path)),
            Part::ResponseStatus => {
                if let Some(answered) = answered {
                    key.push_str(&answered.status.to_string());
                }
            }
            Part::ResponseHeader(name) => {
                let header =
                    answered.and_then(|answered| answered.headers.get(name)?.to_str().ok());
                key.push_str(header.unwrap_or_default());
            }
            Part::Absent(_) => {}
        }
    }
    key
}

/// Follows a path into a value.
fn find<'a>(value: &'a RawValue, path: &[PathStep]) -> Option<&'a RawValue> {
    path.iter().try_fold(value, |value, step| {
        let mut json = serde_json::Deserializer::from_str(value.get());
        match step {
            PathStep::Member(name) => Member(name).deserialize(&mut json).ok()?,
            PathStep::Element(index) => Element(*index).deserialize(&mut json).ok()?,
        }
    })
}

/// Finds a member of an object; of two with one name, the last, as most JSON readers have it.
struct Member<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(wanted) = map.next_key_seed(IsName(self.0))? {
            if wanted {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Compares a member's name without keeping it.
struct IsName<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// Finds an element of an array.
struct Element(i64);

impl<'de> DeserializeSeed<'de> for Element {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Element {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let mut elements: Vec<&RawValue> = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        let index = if self.0 < 0 {
            elements.len().checked_sub(usize::try_from(self.0.unsigned_abs()).unwrap_or(usize::MAX))
        } else {
            usize::try_from(self.0).ok()
        };
        Ok(index.and_then(|index| elements.get(index).copied()))
    }
}

/// A value as a route key spells it.
fn text_of(value: &RawValue) -> Cow<'_, str> {
    match value.get().as_bytes().first() {
        Some(b'"') => {
            serde_json::from_str::<Cow<'_, str>>(value.get()).unwrap_or(Cow::Borrowed(""))
        }
        Some(b'n') => Cow::Borrowed(""),
        Some(b'[' | b'{') => {
            let mut text = String::new();
            if let Ok(value) = serde_json::from_str(value.get()) {
                java_text(&value, &mut text);
            }
            Cow::Owned(text)
        }
        _ => Cow::Borrowed(value.get()), // numbers and booleans as they are written
    }
}

/// Lists and maps the way Java prints them, which is what the service shows.
fn java_text(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::String(text) => out.push_str(text),
        Value::Bool(_) | Value::Number(_) => {
            let _infallible = write!(out, "{value}");
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                java_text(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                out.push_str(name);
                out.push('=');
                java_text(member, out);
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(expression: &str, message: &str) -> Option<String> {
        select(&SelectionExpression::parse(expression).unwrap(), message)
    }

    #[test]
    fn the_documented_examples_give_the_documented_keys() {
        let message = r#"{"service":"chat","action":"join","data":{"room":"room1234"}}"#;
        for (expression, expected) in [
            ("$request.body.action", "join"),
            ("${request.body.action}", "join"),
            ("${request.body.service}/${request.body.action}", "chat/join"),
            ("${request.body.action}-${request.body.invalidPath}", "join-"),
            ("action", "action"),
            ("\\$default", "$default"),
            ("$request.body.data.room", "room1234"),
            ("$request.header.x", ""),
        ] {
            assert_eq!(key(expression, message).as_deref(), Some(expected), "{expression}");
        }
    }

    #[test]
    fn values_print_as_the_service_prints_them() {
        for (value, expected) in [
            ("1", "1"),
            ("1.50", "1.50"),
            ("true", "true"),
            ("null", ""),
            (r#""caf\u00e9 \"x\"""#, "café \"x\""),
            (r#"["item1", "item2", null, 3]"#, "[item1, item2, null, 3]"),
            (r#"{"k": "v", "n": [1]}"#, "{k=v, n=[1]}"),
        ] {
            let message = format!(r#"{{"action": {value}}}"#);
            assert_eq!(key("$request.body.action", &message).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn arrays_are_entered_by_index_from_either_end() {
        let message = r#"{"items":[{"type":"a"},{"type":"b"}]}"#;
        for (index, expected) in
            [("0", "a"), ("1", "b"), ("-1", "b"), ("-2", "a"), ("2", ""), ("-3", "")]
        {
            let expression = format!("$request.body.items[{index}].type");
            assert_eq!(key(&expression, message).as_deref(), Some(expected), "{index}");
        }
    }

    #[test]
    fn json_without_the_path_gives_the_empty_text_and_other_text_gives_nothing() {
        for message in ["{}", "[]", "\"x\"", "5", "null", r#"{"action":null}"#] {
            assert_eq!(key("$request.body.action", message).as_deref(), Some(""), "{message}");
        }
        for message in ["", "hi", "{", "{\"action\":\"chat\"", "{\"action\":\"chat\"} x", "{'a':1}"]
        {
            assert_eq!(key("$request.body.action", message), None, "{message}");
        }
        assert_eq!(key("fixed", "not json").as_deref(), Some("fixed"));
    }

    #[test]
    fn of_two_members_with_one_name_the_last_counts() {
        assert_eq!(key("$request.body.a", r#"{"a":"x","a":"y"}"#).as_deref(), Some("y"));
    }

    /// What the same path gives on a parsed tree.
    fn on_a_tree(message: &str, name: &str) -> Option<String> {
        let tree: Value = serde_json::from_str(message).ok()?;
        Some(match tree.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => {
                let mut text = String::new();
                java_text(value, &mut text);
                text
            }
        })
    }

    proptest! {
        #[test]
        fn skimming_agrees_with_a_parsed_tree(
            name in "[a-c]", members in proptest::collection::vec(("[a-c\"\\\\]{0,2}", any::<String>(), any::<i32>()), 0..4),
            cut in 0usize..200,
        ) {
            let mut object = serde_json::Map::new();
            for (name, text, number) in members {
                object.insert(name.clone(), Value::String(text));
                object.insert(name + "c", Value::from(vec![number]));
            }
            let mut message = Value::Object(object).to_string();
            if cut < message.len() && message.is_char_boundary(cut) {
                message.truncate(cut); // most cuts are not JSON any more
            }
            let expression = SelectionExpression::parse(&format!("$request.body.{name}")).unwrap();
            prop_assert_eq!(select(&expression, &message), on_a_tree(&message, &name));
        }

        #[test]
        fn any_text_is_evaluated_or_refused(message: String) {
            let expression = SelectionExpression::parse("$request.body.a[0]").unwrap();
            let _key = select(&expression, &message);
        }
    }
}
