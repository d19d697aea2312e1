//! Items as people write JSON, and as DynamoDB types them.
//!
//! Source: API reference, `AttributeValue`. Plain JSON has no sets and no bytes: those are shown as lists and as base64, and
//! only the typed form brings them back.

use serde_json::{Map, Number, Value, json};

/// An attribute's value as plain JSON.
pub(super) fn plain(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|members| members.iter().next()) else {
        return value.clone();
    };
    let number = |text: &Value| {
        let parsed = text.as_str().and_then(|text| text.parse::<Number>().ok());
        // What JSON's numbers would round stays text.
        parsed
            .filter(|number| Some(number.to_string().as_str()) == text.as_str())
            .map_or_else(|| text.clone(), Value::Number)
    };
    match (kind.as_str(), inner) {
        ("N", text) => number(text),
        ("NULL", _) => Value::Null,
        ("L", Value::Array(items)) => items.iter().map(plain).collect(),
        ("NS", Value::Array(items)) => items.iter().map(number).collect(),
        ("M", Value::Object(members)) => plain_item(members),
        (_, inner) => inner.clone(),
    }
}

/// An item as plain JSON.
pub(super) fn plain_item(item: &Map<String, Value>) -> Value {
    let members = item.iter().map(|(name, value)| (name.clone(), plain(value)));
    Value::Object(members.collect())
}

/// Plain JSON as an attribute's value.
pub(super) fn typed(value: &Value) -> Value {
    match value {
        Value::Null => json!({ "NULL": true }),
        Value::Bool(value) => json!({ "BOOL": value }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::String(text) => json!({ "S": text }),
        Value::Array(items) => json!({ "L": items.iter().map(typed).collect::<Vec<_>>() }),
        Value::Object(members) => json!({ "M": typed_item(members) }),
    }
}

/// Plain JSON as an item.
pub(super) fn typed_item(members: &Map<String, Value>) -> Value {
    let members = members.iter().map(|(name, value)| (name.clone(), typed(value)));
    Value::Object(members.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_json_becomes_typed_and_plain_again() {
        let item = json!({ "a": "x", "b": 1.5, "c": [true, null, { "d": 0 }] });
        let typed = typed_item(item.as_object().unwrap());
        assert_eq!(typed["b"], json!({ "N": "1.5" }));
        assert_eq!(plain_item(typed.as_object().unwrap()), item);
    }

    #[test]
    fn numbers_that_json_would_round_stay_text() {
        let precise = "12345678901234567890123456789012345678";
        assert_eq!(plain(&json!({ "N": precise })), precise);
        assert_eq!(plain(&json!({ "NS": ["1", "2"] })), json!([1, 2]));
    }
}
