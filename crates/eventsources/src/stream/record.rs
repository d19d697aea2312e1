//! Records as functions get them.
//!
//! Source: AWS Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB", example event.

use std::hash::Hasher as _;

use serde_json::{Map, Value};
use siphasher::sip::SipHasher13;
use tokio::time::Instant;

use super::Sequence;

/// A record on its way to a function.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) sequence: Sequence,
    /// What its item is known by, as a number.
    pub(super) item: u64,
    /// When it was made, in milliseconds since 1970.
    pub(super) created: u64,
    /// When it was read.
    pub(super) read: Instant,
    /// The record as JSON text.
    pub(super) text: String,
}

/// The record in the form in which functions get it and filters see it.
pub(super) fn for_function(mut record: Value, stream: &str, region: &str) -> Value {
    let Some(members) = record.as_object_mut() else { return record };
    members.insert("awsRegion".to_owned(), region.into());
    members.insert("eventSource".to_owned(), "aws:dynamodb".into());
    members.insert("eventSourceARN".to_owned(), stream.into());
    // The API and the event write this differently.
    if let Some(Value::Object(identity)) = members.get_mut("userIdentity") {
        let small = std::mem::take(identity).into_iter().map(|(name, value)| match name.as_str() {
            "Type" => ("type".to_owned(), value),
            "PrincipalId" => ("principalId".to_owned(), value),
            _ => (name, value),
        });
        *identity = small.collect();
    }
    record
}

impl Record {
    /// What is known of a record; `None` when it is none.
    pub(super) fn read(record: &Value) -> Option<Self> {
        Some(Self {
            sequence: sequence_of(record)?,
            item: item(record),
            created: created_millis(record),
            read: Instant::now(),
            text: record.to_string(),
        })
    }

    /// Its lane of so many. The same item has the same one after every restart.
    pub(super) fn lane(&self, lanes: usize) -> usize {
        let lanes = u64::try_from(lanes.max(1)).unwrap_or(1);
        usize::try_from(self.item % lanes).unwrap_or(0)
    }
}

pub(super) fn sequence_of(record: &Value) -> Option<Sequence> {
    record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str).map(Sequence::new)
}

/// When a record was made, in milliseconds since 1970; 0 where it does not say.
pub(super) fn created_millis(record: &Value) -> u64 {
    let seconds = record.pointer("/dynamodb/ApproximateCreationDateTime").and_then(Value::as_f64);
    let millis = seconds.filter(|seconds| *seconds > 0.0).map_or(0.0, |seconds| seconds * 1000.0);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive time; one beyond all time saturates"
    )]
    let millis = millis as u64;
    millis
}

/// A number for the keys of an item, in whatever order they are written.
fn item(record: &Value) -> u64 {
    let mut hasher = SipHasher13::new();
    let nothing = Map::new();
    let keys = record.pointer("/dynamodb/Keys").and_then(Value::as_object).unwrap_or(&nothing);
    let mut keys: Vec<(&String, String)> =
        keys.iter().map(|(name, value)| (name, value.to_string())).collect();
    keys.sort();
    for (name, value) in keys {
        hasher.write(name.as_bytes());
        hasher.write_u8(0); // no name and value run into each other
        hasher.write(value.as_bytes());
        hasher.write_u8(0);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_written_as_functions_know_it() {
        let sent = json!({ "eventID": "1", "awsRegion": "elsewhere", "dynamodb": {
                "SequenceNumber": "12", "ApproximateCreationDateTime": 1_600_000_000.5,
                "Keys": { "a": { "S": "x" }, "b": { "N": "1" } } },
            "userIdentity": { "Type": "Service", "PrincipalId": "dynamodb.amazonaws.com" } });
        let record = for_function(sent, "arn", "eu-west-1");
        assert_eq!(record["awsRegion"], "eu-west-1");
        assert_eq!(record["eventSourceARN"], "arn");
        let identity = json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" });
        assert_eq!(record["userIdentity"], identity);
        let read = Record::read(&record).unwrap();
        assert_eq!((read.sequence, read.created), (Sequence::new("12"), 1_600_000_000_500));
    }

    #[test]
    fn the_order_of_keys_does_not_change_the_lane() {
        let record = |keys: Value| json!({ "dynamodb": { "SequenceNumber": "1", "Keys": keys } });
        let one = Record::read(&record(json!({ "a": { "S": "x" }, "b": { "S": "y" } }))).unwrap();
        let two = Record::read(&record(json!({ "b": { "S": "y" }, "a": { "S": "x" } }))).unwrap();
        assert_eq!(one.item, two.item);
        let other = Record::read(&record(json!({ "a": { "S": "xb" }, "b": { "S": "" } }))).unwrap();
        assert_ne!(one.item, other.item);
        assert!(one.lane(4) < 4 && one.lane(1) == 0);
    }
}
