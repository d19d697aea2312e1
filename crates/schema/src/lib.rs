//! JSON Schema draft 4, as models of API Gateway are written in it.
//!
//! ```
//! use stillwire_schema::Schema;
//! let schema = Schema::parse(r#"{"type":"object","required":["action"]}"#)?;
//! assert!(schema.validate(&serde_json::json!({"action": "chat"})).is_ok());
//! let problems = schema.validate(&serde_json::json!({})).unwrap_err();
//! assert_eq!(problems, [r#"object has missing required properties (["action"])"#]);
//! # Ok::<(), stillwire_schema::InvalidSchema>(())
//! ```
//!
//! Parsing resolves references to indexes, so that a validation follows them without looking anything up; they lead
//! into the same text or, by API Gateway's address of a model, into another one, and never to the network. A validation
//! is bounded in depth and work ([`limits`]); one that reaches a bound fails.
//!
//! Considered: the `jsonschema` crate (32 packages, 40 s to compile), whose work has no bound: thirty definitions that
//! each refer to the next one twice keep it busy without end in sight.
//!
//! Source: draft-zyp-json-schema-04 and draft-fge-json-schema-validation-00; the texts of problems are those of the
//! validator that API Gateway is observed to use. `format` is ignored, and so is what is not a keyword of draft 4.
//! Differs: look-around and back references of regular expressions are refused, since they can take time without bound.

mod canonical;
pub mod limits;
mod parse;
mod validate;

use std::collections::BTreeSet;

use regex_lite::Regex;
use serde_json::Value;

/// A parsed schema.
#[derive(Debug)]
pub struct Schema {
    /// The first one is the root.
    nodes: Vec<Node>,
}

/// A schema that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schema {pointer}: {problem}")]
pub struct InvalidSchema {
    /// Where, as a JSON pointer with its `#`, after the model's name when it is another one.
    pub pointer: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl Schema {
    /// Reads a schema that stands alone.
    ///
    /// # Errors
    /// When it is no JSON, is too large, misuses a keyword, or refers to what is not there.
    pub fn parse(text: &str) -> Result<Self, InvalidSchema> {
        Self::parse_with_models(text, &|_| None)
    }

    /// Reads a schema that may refer to other models of its API as
    /// `https://apigateway.amazonaws.com/restapis/{apiId}/models/{name}`; `models` gives the text of a name.
    ///
    /// # Errors
    /// As [`Schema::parse`].
    pub fn parse_with_models(
        text: &str,
        models: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidSchema> {
        parse::parse(text, models).map(|nodes| Self { nodes })
    }

    /// Validates a value.
    ///
    /// # Errors
    /// The problems, in the words of API Gateway; never empty.
    pub fn validate(&self, value: &Value) -> Result<(), Vec<String>> {
        validate::validate(&self.nodes, value)
    }
}

/// The index of a schema.
type Index = usize;

/// One schema. What it does not mention is left at what allows everything.
#[derive(Debug, Default)]
struct Node {
    /// `$ref`: everything beside it is ignored.
    reference: Option<Index>,
    types: Option<Vec<Type>>,
    /// The values and their canonical texts.
    allowed: Option<(Value, BTreeSet<String>)>,
    all_of: Vec<Index>,
    any_of: Vec<Index>,
    one_of: Vec<Index>,
    not: Option<Index>,

    properties: Vec<(String, Index)>,
    pattern_properties: Vec<(Pattern, Index)>,
    additional_properties: Additional,
    required: BTreeSet<String>,
    dependencies: Vec<(String, Dependency)>,
    min_properties: Option<u64>,
    max_properties: Option<u64>,

    items: Items,
    additional_items: Additional,
    min_items: Option<u64>,
    max_items: Option<u64>,
    unique_items: bool,

    minimum: Option<(serde_json::Number, bool)>,
    maximum: Option<(serde_json::Number, bool)>,
    multiple_of: Option<serde_json::Number>,

    min_length: Option<u64>,
    max_length: Option<u64>,
    pattern: Option<Pattern>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Type {
    Array,
    Boolean,
    Integer,
    Null,
    Number,
    Object,
    String,
}

impl Type {
    const ALL: [(&'static str, Self); 7] = [
        ("array", Self::Array),
        ("boolean", Self::Boolean),
        ("integer", Self::Integer),
        ("null", Self::Null),
        ("number", Self::Number),
        ("object", Self::Object),
        ("string", Self::String),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, found)| *found == self).map_or("", |(name, _)| name)
    }

    /// The type of a value. `1.0` is a number and no integer, as draft 4 has it.
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_f64() => Self::Number,
            Value::Number(_) => Self::Integer,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }
}

#[derive(Debug)]
struct Pattern {
    text: String,
    regex: Regex,
    /// What it takes compiled, rounded up: each byte of a text costs that much, in the worst case.
    bytes: usize,
}

#[derive(Debug, Default)]
enum Additional {
    #[default]
    Allowed,
    Refused,
    Schema(Index),
}

#[derive(Debug, Default)]
enum Items {
    #[default]
    Any,
    Each(Index),
    Places(Vec<Index>),
}

#[derive(Debug)]
enum Dependency {
    Names(BTreeSet<String>),
    Schema(Index),
}
