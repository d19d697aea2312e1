//! Values of an evaluation, and the heap that holds its lists and maps.
//!
//! Lists and maps are shared, as in Java: `#set($b = $a)` and `$b.add(1)` changes `$a`. They live in one arena and die
//! with it, so a list that holds itself, or a million lists in each other, is no trouble for anybody's stack.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value as Json;

use crate::ast::Block;
use crate::error::Fault;
use crate::limits;
use crate::pattern::Pattern;

/// The entries of a map, in the order in which they came.
///
/// Choice: Velocity 1.7 keeps the literal's entries in a `HashMap`, whose order nobody may rely on.
/// Differs: keys are text; `1` and `"1"` are one key.
pub(crate) type Entries = IndexMap<Arc<str>, Value>;

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    /// What API Gateway does not have for this message, such as `$context.missing`.
    ///
    /// Choice: it prints nothing, as is known of `$context` and `$stageVariables`; so it also equals the empty text, joins
    /// and is assigned like it, and is false in a condition.
    Missing,
    Boolean(bool),
    Integer(i64),
    Decimal(f64),
    Text(Arc<str>),
    Cell(Cell),
    /// A `#define`d block: rendered wherever it is printed.
    Block(Block),
    /// `$context`, or a branch of it by its dotted name.
    Context(Arc<str>),
    /// `$context.requestOverride`, `$context.responseOverride`, or a branch: it may be written to.
    Override(Arc<str>),
    StageVariables,
    Input,
    Util,
    /// `$foreach`, by its depth.
    Loop(usize),
}

/// A list, map or entry of the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Cell(usize);

#[derive(Debug)]
pub(crate) enum Content {
    List {
        items: Vec<Value>,
        /// It came from JSON, and prints as JSON.
        json: bool,
    },
    Map(Entries),
    Entry(Arc<str>, Value),
}

impl Value {
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self::Text(Arc::from(text.as_ref()))
    }

    /// An integer of a length or position.
    pub(crate) fn count(count: usize) -> Self {
        Self::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null | Self::Missing)
    }

    /// Whether a condition holds.
    ///
    /// Source: Velocity 1.7: everything is true but `false` and what is undefined or null.
    pub(crate) fn is_true(&self) -> bool {
        !matches!(self, Self::Null | Self::Missing | Self::Boolean(false))
    }

    pub(crate) fn as_number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "as Java widens a long to a double")]
            Self::Integer(number) => Some(*number as f64),
            Self::Decimal(number) => Some(*number),
            _ => None,
        }
    }
}

/// The lists and maps of one evaluation, and the work it may still do.
#[derive(Debug)]
pub(crate) struct Heap {
    cells: Vec<Content>,
    steps_left: usize,
    /// The regular expressions that were compiled, by their text.
    pub(crate) patterns: HashMap<String, Arc<Pattern>>,
}

impl Heap {
    pub(crate) fn new() -> Self {
        Self { cells: Vec::new(), steps_left: limits::STEPS_MAX, patterns: HashMap::new() }
    }

    /// Accounts for work.
    pub(crate) fn spend(&mut self, steps: usize) -> Result<(), Fault> {
        match self.steps_left.checked_sub(steps) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => Err(Fault::Limit("steps", limits::STEPS_MAX)),
        }
    }

    /// Accounts for text that is copied or looked through.
    pub(crate) fn spend_text(&mut self, bytes: usize) -> Result<(), Fault> {
        self.spend(1 + bytes / 32)
    }

    /// A text value, if it is not too long.
    pub(crate) fn text(&mut self, text: impl AsRef<str>) -> Result<Value, Fault> {
        let text = text.as_ref();
        if text.len() > limits::OUTPUT_BYTES_MAX {
            return Err(Fault::Limit("bytes of a text", limits::OUTPUT_BYTES_MAX));
        }
        self.spend_text(text.len())?;
        Ok(Value::text(text))
    }

    pub(crate) fn list(&mut self, items: Vec<Value>) -> Result<Value, Fault> {
        self.spend(items.len())?;
        self.put(Content::List { items, json: false })
    }

    pub(crate) fn map(&mut self, entries: Entries) -> Result<Value, Fault> {
        self.spend(entries.len())?;
        self.put(Content::Map(entries))
    }

    pub(crate) fn put(&mut self, content: Content) -> Result<Value, Fault> {
        self.spend(1)?;
        self.cells.push(content);
        Ok(Value::Cell(Cell(self.cells.len() - 1)))
    }

    pub(crate) fn get(&self, cell: Cell) -> Option<&Content> {
        self.cells.get(cell.0)
    }

    pub(crate) fn get_mut(&mut self, cell: Cell) -> Option<&mut Content> {
        self.cells.get_mut(cell.0)
    }

    /// The value of a JSON value. Its depth is bounded by the reader that made it.
    pub(crate) fn import(&mut self, json: &Json) -> Result<Value, Fault> {
        Ok(match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Boolean(*value),
            Json::Number(number) => number.as_i64().map_or_else(
                || Value::Decimal(number.as_f64().unwrap_or_default()),
                Value::Integer,
            ),
            Json::String(text) => self.text(text)?,
            Json::Array(items) => {
                let items = items.iter().map(|item| self.import(item)).collect::<Result<_, _>>()?;
                self.put(Content::List { items, json: true })?
            }
            Json::Object(members) => {
                let mut entries = Entries::with_capacity(members.len());
                for (name, member) in members {
                    self.spend_text(name.len())?;
                    entries.insert(Arc::from(name.as_str()), self.import(member)?);
                }
                self.put(Content::Map(entries))?
            }
        })
    }
}
