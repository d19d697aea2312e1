//! Filters: `[?(…)]`.

use std::cmp::Ordering;

use serde_json::Value as Json;

use super::select::Walk;
use super::{JsonPath, Selection};
use crate::pattern::Pattern;

#[derive(Debug, Clone)]
pub(super) enum Filter {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Exists(Operand),
    Compare(Operand, Compare, Operand),
    Matches(Operand, Pattern),
}

#[derive(Debug, Clone)]
pub(super) enum Operand {
    /// A path from the element: `@.name`.
    Here(JsonPath),
    /// A path from the document: `$.name`.
    Root(JsonPath),
    Literal(Json),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

impl Filter {
    /// Whether it holds for an element; `None` when the work is too much.
    pub(super) fn holds(&self, walk: &mut Walk<'_>, here: &Json) -> Option<bool> {
        walk.visit(1)?;
        match self {
            Self::Any(parts) => {
                for part in parts {
                    if part.holds(walk, here)? {
                        return Some(true);
                    }
                }
                Some(false)
            }
            Self::All(parts) => {
                for part in parts {
                    if !part.holds(walk, here)? {
                        return Some(false);
                    }
                }
                Some(true)
            }
            Self::Not(part) => Some(!part.holds(walk, here)?),
            Self::Exists(operand) => {
                let found = operand.value(walk, here)?;
                Some(match operand {
                    // A path to many places exists when there is one.
                    Operand::Here(path) | Operand::Root(path) if !path.is_definite() => {
                        found.value().is_some_and(|list| *list != Json::Array(Vec::new()))
                    }
                    _ => found.value().is_some(),
                })
            }
            Self::Compare(left, compare, right) => {
                let (left, right) = (left.value(walk, here)?, right.value(walk, here)?);
                Some(compare.holds(left.value(), right.value()))
            }
            Self::Matches(operand, pattern) => {
                let found = operand.value(walk, here)?;
                let Some(Json::String(text)) = found.value() else { return Some(false) };
                walk.visit(pattern.steps(text))?;
                Some(pattern.regex.is_match(text))
            }
        }
    }
}

impl Operand {
    fn value<'v, 'r: 'v>(&'v self, walk: &mut Walk<'r>, here: &'v Json) -> Option<Selection<'v>> {
        match self {
            Self::Here(path) => walk.select(path, here),
            Self::Root(path) => walk.select(path, walk.root),
            Self::Literal(literal) => Some(Selection::One(literal)),
        }
    }
}

impl Compare {
    fn holds(self, left: Option<&Json>, right: Option<&Json>) -> bool {
        let same = match (left, right) {
            (Some(left), Some(right)) => equal(left, right),
            (None, None) => true,
            _ => false,
        };
        let order = || match (left?, right?) {
            (Json::Number(left), Json::Number(right)) => {
                left.as_f64()?.partial_cmp(&right.as_f64()?)
            }
            (Json::String(left), Json::String(right)) => Some(left.cmp(right)),
            _ => None,
        };
        let is = |wanted: &[Ordering]| order().is_some_and(|order| wanted.contains(&order));
        let held = || match (left, right) {
            (Some(left), Some(Json::Array(items))) => items.iter().any(|item| equal(item, left)),
            _ => false,
        };
        match self {
            Self::Equal => same,
            Self::NotEqual => !same,
            Self::Less => is(&[Ordering::Less]),
            Self::LessOrEqual => is(&[Ordering::Less, Ordering::Equal]),
            Self::Greater => is(&[Ordering::Greater]),
            Self::GreaterOrEqual => is(&[Ordering::Greater, Ordering::Equal]),
            Self::In => held(),
            Self::NotIn => !held(),
        }
    }
}

/// Numbers are equal by value: `1` and `1.0`.
fn equal(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => {
            left == right || left.as_f64() == right.as_f64()
        }
        _ => left == right,
    }
}
