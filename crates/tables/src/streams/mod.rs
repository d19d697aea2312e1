//! The Streams API over the records that the engine writes.
//!
//! The engine writes a record in the transaction of its item. What readers see of them is decided here, since the engine's own
//! view has one shard that never ends, ids that SDKs refuse, and records that stay for ever.
//!
//! * `registry` finds streams, `shards` cuts them by time, `sealed` knows what time no record can be of any more, `iterator`
//!   is a reader's place in a shard, `record` words a record.
//!
//! Source: DynamoDB Streams service model 2012-08-10 (members, limits, errors) and the Developer Guide, "Change data
//! capture for DynamoDB Streams" (24 hours, closed shards, images). How long a shard is open is not
//! documented; four hours have been seen.

mod iterator;
mod record;
mod registry;
mod sealed;
mod shards;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use stillwire_model::Reply;

use self::iterator::{Iterator, Start};
use self::registry::Stream;
use self::shards::Shard;
use crate::backroom::Backroom;
use crate::errors::{Refusal, internal, ok};
use crate::place::Place;

pub(crate) use registry::{Wish, remember, shown_stream, trim};
pub(crate) use sealed::Sealed;

/// How long a record can be read. Source: Developer Guide, "DynamoDB Streams".
pub(crate) const RETENTION_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// Streams or shards in one answer. Source: service model, `Limit` of `ListStreams` and `DescribeStream`.
const PAGE_MAX: usize = 100;

/// Records in one answer. Source: service model, `Limit` of `GetRecords`.
const RECORDS_MAX: usize = 1000;

/// A question about streams: where, what of, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) place: &'a Place,
    pub(crate) backroom: &'a Backroom,
    pub(crate) sealed: &'a Sealed,
    /// Milliseconds since the epoch.
    pub(crate) now: u64,
}

/// Why a question has no answer.
#[derive(Debug)]
enum Failure {
    Refused(Refusal),
    Store(rusqlite::Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error)
    }
}

/// Answers one operation of the Streams API.
pub(crate) fn answer(asked: Asked<'_>, operation: &str, body: &[u8]) -> Reply {
    let answered = match operation {
        "ListStreams" => parse(body).and_then(|request| list(asked, &request)),
        "DescribeStream" => parse(body).and_then(|request| describe(asked, &request)),
        "GetShardIterator" => parse(body).and_then(|request| iterator(asked, &request)),
        "GetRecords" => return records(asked, body),
        _ => Err(Refusal::unknown_operation().into()),
    };
    match answered {
        Ok(answer) => ok(&answer),
        Err(failure) => failure.into(),
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Store(error) => internal(&error),
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_| Refusal::serialization().into())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    table_name: Option<String>,
    limit: Option<i64>,
    exclusive_start_stream_arn: Option<String>,
}

fn list(asked: Asked<'_>, request: &List) -> Result<Value, Failure> {
    let limit = limit(request.limit, PAGE_MAX)?;
    let streams = asked
        .backroom
        .read(|connection| registry::all(connection, request.table_name.as_deref(), asked.now))?;
    let after = match &request.exclusive_start_stream_arn {
        None => 0,
        Some(arn) => streams
            .iter()
            .position(|stream| stream.arn(asked.place) == *arn)
            .map(|at| at + 1)
            .ok_or_else(|| no_stream(arn))?,
    };
    let page = streams.iter().skip(after).take(limit);
    let listed: Vec<Value> = page
        .map(|stream| {
            json!({
                "StreamArn": stream.arn(asked.place),
                "TableName": stream.table,
                "StreamLabel": stream.label,
            })
        })
        .collect();
    let last = listed.last().and_then(|last| last.get("StreamArn")).cloned();
    let more = after + listed.len() < streams.len();
    let mut answer = Map::from_iter([("Streams".to_owned(), listed.into())]);
    if more && let Some(last) = last {
        answer.insert("LastEvaluatedStreamArn".to_owned(), last);
    }
    Ok(answer.into())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    stream_arn: Option<String>,
    limit: Option<i64>,
    exclusive_start_shard_id: Option<String>,
    shard_filter: Option<ShardFilter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ShardFilter {
    r#type: Option<String>,
    shard_id: Option<String>,
}

fn describe(asked: Asked<'_>, request: &Describe) -> Result<Value, Failure> {
    let limit = limit(request.limit, PAGE_MAX)?;
    let stream = find(asked, request.stream_arn.as_deref())?;
    let mut shards = shards_of(asked, &stream);
    if let Some(filter) = &request.shard_filter {
        match filter.r#type.as_deref() {
            Some("CHILD_SHARDS") => {}
            Some(other) => {
                let rule = "Member must satisfy enum value set: [CHILD_SHARDS]";
                return Err(Refusal::constraint("shardFilter.type", other, rule).into());
            }
            None => return Err(Refusal::missing("shardFilter.type").into()),
        }
        let parent = filter.shard_id.as_ref();
        let parent = parent.ok_or_else(|| Refusal::missing("shardFilter.shardId"))?;
        shards.retain(|shard| shard.parent.as_ref() == Some(parent));
    }
    if let Some(start) = &request.exclusive_start_shard_id {
        let known = shards.iter().position(|shard| shard.id == *start);
        let known =
            known.ok_or_else(|| Refusal::validation(format!("Invalid ShardId: {start}")))?;
        shards.drain(..=known);
    }
    let more = shards.len() > limit;
    shards.truncate(limit);
    let mut description = json!({
        "StreamArn": stream.arn(asked.place),
        "StreamLabel": stream.label,
        "StreamStatus": if stream.closed.is_none() { "ENABLED" } else { "DISABLED" },
        "StreamViewType": stream.view,
        "CreationRequestDateTime": seconds(stream.created),
        "TableName": stream.table,
        "KeySchema": stream.keys,
        "Shards": shards.iter().map(Shard::described).collect::<Vec<_>>(),
    });
    if more && let (Some(last), Some(members)) = (shards.last(), description.as_object_mut()) {
        members.insert("LastEvaluatedShardId".to_owned(), last.id.clone().into());
    }
    Ok(json!({ "StreamDescription": description }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetIterator {
    stream_arn: Option<String>,
    shard_id: Option<String>,
    shard_iterator_type: Option<String>,
    sequence_number: Option<String>,
}

fn iterator(asked: Asked<'_>, request: &GetIterator) -> Result<Value, Failure> {
    let stream = find(asked, request.stream_arn.as_deref())?;
    let shard_id = request.shard_id.as_deref().ok_or_else(|| Refusal::missing("shardId"))?;
    let shards = shards_of(asked, &stream);
    let shard = shards.iter().find(|shard| shard.id == shard_id).ok_or_else(|| {
        let arn = stream.arn(asked.place);
        Refusal::not_found(format!(
            "Requested resource not found: Shard: {shard_id} in Stream: {arn} not found"
        ))
    })?;
    let kind = request.shard_iterator_type.as_deref();
    let kind = kind.ok_or_else(|| Refusal::missing("shardIteratorType"))?;
    let named = || match &request.sequence_number {
        None => Err(Refusal::validation(format!("SequenceNumber is required for {kind}"))),
        Some(text) => record::parse_sequence(text)
            .ok_or_else(|| Refusal::validation(format!("Invalid SequenceNumber: {text}"))),
    };
    let start = match kind {
        "TRIM_HORIZON" => Start::Horizon,
        "LATEST" => {
            let newest = asked.backroom.read(|all| registry::newest(all, &stream.table))?;
            Start::After(newest.clamp(shard.first - 1, shard.last))
        }
        "AT_SEQUENCE_NUMBER" => Start::After(named()? - 1),
        "AFTER_SEQUENCE_NUMBER" => Start::After(named()?),
        other => {
            let rule = "Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, \
                AT_SEQUENCE_NUMBER, TRIM_HORIZON]";
            return Err(Refusal::constraint("shardIteratorType", other, rule).into());
        }
    };
    refuse_trimmed(asked, &stream, start)?;
    let iterator = Iterator { window: shard.window, start, issued: asked.now };
    Ok(json!({ "ShardIterator": iterator.text(&stream.arn(asked.place)) }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetRecords {
    shard_iterator: Option<String>,
    limit: Option<i64>,
}

/// The records are text already, so this answer is not made of values.
fn records(asked: Asked<'_>, body: &[u8]) -> Reply {
    let read = || -> Result<String, Failure> {
        let request: GetRecords = parse(body)?;
        let limit = limit(request.limit, RECORDS_MAX)?;
        let text = request.shard_iterator.as_deref();
        let text = text.ok_or_else(|| Refusal::missing("shardIterator"))?;
        let (arn, iterator) = Iterator::parse(text)?;
        iterator.refuse_expired(asked.now)?;
        let stream = find(asked, Some(arn))?;
        refuse_trimmed(asked, &stream, iterator.start)?;
        let shard = shards_of(asked, &stream)
            .into_iter()
            .find(|shard| shard.window == iterator.window)
            .ok_or_else(trimmed)?;
        let after = match iterator.start {
            // What is too old is not handed out, though it may still be there.
            Start::Horizon => registry::horizon_sequence(asked.now).max(shard.first - 1),
            Start::After(sequence) => sequence.max(shard.first - 1),
        };
        let range = (after, shard.last);
        let region = &asked.place.region;
        let page = asked.backroom.read(|all| record::read(all, &stream, region, range, limit))?;
        let mut answer = format!("{{\"Records\":[{}]", page.records.join(","));
        if page.more || shard.is_open {
            let start = Start::After(page.position);
            let next = Iterator { window: shard.window, start, issued: asked.now };
            let next = Value::from(next.text(arn)); // escaped
            answer.push_str(",\"NextShardIterator\":");
            answer.push_str(&next.to_string());
        }
        answer.push('}');
        Ok(answer)
    };
    match read() {
        Ok(text) => Reply { status: 200, body: text.into() },
        Err(failure) => failure.into(),
    }
}

fn find(asked: Asked<'_>, arn: Option<&str>) -> Result<Stream, Failure> {
    let arn = arn.ok_or_else(|| Refusal::missing("streamArn"))?;
    let (table, label) = asked.place.parse_stream_arn(arn).ok_or_else(|| no_stream(arn))?;
    let found = asked.backroom.read(|all| registry::find(all, table, label, asked.now))?;
    Ok(found.ok_or_else(|| no_stream(arn))?)
}

/// The shards of a stream, oldest first. The records of those that have ended are all there to be read from now on.
fn shards_of(asked: Asked<'_>, stream: &Stream) -> Vec<Shard> {
    let sealed = asked.sealed.to(asked.backroom, asked.now);
    shards::of(stream, asked.now, sealed)
}

fn no_stream(arn: &str) -> Refusal {
    Refusal::not_found(format!("Requested resource not found: Stream: {arn} not found"))
}

/// Whoever starts before what was removed would miss records without knowing.
fn refuse_trimmed(asked: Asked<'_>, stream: &Stream, start: Start) -> Result<(), Failure> {
    let Start::After(sequence) = start else { return Ok(()) };
    let trimmed_to =
        asked.backroom.read(|connection| registry::trimmed_to(connection, stream, asked.now))?;
    if sequence < trimmed_to { Err(trimmed().into()) } else { Ok(()) }
}

fn trimmed() -> Refusal {
    Refusal::modelled(
        "TrimmedDataAccessException",
        "The operation attempted to read past the oldest stream record in a shard",
    )
}

fn limit(asked: Option<i64>, max: usize) -> Result<usize, Failure> {
    let Some(asked) = asked else { return Ok(max) };
    let rule = match asked {
        ..1 => "Member must have value greater than or equal to 1".to_owned(),
        _ => format!("Member must have value less than or equal to {max}"),
    };
    usize::try_from(asked)
        .ok()
        .filter(|limit| (1..=max).contains(limit))
        .ok_or_else(|| Refusal::constraint("limit", &asked.to_string(), &rule).into())
}

/// A time as the service writes it: seconds with a fraction.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit 53 bits for ages")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}
