//! Refuses expressions that would overflow the engine's stack.
//!
//! The engine walks expressions recursively before it counts their operators. DynamoDB takes at most 300
//! operators in an expression, so nothing valid is nested deeper.

use serde_json::Value;
use stillwire_model::Reply;

use crate::errors::Refusal;

/// Source: DynamoDB quotas, "Operators and functions in an expression" (300).
const DEPTH_MAX: usize = 300;

/// The members of a request that hold an expression. Source: DynamoDB service model.
const EXPRESSIONS: [&str; 6] = [
    "ConditionExpression",
    "FilterExpression",
    "KeyConditionExpression",
    "ProjectionExpression",
    "UpdateExpression",
    "Statement",
];

/// The answer to a request that is not to reach the engine.
pub(crate) fn refuse(body: &[u8]) -> Option<Reply> {
    // Nearly every request ends here: too few openings to be deep, and a backslash may write one.
    if body.iter().filter(|byte| b"([\\".contains(byte)).count() <= DEPTH_MAX {
        return None;
    }
    // What is no JSON is the engine's to word.
    let request: Value = serde_json::from_slice(body).ok()?;
    let member = deep_expression(&request)?;
    let message = format!(
        "Invalid {member}: The expression is nested too deeply; the limit is {DEPTH_MAX} levels"
    );
    Some(Refusal::validation(message).into())
}

/// The name of a member that holds too deep an expression. `serde_json` has bounded the depth of the tree.
fn deep_expression(value: &Value) -> Option<&'static str> {
    match value {
        Value::Object(members) => members.iter().find_map(|(name, value)| match value {
            Value::String(text) if depth(text) > DEPTH_MAX => {
                EXPRESSIONS.iter().find(|known| *known == name).copied()
            }
            _ => deep_expression(value),
        }),
        Value::Array(items) => items.iter().find_map(deep_expression),
        _ => None,
    }
}

fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_expressions_are_looked_at_wherever_they_stand() {
        let deep = "(".repeat(301);
        let refused = |request: Value| refuse(request.to_string().as_bytes()).is_some();
        assert!(refused(json!({ "FilterExpression": deep })));
        assert!(refused(json!({ "TransactItems": [{ "Put": { "ConditionExpression": deep } }] })));
        assert!(refused(json!({ "Statements": [{ "Statement": deep }] })));
        let escaped = format!(r#"{{"FilterExpression":"{}"}}"#, "\\u0028".repeat(301));
        assert!(refuse(escaped.as_bytes()).is_some());
        assert!(!refused(json!({ "Item": { "text": { "S": deep } } })));
        assert!(!refused(json!({ "FilterExpression": "(".repeat(300) })));
        assert!(!refused(json!({ "FilterExpression": "()".repeat(400) })));
    }
}
