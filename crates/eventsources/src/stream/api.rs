//! The questions that a stream answers, in the JSON protocol of DynamoDB Streams.
//!
//! Source: Amazon DynamoDB Streams API: `DescribeStream`, `GetShardIterator`, `GetRecords`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use stillwire_model::{BoxFuture, TableApi};
use tokio::time::timeout;

use crate::checkpoint::Position;

/// How long the store may take for one answer. Choice: an SDK's own default.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// Pages of shards that are asked for. Choice: 100 shards are on each; a table has one for about a thousand writes a
/// second.
const PAGES_MAX: usize = 100;

/// Source: `GetRecords`, `Limit` (1,000).
const RECORDS_MAX: u32 = 1000;

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shard {
    pub(super) id: String,
    pub(super) parent: Option<String>,
}

/// Records that came together.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) records: Vec<Value>,
    /// Where the next ones are; `None` at the end of a shard that gets no more.
    pub(super) next: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum StreamError {
    /// There is no such stream, shard or table.
    #[error("{0}")]
    NotFound(String),
    /// The iterator is too old; another one leads to the same place.
    #[error("the iterator has expired")]
    Expired,
    /// The records at this place are gone.
    #[error("the records there are older than the stream keeps them")]
    Trimmed,
    /// Anything else, which may pass.
    #[error("{0}")]
    Failed(String),
}

/// The streams of the tables. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Streams(Arc<dyn TableApi>);

impl Streams {
    pub(super) fn new(tables: Arc<dyn TableApi>) -> Self {
        Self(tables)
    }

    /// Waits for a word that a table's stream may have more.
    pub(super) fn changed(&self, table: &str) -> BoxFuture<'static, ()> {
        self.0.stream_changed(table)
    }

    /// All shards of a stream.
    pub(super) async fn shards(&self, stream: &str) -> Result<Vec<Shard>, StreamError> {
        let mut shards = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut ask = json!({ "StreamArn": stream });
            if let (Some(after), Some(members)) = (&after, ask.as_object_mut()) {
                members.insert("ExclusiveStartShardId".to_owned(), after.as_str().into());
            }
            let answer = self.call("DynamoDBStreams_20120810.DescribeStream", &ask).await?;
            let text = |value: &Value, name: &str| Some(value.get(name)?.as_str()?.to_owned());
            let description = answer.get("StreamDescription").unwrap_or(&Value::Null);
            let listed = description.get("Shards").and_then(Value::as_array);
            shards.extend(listed.into_iter().flatten().filter_map(|shard| {
                Some(Shard { id: text(shard, "ShardId")?, parent: text(shard, "ParentShardId") })
            }));
            after = text(description, "LastEvaluatedShardId");
            if after.is_none() {
                break;
            }
        }
        Ok(shards)
    }

    /// The ARN of the stream that a table has now.
    pub(super) async fn latest_stream(&self, table: &str) -> Result<String, StreamError> {
        let ask = json!({ "TableName": table });
        let answer = self.call("DynamoDB_20120810.DescribeTable", &ask).await?;
        let arn = answer.pointer("/Table/LatestStreamArn").and_then(Value::as_str);
        arn.map(str::to_owned)
            .ok_or_else(|| StreamError::NotFound(format!("table {table} has no stream")))
    }

    /// An iterator that begins at a place.
    pub(super) async fn iterator(
        &self,
        stream: &str,
        shard: &str,
        position: &Position,
    ) -> Result<Option<String>, StreamError> {
        let (kind, sequence) = match position {
            Position::TrimHorizon => ("TRIM_HORIZON", None),
            Position::At(sequence) => ("AT_SEQUENCE_NUMBER", Some(sequence)),
            Position::After(sequence) => ("AFTER_SEQUENCE_NUMBER", Some(sequence)),
            Position::End => return Ok(None),
        };
        let mut ask = json!({ "StreamArn": stream, "ShardId": shard, "ShardIteratorType": kind });
        if let (Some(sequence), Some(members)) = (sequence, ask.as_object_mut()) {
            members.insert("SequenceNumber".to_owned(), sequence.as_str().into());
        }
        let answer = self.call("DynamoDBStreams_20120810.GetShardIterator", &ask).await?;
        let iterator = answer.get("ShardIterator").and_then(Value::as_str).map(str::to_owned);
        Ok(iterator)
    }

    /// The records at an iterator.
    pub(super) async fn records(&self, iterator: &str) -> Result<Answer, StreamError> {
        let ask = json!({ "ShardIterator": iterator, "Limit": RECORDS_MAX });
        let mut answer = self.call("DynamoDBStreams_20120810.GetRecords", &ask).await?;
        let next = answer.get("NextShardIterator").and_then(Value::as_str).map(str::to_owned);
        let records = match answer.get_mut("Records").map(Value::take) {
            Some(Value::Array(records)) => records,
            _ => Vec::new(),
        };
        Ok(Answer { records, next })
    }

    async fn call(&self, target: &str, ask: &Value) -> Result<Value, StreamError> {
        let call = self.0.call(target, Bytes::from(ask.to_string()));
        let operation = target.rsplit('.').next().unwrap_or_default();
        let Ok(reply) = timeout(CALL_TIMEOUT, call).await else {
            return Err(StreamError::Failed(format!("{operation} was not answered in time")));
        };
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        if reply.status == 200 {
            return Ok(answer);
        }
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let message = text("message").or_else(|| text("Message")).unwrap_or("no reason given");
        let kind = text("__type").and_then(|kind| kind.rsplit('#').next()).unwrap_or_default();
        Err(match kind {
            "ResourceNotFoundException" => StreamError::NotFound(message.to_owned()),
            "ExpiredIteratorException" => StreamError::Expired,
            "TrimmedDataAccessException" => StreamError::Trimmed,
            kind => StreamError::Failed(format!("{operation}: {kind}: {message}")),
        })
    }
}
