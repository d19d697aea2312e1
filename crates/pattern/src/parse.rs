//! From JSON to a pattern.
//!
//! The reader's own bound on depth (128 levels) bounds the recursion here and while matching.

use serde_json::{Map, Value};

use crate::condition::{Comparison, Condition, TextTest};
use crate::{Field, InvalidPattern, Node};

type Parsed<T> = Result<T, InvalidPattern>;

fn wrong<T>(path: &str, what: &str) -> Parsed<T> {
    let place = if path.is_empty() { "the pattern" } else { path };
    Err(InvalidPattern(format!("{place} {what}")))
}

/// The pattern of an object; `path` is where it is.
pub(crate) fn node(value: &Value, path: &str) -> Parsed<Node> {
    let Value::Object(members) = value else {
        return wrong(path, "is not an object");
    };
    if members.is_empty() {
        return wrong(path, "is empty");
    }
    let mut node = Node::default();
    for (name, value) in members {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match alternatives(name, value) {
            Some(items) => {
                let nodes: Parsed<Vec<_>> =
                    items.iter().map(|item| self::node(item, &path)).collect();
                node.either.push(nodes?);
            }
            None => node.fields.push((name.clone(), field(value, &path)?)),
        }
    }
    Ok(node)
}

/// The patterns of an `$or`. A member of that name whose entries are no objects is like any other.
///
/// Source: Amazon EventBridge User Guide, "Or matching".
fn alternatives<'a>(name: &str, value: &'a Value) -> Option<&'a Vec<Value>> {
    let items = value.as_array().filter(|items| name == "$or" && items.len() > 1)?;
    items.iter().all(Value::is_object).then_some(items)
}

fn field(value: &Value, path: &str) -> Parsed<Field> {
    match value {
        Value::Object(_) => node(value, path).map(Field::Object),
        Value::Array(items) if items.is_empty() => wrong(path, "is an empty list"),
        Value::Array(items) => {
            let conditions: Parsed<Vec<_>> =
                items.iter().map(|item| condition(item, path)).collect();
            conditions.map(Field::OneOf)
        }
        _ => wrong(path, "is neither an object nor a list of values"),
    }
}

fn condition(value: &Value, path: &str) -> Parsed<Condition> {
    let members = match value {
        Value::Object(members) => members,
        Value::Array(_) => return wrong(path, "has a list in its list"),
        value => return Ok(Condition::Equals(value.clone())),
    };
    let (name, value) = only(members, path)?;
    match (name, value) {
        ("exists", Value::Bool(wanted)) => Ok(Condition::Exists(*wanted)),
        ("exists", _) => wrong(path, "has an `exists` that is neither true nor false"),
        ("numeric", Value::Array(items)) => numeric(items, path),
        ("numeric", _) => wrong(path, "has a `numeric` that is no list"),
        ("anything-but", value) => anything_but(value, path),
        (name, value) => text_test(name, value, path).map(Condition::Text),
    }
}

fn only<'a>(members: &'a Map<String, Value>, path: &str) -> Parsed<(&'a str, &'a Value)> {
    let mut entries = members.iter();
    match (entries.next(), entries.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        _ => wrong(path, "has a comparison that is not an object of one operator"),
    }
}

fn text_test(name: &str, value: &Value, path: &str) -> Parsed<TextTest> {
    // A prefix or suffix may itself ask that the case of letters means nothing.
    let inner = value.as_object().and_then(|members| members.get("equals-ignore-case"));
    match (name, value.as_str(), inner.and_then(Value::as_str)) {
        ("prefix", Some(text), _) => Ok(TextTest::Prefix(text.to_owned(), false)),
        ("prefix", None, Some(text)) => Ok(TextTest::Prefix(text.to_owned(), true)),
        ("suffix", Some(text), _) => Ok(TextTest::Suffix(text.to_owned(), false)),
        ("suffix", None, Some(text)) => Ok(TextTest::Suffix(text.to_owned(), true)),
        ("equals-ignore-case", Some(text), _) => Ok(TextTest::SameLetters(text.to_owned())),
        ("prefix" | "suffix" | "equals-ignore-case", None, _) => {
            wrong(path, &format!("has a `{name}` that is no text"))
        }
        _ => wrong(path, &format!("has an operator that is not known: `{name}`")),
    }
}

fn anything_but(value: &Value, path: &str) -> Parsed<Condition> {
    let one_or_more = |value: &Value| match value {
        Value::Array(items) => items.clone(),
        value => vec![value.clone()],
    };
    if let Value::Object(members) = value {
        let (name, value) = only(members, path)?;
        let tests: Parsed<Vec<_>> =
            one_or_more(value).iter().map(|value| text_test(name, value, path)).collect();
        return tests.map(Condition::NotText);
    }
    let values = one_or_more(value);
    if values.is_empty() || !values.iter().all(|value| value.is_string() || value.is_number()) {
        return wrong(path, "has an `anything-but` that is neither texts nor numbers");
    }
    Ok(Condition::NotValues(values))
}

fn numeric(items: &[Value], path: &str) -> Parsed<Condition> {
    let comparisons: Option<Vec<_>> = items
        .chunks(2)
        .map(|pair| {
            let [operator, bound] = pair else { return None };
            let comparison = match operator.as_str()? {
                "=" => Comparison::Equal,
                "<" => Comparison::Less,
                "<=" => Comparison::LessOrEqual,
                ">" => Comparison::Greater,
                ">=" => Comparison::GreaterOrEqual,
                _ => return None,
            };
            Some((comparison, bound.as_f64()?))
        })
        .collect();
    match comparisons {
        Some(comparisons) if (1..=2).contains(&comparisons.len()) => {
            Ok(Condition::Numeric(comparisons))
        }
        _ => wrong(
            path,
            "has a `numeric` that is not one or two comparisons ([\">\", 0, \"<=\", 5])",
        ),
    }
}
