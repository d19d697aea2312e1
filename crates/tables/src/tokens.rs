//! Client request tokens: a transaction that is sent twice is carried out once.
//!
//! The engine remembers tokens in memory, so one sent again after a restart would be carried out again. Here a token is an
//! item that is written in the transaction that it names: both are kept, or neither is.
//!
//! Source: `TransactWriteItems` and `ExecuteTransaction`, API references, `ClientRequestToken`: 1 to 36 characters, good for ten
//! minutes; with another request it is an `IdempotentParameterMismatchException`.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use stillwire_model::Reply;

use crate::errors::{Refusal, ok};
use crate::place::Place;

/// The table of tokens. Users see it nowhere.
pub(crate) const TABLE: &str = "stillwire.tokens";

/// The attribute that says when a token is good for nothing.
pub(crate) const EXPIRES: &str = "expires";

/// How long a token is good, in seconds.
const LIFETIME: u64 = 10 * 60;

/// The most actions or statements of a transaction. Source: DynamoDB quotas (100).
const ACTIONS_MAX: usize = 100;

/// Whether a request is about the items of the table of tokens, which for users is not there.
///
/// Only what can be a table's name is looked at, however deep the items beside it are: the engine takes deeper ones than
/// a tree of values holds.
pub(crate) fn are_named(request: &[u8], place: &Place) -> bool {
    let Ok(text) = str::from_utf8(request) else { return false };
    // Nearly every request ends here. No other escape spells a letter or a dot.
    if !text.contains(TABLE) && !text.contains("\\u") {
        return false;
    }
    let Some(members) = read::<Members<'_>>(text) else { return false };
    let is_own = |name: &str| name == TABLE || name == place.table_arn(TABLE);
    let names = |of: &Members<'_>| {
        of.get("TableName")
            .and_then(|name| read::<Name<'_>>(name.get()))
            .is_some_and(|it| is_own(&it.0))
    };
    // In PartiQL, a name with a dot stands in quotes.
    let states = |of: &Members<'_>| {
        let statement = of.get("Statement").and_then(|text| read::<Name<'_>>(text.get()));
        statement.is_some_and(|text| QUOTED.iter().any(|name| text.0.contains(name)))
    };
    let list = |member: &str| -> Vec<Members<'_>> {
        members.get(member).and_then(|list| read(list.get())).unwrap_or_default()
    };
    let tables = members.get("RequestItems").and_then(|tables| read::<Members<'_>>(tables.get()));
    names(&members)
        || states(&members)
        || tables.is_some_and(|tables| tables.keys().any(|name| is_own(name)))
        || list("Statements").iter().chain(&list("TransactStatements")).any(states)
        || list("TransactItems")
            .iter()
            .flat_map(HashMap::values)
            .filter_map(|action| read::<Members<'_>>(action.get()))
            .any(|action| names(&action))
}

/// The table of tokens in a statement: the engine takes either quotes around a name. (A text that reads so is refused with it.)
const QUOTED: [&str; 2] = ["\"stillwire.tokens\"", "'stillwire.tokens'"];

/// An object with its values as they stand there.
type Members<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

/// A text, with its escapes read.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// Writes the token with its transaction.
#[derive(Debug)]
pub(crate) struct Tokened {
    /// `TransactWriteItems` or `ExecuteTransaction`.
    pub(crate) operation: &'static str,
    /// The request as the engine gets it.
    pub(crate) request: Value,
    /// How to look the token up.
    pub(crate) lookup: Value,
    /// How to remove the token where its time is over.
    pub(crate) removal: Value,
    digest: String,
    now: u64,
}

/// The definition of the table of tokens, as a `CreateTable` request.
pub(crate) fn table() -> Value {
    json!({
        "TableName": TABLE,
        "AttributeDefinitions": [{ "AttributeName": "token", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "token", "KeyType": "HASH" }],
        "BillingMode": "PAY_PER_REQUEST",
    })
}

/// What became of a transaction with a token.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// This is the answer.
    Answered(Reply),
    /// The token is known: see which request it was of.
    Known,
}

impl Tokened {
    /// Takes a transaction that has a token. A transaction with as many actions as there can be has no room for
    /// it, one that only reads needs none, and one that is wrong is the engine's.
    pub(crate) fn new(operation: &str, body: &[u8], now: u64) -> Option<Self> {
        let (operation, list) = match operation {
            "TransactWriteItems" => ("TransactWriteItems", "TransactItems"),
            "ExecuteTransaction" => (STATEMENTS, "TransactStatements"),
            _ => return None,
        };
        let mut request: Value = serde_json::from_slice(body).ok()?;
        let members = request.as_object_mut()?;
        let token = members.get("ClientRequestToken")?.as_str()?.to_owned();
        if !(1..=36).contains(&token.chars().count()) {
            return None;
        }
        members.shift_remove("ClientRequestToken");
        let digest = digest(members);
        let actions = members.get_mut(list)?.as_array_mut()?;
        if actions.is_empty() || actions.len() >= ACTIONS_MAX {
            return None;
        }
        let expires = json!({ "N": (now + LIFETIME).to_string() });
        let (token, digested) = (json!({ "S": token }), json!({ "S": digest }));
        let over = json!({
            "ConditionExpression": "attribute_not_exists(#token) OR #expires < :now",
            "ExpressionAttributeNames": { "#token": "token", "#expires": EXPIRES },
            "ExpressionAttributeValues": { ":now": { "N": now.to_string() } },
        });
        let where_over = |mut action: Value| {
            if let (Some(action), Some(over)) = (action.as_object_mut(), over.as_object()) {
                action.extend(over.clone());
            }
            action
        };
        actions.push(if operation == STATEMENTS {
            if !actions.iter().all(writes) {
                return None;
            }
            // Where the token is there, the transaction is cancelled for it.
            let insert = format!(
                "INSERT INTO \"{TABLE}\" VALUE {{'token': ?, 'digest': ?, '{EXPIRES}': ?}}"
            );
            json!({ "Statement": insert, "Parameters": [token, digested, expires] })
        } else {
            let item = json!({ "token": token, "digest": digested, EXPIRES: expires });
            json!({ "Put": where_over(json!({ "TableName": TABLE, "Item": item })) })
        });
        let key = json!({ "token": token });
        let lookup = json!({ "TableName": TABLE, "Key": key, "ConsistentRead": true });
        let removal = where_over(json!({ "TableName": TABLE, "Key": key }));
        Some(Self { operation, request, lookup, removal, digest, now })
    }

    /// What the engine's answer means.
    pub(crate) fn outcome(reply: Reply) -> Outcome {
        let Ok(Value::Object(mut answer)) = serde_json::from_slice(&reply.body) else {
            return Outcome::Answered(reply);
        };
        if let Some(reasons) = answer.get_mut("CancellationReasons").and_then(Value::as_array_mut) {
            let own = reasons.pop();
            let code = own.as_ref().and_then(|own| own.get("Code")?.as_str());
            if matches!(code, Some("ConditionalCheckFailed" | "DuplicateItem")) {
                return Outcome::Known;
            }
            let codes: Vec<&str> =
                reasons.iter().filter_map(|reason| reason.get("Code")?.as_str()).collect();
            let message = format!(
                "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
                codes.join(", ")
            );
            answer.insert("Message".to_owned(), message.into());
        }
        if let Some(capacity) = answer.get_mut("ConsumedCapacity").and_then(Value::as_array_mut) {
            capacity.retain(|of| of.get("TableName").is_none_or(|name| name != TABLE));
        }
        let body = Value::Object(answer).to_string().into();
        Outcome::Answered(Reply { status: reply.status, body })
    }

    /// The answer where the token is known, from the item that is kept of it; `None` where that item is good for nothing any
    /// more.
    pub(crate) fn again(&self, found: &Reply) -> Option<Reply> {
        let found: Value = serde_json::from_slice(&found.body).unwrap_or_default();
        let kept = |path: &str| found.pointer(path).and_then(Value::as_str);
        let expires = kept("/Item/expires/N").and_then(|text| text.parse::<u64>().ok())?;
        if expires < self.now {
            return None;
        }
        tracing::debug!(now = self.now, "a transaction was sent again");
        if kept("/Item/digest/S") == Some(self.digest.as_str()) {
            // Source: observed: statements that write give nothing.
            let statements = self.operation == STATEMENTS;
            return Some(ok(&if statements { json!({ "Responses": [] }) } else { json!({}) }));
        }
        let message = "Request parameters do not match the parameters of the original request";
        Some(Refusal::modelled("IdempotentParameterMismatchException", message).into())
    }
}

/// The operation whose actions are statements.
const STATEMENTS: &str = "ExecuteTransaction";

/// Whether a statement can be in a transaction that writes. One that hides what it is behind a comment is not told.
fn writes(statement: &Value) -> bool {
    let text = statement.get("Statement").and_then(Value::as_str).unwrap_or_default();
    let mut words = text.trim_start().split(|of: char| !of.is_ascii_alphabetic());
    let word = words.next();
    ["INSERT", "UPDATE", "DELETE", "EXISTS"]
        .iter()
        .any(|known| word.is_some_and(|word| word.eq_ignore_ascii_case(known)))
}

/// What tells one request from another: a digest of its text, however its members are ordered.
fn digest(members: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_sorted(&Value::Object(members.clone()), &mut text);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    STANDARD_NO_PAD.encode(digest)
}

fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| name.as_str());
            out.push('{');
            for (name, value) in members {
                out.push_str(&Value::from(name.as_str()).to_string());
                write_sorted(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_sorted(item, out);
            }
            out.push(']');
        }
        other => {
            out.push_str(&other.to_string());
            out.push(',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_makes_no_other_request() {
        let of = |text: &str| match serde_json::from_str(text).unwrap() {
            Value::Object(members) => digest(&members),
            _ => unreachable!("an object"),
        };
        assert_eq!(of(r#"{"a":1,"b":[{"c":2,"d":3}]}"#), of(r#"{"b":[{"d":3,"c":2}],"a":1}"#));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":12}"#));
        assert_ne!(of(r#"{"a":[1,2]}"#), of(r#"{"a":[2,1]}"#));
    }

    #[test]
    fn the_table_of_tokens_is_known_however_it_is_named() {
        let place = Place::new("1", "eu-west-1").unwrap();
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        for (request, expected) in [
            (r#"{"TableName":"stillwire.tokens","Item":DEEP}"#, true),
            (r#"{"TableName":"still\u0077ire.tokens"}"#, true),
            (r#"{"TableName":"arn:aws:dynamodb:eu-west-1:1:table/stillwire.tokens"}"#, true),
            (r#"{"RequestItems":{"a":[],"stillwire.tokens":[]}}"#, true),
            (
                r#"{"TransactItems":[{"Get":{"TableName":"a"}},{"Get":{"TableName":"stillwire.tokens"}}]}"#,
                true,
            ),
            (r#"{"Statement":"SELECT * FROM \"stillwire.tokens\""}"#, true),
            (r#"{"Statements":[{"Statement":"SELECT * FROM'stillwire.tokens'"}]}"#, true),
            (r#"{"TransactStatements":[{"Statement":"DELETE FROM \"stillwire.tokens\""}]}"#, true),
            (r#"{"TableName":"stillwire.tokens","TransactItems":7,"Statement":[]}"#, true),
            (r#"{"TableName":"a","Item":{"text":{"S":"stillwire.tokens"}}}"#, false),
            (r#"{"TableName":"A\u0061"}"#, false),
            (r#"{"TableName":"stillwire.tokens"#, false),
        ] {
            let request = request.replace("DEEP", &deep);
            assert_eq!(are_named(request.as_bytes(), &place), expected, "{request}");
        }
    }

    #[test]
    fn a_full_transaction_has_no_room_for_its_token() {
        let with = |count: usize| {
            let actions = vec![json!({ "Put": {} }); count];
            let request = json!({ "ClientRequestToken": "t", "TransactItems": actions });
            Tokened::new("TransactWriteItems", request.to_string().as_bytes(), 0).is_some()
        };
        assert!(with(99));
        assert!(!with(100));
        assert!(!with(0));
    }

    #[test]
    fn statements_that_write_take_their_token_along_and_others_do_not() {
        let with = |statements: &[&str]| {
            let list = |text: &&str| json!({ "Statement": text });
            let statements: Vec<Value> = statements.iter().map(list).collect();
            let request = json!({ "ClientRequestToken": "t", "TransactStatements": statements });
            Tokened::new("ExecuteTransaction", request.to_string().as_bytes(), 0).is_some()
        };
        assert!(with(&[
            "insert into t VALUE {}",
            "EXISTS(SELECT * FROM t)",
            " \n UPDATE\tt SET a = 1"
        ]));
        assert!(with(&["DELETE FROM t WHERE id = 1"]));
        for other in
            ["SELECT * FROM t", "/**/ DELETE FROM t", "INSERTED INTO t", "", "FROM t SET a = 1"]
        {
            assert!(!with(&["DELETE FROM t WHERE id = 1", other]), "{other}");
        }
    }
}
