//! The record of a batch that was given up.
//!
//! Source: AWS Lambda Developer Guide, "Retain discarded records for a DynamoDB event source in Lambda".

use serde::Serialize;
use serde_json::Value;
use stillwire_awswire::{RequestContext, ResponseContext, iso_millis, record_key};
use stillwire_model::{EventRecord, EventSourceMapping, Invoked, Outcome};

use super::record::Record;

/// Why a batch was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Condition {
    RetryAttemptsExhausted,
    MaximumRecordAgeExceeded,
}

/// What is known of a batch that was given up.
#[derive(Debug)]
pub(super) struct GivenUp<'a> {
    pub(super) mapping: &'a EventSourceMapping,
    pub(super) shard: &'a str,
    pub(super) records: &'a [Record],
    pub(super) condition: Condition,
    pub(super) invocations: u32,
    /// The last invocation, if there was one.
    pub(super) last: Option<(&'a str, &'a Invoked)>,
    /// The event as the function got it.
    pub(super) event: &'a str,
    /// Milliseconds since 1970.
    pub(super) now: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    request_context: RequestContext<'a, Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<ResponseContext<'a>>,
    version: &'static str,
    timestamp: String,
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: BatchInfo<'a>,
    /// The event itself, for those who have the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo<'a> {
    shard_id: &'a str,
    start_sequence_number: &'a str,
    end_sequence_number: &'a str,
    approximate_arrival_of_first_record: String,
    approximate_arrival_of_last_record: String,
    batch_size: usize,
    stream_arn: &'a str,
}

impl GivenUp<'_> {
    /// The record for who is told.
    pub(super) fn record(&self, to: &str) -> EventRecord {
        let mapping = self.mapping;
        let function = match &mapping.qualifier {
            Some(qualifier) => format!("{}:{qualifier}", mapping.function),
            None => mapping.function.to_string(),
        };
        let (first, last) = (self.records.first(), self.records.last());
        let sequence = |record: Option<&'_ Record>| {
            record.map_or_else(String::new, |record| record.sequence.as_str().to_owned())
        };
        let time = |record: Option<&Record>| iso_millis(record.map_or(0, |record| record.created));
        let told = Told {
            request_context: RequestContext {
                request_id: self.last.map_or("", |(id, _)| id),
                function_arn: function.clone(),
                condition: self.condition,
                approximate_invoke_count: self.invocations,
            },
            response_context: self.last.map(|(_, invoked)| ResponseContext {
                status_code: 200,
                executed_version: &invoked.version,
                function_error: matches!(invoked.outcome, Outcome::Failed(_))
                    .then_some("Unhandled"),
            }),
            version: "1.0",
            timestamp: iso_millis(self.now),
            batch: BatchInfo {
                shard_id: self.shard,
                start_sequence_number: &sequence(first),
                end_sequence_number: &sequence(last),
                approximate_arrival_of_first_record: time(first),
                approximate_arrival_of_last_record: time(last),
                batch_size: self.records.len(),
                stream_arn: mapping.source.arn(),
            },
            // Source: as above, "S3": a bucket gets the whole event too.
            payload: to.starts_with("arn:aws:s3:").then_some(self.event),
        };
        let body = serde_json::to_string(&told).unwrap_or_default();
        EventRecord { to: to.to_owned(), function, body, object_key: self.object_key() }
    }

    /// Source: as above: `aws/lambda/{mapping}/{shard}/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-{UUID}`.
    fn object_key(&self) -> String {
        let prefix = format!("aws/lambda/{}/{}", self.mapping.id, self.shard);
        record_key(&prefix, self.now, &uuid::Uuid::new_v4().to_string())
    }
}

/// A function's error in a few words, for the log.
pub(super) fn in_short(invoked: &Invoked) -> String {
    let Outcome::Failed(error) = &invoked.outcome else {
        return "the function's answer says so".to_owned();
    };
    let error: Value = serde_json::from_slice(error).unwrap_or_default();
    let text = error.get("errorMessage").and_then(Value::as_str).unwrap_or("no message");
    text.chars().take(200).collect()
}
