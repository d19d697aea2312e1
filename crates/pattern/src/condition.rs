//! What a value may be: one entry of a pattern's list.

use serde_json::{Number, Value};

/// One entry of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    /// Exactly this text, number, truth value or null.
    Equals(Value),
    /// A text like this.
    Text(TextTest),
    /// Any text or number but these.
    NotValues(Vec<Value>),
    /// Any text that is like none of these.
    NotText(Vec<TextTest>),
    /// A number for which all comparisons hold.
    Numeric(Vec<(Comparison, f64)>),
    /// Whether there is a value at all.
    Exists(bool),
}

/// How a text is tested.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TextTest {
    /// It begins so; `true` when the case of letters means nothing.
    Prefix(String, bool),
    /// It ends so; as above.
    Suffix(String, bool),
    /// It is this but for the case of letters.
    SameLetters(String),
}

/// How numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    /// Whether a member is so. `None` is one that is not there.
    pub(crate) fn meets(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            // Source: as above, "exists matching": it works on leaves only; what is below an object is not the object.
            (Self::Exists(wanted), None | Some(Value::Object(_))) => !wanted,
            (Self::Exists(wanted), Some(Value::Array(items))) => items.is_empty() != *wanted,
            (Self::Exists(wanted), Some(_)) => *wanted,
            (_, None | Some(Value::Object(_))) => false,
            (_, Some(Value::Array(items))) => items.iter().any(|item| self.meets_one(item)),
            (_, Some(value)) => self.meets_one(value),
        }
    }

    fn meets_one(&self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Array(_) | Value::Object(_)) => false,
            (Self::Equals(wanted), value) => wanted == value,
            (Self::NotValues(unwanted), value) => !unwanted.contains(value),
            (Self::Text(test), Value::String(text)) => test.holds(text),
            (Self::NotText(tests), Value::String(text)) => {
                !tests.iter().any(|test| test.holds(text))
            }
            (Self::Numeric(comparisons), Value::Number(number)) => within(number, comparisons),
            _ => false,
        }
    }
}

impl TextTest {
    fn holds(&self, text: &str) -> bool {
        let lower = |text: &str| text.to_lowercase();
        match self {
            Self::Prefix(start, false) => text.starts_with(start),
            Self::Prefix(start, true) => lower(text).starts_with(&lower(start)),
            Self::Suffix(end, false) => text.ends_with(end),
            Self::Suffix(end, true) => lower(text).ends_with(&lower(end)),
            Self::SameLetters(other) => lower(text) == lower(other),
        }
    }
}

fn within(number: &Number, comparisons: &[(Comparison, f64)]) -> bool {
    let Some(number) = number.as_f64() else { return false };
    comparisons.iter().all(|(comparison, bound)| match comparison {
        #[allow(clippy::float_cmp, reason = "the operator means equality")]
        Comparison::Equal => number == *bound,
        Comparison::Less => number < *bound,
        Comparison::LessOrEqual => number <= *bound,
        Comparison::Greater => number > *bound,
        Comparison::GreaterOrEqual => number >= *bound,
    })
}
