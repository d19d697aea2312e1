//! `java.lang.String`. Positions and lengths count UTF-16 units, as in Java.

use std::sync::Arc;

use super::{Returned, order};
use crate::error::Fault;
use crate::evaluate::Evaluator;
use crate::pattern;
use crate::value::Value;

impl Evaluator<'_> {
    pub(super) fn call_text(
        &mut self,
        text: &Arc<str>,
        name: &str,
        arguments: &[Value],
    ) -> Returned {
        self.heap.spend_text(text.len())?;
        match (name, arguments) {
            ("length", []) => Ok(Some(Value::count(length(text)))),
            ("isEmpty", []) => Ok(Some(Value::Boolean(text.is_empty()))),
            ("isBlank", []) => Ok(Some(Value::Boolean(text.trim().is_empty()))),
            ("hashCode", []) => Ok(Some(Value::Integer(i64::from(hash_code(text))))),
            ("trim", []) => self.made(text.trim_matches(|c| c <= ' ')),
            ("strip", []) => self.made(text.trim()),
            ("toLowerCase", []) => self.made(text.to_lowercase()),
            ("toUpperCase", []) => self.made(text.to_uppercase()),
            ("intern", []) => Ok(Some(Value::Text(Arc::clone(text)))),
            ("charAt", [Value::Integer(at)]) => {
                let end = at.checked_add(1).unwrap_or(*at);
                self.made(between(text, *at, end)?)
            }
            ("substring" | "subSequence", [Value::Integer(from)]) => {
                let end = i64::try_from(length(text)).unwrap_or(i64::MAX);
                self.made(between(text, *from, end)?)
            }
            ("substring" | "subSequence", [Value::Integer(from), Value::Integer(to)]) => {
                self.made(between(text, *from, *to)?)
            }
            ("repeat", [Value::Integer(times)]) => {
                let times = usize::try_from(*times)
                    .map_err(|_| Fault::failed("a text cannot be repeated so often"))?;
                let bytes = text.len().saturating_mul(times);
                self.heap.spend_text(bytes)?;
                self.made(text.repeat(times))
            }
            // Java has no text for null.
            (_, [Value::Null, ..]) => Ok(None),
            ("split", [_] | [_, Value::Integer(_)]) => self.split(text, arguments),
            (_, [first]) => {
                let first = self.show(first)?;
                self.call_with_text(text, name, &first)
            }
            (_, [first, second]) => {
                if let ("indexOf", Value::Integer(from)) = (name, second) {
                    let sought = self.show(first)?;
                    return Ok(Some(index_from(text, &sought, *from)));
                }
                let (first, second) = (self.show(first)?, self.show(second)?);
                self.replaced(text, name, &first, &second)
            }
            _ => Ok(None),
        }
    }

    fn call_with_text(&mut self, text: &str, name: &str, other: &str) -> Returned {
        Ok(Some(match name {
            "contains" => Value::Boolean(text.contains(other)),
            "startsWith" => Value::Boolean(text.starts_with(other)),
            "endsWith" => Value::Boolean(text.ends_with(other)),
            "equalsIgnoreCase" => Value::Boolean(text.to_lowercase() == other.to_lowercase()),
            "contentEquals" => Value::Boolean(text == other),
            "indexOf" => position(text, text.find(other)),
            "lastIndexOf" => position(text, text.rfind(other)),
            "compareTo" => order(text.encode_utf16().cmp(other.encode_utf16())),
            "compareToIgnoreCase" => {
                let (text, other) = (text.to_lowercase(), other.to_lowercase());
                order(text.encode_utf16().cmp(other.encode_utf16()))
            }
            "concat" => return self.made(format!("{text}{other}")),
            "matches" => {
                let whole = format!("\\A(?:{other})\\z");
                let pattern = pattern::compile(&mut self.heap, &whole, text)?;
                Value::Boolean(pattern.regex.is_match(text))
            }
            _ => return Ok(None),
        }))
    }

    fn replaced(&mut self, text: &str, name: &str, first: &str, second: &str) -> Returned {
        match name {
            "replace" => {
                // What a replacement can grow to, before it is made.
                let found =
                    if first.is_empty() { length(text) + 1 } else { text.matches(first).count() };
                self.heap.spend_text(text.len() + found.saturating_mul(second.len()))?;
                self.made(text.replace(first, second))
            }
            "replaceAll" | "replaceFirst" => {
                let pattern = pattern::compile(&mut self.heap, first, text)?;
                let made = pattern::replace(&pattern.regex, text, second, name == "replaceAll")?;
                self.made(made)
            }
            _ => Ok(None),
        }
    }

    fn split(&mut self, text: &str, arguments: &[Value]) -> Returned {
        let [pattern, limit @ ..] = arguments else { return Ok(None) };
        let pattern = self.show(pattern)?;
        let limit = if let [Value::Integer(limit)] = limit { *limit } else { 0 };
        let pattern = pattern::compile(&mut self.heap, &pattern, text)?;
        let mut pieces = Vec::new();
        for piece in pattern::split(&pattern.regex, text, limit) {
            pieces.push(self.heap.text(piece)?);
        }
        self.heap.list(pieces).map(Some)
    }

    fn made(&mut self, text: impl AsRef<str>) -> Returned {
        self.heap.text(text).map(Some)
    }
}

fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The position of a match, in UTF-16 units; -1 when there is none.
fn position(text: &str, byte: Option<usize>) -> Value {
    match byte.and_then(|byte| text.get(..byte)) {
        Some(before) => Value::count(length(before)),
        None => Value::Integer(-1),
    }
}

fn index_from(text: &str, sought: &str, from: i64) -> Value {
    let from = usize::try_from(from).unwrap_or_default();
    let mut units = 0;
    let mut start = text.len();
    for (byte, c) in text.char_indices() {
        if units >= from {
            start = byte;
            break;
        }
        units += c.len_utf16();
    }
    let found = text.get(start..).and_then(|rest| rest.find(sought));
    position(text, found.map(|at| at + start))
}

fn between(text: &str, from: i64, to: i64) -> Result<String, Fault> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    match range.and_then(|(from, to)| units.get(from..to)) {
        Some(found) => Ok(String::from_utf16_lossy(found)),
        None => Err(Fault::failed(format!(
            "there is no text from {from} to {to}; it has {} characters",
            units.len()
        ))),
    }
}

/// Source: Java, `String.hashCode`.
fn hash_code(text: &str) -> i32 {
    text.encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}
