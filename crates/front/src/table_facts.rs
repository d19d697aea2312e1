//! What conditions of policies may ask about a request to tables.
//!
//! Source: Service Authorization Reference, "Condition keys for Amazon `DynamoDB`"; DynamoDB Developer Guide, "Using IAM policy
//! conditions for fine-grained access control".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use stillwire_awswire::expression_tokens;

use crate::{number, partiql};

/// The partition keys of the items that a request is about.
pub(crate) const LEADING_KEYS: &str = "dynamodb:leadingkeys";
const ATTRIBUTES: &str = "dynamodb:attributes";
const SELECT: &str = "dynamodb:select";
const RETURN_VALUES: &str = "dynamodb:returnvalues";
const RETURN_CAPACITY: &str = "dynamodb:returnconsumedcapacity";
const ENCLOSING: &str = "dynamodb:enclosingoperation";
pub(crate) const REGION: &str = "aws:requestedregion";
pub(crate) const PRINCIPAL_ARN: &str = "aws:principalarn";
pub(crate) const PRINCIPAL_ACCOUNT: &str = "aws:principalaccount";

/// The condition keys that are told, in lower case.
const TOLD: [&str; 9] = [
    LEADING_KEYS,
    ATTRIBUTES,
    SELECT,
    RETURN_VALUES,
    RETURN_CAPACITY,
    ENCLOSING,
    REGION,
    PRINCIPAL_ARN,
    PRINCIPAL_ACCOUNT,
];

/// Whether a condition key, in lower case, is one that is told.
pub(crate) fn is_told(key: &str) -> bool {
    TOLD.contains(&key)
}

/// A part of a request that needs to be allowed by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Part<'a> {
    /// What is asked of one table: a whole request, or what a batch or transaction says of that table.
    pub(crate) asked: &'a Value,
    /// The operation that it is a part of, where that is a transaction.
    pub(crate) enclosing: Option<&'a str>,
}

/// What is known of a part of a request. A key that is not in it cannot be told.
#[derive(Debug, Default)]
pub(crate) struct Facts(BTreeMap<&'static str, Vec<String>>);

impl Facts {
    /// What an action (`GetItem`) is about, on a table or index whose partition key is this attribute, where that is known.
    pub(crate) fn of(action: &str, part: Part<'_>, partition_key: Option<&str>) -> Self {
        let asked = part.asked;
        let mut facts = Self::default();
        facts.tell(ENCLOSING, part.enclosing.map(str::to_owned));
        // What else a statement is about would take reading all of it.
        if action.starts_with("PartiQL") {
            if let Some(keys) = stated_keys(asked, partition_key) {
                facts.tell(LEADING_KEYS, keys);
            }
            return facts;
        }
        if let Some(keys) = leading_keys(action, asked, partition_key) {
            facts.tell(LEADING_KEYS, keys);
        }
        facts.tell(ATTRIBUTES, attributes(asked));
        facts.tell(SELECT, select(action, asked));
        let given = |member: &str| text(asked, member).map(str::to_owned);
        facts.tell(RETURN_CAPACITY, given("ReturnConsumedCapacity"));
        let default = matches!(action, "PutItem" | "UpdateItem" | "DeleteItem");
        let values = given("ReturnValues").or_else(|| default.then(|| "NONE".to_owned()));
        facts.tell(RETURN_VALUES, values);
        facts
    }

    pub(crate) fn tell(&mut self, key: &'static str, values: impl IntoIterator<Item = String>) {
        self.0.insert(key, values.into_iter().collect());
    }

    /// The values of a key, which is in lower case.
    pub(crate) fn get(&self, key: &str) -> Option<Vec<String>> {
        self.0.get(key).cloned()
    }
}

/// The partition keys that an action is about: none of those that are about no particular ones, `None` where they cannot be
/// told.
fn leading_keys(action: &str, asked: &Value, partition_key: Option<&str>) -> Option<Vec<String>> {
    let in_list = |list: &Value, of: &dyn Fn(&Value) -> Option<&Value>| -> Option<Vec<String>> {
        list.as_array()?.iter().map(|item| scalar(of(item)?)).collect()
    };
    match action {
        "PutItem" => Some(vec![scalar(asked.get("Item")?.get(partition_key?)?)?]),
        "GetItem" | "UpdateItem" | "DeleteItem" | "ConditionCheckItem" => {
            Some(vec![scalar(asked.get("Key")?.get(partition_key?)?)?])
        }
        "BatchGetItem" => {
            let name = partition_key?;
            in_list(asked.get("Keys")?, &|key| key.get(name))
        }
        "BatchWriteItem" => {
            let name = partition_key?;
            in_list(asked, &|write| {
                let item = write.pointer("/PutRequest/Item");
                item.or_else(|| write.pointer("/DeleteRequest/Key"))?.get(name)
            })
        }
        "Query" => Some(vec![queried(asked, partition_key?)?]),
        _ => Some(Vec::new()),
    }
}

/// The partition keys that a statement is about.
fn stated_keys(asked: &Value, partition_key: Option<&str>) -> Option<Vec<String>> {
    let parameters = asked.get("Parameters").unwrap_or(&Value::Null);
    partiql::leading_keys(text(asked, "Statement")?, parameters, partition_key?)
}

/// The partition key that a query asks for.
fn queried(asked: &Value, partition_key: &str) -> Option<String> {
    if let Some(condition) = asked.get("KeyConditions").and_then(|all| all.get(partition_key)) {
        return scalar(condition.get("AttributeValueList")?.get(0)?);
    }
    let names = asked.get("ExpressionAttributeNames");
    // The partition key is compared for equality, once. Source: `Query`, API reference, `KeyConditionExpression`.
    let tokens: Vec<&str> = expression_tokens(text(asked, "KeyConditionExpression")?).collect();
    if tokens.contains(&".") {
        return None; // a path is no key
    }
    let mut values = tokens.windows(3).filter_map(|three| match three {
        [name, "=", value] if resolved(name, names) == Some(partition_key) => Some(*value),
        [value, "=", name] if resolved(name, names) == Some(partition_key) => Some(*value),
        _ => None,
    });
    let (value, further) = (values.next()?, values.next());
    if further.is_some() {
        return None;
    }
    scalar(asked.get("ExpressionAttributeValues")?.get(value)?)
}

/// A key's value as text: of a number, the one that it has however it is written.
fn scalar(value: &Value) -> Option<String> {
    if let Some(number) = value.get("N") {
        return number::plain(number.as_str()?);
    }
    let text = ["S", "B"].iter().find_map(|kind| value.get(kind));
    text.and_then(Value::as_str).map(str::to_owned)
}

/// The members of a request whose members are named by attributes.
const BY_ATTRIBUTE: [&str; 7] =
    ["Item", "Key", "Expected", "AttributeUpdates", "KeyConditions", "QueryFilter", "ScanFilter"];

/// The members of a request that name attributes in an expression.
const EXPRESSIONS: [&str; 5] = [
    "ProjectionExpression",
    "UpdateExpression",
    "ConditionExpression",
    "FilterExpression",
    "KeyConditionExpression",
];

/// The attributes that a request names, at the top of items.
fn attributes(asked: &Value) -> BTreeSet<String> {
    let names = asked.get("ExpressionAttributeNames");
    let mut found = BTreeSet::new();
    let mut keys_of = |value: &Value| {
        found.extend(value.as_object().into_iter().flat_map(Map::keys).cloned());
    };
    BY_ATTRIBUTE.iter().filter_map(|member| asked.get(member)).for_each(&mut keys_of);
    list(asked.get("Keys")).for_each(&mut keys_of);
    for write in list(Some(asked)) {
        let item = write.pointer("/PutRequest/Item");
        item.or_else(|| write.pointer("/DeleteRequest/Key")).into_iter().for_each(&mut keys_of);
    }
    found.extend(list(asked.get("AttributesToGet")).filter_map(Value::as_str).map(str::to_owned));
    for expression in EXPRESSIONS.iter().filter_map(|member| text(asked, member)) {
        let tokens: Vec<&str> = expression_tokens(expression).collect();
        for (at, token) in tokens.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|before| tokens.get(before));
            let is_first = before != Some(&".");
            let is_call = tokens.get(at + 1) == Some(&"(");
            if is_first
                && !is_call
                && !is_word(token)
                && let Some(name) = resolved(token, names)
            {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

/// What a read gives of its items.
fn select(action: &str, asked: &Value) -> Option<String> {
    if !matches!(action, "GetItem" | "BatchGetItem" | "Query" | "Scan") {
        return None;
    }
    let named =
        ["ProjectionExpression", "AttributesToGet"].iter().any(|it| asked.get(it).is_some());
    let usual = match (named, asked.get("IndexName").is_some()) {
        (true, _) => "SPECIFIC_ATTRIBUTES",
        (false, true) => "ALL_PROJECTED_ATTRIBUTES",
        // Choice: a policy that wants attributes to be named means every read.
        (false, false) => "ALL_ATTRIBUTES",
    };
    Some(text(asked, "Select").unwrap_or(usual).to_owned())
}

/// The words of expressions that are no attributes. All are reserved, so no attribute is named so.
fn is_word(token: &str) -> bool {
    ["AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(token))
}

/// The attribute that a token of an expression names, with a place holder's name behind it.
fn resolved<'a>(token: &'a str, names: Option<&'a Value>) -> Option<&'a str> {
    if token.starts_with('#') {
        return names?.get(token)?.as_str();
    }
    token.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_').then_some(token)
}

fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member)?.as_str()
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(action: &str, asked: &Value) -> Facts {
        Facts::of(action, Part { asked, enclosing: None }, Some("id"))
    }

    #[test]
    fn the_keys_of_all_items_are_told_and_of_no_others() {
        let item = |id: &str| json!({ "id": { "S": id }, "n": { "N": "1" } });
        let names = json!({ "#k": "id" });
        let values = json!({ ":v": { "S": "a" }, ":n": { "N": "1" } });
        for (action, asked, expected) in [
            ("GetItem", json!({ "Key": item("a") }), Some(vec!["a"])),
            ("PutItem", json!({ "Item": item("a") }), Some(vec!["a"])),
            ("PutItem", json!({ "Item": { "n": { "N": "1" } } }), None),
            ("GetItem", json!({ "Key": { "id": { "N": "1.50E+1" } } }), Some(vec!["15"])),
            ("GetItem", json!({ "Key": { "id": { "N": "one" } } }), None),
            ("BatchGetItem", json!({ "Keys": [item("a"), item("b")] }), Some(vec!["a", "b"])),
            (
                "BatchWriteItem",
                json!([{ "PutRequest": { "Item": item("a") } }, { "DeleteRequest": { "Key": item("b") } }]),
                Some(vec!["a", "b"]),
            ),
            ("BatchWriteItem", json!([{ "PutRequest": {} }]), None),
            (
                "Query",
                json!({ "KeyConditionExpression": "n BETWEEN :n AND :n AND (#k=:v)",
                    "ExpressionAttributeNames": names, "ExpressionAttributeValues": values }),
                Some(vec!["a"]),
            ),
            (
                "Query",
                json!({ "KeyConditionExpression": "id = :v AND id = :n",
                    "ExpressionAttributeValues": values }),
                None,
            ),
            (
                "Query",
                json!({ "KeyConditionExpression": "other.id = :v" , "ExpressionAttributeNames": names }),
                None,
            ),
            (
                "Query",
                json!({ "KeyConditions": { "id": { "AttributeValueList": [{ "S": "a" }],
                    "ComparisonOperator": "EQ" } } }),
                Some(vec!["a"]),
            ),
            ("Scan", json!({}), Some(vec![])),
            ("PartiQLSelect", json!({}), None),
            ("PartiQLSelect", json!({ "Statement": "SELECT * FROM t" }), None),
            (
                "PartiQLUpdate",
                json!({ "Statement": "UPDATE t SET n = ? WHERE id = ?",
                    "Parameters": [{ "N": "1" }, { "S": "a" }] }),
                Some(vec!["a"]),
            ),
        ] {
            let found = facts(action, &asked).get(LEADING_KEYS);
            let expected =
                expected.map(|keys| keys.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(found, expected, "{action} {asked}");
        }
        let asked = json!({ "Key": item("a") });
        let part = Part { asked: &asked, enclosing: None };
        assert_eq!(Facts::of("GetItem", part, None).get(LEADING_KEYS), None);
    }

    #[test]
    fn attributes_are_those_that_any_part_of_a_request_names() {
        let asked = json!({
            "Key": { "id": { "S": "a" } },
            "UpdateExpression": "SET #s.deep = if_not_exists(seen, :n), list[0] = :v REMOVE gone ADD n :n",
            "ConditionExpression": "attribute_exists (id) and NOT contains(tags, :v)",
            "ExpressionAttributeNames": { "#s": "state" },
        });
        let found = facts("UpdateItem", &asked).get(ATTRIBUTES).unwrap();
        assert_eq!(found, ["gone", "id", "list", "n", "seen", "state", "tags"]);
    }

    #[test]
    fn reads_say_what_they_give_and_writes_what_they_return() {
        let select = |action: &str, asked: Value| facts(action, &asked).get(SELECT).unwrap();
        assert_eq!(select("GetItem", json!({})), ["ALL_ATTRIBUTES"]);
        assert_eq!(
            select("GetItem", json!({ "ProjectionExpression": "a" })),
            ["SPECIFIC_ATTRIBUTES"]
        );
        assert_eq!(select("Query", json!({ "IndexName": "i" })), ["ALL_PROJECTED_ATTRIBUTES"]);
        assert_eq!(select("Query", json!({ "Select": "COUNT" })), ["COUNT"]);
        assert_eq!(select("PutItem", json!({})), [] as [&str; 0]);
        let returns = |asked: Value| facts("PutItem", &asked).get(RETURN_VALUES).unwrap();
        assert_eq!(returns(json!({})), ["NONE"]);
        assert_eq!(returns(json!({ "ReturnValues": "ALL_OLD" })), ["ALL_OLD"]);
    }
}
