//! Which streams there are: those of tables now, and those that ended within a day.

use dynoxide::DynoxideError;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value;

use super::RETENTION_MILLIS;
use crate::backroom::Backroom;
use crate::place::Place;

/// A table's stream, from when it was enabled until it was disabled.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stream {
    id: i64,
    pub(super) table: String,
    pub(super) label: String,
    /// What a record shows of its item: `NEW_IMAGE`, …
    pub(super) view: String,
    /// The table's keys, as `DescribeTable` words them.
    pub(super) keys: Value,
    /// Milliseconds since the epoch.
    pub(super) created: u64,
    /// The first sequence number that it may hold.
    pub(super) first: i64,
    /// When it ended.
    pub(super) closed: Option<u64>,
    /// The last sequence number that it may hold, where it ended.
    pub(super) last: Option<i64>,
    trimmed: i64,
    /// The newest sequence number of its table, or 0.
    pub(super) newest: i64,
}

const COLUMNS: &str = "id, table_name, label, view_type, key_schema, created, first, closed, last, trimmed, \
    coalesce((SELECT max(CAST(sequence_number AS INTEGER)) FROM _stream_records AS records \
    WHERE records.table_name = \"stillwire streams\".table_name), 0)";

impl Stream {
    pub(super) fn arn(&self, place: &Place) -> String {
        place.stream_arn(&self.table, &self.label)
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let keys: String = row.get(4)?;
        Ok(Self {
            id: row.get(0)?,
            table: row.get(1)?,
            label: row.get(2)?,
            view: row.get(3)?,
            keys: serde_json::from_str(&keys).unwrap_or_default(),
            created: row.get(5)?,
            first: row.get(6)?,
            closed: row.get(7)?,
            last: row.get(8)?,
            trimmed: row.get(9)?,
            newest: row.get(10)?,
        })
    }
}

/// One stream, if it can still be read.
pub(super) fn find(
    connection: &Connection,
    table: &str,
    label: &str,
    now: u64,
) -> rusqlite::Result<Option<Stream>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM \"stillwire streams\" \
         WHERE table_name = ?1 AND label = ?2 AND coalesce(closed, ?3) > ?4 ORDER BY id DESC LIMIT 1"
    );
    connection
        .prepare_cached(&sql)?
        .query_row(params![table, label, now, horizon(now)], Stream::read)
        .optional()
}

/// All streams that can be read, in the order of their ARNs.
pub(super) fn all(
    connection: &Connection,
    table: Option<&str>,
    now: u64,
) -> rusqlite::Result<Vec<Stream>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM \"stillwire streams\" \
         WHERE (?1 IS NULL OR table_name = ?1) AND coalesce(closed, ?2) > ?3 \
         ORDER BY table_name, label"
    );
    connection
        .prepare_cached(&sql)?
        .query_map(params![table, now, horizon(now)], Stream::read)?
        .collect()
}

/// The newest stream of a table and what its records show: what `DescribeTable` tells.
pub(crate) fn shown_stream(
    backroom: &Backroom,
    table: &str,
) -> rusqlite::Result<Option<(String, String)>> {
    backroom.read(|connection| {
        connection
            .prepare_cached(
                "SELECT label, view_type FROM \"stillwire streams\" \
                 WHERE table_name = ?1 ORDER BY id DESC LIMIT 1",
            )?
            .query_row([table], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
    })
}

/// What the next stream of a table is to be, which the engine is not told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wish<'a> {
    /// What its records show. The engine itself always keeps both images, which tells writes that changed nothing.
    View(&'a str),
    /// Its label, where a template knows it before it is.
    Label(&'a str),
}

/// Notes what the next stream of a table is to be.
pub(crate) fn remember(
    backroom: &Backroom,
    table: &str,
    wish: Wish<'_>,
) -> Result<(), DynoxideError> {
    let (column, value) = match wish {
        Wish::View(view) => ("view_type", view),
        Wish::Label(label) => ("label", label),
    };
    let sql = format!(
        "INSERT INTO \"stillwire wishes\" (table_name, {column}) VALUES (?1, ?2) \
         ON CONFLICT (table_name) DO UPDATE SET {column} = excluded.{column}"
    );
    backroom.write(|storage| {
        storage.conn().execute(&sql, [table, value])?;
        Ok(())
    })
}

/// The newest sequence number of a table, or 0.
pub(super) fn newest(connection: &Connection, table: &str) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "SELECT coalesce(max(CAST(sequence_number AS INTEGER)), 0) \
             FROM _stream_records WHERE table_name = ?1",
        )?
        .query_row([table], |row| row.get(0))
}

/// The last sequence number of a stream that can be read no more, or 0.
pub(super) fn trimmed_to(
    connection: &Connection,
    stream: &Stream,
    now: u64,
) -> rusqlite::Result<i64> {
    let due: i64 = connection
        .prepare_cached(
            "SELECT coalesce(max(CAST(sequence_number AS INTEGER)), 0) FROM _stream_records \
             WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) BETWEEN ?2 AND ?3",
        )?
        .query_row(params![stream.table, stream.first, horizon_sequence(now)], |row| row.get(0))?;
    Ok(due.max(stream.trimmed))
}

/// Removes records that are too old to be read, at most `max`. Tells whether that was all.
pub(crate) fn trim(backroom: &Backroom, now: u64, max: usize) -> Result<bool, DynoxideError> {
    let oldest = horizon_sequence(now);
    let due = backroom.read(|connection| {
        connection
            .prepare_cached(
                "SELECT 1 FROM _stream_records WHERE table_name IN \
                 (SELECT DISTINCT table_name FROM \"stillwire streams\") \
                 AND CAST(sequence_number AS INTEGER) <= ?1 LIMIT 1",
            )?
            .exists([oldest])
    })?;
    if !due {
        return Ok(true);
    }
    backroom.write(|storage| {
        let connection = storage.conn();
        connection.execute(
            "UPDATE \"stillwire streams\" SET trimmed = max(trimmed, coalesce((SELECT \
             max(CAST(sequence_number AS INTEGER)) FROM _stream_records AS records \
             WHERE records.table_name = \"stillwire streams\".table_name \
             AND CAST(sequence_number AS INTEGER) BETWEEN first AND min(?1, coalesce(last, ?1))), 0))",
            [oldest],
        )?;
        let removed = connection.execute(
            "DELETE FROM _stream_records WHERE id IN (SELECT id FROM _stream_records \
             WHERE table_name IN (SELECT DISTINCT table_name FROM \"stillwire streams\") \
             AND CAST(sequence_number AS INTEGER) <= ?1 LIMIT ?2)",
            params![oldest, max],
        )?;
        connection.execute(
            "DELETE FROM \"stillwire streams\" WHERE closed <= ?1 AND NOT EXISTS \
             (SELECT 1 FROM _stream_records AS records WHERE \
              records.table_name = \"stillwire streams\".table_name AND \
              CAST(sequence_number AS INTEGER) BETWEEN first AND coalesce(last, first))",
            [horizon(now)],
        )?;
        Ok(removed < max)
    })
}

/// When what can still be read began, in milliseconds.
fn horizon(now: u64) -> u64 {
    now.saturating_sub(RETENTION_MILLIS)
}

/// The last sequence number that is too old: a sequence number is a time in microseconds.
pub(super) fn horizon_sequence(now: u64) -> i64 {
    i64::try_from(horizon(now).saturating_mul(1000)).unwrap_or(i64::MAX)
}
