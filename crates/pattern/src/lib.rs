//! Event patterns, as EventBridge and the filters of event source mappings are written in them. No I/O.
//!
//! ```
//! use stillwire_pattern::Pattern;
//! let pattern = Pattern::parse(r#"{"eventName":["INSERT"],"room":[{"prefix":"lob"}]}"#)?;
//! assert!(pattern.matches(&serde_json::json!({"eventName": "INSERT", "room": "lobby"})));
//! assert!(!pattern.matches(&serde_json::json!({"eventName": "REMOVE", "room": "lobby"})));
//! # Ok::<(), stillwire_pattern::InvalidPattern>(())
//! ```
//!
//! A member of a pattern is a list of what a value may be, or a pattern of its own for an object. Every member must
//! match; of a list one entry is enough. A list in an event matches when one of its elements does; of a list of objects
//! one object must match the whole pattern below it.
//!
//! Source: Amazon EventBridge User Guide, "Event patterns" and "Comparison operators"; AWS Lambda Developer Guide,
//! "Filter rule syntax".

mod condition;
mod parse;

use std::sync::Arc;

use serde_json::Value;

use crate::condition::Condition;

/// A pattern that was read. Clones share it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Arc<Node>);

/// A text that is no pattern; says what is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPattern(pub(crate) String);

/// What an object must be like.
#[derive(Debug, Clone, Default, PartialEq)]
struct Node {
    fields: Vec<(String, Field)>,
    /// Of each list one pattern must match (`$or`).
    either: Vec<Vec<Self>>,
}

/// What a member must be like.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    /// An object.
    Object(Node),
    /// A value that meets one of these.
    OneOf(Vec<Condition>),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When the text is no JSON object, or not shaped as patterns are.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| InvalidPattern(error.to_string()))?;
        Self::from_value(&value)
    }

    /// Reads a pattern from JSON that was parsed already.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn from_value(value: &Value) -> Result<Self, InvalidPattern> {
        parse::node(value, "").map(|node| Self(Arc::new(node)))
    }

    /// Whether an event is as the pattern wants it.
    pub fn matches(&self, event: &Value) -> bool {
        self.0.matches(event)
    }
}

impl Node {
    fn matches(&self, event: &Value) -> bool {
        let fields = self.fields.iter().all(|(name, field)| field.matches(event.get(name)));
        fields && self.either.iter().all(|nodes| nodes.iter().any(|node| node.matches(event)))
    }

    /// Whether nothing at all is as good as what is wanted: all that it asks for is that members are not there.
    fn matches_nothing(&self) -> bool {
        self.matches(&Value::Null)
    }
}

impl Field {
    fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Object(node) => match value {
                Some(Value::Object(_)) => value.is_some_and(|value| node.matches(value)),
                Some(Value::Array(items)) => items.iter().any(|item| node.matches(item)),
                Some(_) | None => node.matches_nothing(),
            },
            Self::OneOf(conditions) => conditions.iter().any(|condition| condition.meets(value)),
        }
    }
}

#[cfg(test)]
mod tests;
