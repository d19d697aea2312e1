//! A mapping as templates and calls write it: members with the same names in both.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    EventSource, EventSourceMapping, QueueArn, QueueSource, StartingPosition, StreamArn,
    StreamSource,
};
use crate::{FunctionArn, limits};

/// A member that no mapping may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventSource {
    /// It must be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A number outside its range.
    #[error("{member} is {value}; it may be {} to {}", range.start(), range.end())]
    OutOfRange {
        /// Which one.
        member: &'static str,
        /// What it is.
        value: i64,
        /// What it may be.
        range: RangeInclusive<i64>,
    },
    /// It is of another kind, or does not go with the others.
    #[error("{member} {reason}")]
    Unfit {
        /// Which one.
        member: &'static str,
        /// Why not.
        reason: String,
    },
    /// A source that is not read here.
    #[error("{0} is not read here; streams of DynamoDB tables and queues of SQS are")]
    Source(String),
}

type Read<T> = Result<T, InvalidEventSource>;
type Members = Map<String, Value>;

impl InvalidEventSource {
    /// The member it is about.
    pub fn member(&self) -> &'static str {
        match self {
            Self::Missing(member)
            | Self::OutOfRange { member, .. }
            | Self::Unfit { member, .. } => member,
            Self::Source(_) => "EventSourceArn",
        }
    }

    fn unfit(member: &'static str, reason: impl Into<String>) -> Self {
        Self::Unfit { member, reason: reason.into() }
    }
}

impl EventSourceMapping {
    /// Reads a mapping. Whose it is was read before; numbers and truth values may be texts, as templates have them.
    ///
    /// # Errors
    /// The first member that is wrong. Whether filters are patterns is not looked at here.
    pub fn read(
        id: Arc<str>,
        (function, qualifier): (FunctionArn, Option<String>),
        members: &Members,
    ) -> Read<Self> {
        let arn = text(members, "EventSourceArn")?
            .ok_or(InvalidEventSource::Missing("EventSourceArn"))?;
        let source = source(&arn, members)?;
        let batch_size = match &source {
            EventSource::Stream(_) => (limits::STREAM_BATCH_SIZE, limits::BATCH_SIZE_MAX),
            EventSource::Queue(queue) if queue.arn.is_fifo() => {
                (limits::QUEUE_BATCH_SIZE, limits::QUEUE_BATCH_SIZE)
            }
            EventSource::Queue(_) => (limits::QUEUE_BATCH_SIZE, limits::BATCH_SIZE_MAX),
        };
        let batch_size =
            number(members, "BatchSize", 1..=i64::from(batch_size.1))?.map_or(batch_size.0, small);
        let window = "MaximumBatchingWindowInSeconds";
        let batching_window = seconds(number(members, window, 0..=300)?.unwrap_or(0));
        if let EventSource::Queue(queue) = &source {
            if queue.arn.is_fifo() && !batching_window.is_zero() {
                let reason = "is not supported for FIFO queues";
                return Err(InvalidEventSource::unfit(window, reason));
            }
            if batch_size > limits::QUEUE_BATCH_SIZE && batching_window.is_zero() {
                let reason = "must be greater than 0 if BatchSize is greater than 10";
                return Err(InvalidEventSource::unfit(window, reason));
            }
        }
        Ok(Self {
            id,
            function,
            qualifier,
            source,
            enabled: truth(members, "Enabled")?.unwrap_or(true),
            batch_size,
            batching_window,
            filters: filters(members)?,
            report_item_failures: response_types(members)?,
            tags: tags(members)?,
        })
    }

    /// The mapping as answers have it: all members that [`read`](Self::read) reads.
    pub fn members(&self) -> Members {
        let filters: Vec<Value> =
            self.filters.iter().map(|pattern| json!({ "Pattern": pattern })).collect();
        let types: &[&str] =
            if self.report_item_failures { &["ReportBatchItemFailures"] } else { &[] };
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        put("EventSourceArn", self.source.arn().into());
        put("Enabled", self.enabled.into());
        put("BatchSize", self.batch_size.into());
        put("MaximumBatchingWindowInSeconds", self.batching_window.as_secs().into());
        if !filters.is_empty() {
            put("FilterCriteria", json!({ "Filters": filters }));
        }
        put("FunctionResponseTypes", json!(types));
        if !self.tags.is_empty() {
            put("Tags", json!(self.tags));
        }
        match &self.source {
            EventSource::Stream(stream) => {
                let age = stream.record_age.map_or_else(|| json!(-1), |age| age.as_secs().into());
                let to = stream.on_failure.as_ref();
                put("StartingPosition", stream.starting_position.as_str().into());
                put("ParallelizationFactor", stream.parallelization_factor.into());
                put("MaximumRetryAttempts", stream.retries.map_or_else(|| json!(-1), Into::into));
                put("MaximumRecordAgeInSeconds", age);
                put("BisectBatchOnFunctionError", stream.bisect.into());
                let window = stream.tumbling_window.map_or(0, |window| window.as_secs());
                put("TumblingWindowInSeconds", window.into());
                let to = to.map_or_else(|| json!({}), |to| json!({ "Destination": to }));
                put("DestinationConfig", json!({ "OnFailure": to }));
            }
            EventSource::Queue(queue) => {
                if let Some(most) = queue.maximum_concurrency {
                    put("ScalingConfig", json!({ "MaximumConcurrency": most }));
                }
            }
        }
        members
    }
}

/// The tags: an object, as calls have them, or a list of keys and values, as templates do.
fn tags(members: &Members) -> Read<BTreeMap<String, String>> {
    let unfit = |reason: &str| InvalidEventSource::unfit("Tags", reason);
    let malformed = || unfit("is no list of names and values");
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(malformed);
    let tags: BTreeMap<_, _> = match members.get("Tags") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Object(tags)) => {
            tags.iter().map(|(key, value)| Ok((key.clone(), text(value)?))).collect::<Read<_>>()?
        }
        Some(Value::Array(tags)) => {
            let member = |tag: &Value, name: &str| text(tag.get(name).ok_or_else(malformed)?);
            let tag = |tag: &Value| Ok((member(tag, "Key")?, member(tag, "Value")?));
            tags.iter().map(tag).collect::<Read<_>>()?
        }
        Some(_) => return Err(malformed()),
    };
    if tags.len() > limits::TAGS_MAX {
        return Err(unfit(&format!("has more than {} of them", limits::TAGS_MAX)));
    }
    Ok(tags)
}

/// Members that only streams have.
const OF_STREAMS: [&str; 7] = [
    "StartingPosition",
    "ParallelizationFactor",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "BisectBatchOnFunctionError",
    "TumblingWindowInSeconds",
    "DestinationConfig",
];

fn source(arn: &str, members: &Members) -> Read<EventSource> {
    let unfit = |reason: String| InvalidEventSource::unfit("EventSourceArn", reason);
    match arn.split(':').nth(2) {
        Some("dynamodb") => {
            let arn = StreamArn::parse(arn).map_err(|error| unfit(format!("({error})")))?;
            if given(members, "ScalingConfig") {
                let reason = "is for queues of SQS";
                return Err(InvalidEventSource::unfit("ScalingConfig", reason));
            }
            stream(arn, members).map(EventSource::Stream)
        }
        Some("sqs") => {
            let arn = QueueArn::parse(arn).map_err(|error| unfit(format!("({error})")))?;
            if let Some(member) = OF_STREAMS.into_iter().find(|name| given(members, name)) {
                return Err(InvalidEventSource::unfit(
                    member,
                    "is for streams, not for queues of SQS",
                ));
            }
            let scaling = object(members, "ScalingConfig")?;
            let most = scaling.map(|scaling| number(scaling, "MaximumConcurrency", 2..=1000));
            let maximum_concurrency = most.transpose()?.flatten().map(small);
            Ok(EventSource::Queue(QueueSource { arn, maximum_concurrency }))
        }
        Some(service) if arn.starts_with("arn:") => {
            Err(InvalidEventSource::Source(format!("a source of {service}")))
        }
        _ => Err(unfit(format!("is not an ARN: {}", arn.chars().take(200).collect::<String>()))),
    }
}

fn stream(arn: StreamArn, members: &Members) -> Read<StreamSource> {
    let position = text(members, "StartingPosition")?;
    let starting_position = match position.as_deref() {
        None => return Err(InvalidEventSource::Missing("StartingPosition")),
        Some("TRIM_HORIZON") => StartingPosition::TrimHorizon,
        Some("LATEST") => StartingPosition::Latest,
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            let reason = format!("is {other}; for streams of tables it is TRIM_HORIZON or LATEST");
            return Err(InvalidEventSource::unfit("StartingPosition", reason));
        }
    };
    let age = "MaximumRecordAgeInSeconds";
    let record_age = number(members, age, -1..=604_800)?.filter(|age| *age != -1);
    if let Some(value) = record_age.filter(|age| *age < 60) {
        return Err(InvalidEventSource::OutOfRange { member: age, value, range: 60..=604_800 });
    }
    let retries = number(members, "MaximumRetryAttempts", -1..=10_000)?;
    let tumbling = number(members, "TumblingWindowInSeconds", 0..=900)?;
    let destinations = object(members, "DestinationConfig")?;
    let on_failure = destinations.map(|all| object(all, "OnFailure")).transpose()?.flatten();
    let destination = on_failure.map(|to| text(to, "Destination")).transpose()?.flatten();
    Ok(StreamSource {
        arn,
        starting_position,
        parallelization_factor: number(members, "ParallelizationFactor", 1..=10)?.map_or(1, small),
        retries: retries.and_then(|retries| u32::try_from(retries).ok()),
        record_age: record_age.map(seconds),
        bisect: truth(members, "BisectBatchOnFunctionError")?.unwrap_or(false),
        tumbling_window: tumbling.filter(|window| *window > 0).map(seconds),
        on_failure: destination.filter(|to| !to.is_empty()),
    })
}

fn filters(members: &Members) -> Read<Vec<String>> {
    const MEMBER: &str = "FilterCriteria";
    let wrong = |reason: &str| InvalidEventSource::unfit(MEMBER, reason);
    let Some(criteria) = object(members, MEMBER)? else { return Ok(Vec::new()) };
    let filters = match criteria.get("Filters") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(filters)) => filters,
        Some(_) => return Err(wrong("has `Filters` that are no list")),
    };
    if filters.len() > limits::FILTERS_MAX {
        let most = limits::FILTERS_MAX;
        return Err(wrong(&format!("has more than {most} filters")));
    }
    let pattern = |filter: &Value| match filter.get("Pattern") {
        Some(Value::String(pattern)) if pattern.chars().count() <= limits::FILTER_CHARS_MAX => {
            Ok(pattern.clone())
        }
        Some(Value::String(_)) => Err(wrong("has a pattern of more than 4096 characters")),
        // Templates may write a pattern as an object.
        Some(pattern @ Value::Object(_)) => Ok(pattern.to_string()),
        _ => Err(wrong("has a filter without a `Pattern`")),
    };
    filters.iter().map(pattern).collect()
}

fn response_types(members: &Members) -> Read<bool> {
    const MEMBER: &str = "FunctionResponseTypes";
    match members.get(MEMBER) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Array(types)) if types.is_empty() => Ok(false),
        Some(Value::Array(types)) if types.iter().all(|kind| kind == "ReportBatchItemFailures") => {
            Ok(true)
        }
        Some(_) => Err(InvalidEventSource::unfit(MEMBER, "may be [\"ReportBatchItemFailures\"]")),
    }
}

fn given(members: &Members, name: &str) -> bool {
    members.get(name).is_some_and(|value| !value.is_null())
}

fn text(members: &Members, member: &'static str) -> Read<Option<String>> {
    match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(InvalidEventSource::unfit(member, "is not a text")),
    }
}

fn object<'a>(members: &'a Members, member: &'static str) -> Read<Option<&'a Members>> {
    match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(InvalidEventSource::unfit(member, "is not an object")),
    }
}

fn truth(members: &Members, member: &'static str) -> Read<Option<bool>> {
    match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(truth)) => Ok(Some(*truth)),
        Some(Value::String(text)) if text == "true" => Ok(Some(true)),
        Some(Value::String(text)) if text == "false" => Ok(Some(false)),
        Some(_) => Err(InvalidEventSource::unfit(member, "is neither true nor false")),
    }
}

fn number(
    members: &Members,
    member: &'static str,
    range: RangeInclusive<i64>,
) -> Read<Option<i64>> {
    let value = match members.get(member) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_i64(),
    };
    match value {
        Some(value) if range.contains(&value) => Ok(Some(value)),
        Some(value) => Err(InvalidEventSource::OutOfRange { member, value, range }),
        None => Err(InvalidEventSource::unfit(member, "is not a whole number")),
    }
}

/// A number that was found to be in a range of small ones.
fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn seconds(number: i64) -> Duration {
    Duration::from_secs(number.unsigned_abs())
}

#[cfg(test)]
mod tests;
