//! Requests and answers about tables, between the engine's words and the world's.

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use crate::backroom::Backroom;
use crate::errors::Refusal;
use crate::place::Place;
use crate::{streams, tokens};

/// What the engine always keeps of a stream's records. What readers see is decided when they read.
const BOTH_IMAGES: &str = "NEW_AND_OLD_IMAGES";

/// Source: service model, `StreamViewType`.
const VIEWS: [&str; 4] = ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", BOTH_IMAGES];

/// The operations whose requests and answers describe tables, or name them by their ARNs.
pub(crate) fn is_about_tables(operation: &str) -> bool {
    matches!(
        operation,
        "CreateTable"
            | "DeleteTable"
            | "DescribeTable"
            | "UpdateTable"
            | "ListTables"
            | "ListTagsOfResource"
            | "TagResource"
            | "UntagResource"
            | "UpdateTimeToLive"
            | "DescribeTimeToLive"
    )
}

/// The view that a request asks for, which the engine is not told.
pub(crate) fn take_view(request: &mut Value) -> Option<String> {
    let view = request.get_mut("StreamSpecification")?.get_mut("StreamViewType")?;
    let asked = view.as_str().filter(|asked| VIEWS.contains(asked))?.to_owned();
    *view = BOTH_IMAGES.into();
    Some(asked)
}

/// Refuses to enable a stream that is enabled, or to disable one that is not.
///
/// Source: `UpdateTable`, API reference, `StreamSpecification`.
pub(crate) fn check_stream(request: &Value, described: &Value) -> Result<(), Refusal> {
    let enabled = |value: Option<&Value>| -> Option<bool> {
        value?.get("StreamSpecification")?.get("StreamEnabled")?.as_bool()
    };
    let Some(asked) = enabled(Some(request)) else { return Ok(()) };
    let name = request.get("TableName").and_then(Value::as_str).unwrap_or_default();
    match (asked, enabled(described.get("Table")).unwrap_or(false)) {
        (true, true) => Err(Refusal::validation(format!(
            "Table already has an enabled stream: TableName: {name}"
        ))),
        (false, false) => {
            Err(Refusal::validation(format!("Table has no stream to disable: TableName: {name}")))
        }
        _ => Ok(()),
    }
}

/// Refuses the name of a table that the engine cannot keep beside another: its file tells no upper from lower case,
/// and some names are its own.
pub(crate) fn check_name(request: &Value, tables: &[String]) -> Result<(), Refusal> {
    let Some(name) = request.get("TableName").and_then(Value::as_str) else { return Ok(()) };
    let lower = name.to_ascii_lowercase();
    let own = ["_tables", "_config", "_stream_records"].contains(&lower.as_str())
        || lower.starts_with("sqlite_")
        || lower == tokens::TABLE;
    let other = tables.iter().find(|other| *other != name && other.eq_ignore_ascii_case(name));
    if own {
        return Err(Refusal::validation(format!(
            "Stillwire keeps a table of its own under the name {name}: choose another name"
        )));
    }
    match other {
        Some(other) => Err(Refusal::validation(format!(
            "Stillwire cannot keep {name} beside the table {other}: the names differ only in upper and lower case"
        ))),
        None => Ok(()),
    }
}

/// The names of all tables.
pub(crate) fn names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT table_name FROM _tables")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Refuses indexes that the engine cannot keep beside each other: it would be left with half a table. `described` is
/// the table as it is, where it is to be changed.
pub(crate) fn check_indexes(request: &Value, described: &Value) -> Result<(), Refusal> {
    let named = |list: Option<&Value>| -> Vec<String> {
        let list = list.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|index| index.get("IndexName")?.as_str()).map(str::to_owned).collect()
    };
    let updates = request.get("GlobalSecondaryIndexUpdates").and_then(Value::as_array);
    let created = updates.into_iter().flatten().filter_map(|update| update.get("Create").cloned());
    let created = named(Some(&created.collect()));
    for member in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        let mut names = named(request.get(member));
        names.extend(named(described.get("Table").and_then(|table| table.get(member))));
        if member == "GlobalSecondaryIndexes" {
            names.extend(created.iter().cloned());
        }
        for (at, name) in names.iter().enumerate() {
            let mut others = names.iter().take(at);
            let other = others.find(|other| *other != name && other.eq_ignore_ascii_case(name));
            if let Some(other) = other {
                return Err(Refusal::validation(format!(
                    "Stillwire cannot keep the index {name} beside the index {other}: the names differ only in \
                     upper and lower case"
                )));
            }
        }
    }
    Ok(())
}

/// An answer about tables, as the world knows it.
pub(crate) fn outward(answer: &mut Value, place: &Place, backroom: &Backroom) {
    place.outward(answer);
    if let Some(names) = answer.get_mut("TableNames").and_then(Value::as_array_mut) {
        names.retain(|name| name != tokens::TABLE);
    }
    for member in ["Table", "TableDescription"] {
        if let Some(Value::Object(table)) = answer.get_mut(member) {
            describe(table, place, backroom);
        }
    }
}

fn describe(table: &mut Map<String, Value>, place: &Place, backroom: &Backroom) {
    let name = table.get("TableName").and_then(Value::as_str).unwrap_or_default().to_owned();
    if table.contains_key("LatestStreamArn") || table.contains_key("StreamSpecification") {
        match streams::shown_stream(backroom, &name) {
            Ok(Some((label, view))) => {
                table.insert("LatestStreamArn".to_owned(), place.stream_arn(&name, &label).into());
                table.insert("LatestStreamLabel".to_owned(), label.into());
                if let Some(Value::Object(specification)) = table.get_mut("StreamSpecification")
                    && specification.get("StreamEnabled") == Some(&Value::Bool(true))
                {
                    specification.insert("StreamViewType".to_owned(), view.into());
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, table = name, "its stream cannot be looked up"),
        }
    }
    let created = table.get("CreationDateTime").cloned();
    if let (Some(created), Some(Value::Object(billing))) =
        (created, table.get_mut("BillingModeSummary"))
        && billing.get("BillingMode") == Some(&json!("PAY_PER_REQUEST"))
    {
        billing.entry("LastUpdateToPayPerRequestDateTime").or_insert(created);
    }
}

/// An update that only takes attributes away, from an item that may not be there: nothing is to be made then, where the engine
/// would make an item of its key.
///
/// Source: `UpdateItem`, API reference, `AttributeUpdates`: "DELETE - Causes nothing to happen".
pub(crate) fn only_takes_away(request: &Value) -> bool {
    let Some(updates) = request.get("AttributeUpdates").and_then(Value::as_object) else {
        return false;
    };
    let is_deletion =
        |update: &Value| update.get("Action").is_some_and(|action| action == "DELETE");
    !updates.is_empty()
        && updates.values().all(is_deletion)
        && request.get("Expected").is_none()
        && request.get("ReturnValues").is_none_or(|values| values == "NONE")
}

/// The condition that an item is there, in the words of such a request.
pub(crate) fn expect_item(request: &mut Value) {
    let key = request.get("Key").and_then(Value::as_object);
    let names: Vec<String> = key.into_iter().flat_map(Map::keys).cloned().collect();
    let expected: Map<String, Value> =
        names.into_iter().map(|name| (name, json!({ "ComparisonOperator": "NOT_NULL" }))).collect();
    if let Some(members) = request.as_object_mut() {
        members.insert("Expected".to_owned(), expected.into());
    }
}
