//! A record, from the engine's row to the API's text.

use rusqlite::{Connection, params};
use serde_json::Value;

use super::registry::Stream;

/// What makes a sequence number 21 digits long. Source: service model, `SequenceNumber`: 21 to 40 characters.
const SEQUENCE_OFFSET: u128 = 100_000_000_000_000_000_000;

/// Bytes of records in one answer. Source: `GetRecords`, API reference (1 MB).
const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// Rows that are looked at for one answer. Source: none; those that changed nothing are in no answer, and there may be a
/// day of them.
const ROWS_MAX: usize = 10_000;

/// Some records, in order.
#[derive(Debug)]
pub(super) struct Page {
    /// Each as JSON text.
    pub(super) records: Vec<String>,
    /// The last sequence number that was looked at.
    pub(super) position: i64,
    /// Whether there may be more.
    pub(super) more: bool,
}

/// A sequence number as readers see it.
pub(super) fn public_sequence(stored: i64) -> String {
    (SEQUENCE_OFFSET + u128::try_from(stored).unwrap_or(0)).to_string()
}

/// The stored form of a sequence number, if it is one of ours.
pub(super) fn parse_sequence(text: &str) -> Option<i64> {
    let fits = text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_digit());
    let value: u128 = fits.then(|| text.parse().ok())??;
    i64::try_from(value.checked_sub(SEQUENCE_OFFSET)?).ok()
}

/// Reads records after a sequence number and up to another, at most `limit`.
pub(super) fn read(
    connection: &Connection,
    stream: &Stream,
    region: &str,
    (after, last): (i64, i64),
    limit: usize,
) -> rusqlite::Result<Page> {
    let mut statement = connection.prepare_cached(
        "SELECT CAST(sequence_number AS INTEGER), event_id, event_name, keys_json, new_image, old_image, \
         created_at, user_identity FROM _stream_records WHERE table_name = ?1 \
         AND CAST(sequence_number AS INTEGER) > ?2 AND CAST(sequence_number AS INTEGER) <= ?3 \
         ORDER BY CAST(sequence_number AS INTEGER)",
    )?;
    let mut rows = statement.query(params![stream.table, after, last])?;
    let mut page = Page { records: Vec::new(), position: after, more: false };
    let (mut bytes, mut looked_at) = (0, 0);
    while let Some(row) = rows.next()? {
        if page.records.len() == limit || bytes >= PAGE_BYTES_MAX || looked_at == ROWS_MAX {
            page.more = true;
            break;
        }
        let sequence = row.get(0)?;
        let record = Row {
            sequence,
            id: row.get::<_, Option<String>>(1)?.unwrap_or_else(|| sequence.to_string()),
            event: row.get(2)?,
            keys: row.get(3)?,
            new_image: row.get(4)?,
            old_image: row.get(5)?,
            created: row.get(6)?,
            by_service: row.get::<_, Option<String>>(7)?.is_some(),
        };
        page.position = sequence;
        looked_at += 1;
        if record.changes_something() {
            let text = record.text(&stream.view, region);
            bytes += text.len();
            page.records.push(text);
        }
    }
    Ok(page)
}

struct Row {
    sequence: i64,
    id: String,
    event: String,
    keys: String,
    new_image: Option<String>,
    old_image: Option<String>,
    /// Seconds since the epoch.
    created: i64,
    by_service: bool,
}

impl Row {
    /// Whether the item is another than before.
    ///
    /// Source: Developer Guide, "DynamoDB Streams": a write that changes nothing writes no record.
    fn changes_something(&self) -> bool {
        let (Some(new), Some(old)) = (&self.new_image, &self.old_image) else { return true };
        // The engine writes members in any order, so the texts of equal items have one length.
        if new.len() != old.len() {
            return true;
        }
        let item = |text: &str| {
            serde_json::from_str::<Value>(text).ok().map(|mut item| {
                sort_sets(&mut item);
                item
            })
        };
        new != old && item(new) != item(old)
    }

    fn text(&self, view: &str, region: &str) -> String {
        let shows_new = matches!(view, "NEW_IMAGE" | "NEW_AND_OLD_IMAGES");
        let shows_old = matches!(view, "OLD_IMAGE" | "NEW_AND_OLD_IMAGES");
        let new = self.new_image.as_deref().filter(|_| shows_new);
        let old = self.old_image.as_deref().filter(|_| shows_old);
        let image = |name: &str, image: Option<&str>| {
            image.map_or_else(String::new, |image| format!("\"{name}\":{image},"))
        };
        let size = self.keys.len() + new.map_or(0, str::len) + old.map_or(0, str::len);
        let identity = if self.by_service {
            r#","userIdentity":{"PrincipalId":"dynamodb.amazonaws.com","Type":"Service"}"#
        } else {
            ""
        };
        format!(
            "{{\"eventID\":\"{}\",\"eventName\":\"{}\",\"eventVersion\":\"1.1\",\
             \"eventSource\":\"aws:dynamodb\",\"awsRegion\":\"{region}\",\"dynamodb\":{{\
             \"ApproximateCreationDateTime\":{}.0,\"Keys\":{},{}{}\"SequenceNumber\":\"{}\",\
             \"SizeBytes\":{size},\"StreamViewType\":\"{view}\"}}{identity}}}",
            self.id,
            self.event,
            self.created,
            self.keys,
            image("NewImage", new),
            image("OldImage", old),
            public_sequence(self.sequence),
        )
    }
}

/// Sets have no order: two that hold the same are to be equal.
fn sort_sets(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::Array(items) if matches!(name.as_str(), "SS" | "NS" | "BS") => {
                        items.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
                    }
                    _ => sort_sets(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(sort_sets),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backroom::Backroom;
    use crate::streams::registry;

    #[test]
    fn one_answer_looks_at_so_many_rows_and_says_that_there_are_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tables.db");
        let database = dynoxide::Database::new(&file.to_string_lossy()).unwrap();
        let create = serde_json::json!({
            "TableName": "Chat", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
        });
        database.create_table(serde_json::from_value(create).unwrap()).unwrap();
        let backroom = Backroom::open(&file, crate::durability::Durability::Commit).unwrap();
        let image = r#"{"id":{"S":"a"}}"#;
        let rows = i64::try_from(ROWS_MAX).unwrap();
        backroom
            .write(|storage| {
                for sequence in 1..=rows {
                    storage.insert_stream_record_with_identity(
                        "Chat",
                        "MODIFY",
                        image,
                        Some(image),
                        Some(image), // nothing has changed
                        &sequence.to_string(),
                        "shard",
                        0,
                        None,
                    )?;
                }
                let sequence = (rows + 1).to_string();
                storage.insert_stream_record_with_identity(
                    "Chat",
                    "REMOVE",
                    image,
                    None,
                    Some(image),
                    &sequence,
                    "shard",
                    0,
                    None,
                )
            })
            .unwrap();
        let stream = backroom.read(|all| registry::all(all, None, 1)).unwrap().remove(0);
        let page = |after| {
            let range = (after, i64::MAX);
            backroom.read(|all| read(all, &stream, "us-east-1", range, 1000)).unwrap()
        };
        let first = page(0);
        assert_eq!((first.records.len(), first.position, first.more), (0, rows, true));
        let second = page(first.position);
        assert_eq!((second.records.len(), second.position, second.more), (1, rows + 1, false));
    }
}
