//! Counts the operators of expressions, which the engine does not.
//!
//! Source: DynamoDB quotas, "Expression parameters": at most 300 operators and functions in an expression, and 100 operands of `IN`. The
//! words are those that `PartiQL` has for it, observed.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use stillwire_awswire::expression_tokens;
use stillwire_model::Reply;

use crate::errors::Refusal;

const OPERATORS_MAX: usize = 300;
const OPERANDS_MAX: usize = 100;

/// A request with fewer bytes has no more than so many of either.
const BYTES_MIN: usize = 300;

/// What a request says in expressions, at its top and in each action of a transaction. The rest is passed over.
#[derive(Default, Deserialize)]
#[serde(default)]
#[expect(non_snake_case, reason = "the service's names")]
struct Asked<'a> {
    #[serde(borrow)]
    ConditionExpression: Option<Cow<'a, str>>,
    #[serde(borrow)]
    FilterExpression: Option<Cow<'a, str>>,
    #[serde(borrow)]
    KeyConditionExpression: Option<Cow<'a, str>>,
    #[serde(borrow)]
    UpdateExpression: Option<Cow<'a, str>>,
    #[serde(borrow)]
    TransactItems: Vec<HashMap<Cow<'a, str>, Self>>,
}

/// The answer to a request with an expression that has too many.
pub(crate) fn refuse(body: &[u8]) -> Option<Reply> {
    if body.len() < BYTES_MIN {
        return None;
    }
    let text = str::from_utf8(body).ok()?;
    // Most large requests end here. No other escape spells a letter.
    if !text.contains("Expression\"") && !text.contains("\\u") {
        return None;
    }
    // What cannot be read is the engine's to word.
    let asked: Asked<'_> = serde_json::from_str(text).ok()?;
    let actions = asked.TransactItems.iter().flat_map(HashMap::values);
    let message = actions.chain([&asked]).find_map(Asked::problem)?;
    Some(Refusal::validation(message).into())
}

impl Asked<'_> {
    fn problem(&self) -> Option<String> {
        [
            ("ConditionExpression", &self.ConditionExpression),
            ("FilterExpression", &self.FilterExpression),
            ("KeyConditionExpression", &self.KeyConditionExpression),
            ("UpdateExpression", &self.UpdateExpression),
        ]
        .into_iter()
        .find_map(|(member, text)| {
            let problem = problem(text.as_deref()?, member == "UpdateExpression")?;
            Some(format!("Invalid {member}: {problem}"))
        })
    }
}

fn problem(text: &str, is_update: bool) -> Option<String> {
    if text.len() < BYTES_MIN {
        return None;
    }
    let (mut operators, mut in_range) = (0_usize, false);
    // Of the list that `IN` has, while it is read: how many commas, and how deep within it.
    let mut list: Option<(usize, usize)> = None;
    let (mut before, mut is_list) = ("", false);
    for token in expression_tokens(text) {
        let is = |word: &str| token.eq_ignore_ascii_case(word);
        let is_operator = match token {
            // An update's is no operator.
            "=" => !is_update,
            "<" | ">" | "<=" | ">=" | "<>" | "+" | "-" => true,
            // A function's name is before it.
            "(" => is_name(before),
            _ if is("BETWEEN") => {
                in_range = true;
                true
            }
            _ if is("AND") => !std::mem::take(&mut in_range),
            _ => ["OR", "NOT", "IN"].iter().any(|word| is(word)),
        };
        operators += usize::from(is_operator);
        match (token, &mut list) {
            ("(", None) if is_list => list = Some((1, 1)),
            ("(", Some((_, depth))) => *depth += 1,
            (")", Some((count, depth))) => {
                *depth -= 1;
                let count = *count;
                if *depth == 0 {
                    list = None;
                    if count > OPERANDS_MAX {
                        return Some(format!(
                            "The IN operator is provided with too many operands; number of operands: {count}"
                        ));
                    }
                }
            }
            (",", Some((count, 1))) => *count += 1,
            _ => {}
        }
        is_list = is("IN");
        before = token;
    }
    (operators > OPERATORS_MAX)
        .then(|| format!("The expression contains too many operators; operator count: {operators}"))
}

fn is_name(token: &str) -> bool {
    let words = ["AND", "OR", "NOT", "IN", "BETWEEN"];
    token.starts_with(|first: char| first.is_ascii_alphabetic())
        && !words.iter().any(|word| word.eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operators_are_counted_as_the_service_counts_them() {
        let refused = |member: &str, text: String| {
            let request = json!({ "TableName": "t", member: text });
            refuse(request.to_string().as_bytes()).is_some()
        };
        let many = |text: &str, count: usize| vec![text; count].join(" OR ");
        for member in ["FilterExpression", "ConditionExpression", "KeyConditionExpression"] {
            assert!(!refused(member, many("n=:v", 150)), "299");
            assert!(refused(member, many("n <= :v", 151)), "301");
        }
        let filter = |text: String| refused("FilterExpression", text);
        assert!(!filter(format!("NOT {}", many("size(n)>:v", 100))), "300");
        assert!(filter(format!("NOT NOT {}", many("size(n)>:v", 100))), "301");
        // A range has one operator, and brackets none.
        assert!(!filter(many("(n between :v and :v)", 150)), "299");
        assert!(!refused(
            "UpdateExpression",
            format!("SET {}", vec!["a = b + :v"; 300].join(", "))
        ));
        assert!(refused("UpdateExpression", format!("SET {}", vec!["a = b - :v"; 301].join(", "))));
    }

    #[test]
    fn operands_of_a_list_are_counted_wherever_it_stands() {
        let list = |count: usize| format!("x IN ({})", vec![":v"; count].join(", "));
        let refused = |text: String| {
            let put = json!({ "TransactItems": [{ "Put": { "ConditionExpression": text } }] });
            refuse(put.to_string().as_bytes())
        };
        assert!(refused(list(100)).is_none());
        assert!(refused(format!("a = :v AND ({} OR {})", list(100), list(100))).is_none());
        let reply = refused(format!("a = :v AND ({} OR {})", list(2), list(101))).unwrap();
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        assert!(text.contains("Invalid ConditionExpression: The IN operator is"), "{text}");
        assert!(text.contains("number of operands: 101"), "{text}");
        let nested = format!("x IN (size(a), {})", vec!["size(b)"; 100].join(","));
        assert!(refused(nested).is_some());
        // What an item holds is no expression.
        let item = json!({ "Item": { "FilterExpression": { "S": list(200) } } });
        assert!(refuse(item.to_string().as_bytes()).is_none());
    }
}
