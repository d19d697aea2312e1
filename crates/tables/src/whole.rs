//! Scans of small tables, which programs make of the rows of their connections: all items, as they are kept.
//!
//! The engine reads the text of each item into values and writes those as text again. That is left out where the text is
//! the answer: nothing is asked but all items, they fit on one page, and none has a set, whose order depends on who asks.

use rusqlite::Connection;
use serde::Deserialize;

use crate::backroom::Backroom;
use crate::lane::Name;

/// How large all items together may be. Choice: somewhat less than a page (1 MB), so that there is no question what
/// would still be on it.
const BYTES_MAX: usize = 900_000;

/// A scan that asks for nothing in particular.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(non_snake_case, reason = "the service's names")]
struct Plain {
    TableName: Name,
    #[serde(default, rename = "ConsistentRead")]
    _consistent: bool, // every read is
}

/// The answer to such a scan; `None` for every other, and where anything is in the way.
pub(crate) fn scan(backroom: &Backroom, body: &[u8]) -> Option<String> {
    let table = serde_json::from_slice::<Plain>(body).ok()?.TableName.0;
    // What cannot be read is the engine's to word: there may be no such table.
    backroom.read(|connection| items(connection, &table)).ok()?
}

fn items(connection: &Connection, table: &str) -> rusqlite::Result<Option<String>> {
    let is_table = connection
        .prepare_cached("SELECT 1 FROM _tables WHERE table_name = ?1")?
        .exists([table])?;
    if !is_table {
        return Ok(None);
    }
    let sql = format!("SELECT item_json, item_size FROM \"{table}\" ORDER BY pk, sk");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let (mut answer, mut count, mut bytes) = ("{\"Items\":[".to_owned(), 0_usize, 0_usize);
    while let Some(row) = rows.next()? {
        let item = row.get_ref(0)?.as_str()?;
        bytes += row.get::<_, usize>(1)?;
        if bytes > BYTES_MAX
            || ["\"SS\":", "\"NS\":", "\"BS\":"].iter().any(|set| item.contains(set))
        {
            return Ok(None);
        }
        if count > 0 {
            answer.push(',');
        }
        answer.push_str(item);
        count += 1;
    }
    answer.push_str("],\"Count\":");
    answer.push_str(&count.to_string());
    answer.push_str(",\"ScannedCount\":");
    answer.push_str(&count.to_string());
    answer.push('}');
    Ok(Some(answer))
}
