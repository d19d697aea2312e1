//! What `UPDATED_OLD` and `UPDATED_NEW` return of lists: the elements that were named, where the engine returns whole lists.
//!
//! Source: `UpdateItem`, API reference, `ReturnValues`: "only the updated attributes"; a path returns what it leads to.

use serde_json::{Map, Value};

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

/// Whether the engine's answer to a request has to be cut.
pub(crate) fn concerns(request: &Value) -> bool {
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    matches!(text("ReturnValues"), "UPDATED_OLD" | "UPDATED_NEW")
        && text("UpdateExpression").contains('[')
}

/// Cuts an answer to what the request's paths lead to.
pub(crate) fn cut(request: &Value, answer: &mut Value) {
    let expression = request.get("UpdateExpression").and_then(Value::as_str).unwrap_or_default();
    let names = request.get("ExpressionAttributeNames").and_then(Value::as_object);
    let paths: Vec<Vec<Step>> =
        targets(expression).into_iter().map(|target| path(target, names)).collect();
    let Some(attributes) = answer.get_mut("Attributes").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, value) in attributes {
        let tails: Vec<&[Step]> = paths
            .iter()
            .filter_map(|path| match path.split_first() {
                Some((Step::Name(first), tail)) if first == name => Some(tail),
                _ => None,
            })
            .collect();
        if !tails.is_empty() {
            *value = part(value, &tails);
        }
    }
}

/// What paths lead to within a value.
fn part(value: &Value, tails: &[&[Step]]) -> Value {
    if tails.iter().any(|tail| tail.is_empty()) {
        return value.clone();
    }
    let below = |step: &Step| -> Vec<&[Step]> {
        tails
            .iter()
            .filter_map(|tail| tail.split_first().filter(|(first, _)| *first == step))
            .map(|(_, rest)| rest)
            .collect()
    };
    if let Some(members) = value.get("M").and_then(Value::as_object) {
        let kept: Map<String, Value> = members
            .iter()
            .filter_map(|(name, member)| {
                let tails = below(&Step::Name(name.clone()));
                (!tails.is_empty()).then(|| (name.clone(), part(member, &tails)))
            })
            .collect();
        return Map::from_iter([("M".to_owned(), kept.into())]).into();
    }
    let Some(items) = value.get("L").and_then(Value::as_array) else { return value.clone() };
    let mut kept: Vec<Value> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let tails = below(&Step::Index(index));
        if !tails.is_empty() {
            kept.push(part(item, &tails));
        }
    }
    // What is set beyond the end of a list is added to it.
    let beyond = tails
        .iter()
        .any(|tail| matches!(tail.first(), Some(Step::Index(index)) if *index >= items.len()));
    if let (true, Some(last)) = (beyond, items.last()) {
        kept.push(last.clone());
    }
    Map::from_iter([("L".to_owned(), kept.into())]).into()
}

/// The paths that an expression changes. It was run already, so it is right.
fn targets(expression: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    for (clause, text) in clauses(expression) {
        for action in actions(text) {
            let target = match clause {
                "SET" => action.split('=').next().unwrap_or_default(),
                "REMOVE" => action,
                _ => action.split_whitespace().next().unwrap_or_default(),
            };
            targets.push(target.trim());
        }
    }
    targets
}

/// The clauses of an expression, each with its text.
fn clauses(expression: &str) -> Vec<(&'static str, &str)> {
    let keyword = |word: &str| {
        ["SET", "REMOVE", "ADD", "DELETE"].into_iter().find(|name| name.eq_ignore_ascii_case(word))
    };
    let mut found: Vec<(&'static str, usize, usize)> = Vec::new();
    let mut at = 0;
    for word in expression.split_inclusive(char::is_whitespace) {
        let end = at + word.len();
        if let Some(name) = keyword(word.trim()) {
            found.push((name, at, end));
        }
        at = end;
    }
    let ends = found.iter().skip(1).map(|(_, begin, _)| *begin).chain([expression.len()]);
    found
        .iter()
        .zip(ends)
        .filter_map(|((name, _, begin), end)| Some((*name, expression.get(*begin..end)?)))
        .collect()
}

/// The actions of a clause: parted by commas that are in no function.
fn actions(text: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut actions) = (0_usize, 0, Vec::new());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                actions.extend(text.get(begin..at));
                begin = at + 1;
            }
            _ => {}
        }
    }
    actions.extend(text.get(begin..));
    actions
}

fn path(text: &str, names: Option<&Map<String, Value>>) -> Vec<Step> {
    let mut steps = Vec::new();
    for piece in text.split('.') {
        let mut parts = piece.split('[');
        let name = parts.next().unwrap_or_default().trim();
        let known = names.and_then(|names| names.get(name)?.as_str());
        steps.push(Step::Name(known.unwrap_or(name).to_owned()));
        let indexes =
            parts.filter_map(|part| part.trim().trim_end_matches(']').trim().parse().ok());
        steps.extend(indexes.map(Step::Index));
    }
    steps
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_named_elements_are_left() {
        let request = json!({
            "UpdateExpression": "set #l[1] = if_not_exists(x, :v), m.k[0].z = :v REMOVE gone[2]",
            "ExpressionAttributeNames": { "#l": "l" },
            "ReturnValues": "UPDATED_NEW",
        });
        assert!(concerns(&request));
        let mut answer = json!({ "Attributes": {
            "l": { "L": [{ "N": "1" }, { "N": "2" }, { "N": "3" }] },
            "m": { "M": { "k": { "L": [{ "M": { "z": { "N": "7" }, "y": { "N": "8" } } }] }, "o": { "N": "0" } } },
        }});
        cut(&request, &mut answer);
        let expected = json!({ "Attributes": {
            "l": { "L": [{ "N": "2" }] },
            "m": { "M": { "k": { "L": [{ "M": { "z": { "N": "7" } } }] } } },
        }});
        assert_eq!(answer, expected);
    }

    #[test]
    fn what_is_added_at_the_end_is_the_last() {
        let request = json!({ "UpdateExpression": "SET l[9] = :v" });
        let mut answer = json!({ "Attributes": { "l": { "L": [{ "N": "1" }, { "N": "2" }] } } });
        cut(&request, &mut answer);
        assert_eq!(answer, json!({ "Attributes": { "l": { "L": [{ "N": "2" }] } } }));
    }
}
