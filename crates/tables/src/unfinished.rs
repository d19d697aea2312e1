//! Tables that were half made, or half deleted, when the program ended.
//!
//! The engine makes a table in several steps, and deletes it in several, each kept by itself. So what is about to be
//! done is noted before the first of them and crossed out after the last. A store that opens and finds a note takes away what is
//! left of that table: nobody was told that it was made, and who wants it deleted does not want half of it.

use dynoxide::DynoxideError;
use dynoxide::storage::Storage;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Map, Value};

use crate::backroom::Backroom;

/// The operations that take several steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Create,
    Delete,
}

impl Work {
    pub(crate) fn of(operation: &str) -> Option<Self> {
        match operation {
            "CreateTable" => Some(Self::Create),
            "DeleteTable" => Some(Self::Delete),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
        }
    }
}

/// Notes what is about to be done to a table. One that is there already is not going to be made.
pub(crate) fn note(backroom: &Backroom, table: &str, work: Work) -> Result<(), DynoxideError> {
    let sql = "INSERT OR REPLACE INTO \"stillwire unfinished\" (table_name, work) SELECT ?1, ?2 \
        WHERE ?3 = EXISTS (SELECT 1 FROM _tables WHERE table_name = ?1)";
    backroom.write(|storage| {
        storage.conn().execute(sql, params![table, work.name(), work == Work::Delete])?;
        Ok(())
    })
}

/// Crosses a note out.
pub(crate) fn cross_out(backroom: &Backroom, table: &str) -> Result<(), DynoxideError> {
    backroom.write(|storage| forget(storage.conn(), table).map_err(Into::into))
}

/// Takes away what is left of tables that have a note. Gives their names.
pub(crate) fn finish(backroom: &Backroom) -> Result<Vec<String>, DynoxideError> {
    let noted = |connection: &Connection| -> rusqlite::Result<Vec<(String, String)>> {
        connection
            .prepare("SELECT table_name, work FROM \"stillwire unfinished\"")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    };
    let mut finished = Vec::new();
    for (table, work) in backroom.read(noted)? {
        backroom.write(|storage| {
            // A deletion that had not begun was not accepted, and may have been refused.
            if work == Work::Create.name() || !is_whole(storage.conn(), &table)? {
                take_away(storage, &table)?;
                finished.push(table.clone());
            }
            Ok(forget(storage.conn(), &table)?)
        })?;
    }
    Ok(finished)
}

fn forget(connection: &Connection, table: &str) -> rusqlite::Result<()> {
    connection
        .execute("DELETE FROM \"stillwire unfinished\" WHERE table_name = ?1", [table])
        .map(drop)
}

/// Whether a table has all that its definition says.
fn is_whole(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let indexes = connection
        .query_row(
            "SELECT gsi_definitions, lsi_definitions, vector_index_definitions FROM _tables \
             WHERE table_name = ?1",
            [table],
            |row| {
                let indexes = ["gsi", "lsi", "vector"].into_iter().enumerate();
                indexes
                    .map(|(column, kind)| Ok((kind, row.get::<_, Option<String>>(column)?)))
                    .collect::<rusqlite::Result<Vec<_>>>()
            },
        )
        .optional()?;
    let Some(indexes) = indexes else { return Ok(false) };
    let mut wanted = vec![table.to_owned()];
    for (kind, definitions) in indexes {
        let list: Vec<Map<String, Value>> =
            definitions.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let names = list.iter().filter_map(|index| index.get("IndexName")?.as_str());
        wanted.extend(names.map(|name| format!("{table}::{kind}::{name}")));
    }
    let parts = parts(connection, table)?;
    Ok(wanted.iter().all(|part| parts.contains(part)))
}

/// The tables of the file that are a table's: its items, and each of its indexes.
fn parts(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare(
            "SELECT name FROM sqlite_master WHERE type = 'table' \
             AND (name = ?1 OR substr(name, 1, length(?1) + 2) = ?1 || '::')",
        )?
        .query_map([table], |row| row.get(0))?
        .collect()
}

fn take_away(storage: &Storage, table: &str) -> Result<(), DynoxideError> {
    for part in parts(storage.conn(), table)? {
        storage.drop_data_table(&part)?;
    }
    storage.delete_table_metadata(table)?;
    storage.conn().execute("DELETE FROM \"stillwire wishes\" WHERE table_name = ?1", [table])?;
    Ok(())
}
