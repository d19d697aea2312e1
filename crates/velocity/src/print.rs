//! Values as text.
//!
//! Source: observed with API Gateway REST APIs: an object of `$input.path` prints as Java prints a map (`{a=1, b=x}`), a
//! list as JSON (`[{"a":1}]`), also inside a map. A list that the template made prints as Java prints it (`[a, b]`).
//! Believed: the same for WebSocket APIs.

use std::fmt::Write as _;

use crate::error::Fault;
use crate::limits;
use crate::value::{Content, Heap, Value};

impl Heap {
    /// What a simple value prints; lazy values (`$context`, blocks) are the evaluator's.
    pub(crate) fn print(&mut self, value: &Value) -> Result<String, Fault> {
        let mut out = String::new();
        self.write(value, &mut out, false, 0)?;
        self.spend_text(out.len())?;
        Ok(out)
    }

    fn write(
        &mut self,
        value: &Value,
        out: &mut String,
        json: bool,
        depth: usize,
    ) -> Result<(), Fault> {
        if depth > limits::VALUE_DEPTH_MAX {
            return Err(Fault::Limit("nesting of a value", limits::VALUE_DEPTH_MAX));
        }
        if out.len() > limits::OUTPUT_BYTES_MAX {
            return Err(Fault::Limit("bytes of a text", limits::OUTPUT_BYTES_MAX));
        }
        self.spend(1)?;
        match value {
            Value::Null => out.push_str("null"),
            Value::Missing => out.push_str(if json { "null" } else { "" }),
            Value::Boolean(value) => push(out, value),
            Value::Integer(number) => push(out, number),
            Value::Decimal(number) => out.push_str(&decimal(*number)),
            Value::Text(text) if json => out.push_str(&quoted(text)),
            Value::Text(text) => out.push_str(text),
            Value::Cell(cell) => {
                let (open, close, json, items) = match self.get(*cell) {
                    Some(Content::List { items, json: is_json }) => {
                        let items = items.iter().map(|item| (None, item.clone())).collect();
                        ('[', ']', json || *is_json, items)
                    }
                    Some(Content::Map(entries)) => {
                        let named = |(key, value): (&_, &Value)| {
                            (Some(std::sync::Arc::clone(key)), value.clone())
                        };
                        ('{', '}', json, entries.iter().map(named).collect::<Vec<_>>())
                    }
                    Some(Content::Entry(key, value)) => {
                        let (key, value) = (std::sync::Arc::clone(key), value.clone());
                        out.push_str(&key);
                        out.push('=');
                        return self.write(&value, out, json, depth + 1);
                    }
                    None => return Ok(()),
                };
                self.spend(items.len())?;
                out.push(open);
                for (position, (key, item)) in items.iter().enumerate() {
                    if position > 0 {
                        out.push_str(if json { "," } else { ", " });
                    }
                    match key {
                        Some(key) if json => {
                            out.push_str(&quoted(key));
                            out.push(':');
                        }
                        Some(key) => {
                            out.push_str(key);
                            out.push('=');
                        }
                        None => {}
                    }
                    self.write(item, out, json, depth + 1)?;
                }
                out.push(close);
            }
            Value::Block(_)
            | Value::Context(_)
            | Value::Override(_)
            | Value::StageVariables
            | Value::Input
            | Value::Util
            | Value::Loop(_) => out.push_str(if json { "\"\"" } else { "" }),
        }
        Ok(())
    }
}

fn push(out: &mut String, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _infallible = write!(out, "{value}");
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// A decimal as Java's `Double.toString` writes it: `1.0`, `0.5`, `1.0E10`, `1.0E-5`.
pub(crate) fn decimal(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    let size = number.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => format!("{digits}E{exponent}"),
        Some((digits, exponent)) => format!("{digits}.0E{exponent}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_read_as_in_java() {
        for (number, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (1e7, "1.0E7"),
            (123_456_789.0, "1.23456789E8"),
            (9_999_999.0, "9999999.0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
        ] {
            assert_eq!(decimal(number), text);
        }
    }
}
