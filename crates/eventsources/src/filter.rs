//! Which records are wanted.
//!
//! Source: AWS Lambda Developer Guide, "Control which events Lambda sends to your function".

use serde_json::Value;
use stillwire_pattern::{InvalidPattern, Pattern};

/// Patterns of which one must match; without any, everything is wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter(Vec<Wanted>);

/// One pattern, with what it says about the body of a message.
#[derive(Debug, Clone)]
struct Wanted {
    /// All but the body; `None` where there is nothing else.
    rest: Option<Pattern>,
    /// For bodies that are JSON objects, or for plain texts.
    body: Option<Body>,
    /// The pattern as it was written.
    whole: Pattern,
}

#[derive(Debug, Clone)]
enum Body {
    /// A pattern for what the body says in JSON.
    Json(Pattern),
    /// A pattern `{"body": […]}` for a body that is text.
    Text(Pattern),
}

impl Filter {
    /// Reads patterns.
    pub(crate) fn read(patterns: &[String]) -> Result<Self, InvalidPattern> {
        patterns.iter().map(|pattern| Wanted::read(pattern)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a record of a stream is wanted.
    pub(crate) fn wants(&self, record: &Value) -> bool {
        self.0.is_empty() || self.0.iter().any(|wanted| wanted.whole.matches(record))
    }

    /// Whether a message of a queue is wanted: its body is looked into as JSON where the pattern does, and as a text
    /// where the pattern is one for texts. A body of the other kind does not match.
    pub(crate) fn wants_message(&self, message: &Value) -> bool {
        self.0.is_empty() || self.0.iter().any(|wanted| wanted.wants_message(message))
    }
}

impl Wanted {
    fn read(text: &str) -> Result<Self, InvalidPattern> {
        let whole = Pattern::parse(text)?;
        let mut rest: Value = serde_json::from_str(text).unwrap_or_default();
        let body = rest.as_object_mut().and_then(|members| members.remove("body"));
        let body = match body {
            None => None,
            Some(body @ Value::Object(_)) => Some(Body::Json(Pattern::from_value(&body)?)),
            Some(body) => {
                Some(Body::Text(Pattern::from_value(&serde_json::json!({ "body": body }))?))
            }
        };
        let is_empty = rest.as_object().is_none_or(serde_json::Map::is_empty);
        let rest = if is_empty { None } else { Some(Pattern::from_value(&rest)?) };
        Ok(Self { rest, body, whole })
    }

    fn wants_message(&self, message: &Value) -> bool {
        let text = message.get("body").and_then(Value::as_str).unwrap_or_default();
        let json = || serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
        let body = match &self.body {
            None => true,
            Some(Body::Json(pattern)) => json().is_some_and(|body| pattern.matches(&body)),
            Some(Body::Text(pattern)) => json().is_none() && pattern.matches(message),
        };
        body && self.rest.as_ref().is_none_or(|rest| rest.matches(message))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filter(patterns: &[Value]) -> Filter {
        Filter::read(&patterns.iter().map(Value::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_record_is_wanted_when_one_whole_pattern_matches() {
        let record = |name: &str, room: &str| {
            json!({ "eventName": name,
            "dynamodb": { "NewImage": { "room": { "S": room } } } })
        };
        assert!(Filter::default().wants(&record("REMOVE", "x")));
        let filter = filter(&[
            json!({ "eventName": ["INSERT"],
                "dynamodb": { "NewImage": { "room": { "S": [{ "prefix": "lob" }] } } } }),
            json!({ "eventName": ["REMOVE"] }),
        ]);
        for (name, room, expected) in [
            ("INSERT", "lobby", true),
            ("INSERT", "attic", false),
            ("MODIFY", "lobby", false),
            ("REMOVE", "attic", true),
        ] {
            assert_eq!(filter.wants(&record(name, room)), expected, "{name} {room}");
        }
    }

    #[test]
    fn a_body_is_looked_into_as_the_pattern_says() {
        let message = |body: &str| json!({ "body": body, "attributes": { "SenderId": "ada" } });
        let json_body = filter(&[json!({ "body": { "kind": ["a"] } })]);
        let text_body = filter(&[json!({ "body": ["hello", { "prefix": "x" }] })]);
        let sender = filter(&[json!({ "attributes": { "SenderId": ["ada"] } })]);
        let both = filter(&[json!({ "attributes": { "SenderId": ["bob"] }, "body": ["hello"] })]);
        for (filter, body, expected) in [
            (&json_body, r#"{"kind":"a"}"#, true),
            (&json_body, r#"{"kind":"b"}"#, false),
            (&json_body, "kind a", false),
            (&text_body, "hello", true),
            (&text_body, "xyz", true),
            (&text_body, r#"{"hello":1}"#, false),
            (&sender, "anything", true),
            (&both, "hello", false),
        ] {
            assert_eq!(filter.wants_message(&message(body)), expected, "{filter:?} {body}");
        }
    }
}
