//! The store seen from behind: two more connections to the engine's file.
//!
//! The engine's interface lacks what streams and expiry need. Its file is an `SQLite` database in WAL mode, so one
//! connection reads without waiting for anybody, and another writes in turns with the engine's. Rows of our own live in the same
//! file: a transaction writes a table's stream and what we know about it at once, or neither.
//!
//! What is ours has a space in its name, which no table of a user can have.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use dynoxide::DynoxideError;
use dynoxide::storage::Storage;
use rusqlite::Connection;

use crate::durability::Durability;
use crate::expiry;

/// How long a write waits for its turn. Choice: as long as the engine's own.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a turn is asked for before sleeping for it.
///
/// Choice: measured with 32 clients on two cores. Two threads that sleep for each other's turns of some 30 us do two thirds of the
/// writes; more than this makes no difference.
const YIELDS_MAX: usize = 400;

/// The connections. One caller of each at a time.
pub(crate) struct Backroom {
    /// Not the one that writes: waiting for a turn to write would hold up every reader.
    reading: Mutex<Connection>,
    writing: Mutex<Storage>,
    in_turn: Option<Mutex<()>>,
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
CREATE TABLE IF NOT EXISTS "stillwire unfinished" (table_name TEXT PRIMARY KEY, work TEXT NOT NULL);
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
    /// Opens connections to a file that the engine has opened.
    pub(crate) fn open(path: &Path, durability: Durability) -> Result<Self, DynoxideError> {
        let storage = Storage::new(&path.to_string_lossy())?;
        durability.apply_to_storage(&storage)?;
        storage
            .conn()
            .execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} {} COMMIT;", expiry::SCHEMA))?;
        let reading = Connection::open(path)?;
        reading.execute_batch("PRAGMA query_only = ON")?;
        let in_turn = (durability == Durability::Memory).then(Mutex::default);
        Ok(Self { reading: Mutex::new(reading), writing: Mutex::new(storage), in_turn })
    }

    /// Reads, in a state of the store that stays as it is meanwhile.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let mut connection = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let _turn = self.turn();
        // Ended when it is dropped, also by a panic: nothing is written.
        let transaction = connection.transaction()?;
        read(&transaction)
    }

    /// Whether nobody has a write under way, at one moment of this call.
    pub(crate) fn is_quiet(&self) -> bool {
        let _turn = self.turn();
        let storage = match self.writing.try_lock() {
            Ok(storage) => storage,
            Err(TryLockError::Poisoned(storage)) => storage.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let patience = |time| storage.conn().busy_timeout(time).is_ok();
        let quiet = patience(Duration::ZERO)
            && storage.begin_transaction().is_ok_and(|()| storage.rollback().is_ok());
        patience(WRITE_TIMEOUT) && quiet
    }

    /// A turn in the store, where those who are at work in it would else wait by the clock for each other: in memory there
    /// is no log that keeps readers and writers apart.
    pub(crate) fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        let turn = self.in_turn.as_ref()?;
        // A turn is over sooner than a thread that slept for it is awake: whoever else can run runs meanwhile.
        for _ in 0..YIELDS_MAX {
            match turn.try_lock() {
                Ok(turn) => return Some(turn),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
        Some(turn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes all or nothing.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&Storage) -> Result<T, DynoxideError>,
    ) -> Result<T, DynoxideError> {
        let storage = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let _turn = self.turn();
        storage.begin_transaction()?;
        let begun = Begun(&storage);
        let written = write(&storage)?;
        storage.commit()?;
        drop(begun);
        Ok(written)
    }
}

/// A transaction that is undone unless it was committed, also by a panic: the next one could not begin.
struct Begun<'a>(&'a Storage);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.0.conn().is_autocommit()
            && let Err(error) = self.0.rollback()
        {
            tracing::warn!(%error, "a transaction of the tables' store cannot be undone");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    fn backroom() -> (TempDir, Backroom) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tables.db");
        dynoxide::Database::new(&file.to_string_lossy()).unwrap();
        let backroom = Backroom::open(&file, Durability::Commit).unwrap();
        (folder, backroom)
    }

    fn wishes(backroom: &Backroom) -> i64 {
        let sql = "SELECT count(*) FROM \"stillwire wishes\"";
        backroom.read(|connection| connection.query_row(sql, [], |row| row.get(0))).unwrap()
    }

    fn wish(storage: &Storage) {
        let sql = "INSERT INTO \"stillwire wishes\" (table_name) VALUES ('Chat')";
        storage.conn().execute(sql, []).unwrap();
    }

    #[test]
    fn readers_do_not_wait_for_whoever_writes() {
        let (_folder, backroom) = backroom();
        let (done, is_done) = mpsc::channel();
        std::thread::scope(|scope| {
            backroom
                .write(|storage| {
                    wish(storage);
                    scope.spawn(|| done.send(wishes(&backroom)));
                    assert_eq!(is_done.recv_timeout(Duration::from_secs(10)), Ok(0));
                    Ok(())
                })
                .unwrap();
        });
        assert_eq!(wishes(&backroom), 1);
    }

    #[test]
    fn a_panic_is_undone_and_the_next_caller_is_served() {
        let (_folder, backroom) = backroom();
        let panics = || {
            backroom.write(|storage| -> Result<(), DynoxideError> {
                wish(storage);
                panic!("on purpose")
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        let panics = || backroom.read(|_| -> rusqlite::Result<()> { panic!("on purpose") });
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!(wishes(&backroom), 0);
        backroom
            .write(|storage| {
                wish(storage);
                Ok(())
            })
            .unwrap();
        assert_eq!(wishes(&backroom), 1);
    }
}
