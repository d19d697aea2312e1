//! Entries of an index that DynamoDB would not have made when it filled it.
//!
//! The engine fills a new index with every item that has a scalar of its key's name, also with numbers and empty texts where a text is
//! wanted. They are taken out again.
//!
//! Source: Developer Guide, "Managing global secondary indexes", "Detecting and correcting index key violations": an item whose
//! value is of another type or too large is not in the index.

use dynoxide::DynoxideError;
use rusqlite::{Connection, params};
use serde_json::Value;

use crate::backroom::Backroom;

/// The largest values of keys, in bytes. Source: DynamoDB quotas, partition and sort keys.
const HASH_BYTES_MAX: usize = 2048;
const RANGE_BYTES_MAX: usize = 1024;

/// Entries in one transaction: the store is held for a moment only.
const BATCH: usize = 100;

/// The names of the indexes that a change of a table makes.
pub(crate) fn made(request: &Value) -> Vec<&str> {
    let updates = request.get("GlobalSecondaryIndexUpdates").and_then(Value::as_array);
    updates
        .into_iter()
        .flatten()
        .filter_map(|update| update.get("Create")?.get("IndexName")?.as_str())
        .collect()
}

/// Takes them out of an index of a table, which is told as `DescribeTable` does.
pub(crate) fn remove(backroom: &Backroom, table: &Value, index: &str) -> Result<(), DynoxideError> {
    let Some((rows, unfit)) = entries(table, index) else { return Ok(()) };
    let select =
        format!("SELECT rowid FROM {rows} WHERE rowid > ?1 AND ({unfit}) ORDER BY rowid LIMIT ?2");
    let delete = format!("DELETE FROM {rows} WHERE rowid = ?1 AND ({unfit})");
    let mut last = 0_i64;
    loop {
        let found = |connection: &Connection| -> rusqlite::Result<Vec<i64>> {
            connection
                .prepare(&select)?
                .query_map(params![last, BATCH], |row| row.get(0))?
                .collect()
        };
        let found = backroom.read(found)?;
        let Some(end) = found.last() else { return Ok(()) };
        last = *end;
        backroom.write(|storage| {
            // What was changed meanwhile is checked by the engine.
            let mut statement = storage.conn().prepare(&delete)?;
            for row in &found {
                statement.execute([row])?;
            }
            Ok(())
        })?;
    }
}

/// An index's rows, as SQL names them, and what is true of those that do not belong there.
fn entries(table: &Value, index: &str) -> Option<(String, String)> {
    let list = |value: &Value, member: &str| value.get(member).and_then(Value::as_array).cloned();
    let text = |value: &Value, member: &str| value.get(member)?.as_str().map(str::to_owned);
    let name = text(table, "TableName")?;
    let types = list(table, "AttributeDefinitions")?;
    let indexes = list(table, "GlobalSecondaryIndexes")?;
    let keys = indexes.iter().find(|one| text(one, "IndexName").as_deref() == Some(index))?;
    let keys = list(keys, "KeySchema")?;
    let unfit = keys.iter().map(|key| {
        let attribute = text(key, "AttributeName")?;
        let defined = |one: &&Value| text(one, "AttributeName").as_ref() == Some(&attribute);
        let kind = text(types.iter().find(defined)?, "AttributeType")?;
        let most = if text(key, "KeyType")? == "HASH" { HASH_BYTES_MAX } else { RANGE_BYTES_MAX };
        // Inside a path, a quote of the attribute's name is escaped as in JSON.
        let path = format!("$.{}.{kind}", Value::from(attribute)).replace('\'', "''");
        let value = format!("json_extract(item_json, '{path}')");
        let bytes = match kind.as_str() {
            "S" => format!("length(CAST({value} AS BLOB))"),
            // Base64: three bytes in four letters, but for the padding.
            "B" => format!("length(rtrim({value}, '=')) * 3 / 4"),
            _ => "1".to_owned(),
        };
        Some(format!("{value} IS NULL OR {bytes} NOT BETWEEN 1 AND {most}"))
    });
    let unfit = unfit.collect::<Option<Vec<_>>>()?.join(" OR ");
    Some((format!("\"{}\"", format!("{name}::gsi::{index}").replace('"', "\"\"")), unfit))
}
