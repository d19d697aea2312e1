//! The store seen from behind: a second connection to the engine's file.
//!
//! The engine's interface lacks what streams and expiry need. Its file is an `SQLite` database in WAL mode, so a second
//! connection reads without waiting and writes in turns with the first. Rows of our own live in the same
//! file: a transaction writes a table's stream and what we know about it at once, or neither.
//!
//! What is ours has a space in its name, which no table of a user can have.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dynoxide::DynoxideError;
use dynoxide::storage::Storage;
use rusqlite::Connection;

/// The second connection. One caller at a time.
pub(crate) struct Backroom {
    storage: Mutex<Storage>,
}

impl std::fmt::Debug for Backroom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backroom").finish_non_exhaustive()
    }
}

/// What keeps the streams' registry true, whoever changes a table.
///
/// A stream begins and ends with the sequence numbers that it may hold, because a table that is made again under its
/// old name has the records of both. A sequence number is the time in microseconds, and one more than the last
/// where that is later.
const SCHEMA: &str = r#"
CREATE TABLE IF NOT EXISTS "stillwire wishes" (table_name TEXT PRIMARY KEY, view_type TEXT, label TEXT);
CREATE TABLE IF NOT EXISTS "stillwire streams" (
    id INTEGER PRIMARY KEY,
    table_name TEXT NOT NULL,
    label TEXT NOT NULL,
    view_type TEXT NOT NULL,
    key_schema TEXT NOT NULL,
    created INTEGER NOT NULL,
    first INTEGER NOT NULL,
    closed INTEGER,
    last INTEGER,
    trimmed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS "stillwire streams by table" ON "stillwire streams" (table_name, label);
CREATE INDEX IF NOT EXISTS "stillwire records by sequence"
    ON _stream_records (table_name, CAST(sequence_number AS INTEGER));

CREATE TRIGGER IF NOT EXISTS "stillwire stream enabled"
AFTER UPDATE OF stream_enabled, stream_label ON _tables
WHEN NEW.stream_enabled = 1 AND (OLD.stream_enabled IS NOT 1 OR OLD.stream_label IS NOT NEW.stream_label)
BEGIN
    UPDATE "stillwire streams" SET
        closed = CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER),
        last = (SELECT max(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = NEW.table_name)
    WHERE table_name = NEW.table_name AND closed IS NULL;
    INSERT INTO "stillwire streams" (table_name, label, view_type, key_schema, created, first) VALUES (
        NEW.table_name,
        coalesce(
            (SELECT label FROM "stillwire wishes" WHERE table_name = NEW.table_name),
            strftime('%Y-%m-%dT%H:%M:%f', 'now')
        ),
        coalesce(
            (SELECT view_type FROM "stillwire wishes" WHERE table_name = NEW.table_name),
            NEW.stream_view_type, 'NEW_AND_OLD_IMAGES'
        ),
        NEW.key_schema,
        CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER),
        max(
            CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER) * 1000,
            coalesce((SELECT max(CAST(sequence_number AS INTEGER)) FROM _stream_records
                WHERE table_name = NEW.table_name), 0) + 1
        )
    );
END;
CREATE TRIGGER IF NOT EXISTS "stillwire stream disabled"
AFTER UPDATE OF stream_enabled ON _tables WHEN NEW.stream_enabled = 0 AND OLD.stream_enabled = 1
BEGIN
    UPDATE "stillwire streams" SET
        closed = CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER),
        last = (SELECT max(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = NEW.table_name)
    WHERE table_name = NEW.table_name AND closed IS NULL;
END;
CREATE TRIGGER IF NOT EXISTS "stillwire table deleted" AFTER DELETE ON _tables
BEGIN
    UPDATE "stillwire streams" SET
        closed = CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER),
        last = (SELECT max(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = OLD.table_name)
    WHERE table_name = OLD.table_name AND closed IS NULL;
    DELETE FROM "stillwire wishes" WHERE table_name = OLD.table_name;
END;

-- Streams that a version without a registry has made.
INSERT INTO "stillwire streams" (table_name, label, view_type, key_schema, created, first)
SELECT table_name, strftime('%Y-%m-%dT%H:%M:%f', 'now'), coalesce(stream_view_type, 'NEW_AND_OLD_IMAGES'),
    key_schema, created_at * 1000, 0
FROM _tables WHERE stream_enabled = 1
    AND table_name NOT IN (SELECT table_name FROM "stillwire streams" WHERE closed IS NULL);
"#;

impl Backroom {
    /// Opens the second connection to a file that the engine has opened.
    pub(crate) fn open(path: &Path) -> Result<Self, DynoxideError> {
        let storage = Storage::new(&path.to_string_lossy())?;
        storage.conn().execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;"))?;
        Ok(Self { storage: Mutex::new(storage) })
    }

    /// Reads, in a state of the store that stays as it is meanwhile.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let storage = self.lock();
        let connection = storage.conn();
        connection.execute_batch("BEGIN")?;
        let read = read(connection);
        connection.execute_batch("COMMIT")?; // of a read: nothing is written
        read
    }

    /// Writes all or nothing.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&Storage) -> Result<T, DynoxideError>,
    ) -> Result<T, DynoxideError> {
        let storage = self.lock();
        storage.begin_transaction()?;
        let written = write(&storage).and_then(|written| storage.commit().map(|()| written));
        if written.is_err()
            && let Err(error) = storage.rollback()
        {
            tracing::debug!(%error, "nothing to undo in the tables' store");
        }
        written
    }

    fn lock(&self) -> MutexGuard<'_, Storage> {
        // A panic left no transaction that the next BEGIN would not report.
        self.storage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
