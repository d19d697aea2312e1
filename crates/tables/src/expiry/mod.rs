//! Time to live: items whose time has come are removed.
//!
//! The engine has a sweep of its own. It reads every item of a table each time, and removes items that DynamoDB leaves
//! alone. Here a list knows which items are [`due`], and the removal is what the engine's is: the item, its
//! entries in the indexes and its stream record in one transaction.
//!
//! Source: Developer Guide, "Using time to live (TTL)": a number of whole seconds since the epoch; what is more than
//! five years past is not removed. Stream records of removals name the service as their author.

mod due;

use std::time::Duration;

use dynoxide::DynoxideError;
use dynoxide::storage::Storage;
use rusqlite::{Connection, params};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::backroom::Backroom;

pub(crate) use self::due::SCHEMA;

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
    let tables = match backroom.read(tables) {
        Ok(tables) => tables,
        Err(error) => {
            failed(&error.into());
            return Vec::new();
        }
    };
    if let Err(error) = due::forget(backroom, &tables) {
        failed(&error);
    }
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
    due::keep(backroom, table)?;
    let mut after = Some(Place::default());
    while let Some(place) = after {
        let (count, next) = batch(backroom, table, now, &place)?;
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

    /// When an item is due, from the column that has it.
    fn due(&self, item: &str) -> String {
        // Inside a path, a quote of the attribute's name is escaped as in JSON.
        let path = format!("$.{}.N", Value::from(self.attribute.as_str()));
        format!("CAST(json_extract({item}, '{}') AS INTEGER)", path.replace('\'', "''"))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A place in the order of what is due: a time, and the keys within it.
type Place = (i64, String, String);

/// Removes some items. Tells how many, and after which place there may be more.
fn batch(
    backroom: &Backroom,
    table: &Table,
    now: i64,
    after: &Place,
) -> Result<(usize, Option<Place>), DynoxideError> {
    let (rows, list) = (table.rows(), due::list(&table.name));
    // In the order of the list, whatever the planner thinks of it.
    let sql = format!(
        "SELECT item_json, due, list.pk, list.sk FROM {list} AS list CROSS JOIN {rows} AS items \
         ON items.pk = list.pk AND items.sk = list.sk \
         WHERE due >= ?1 AND due < ?2 AND (due, list.pk, list.sk) > (?3, ?4, ?5) \
         ORDER BY due, list.pk, list.sk LIMIT ?6"
    );
    let oldest = after.0.max(now.saturating_sub(PAST_MAX));
    let found = |connection: &Connection| -> rusqlite::Result<Vec<(String, Place)>> {
        connection
            .prepare_cached(&sql)?
            .query_map(params![oldest, now, after.0, after.1, after.2, BATCH], |row| {
                Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?)))
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
        let (mut removed, mut last, mut cut) = (0, after.clone(), false);
        for (item, place) in found {
            if is_due(&item, &table.attribute, now) {
                remove(storage, &table, (&place.1, &place.2), &item)?;
                removed += 1;
            }
            last = place;
            if began.elapsed() > BATCH_TIME {
                cut = true;
                break;
            }
        }
        Ok((removed, (full || cut).then_some(last)))
    })
}

/// The list takes `12.5` and `12abc` for 12, which time to live does not.
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
mod tests;
