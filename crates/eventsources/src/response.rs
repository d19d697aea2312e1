//! What a function says about its batch: which items have failed.
//!
//! Source: AWS Lambda Developer Guide, "Configuring partial batch response" for DynamoDB and for SQS.

use std::collections::BTreeSet;

use serde_json::Value;

/// The indexes of the items that have failed; `None` where the answer says it in no way that is understood, which
/// means all of them.
///
/// `identifiers` are those of the batch, in its order.
pub(crate) fn failed_items<'a>(
    answer: &[u8],
    identifiers: impl Iterator<Item = &'a str> + Clone,
) -> Option<BTreeSet<usize>> {
    let failures = match serde_json::from_slice(answer).ok()? {
        Value::Null => return Some(BTreeSet::new()),
        Value::Object(mut members) => members.remove("batchItemFailures"),
        _ => return None,
    };
    let failures = match failures {
        None | Some(Value::Null) => return Some(BTreeSet::new()),
        Some(Value::Array(failures)) => failures,
        Some(_) => return None,
    };
    let index_of = |failure: &Value| {
        let identifier = failure.get("itemIdentifier")?.as_str()?;
        identifiers.clone().position(|known| known == identifier)
    };
    failures.iter().map(index_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(answer: &str) -> Option<Vec<usize>> {
        failed_items(answer.as_bytes(), ["1", "2", "3"].into_iter())
            .map(|items| items.into_iter().collect())
    }

    #[test]
    fn nothing_said_is_success_and_nonsense_is_failure() {
        for answer in ["null", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#]
        {
            assert_eq!(failed(answer), Some(Vec::new()), "{answer}");
        }
        for answer in [
            "",
            "true",
            r#""done""#,
            "[]",
            r#"{"batchItemFailures":"2"}"#,
            r#"{"batchItemFailures":["2"]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":2}]}"#,
            r#"{"batchItemFailures":[{"item":"2"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"2"},{"itemIdentifier":"4"}]}"#,
        ] {
            assert_eq!(failed(answer), None, "{answer}");
        }
    }

    #[test]
    fn failed_items_are_found_in_any_order() {
        let answer = r#"{"batchItemFailures":[{"itemIdentifier":"3"},{"itemIdentifier":"2"},{"itemIdentifier":"3"}]}"#;
        assert_eq!(failed(answer), Some(vec![1, 2]));
    }
}
