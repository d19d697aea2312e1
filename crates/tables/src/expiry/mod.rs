//! Time to live: items whose time has come are removed.
//!
//! The engine has a sweep of its own. It reads every item of a table each time, and removes items that DynamoDB leaves
//! alone. Here an index knows which items are due, and the removal is what the engine's is: the item, its
//! entries in the indexes and its stream record in one transaction.
//!
//! Source: Developer Guide, "Using time to live (TTL)": a number of whole seconds since the epoch; what is more than
//! five years past is not removed. Stream records of removals name the service as their author.

use std::time::Duration;

use dynoxide::DynoxideError;
use dynoxide::storage::Storage;
use rusqlite::{Connection, params};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::backroom::Backroom;

/// What is longer past is not removed, in seconds: five years of 365 days.
const PAST_MAX: i64 = 5 * 365 * 24 * 60 * 60;

/// Items in one transaction: the store is held for a moment only.
const BATCH: usize = 16;

/// How long one transaction goes on taking items.
const BATCH_TIME: Duration = Duration::from_millis(3);

/// The author of removals, as the engine keeps it.
const IDENTITY: &str = r#"{"type":"Service","principalId":"dynamodb.amazonaws.com"}"#;

/// A table with time to live.
#[derive(Debug)]
struct Table {
    name: String,
    attribute: String,
    /// The names of its key attributes.
    keys: Vec<String>,
    global: Vec<String>,
    local: Vec<String>,
    vector: Vec<String>,
    has_stream: bool,
    old_image: bool,
}

/// Removes every item that is due. Tells the tables that had some. What fails for one table is said, and stops no other.
pub(crate) fn sweep(
    backroom: &Backroom,
    now_seconds: u64,
    mut failed: impl FnMut(&DynoxideError),
) -> Vec<String> {
    let now = i64::try_from(now_seconds).unwrap_or(i64::MAX);
    let tables = backroom.read(tables).unwrap_or_else(|error| {
        failed(&error.into());
        Vec::new()
    });
    let mut swept = Vec::new();
    for table in tables {
        let mut removed = 0;
        if let Err(error) = sweep_table(backroom, &table, now, &mut removed) {
            failed(&error);
        }
        if removed > 0 {
            swept.push(table.name);
        }
    }
    swept
}

fn sweep_table(
    backroom: &Backroom,
    table: &Table,
    now: i64,
    removed: &mut usize,
) -> Result<(), DynoxideError> {
    index(backroom, table)?;
    let mut after = Some((0, 0));
    while let Some(place) = after {
        let (count, next) = batch(backroom, table, now, place)?;
        *removed += count;
        after = next;
    }
    Ok(())
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let names = |definitions: Option<String>, member: &str| -> Vec<String> {
        let list: Vec<Map<String, Value>> =
            definitions.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        list.iter().filter_map(|item| item.get(member)?.as_str()).map(str::to_owned).collect()
    };
    connection
        .prepare_cached(
            "SELECT table_name, ttl_attribute, key_schema, gsi_definitions, lsi_definitions, \
             coalesce(stream_enabled, 0), stream_view_type, vector_index_definitions FROM _tables \
             WHERE ttl_enabled = 1 AND ttl_attribute IS NOT NULL",
        )?
        .query_map([], |row| {
            let view: Option<String> = row.get(6)?;
            Ok(Table {
                name: row.get(0)?,
                attribute: row.get(1)?,
                keys: names(row.get(2)?, "AttributeName"),
                global: names(row.get(3)?, "IndexName"),
                local: names(row.get(4)?, "IndexName"),
                vector: names(row.get(7)?, "IndexName"),
                has_stream: row.get(5)?,
                old_image: view.is_none_or(|view| view.contains("OLD")),
            })
        })?
        .collect()
}

impl Table {
    /// The table's rows, as SQL names them.
    fn rows(&self) -> String {
        quoted(&self.name)
    }

    /// When an item is due, as an expression that an index can be made of.
    fn due(&self) -> String {
        // Inside a path, a quote of the attribute's name is escaped as in JSON.
        let path = format!("$.{}.N", Value::from(self.attribute.as_str()));
        format!("CAST(json_extract(item_json, '{}') AS INTEGER)", path.replace('\'', "''"))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Makes the index that knows which items are due, where it is not there yet. Another attribute has another one.
fn index(backroom: &Backroom, table: &Table) -> Result<(), DynoxideError> {
    let name = format!("stillwire due {} {}", table.name, table.attribute);
    let there = backroom.read(|connection| {
        connection.prepare_cached("SELECT 1 FROM sqlite_master WHERE name = ?1")?.exists([&name])
    })?;
    if there {
        return Ok(());
    }
    backroom.write(|storage| {
        let (rows, due) = (table.rows(), table.due());
        let stale = format!("stillwire due {} ", table.name);
        let mut statement = storage.conn().prepare(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND substr(name, 1, ?2) = ?1",
        )?;
        let old: Vec<String> = statement
            .query_map(params![stale, stale.chars().count()], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for old in old {
            storage.conn().execute_batch(&format!("DROP INDEX {}", quoted(&old)))?;
        }
        let sql =
            format!("CREATE INDEX {} ON {rows} ({due}) WHERE {due} IS NOT NULL", quoted(&name));
        storage.conn().execute_batch(&sql)?;
        Ok(())
    })
}

/// A place in the order of what is due: a time, and the row within it.
type Place = (i64, i64);

/// Removes some items. Tells how many, and after which place there may be more.
fn batch(
    backroom: &Backroom,
    table: &Table,
    now: i64,
    (after, row): Place,
) -> Result<(usize, Option<Place>), DynoxideError> {
    let (rows, due) = (table.rows(), table.due());
    let sql = format!(
        "SELECT pk, sk, item_json, {due}, rowid FROM {rows} WHERE {due} IS NOT NULL \
         AND {due} >= ?1 AND {due} < ?2 AND ({due} > ?3 OR rowid > ?4) ORDER BY {due}, rowid LIMIT ?5"
    );
    let oldest = after.max(now.saturating_sub(PAST_MAX));
    let found =
        |connection: &Connection| -> rusqlite::Result<Vec<(String, String, String, Place)>> {
            connection
                .prepare_cached(&sql)?
                .query_map(params![oldest, now, after, row, BATCH], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, (row.get(3)?, row.get(4)?)))
                })?
                .collect()
        };
    // Most sweeps find nothing, and then need no turn to write.
    if backroom.read(found)?.is_empty() {
        return Ok((0, None));
    }
    backroom.write(|storage| {
        let began = Instant::now();
        // The table may have changed since it was looked at: an index that is new has these items too.
        let now_there = tables(storage.conn())?
            .into_iter()
            .find(|there| there.name == table.name && there.attribute == table.attribute);
        let Some(table) = now_there else { return Ok((0, None)) };
        let found = found(storage.conn())?;
        let full = found.len() == BATCH;
        let (mut removed, mut last, mut cut) = (0, (after, row), false);
        for (pk, sk, item, place) in found {
            last = place;
            if is_due(&item, &table.attribute, now) {
                remove(storage, &table, (&pk, &sk), &item)?;
                removed += 1;
            }
            if began.elapsed() > BATCH_TIME {
                cut = true;
                break;
            }
        }
        Ok((removed, (full || cut).then_some(last)))
    })
}

/// The index takes `12.5` and `12abc` for 12, which time to live does not.
fn is_due(item: &str, attribute: &str, now: i64) -> bool {
    let item: Value = serde_json::from_str(item).unwrap_or_default();
    let number = item.get(attribute).and_then(|value| value.get("N")?.as_str());
    number
        .and_then(|text| text.parse::<i64>().ok())
        .is_some_and(|due| due < now && due >= now.saturating_sub(PAST_MAX))
}

fn remove(
    storage: &Storage,
    table: &Table,
    (pk, sk): (&str, &str),
    item: &str,
) -> Result<(), DynoxideError> {
    storage.delete_item(&table.name, pk, sk)?;
    for index in &table.global {
        storage.delete_gsi_item(&table.name, index, pk, sk)?;
    }
    for index in &table.local {
        storage.delete_lsi_item(&table.name, index, pk, sk)?;
    }
    for index in &table.vector {
        storage.delete_vector_item(&table.name, index, pk, sk)?;
    }
    if !table.has_stream {
        return Ok(());
    }
    let values: Map<String, Value> = serde_json::from_str(item).unwrap_or_default();
    let keys = table.keys.iter().filter_map(|key| Some((key.clone(), values.get(key)?.clone())));
    let keys = Value::Object(keys.collect()).to_string();
    let sequence = storage.next_stream_sequence_number(&table.name)?;
    storage.insert_stream_record_with_identity(
        &table.name,
        "REMOVE",
        &keys,
        None,
        table.old_image.then_some(item),
        &sequence.to_string(),
        "shard", // ours are windows of time
        sequence / 1_000_000,
        Some(IDENTITY),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use dynoxide::Database;
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;
    use crate::durability::Durability;

    const NOW: u64 = 1_800_000_000;

    fn parsed<T: serde::de::DeserializeOwned>(request: Value) -> T {
        serde_json::from_value(request).unwrap()
    }

    fn store() -> (TempDir, Database, Backroom) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tables.db");
        let database = Database::new(&file.to_string_lossy()).unwrap();
        let create = json!({
            "TableName": "Chat", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        });
        database.create_table(parsed(create)).unwrap();
        let due = json!({ "Enabled": true, "AttributeName": "due" });
        let due = json!({ "TableName": "Chat", "TimeToLiveSpecification": due });
        database.update_time_to_live(parsed(due)).unwrap();
        let backroom = Backroom::open(&file, Durability::Commit).unwrap();
        (folder, database, backroom)
    }

    fn put(database: &Database, id: &str, due: &str) {
        let item = json!({ "id": { "S": id }, "room": { "S": "lobby" }, "due": { "N": due } });
        database.put_item(parsed(json!({ "TableName": "Chat", "Item": item }))).unwrap();
    }

    fn count(database: &Database, index: Option<&str>) -> usize {
        let mut request = json!({ "TableName": "Chat" });
        if let Some(index) = index {
            request["IndexName"] = index.into();
        }
        database.scan(parsed(request)).unwrap().count
    }

    #[test]
    fn an_index_that_came_meanwhile_loses_the_item_too() {
        let (_folder, database, backroom) = store();
        put(&database, "a", "1799999999");
        let seen = backroom.read(tables).unwrap().remove(0);
        index(&backroom, &seen).unwrap();
        let update = json!({
            "TableName": "Chat",
            "AttributeDefinitions": [
                { "AttributeName": "id", "AttributeType": "S" },
                { "AttributeName": "room", "AttributeType": "S" },
            ],
            "GlobalSecondaryIndexUpdates": [{ "Create": {
                "IndexName": "rooms", "KeySchema": [{ "AttributeName": "room", "KeyType": "HASH" }],
                "Projection": { "ProjectionType": "ALL" },
            }}],
        });
        database.update_table(parsed(update)).unwrap();
        assert_eq!(count(&database, Some("rooms")), 1);
        let now = i64::try_from(NOW).unwrap();
        // A batch may end early where the machine is busy.
        let (mut removed, mut next) = (0, Some((0, 0)));
        while let Some(place) = next {
            let (count, after) = batch(&backroom, &seen, now, place).unwrap();
            removed += count;
            next = after;
        }
        assert_eq!(removed, 1);
        assert_eq!((count(&database, None), count(&database, Some("rooms"))), (0, 0));
    }

    #[test]
    fn fractions_of_a_second_do_not_hide_what_is_due_in_it() {
        let (_folder, database, backroom) = store();
        for number in 0..3 * BATCH {
            put(&database, &format!("stays {number}"), "1799999999.5");
        }
        put(&database, "goes", "1799999999");
        assert_eq!(sweep(&backroom, NOW, |error| panic!("{error}")), ["Chat"]);
        assert_eq!(count(&database, None), 3 * BATCH);
    }

    #[test]
    fn a_table_that_is_broken_keeps_no_other_from_expiry() {
        let (_folder, database, backroom) = store();
        put(&database, "a", "1799999999");
        backroom
            .write(|storage| {
                // A table that was half deleted when the power went. It comes before the other.
                storage.conn().execute_batch(
                    "INSERT INTO _tables (table_name, key_schema, attribute_definitions, created_at, \
                     ttl_enabled, ttl_attribute) VALUES ('Broken', '[]', '[]', 0, 1, 'due'); \
                     UPDATE _tables SET rowid = -1 WHERE table_name = 'Broken'",
                )?;
                Ok(())
            })
            .unwrap();
        let mut failures = 0;
        assert_eq!(sweep(&backroom, NOW, |_| failures += 1), ["Chat"]);
        assert_eq!((failures, count(&database, None)), (1, 0));
    }
}
