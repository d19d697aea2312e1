//! Which items of a table are due when: a list that the table's own writes keep, made of the items that were there bit by bit.
//!
//! An index of SQL would be made in one go, and nobody could write meanwhile: half a second for 200,000 items. Triggers keep
//! the list true from the moment on that there is one; what was there before is added in steps, between which others write.
//!
//! The engine replaces an item by removing its row and adding another, for which no trigger of a removal runs: the one before an
//! insertion takes the old entry out.

use std::thread;
use std::time::Duration;

use dynoxide::DynoxideError;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::time::Instant;

use super::{Table, quoted};
use crate::backroom::Backroom;

/// Rows that are looked at in one step. Choice: some milliseconds.
pub(super) const STEP: usize = 200;

/// The least time between two steps. Whoever waits for a turn to write tries again after 1, 2, 5 and 10 ms.
const PAUSE: Duration = Duration::from_millis(5);

/// Entries that are removed in one step. Choice: some milliseconds.
const REMOVED: usize = 1000;

/// How long one call goes on step by step: other tables wait for their own expiry meanwhile.
const TIME: Duration = Duration::from_millis(400);

/// A list is of one attribute. It has all rows up to `filled`, and those behind `until` came when there was a list.
pub(crate) const SCHEMA: &str = r#"
CREATE TABLE IF NOT EXISTS "stillwire due" (
    table_name TEXT PRIMARY KEY,
    attribute TEXT NOT NULL,
    filled INTEGER NOT NULL,
    until INTEGER NOT NULL
);
"#;

const TRIGGERS: [&str; 4] = ["replaced", "added", "changed", "removed"];

/// The list of a table, as SQL names it: of entries `(due, pk, sk)`.
pub(super) fn list(table: &str) -> String {
    quoted(&format!("stillwire due {table}"))
}

fn trigger(table: &str, name: &str) -> String {
    format!("stillwire due {table} {name}")
}

/// Makes the list of a table where it is not there yet, and adds to it what it lacks, for a while.
pub(super) fn keep(backroom: &Backroom, table: &Table) -> Result<(), DynoxideError> {
    let state = match backroom.read(|connection| state(connection, table))? {
        Some(state) => state,
        None if remove(backroom, &table.name)? => {
            backroom.write(|storage| make(storage.conn(), table))?
        }
        None => return Ok(()),
    };
    if !state.is_whole() {
        in_steps(|| backroom.write(|storage| fill(storage.conn(), table)))?;
    }
    Ok(())
}

/// Removes the lists of tables that have no time to live any more, or are gone.
pub(super) fn forget(backroom: &Backroom, tables: &[Table]) -> Result<(), DynoxideError> {
    let known = backroom.read(|connection| {
        let mut statement =
            connection.prepare_cached("SELECT table_name FROM \"stillwire due\"")?;
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
    })?;
    for name in known.iter().filter(|name| !tables.iter().any(|table| table.name == **name)) {
        remove(backroom, name)?;
    }
    Ok(())
}

/// Takes steps until one says that it was the last, with time for others between them. Tells whether it came to that.
fn in_steps(mut step: impl FnMut() -> Result<bool, DynoxideError>) -> Result<bool, DynoxideError> {
    let began = Instant::now();
    loop {
        let this = Instant::now();
        if step()? {
            return Ok(true);
        }
        if began.elapsed() > TIME {
            return Ok(false);
        }
        #[expect(clippy::disallowed_methods, reason = "expiry runs where waiting is allowed")]
        thread::sleep(this.elapsed().max(PAUSE));
    }
}

/// How far a list is.
pub(super) struct State {
    filled: i64,
    until: i64,
}

impl State {
    fn is_whole(&self) -> bool {
        self.filled >= self.until
    }
}

/// `None` where there is no list of this attribute, or the table is another than the one that it was made for.
fn state(connection: &Connection, table: &Table) -> rusqlite::Result<Option<State>> {
    let is_kept = connection
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = ?1")?
        .exists([trigger(&table.name, TRIGGERS[0])])?;
    if !is_kept {
        return Ok(None);
    }
    connection
        .prepare_cached(
            "SELECT filled, until FROM \"stillwire due\" WHERE table_name = ?1 AND attribute = ?2",
        )?
        .query_row(params![table.name, table.attribute], |row| {
            Ok(State { filled: row.get(0)?, until: row.get(1)? })
        })
        .optional()
}

pub(super) fn make(connection: &Connection, table: &Table) -> Result<State, DynoxideError> {
    let (rows, list) = (table.rows(), list(&table.name));
    let [replaced, added, changed, removed] =
        TRIGGERS.map(|name| quoted(&trigger(&table.name, name)));
    let (due, new, old) =
        (table.due("item_json"), table.due("NEW.item_json"), table.due("OLD.item_json"));
    let add = format!(
        "INSERT OR IGNORE INTO {list} SELECT {new}, NEW.pk, NEW.sk WHERE {new} IS NOT NULL"
    );
    let remove = format!("DELETE FROM {list} WHERE due = {old} AND pk = OLD.pk AND sk = OLD.sk");
    connection.execute_batch(&format!(
        "CREATE TABLE {list} (due INTEGER NOT NULL, pk TEXT NOT NULL, sk TEXT NOT NULL, \
            PRIMARY KEY (due, pk, sk)) WITHOUT ROWID; \
         CREATE TRIGGER {replaced} BEFORE INSERT ON {rows} BEGIN \
            DELETE FROM {list} WHERE pk = NEW.pk AND sk = NEW.sk AND due = \
                (SELECT {due} FROM {rows} WHERE pk = NEW.pk AND sk = NEW.sk); END; \
         CREATE TRIGGER {added} AFTER INSERT ON {rows} BEGIN {add}; END; \
         CREATE TRIGGER {changed} AFTER UPDATE OF pk, sk, item_json ON {rows} BEGIN {remove}; {add}; END; \
         CREATE TRIGGER {removed} AFTER DELETE ON {rows} BEGIN {remove}; END;"
    ))?;
    let until: Option<i64> =
        connection.query_row(&format!("SELECT max(rowid) FROM {rows}"), [], |row| row.get(0))?;
    let state = State { filled: 0, until: until.unwrap_or_default() };
    connection.execute(
        "INSERT INTO \"stillwire due\" (table_name, attribute, filled, until) VALUES (?1, ?2, ?3, ?4)",
        params![table.name, table.attribute, state.filled, state.until],
    )?;
    Ok(state)
}

/// Adds some of the rows that were there before the list. Tells whether all are in it.
pub(super) fn fill(connection: &Connection, table: &Table) -> Result<bool, DynoxideError> {
    let Some(state) = state(connection, table)? else { return Ok(true) };
    if state.is_whole() {
        return Ok(true);
    }
    let (rows, list, due) = (table.rows(), list(&table.name), table.due("item_json"));
    let select = format!(
        "SELECT max(rowid) FROM (SELECT rowid FROM {rows} WHERE rowid > ?1 AND rowid <= ?2 \
         ORDER BY rowid LIMIT ?3)"
    );
    let end: Option<i64> = connection
        .prepare_cached(&select)?
        .query_row(params![state.filled, state.until, STEP], |row| row.get(0))?;
    let end = end.unwrap_or(state.until);
    let insert = format!(
        "INSERT OR IGNORE INTO {list} SELECT {due}, pk, sk FROM {rows} \
         WHERE rowid > ?1 AND rowid <= ?2 AND {due} IS NOT NULL"
    );
    connection.prepare_cached(&insert)?.execute([state.filled, end])?;
    connection.execute(
        "UPDATE \"stillwire due\" SET filled = ?2 WHERE table_name = ?1",
        params![table.name, end],
    )?;
    Ok(end >= state.until)
}

/// Removes the list of a table with what keeps it, and the indexes that earlier versions had instead. Tells whether all is gone.
fn remove(backroom: &Backroom, table: &str) -> Result<bool, DynoxideError> {
    // From now on nobody takes it for a list.
    backroom.write(|storage| {
        for name in TRIGGERS {
            let name = quoted(&trigger(table, name));
            storage.conn().execute_batch(&format!("DROP TRIGGER IF EXISTS {name}"))?;
        }
        Ok(())
    })?;
    in_steps(|| backroom.write(|storage| remove_some(storage.conn(), table)))
}

/// A list that has nothing is dropped at once; a long one would hold everybody up.
fn remove_some(connection: &Connection, table: &str) -> Result<bool, DynoxideError> {
    let list = list(table);
    let is_there = connection
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1")?
        .exists([format!("stillwire due {table}")])?;
    if is_there {
        let delete = format!(
            "DELETE FROM {list} WHERE (due, pk, sk) IN \
             (SELECT due, pk, sk FROM {list} ORDER BY due, pk, sk LIMIT ?1)"
        );
        if connection.execute(&delete, [REMOVED])? == REMOVED {
            return Ok(false);
        }
        connection.execute_batch(&format!("DROP TABLE {list}"))?;
    }
    connection.execute("DELETE FROM \"stillwire due\" WHERE table_name = ?1", [table])?;
    let prefix = format!("stillwire due {table} ");
    let mut statement = connection.prepare(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND substr(name, 1, ?2) = ?1",
    )?;
    let old: Vec<String> = statement
        .query_map(params![prefix, prefix.chars().count()], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for old in old {
        connection.execute_batch(&format!("DROP INDEX {}", quoted(&old)))?;
    }
    Ok(true)
}
