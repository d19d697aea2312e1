//! `JSONPath` as API Gateway means it: the dialect of Jayway's `JsonPath`, over JSON values.
//!
//! ```
//! use stillwire_velocity::{JsonPath, Selection};
//! let json = serde_json::json!({"items": [{"id": 1}, {"id": 2}]});
//! let ids = JsonPath::parse("$.items[*].id")?.select(&json)?;
//! assert_eq!(ids, Selection::Made(serde_json::json!([1, 2])));
//! # Ok::<(), stillwire_velocity::InvalidPath>(())
//! ```
//!
//! | form | meaning |
//! |---|---|
//! | `$`, `.name`, `['name']`, `[0]`, `[-1]` | one place; a path of only these gives the value there, or nothing |
//! | `['a','b']` at the end | an object of these members |
//! | `.*`, `[*]`, `[0,2]`, `[1:3]`, `[-2:]`, `[:2]`, `..name`, `..*` | many places; such a path always gives a list |
//! | `[?(@.price < 10 && @.tag == 'x')]` | elements for which this holds: `== != < <= > >= =~ in nin && \|\| !`, existence |
//! | `.length()`, `.size()` at the end | how many elements or members |
//!
//! A path without its `$` begins at the root, too. Selection expressions of routes (in `model`) are the first row of
//! this, and agree with it.
//!
//! Source: API Gateway Developer Guide, "`JSONPath`", and the README of Jayway `JsonPath` for the forms. Differs:
//! functions other than `length()` and `size()` are refused.

mod filter;
mod parser;
mod select;

use std::borrow::Cow;

use serde_json::Value as Json;

use filter::Filter;

/// A parsed path.
#[derive(Debug, Clone)]
pub struct JsonPath {
    segments: Vec<Segment>,
    length: bool,
}

/// A path that cannot be read, or that looks at too many values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("JSONPath {path:?}: {problem}")]
pub struct InvalidPath {
    /// The path, as it was written.
    pub path: String,
    /// What is wrong, and where.
    pub problem: String,
}

/// What a path selects.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection<'a> {
    /// The place does not exist.
    Nothing,
    /// The value of the one place.
    One(&'a Json),
    /// A value that the path made: the list of all places, an object of some members, a length.
    Made(Json),
}

impl Selection<'_> {
    /// The value, if there is one.
    pub fn value(&self) -> Option<&Json> {
        match self {
            Self::Nothing => None,
            Self::One(value) => Some(value),
            Self::Made(value) => Some(value),
        }
    }
}

#[derive(Debug, Clone)]
struct Segment {
    /// `..`: here and everywhere below.
    deep: bool,
    step: Step,
}

#[derive(Debug, Clone)]
enum Step {
    Names(Vec<String>),
    Every,
    Indexes(Vec<i64>),
    Slice(Option<i64>, Option<i64>),
    Filter(Filter),
}

/// A selected value: a part of the document, or an object made of some members.
type Found<'a> = Cow<'a, Json>;

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// When it is malformed, too long, or uses a function that is not there.
    pub fn parse(path: &str) -> Result<Self, InvalidPath> {
        parser::parse(path)
    }

    /// Whether it names one place, so that it selects that value and not a list.
    pub fn is_definite(&self) -> bool {
        self.segments.iter().all(|segment| {
            !segment.deep
                && match &segment.step {
                    Step::Names(_) => true,
                    Step::Indexes(indexes) => indexes.len() == 1,
                    Step::Every | Step::Slice(..) | Step::Filter(_) => false,
                }
        })
    }

    /// Selects from a document.
    ///
    /// # Errors
    /// When it would look at more values than the limit allows.
    pub fn select<'a>(&self, root: &'a Json) -> Result<Selection<'a>, InvalidPath> {
        self.select_counted(root).map(|(selection, _)| selection)
    }
}
