//! What a request to tables needs to be allowed: actions, and the resources they are about.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon `DynamoDB`"; DynamoDB
//! Developer Guide, "Using IAM with DynamoDB transactions" and "IAM security policies with `PartiQL`".

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::partiql;
use crate::table_facts::Part;

/// Where tables are that requests name without an ARN.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) partition: &'a str,
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
}

/// An action on a resource.
#[derive(Debug, PartialEq)]
pub(crate) struct Access<'a> {
    /// `GetItem`.
    pub(crate) action: &'a str,
    /// The ARN of a table, an index or a stream; a pattern, or `*`, where a request is about no particular one.
    pub(crate) resource: String,
    /// What is asked of it.
    pub(crate) part: Part<'a>,
}

impl<'a> Access<'a> {
    fn new(action: &'a str, resource: String, asked: &'a Value) -> Self {
        Self { action, resource, part: Part { asked, enclosing: None } }
    }

    /// A request of which nothing can be said.
    pub(crate) fn unread(action: &'a str) -> Self {
        Self::new(action, "*".to_owned(), &Value::Null)
    }
}

/// The members that name what a request is about, the most telling first.
const RESOURCES: [&str; 6] =
    ["TableName", "StreamArn", "ResourceArn", "TableArn", "BackupArn", "TargetTableName"];

/// All that a request needs to be allowed. One that names no table where it must needs nothing that could be named: the
/// store refuses it.
pub(crate) fn needed<'a>(operation: &'a str, body: &'a Value, place: Place<'_>) -> Vec<Access<'a>> {
    let on = |resource: String| vec![Access::new(operation, resource, body)];
    match operation {
        "Query" | "Scan" => match (text(body, "TableName"), text(body, "IndexName")) {
            (Some(table), Some(index)) => on(place.index(table, index)),
            (table, _) => on(place.table(table.unwrap_or("*"))),
        },
        "BatchGetItem" | "BatchWriteItem" => {
            let tables = body.get("RequestItems").and_then(Value::as_object);
            let tables = tables.into_iter().flatten();
            tables.map(|(table, of)| Access::new(operation, place.table(table), of)).collect()
        }
        "TransactGetItems" | "TransactWriteItems" => {
            let kinds = [
                ("Get", "GetItem"),
                ("Put", "PutItem"),
                ("Update", "UpdateItem"),
                ("Delete", "DeleteItem"),
                ("ConditionCheck", "ConditionCheckItem"),
            ];
            let of_item = |item: &'a Value| {
                kinds.map(|(kind, action)| {
                    let asked = item.get(kind)?;
                    let resource = place.table(text(asked, "TableName")?);
                    Some(Access {
                        action,
                        resource,
                        part: Part { asked, enclosing: Some(operation) },
                    })
                })
            };
            list(body, "TransactItems").flat_map(of_item).flatten().collect()
        }
        "ExecuteStatement" => place.statement(body).into_iter().collect(),
        "BatchExecuteStatement" | "ExecuteTransaction" => list(body, "Statements")
            .chain(list(body, "TransactStatements"))
            .filter_map(|one| place.statement(one))
            .collect(),
        // Source: observed: it is about all tables, and not about `*`.
        "ListTables" => on(place.table("*")),
        "ListStreams" => {
            on(format!("{}/stream/*", place.table(text(body, "TableName").unwrap_or("*"))))
        }
        "GetRecords" => {
            // Source: `GetShardIterator`, observed: an iterator is the stream's ARN, `|`, and more.
            let stream = text(body, "ShardIterator").and_then(|text| text.split('|').next());
            on(stream.filter(|arn| arn.starts_with("arn:")).unwrap_or("*").to_owned())
        }
        _ => match RESOURCES.iter().find_map(|member| text(body, member)) {
            Some(name) => on(place.table(name)),
            None => on("*".to_owned()),
        },
    }
}

/// The tables whose items a request names.
pub(crate) fn named_tables(body: &Value) -> BTreeSet<Cow<'_, str>> {
    let actions = list(body, "TransactItems").filter_map(Value::as_object);
    let actions = actions.flat_map(Map::values).filter_map(|action| text(action, "TableName"));
    let requests = body.get("RequestItems").and_then(Value::as_object);
    let requests = requests.into_iter().flat_map(Map::keys).map(String::as_str);
    let statements = list(body, "Statements").chain(list(body, "TransactStatements"));
    let statements = statements.chain([body]).filter_map(|one| text(one, "Statement"));
    let stated = statements.filter_map(|text| partiql::read(text)?.table).map(Cow::Owned);
    let named = text(body, "TableName").into_iter().chain(actions).chain(requests);
    named.map(Cow::Borrowed).chain(stated).collect()
}

fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member)?.as_str()
}

fn list<'a>(value: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    value.get(member).and_then(Value::as_array).into_iter().flatten()
}

impl Place<'_> {
    /// The ARN of a table. Requests may name it by its ARN as well.
    fn table(&self, name: &str) -> String {
        if name.starts_with("arn:") {
            return name.to_owned();
        }
        let Self { partition, region, account } = self;
        format!("arn:{partition}:dynamodb:{region}:{account}:table/{name}")
    }

    fn index(&self, table: &str, index: &str) -> String {
        format!("{}/index/{index}", self.table(table))
    }

    fn statement<'a>(&self, asked: &'a Value) -> Option<Access<'a>> {
        let statement = partiql::read(text(asked, "Statement")?)?;
        let table = statement.table.as_deref().unwrap_or("*");
        let resource = match &statement.index {
            Some(index) => self.index(table, index),
            None => self.table(table),
        };
        Some(Access::new(statement.action, resource, asked))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLACE: Place<'_> = Place { partition: "aws", region: "eu-west-1", account: "1" };
    const TABLES: &str = "arn:aws:dynamodb:eu-west-1:1:table/";

    /// Each access as `Action resource`, the resource without what all tables share.
    fn words(operation: &str, body: &Value) -> Vec<String> {
        let words = |Access { action, resource, .. }: Access<'_>| {
            let resource = resource.strip_prefix(TABLES).unwrap_or(&resource);
            format!("{action} {resource}")
        };
        needed(operation, body, PLACE).into_iter().map(words).collect()
    }

    #[test]
    fn each_operation_needs_what_policies_call_it() {
        let stream = format!("{TABLES}t/stream/2026-01-01T00:00:00.000");
        let other = "arn:aws:dynamodb:us-east-1:2:table/u";
        for (operation, body, expected) in [
            ("PutItem", json!({ "TableName": "t" }), vec!["PutItem t"]),
            ("UpdateItem", json!({ "TableName": "t", "IndexName": "i" }), vec!["UpdateItem t"]),
            (
                "GetItem",
                json!({ "TableName": other }),
                vec!["GetItem arn:aws:dynamodb:us-east-1:2:table/u"],
            ),
            ("Query", json!({ "TableName": "t", "IndexName": "i" }), vec!["Query t/index/i"]),
            ("Scan", json!({ "TableName": "t" }), vec!["Scan t"]),
            (
                "BatchWriteItem",
                json!({ "RequestItems": { "t": [], "u": [] } }),
                vec!["BatchWriteItem t", "BatchWriteItem u"],
            ),
            (
                "TransactWriteItems",
                json!({ "TransactItems": [
                    { "Put": { "TableName": "a" } }, { "Update": { "TableName": "b" } },
                    { "Delete": { "TableName": "c" } }, { "ConditionCheck": { "TableName": "d" } }] }),
                vec!["PutItem a", "UpdateItem b", "DeleteItem c", "ConditionCheckItem d"],
            ),
            (
                "TransactGetItems",
                json!({ "TransactItems": [{ "Get": { "TableName": "a" } }] }),
                vec!["GetItem a"],
            ),
            (
                "ExecuteStatement",
                json!({ "Statement": "SELECT * FROM \"t\".\"i\"" }),
                vec!["PartiQLSelect t/index/i"],
            ),
            (
                "ExecuteTransaction",
                json!({ "TransactStatements": [
                    { "Statement": "DELETE FROM t WHERE id = 1" }, { "Statement": "UPDATE {" }] }),
                vec!["PartiQLDelete t", "PartiQLUpdate *"],
            ),
            (
                "BatchExecuteStatement",
                json!({ "Statements": [{ "Statement": "INSERT INTO t VALUE {}" }] }),
                vec!["PartiQLInsert t"],
            ),
            ("ListTables", json!({}), vec!["ListTables *"]),
            ("ListStreams", json!({ "TableName": "t" }), vec!["ListStreams t/stream/*"]),
            (
                "GetShardIterator",
                json!({ "StreamArn": stream }),
                vec!["GetShardIterator t/stream/2026-01-01T00:00:00.000"],
            ),
            (
                "GetRecords",
                json!({ "ShardIterator": format!("{stream}|1|AAAA") }),
                vec!["GetRecords t/stream/2026-01-01T00:00:00.000"],
            ),
            ("TagResource", json!({ "ResourceArn": format!("{TABLES}t") }), vec!["TagResource t"]),
            ("DescribeLimits", json!({}), vec!["DescribeLimits *"]),
        ] {
            assert_eq!(words(operation, &body), expected, "{operation} {body}");
        }
    }

    #[test]
    fn what_a_request_does_not_say_is_never_a_table_of_its_choice() {
        for (operation, body, expected) in [
            ("GetItem", json!({ "TableName": 7 }), vec!["GetItem *"]),
            ("Query", json!({}), vec!["Query *"]),
            ("GetRecords", json!({ "ShardIterator": "x" }), vec!["GetRecords *"]),
            ("BatchGetItem", json!({ "RequestItems": [] }), vec![]),
            ("ExecuteStatement", json!({ "Statement": "nonsense" }), vec![]),
        ] {
            assert_eq!(words(operation, &body), expected, "{operation} {body}");
        }
    }
}
