//! Values with positions: each knows the line and column it was written at, in JSON or YAML.
//!
//! The readers are strict and bounded in size and depth; two members of one name are an error, because
//! tools disagree about which of them counts. Numbers stay text: a template's account `012` or `1.10` must
//! come out as it went in.

mod json;
mod yaml;

use std::fmt;

use serde::Serialize;

/// The largest text that is read, in bytes.
///
/// Choice: CloudFormation takes templates of 1 MB; manifests and inline code are larger, but not by this much.
pub(crate) const BYTES_MAX: usize = 64 * 1024 * 1024;

/// A place in a text; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

/// How deep lists and maps may be nested.
const DEPTH_MAX: usize = 128;

/// What a value takes in memory besides its text, roughly.
const NODE_BYTES: usize = 64;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

/// What JSON can say, and YAML where it means the same.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// The number as it was written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Map),
}

/// The members of an object, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Map(pub(crate) Vec<Member>);

/// One member of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) at: Position,
    pub(crate) node: Node,
}

/// A text that is not what it should be, or more of it than is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvalidText {
    pub(crate) at: Position,
    pub(crate) problem: String,
}

impl fmt::Display for InvalidText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.at.line, self.at.column, self.problem)
    }
}

impl Member {
    fn bytes(&self) -> usize {
        NODE_BYTES + self.name.len() + self.node.bytes()
    }
}

impl Map {
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.0.iter().find(|member| member.name == name).map(|member| &member.node)
    }
}

impl Node {
    /// Reads a text that a person wrote, in JSON or YAML.
    ///
    /// Source: `CloudFormation` takes what begins with a brace for JSON, whatever the file's name.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidText> {
        // Editors of some systems begin a text with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let is_json = text.trim_start().starts_with('{');
        let read = if is_json { json::read(text) } else { yaml::read(text) };
        read.map_err(|error| {
            let language = if is_json { "JSON" } else { "YAML" };
            InvalidText { problem: format!("this is not {language}: {}", error.problem), ..error }
        })
    }

    /// Reads one JSON text.
    pub(crate) fn parse_json(text: &str) -> Result<Self, InvalidText> {
        json::read(text)
    }

    pub(crate) fn map(at: Position, members: Vec<(String, Self)>) -> Self {
        let members = members.into_iter().map(|(name, node)| Member { name, at, node });
        Self { at, value: Value::Map(Map(members.collect())) }
    }

    pub(crate) fn text(at: Position, text: impl Into<String>) -> Self {
        Self { at, value: Value::Text(text.into()) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.as_map().and_then(|map| map.get(name))
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a scalar: `CloudFormation` writes numbers and booleans as text where text is asked for.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// What a person would call this value.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "an object",
        }
    }

    /// A value that was written nowhere, as if it stood at `at`.
    pub(crate) fn from_json(at: Position, value: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        let value = match value {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => Value::Number(number.to_string()),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => {
                Value::List(items.iter().map(|item| Self::from_json(at, item)).collect())
            }
            Json::Object(members) => {
                let members = members.iter();
                return Self::map(
                    at,
                    members
                        .map(|(name, value)| (name.clone(), Self::from_json(at, value)))
                        .collect(),
                );
            }
        };
        Self { at, value }
    }

    pub(crate) fn list(at: Position, items: Vec<Self>) -> Self {
        Self { at, value: Value::List(items) }
    }

    /// The only member of an object that has one.
    pub(crate) fn only_member(&self) -> Option<&Member> {
        match self.as_map()?.0.as_slice() {
            [member] => Some(member),
            _ => None,
        }
    }

    /// The call of a function, or the reference, that the value is.
    pub(crate) fn as_call(&self) -> Option<&Member> {
        self.only_member().filter(|member| {
            member.name == "Ref" || member.name == "Condition" || member.name.starts_with("Fn::")
        })
    }

    /// What the value takes in memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        NODE_BYTES
            + match &self.value {
                Value::Text(text) | Value::Number(text) => text.len(),
                Value::List(items) => items.iter().map(Self::bytes).sum(),
                Value::Map(map) => map.0.iter().map(Member::bytes).sum(),
                Value::Null | Value::Bool(_) => 0,
            }
    }

    /// The same value without positions.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(text) => {
                serde_json::from_str(text).unwrap_or_else(|_| text.clone().into())
            }
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect::<Vec<_>>().into(),
            Value::Map(map) => {
                let members = map.0.iter().map(|m| (m.name.clone(), m.node.to_json()));
                serde_json::Value::Object(members.collect())
            }
        }
    }
}
