//! A stream, shard by shard.
//!
//! | file | what it does |
//! | --- | --- |
//! | `api` | the three questions that a stream answers |
//! | `start` | which stream it is, and where reading begins |
//! | `cursor` | the next records of a shard |
//! | `shard` | the life of a shard: what is read, due, running and done |
//! | `lanes`, `window` | records that wait for their batch; tumbling windows |
//! | `delivery`, `failure` | a batch, until it is done or given up; the record of what is given up |
//! | `record`, `sequence` | records as functions get them, and their order |
//!
//! A shard is read once its parent was read to the end, so that records of an item keep their order.
//!
//! Source: Amazon DynamoDB Developer Guide, "Change data capture for DynamoDB Streams".

mod api;
mod cursor;
mod delivery;
mod failure;
mod lanes;
mod record;
mod sequence;
mod shard;
mod start;
mod window;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use stillwire_model::{EventSourceState, StreamSource, limits};
use tokio::task::JoinSet;

use crate::backoff::delay;
use crate::checkpoint::{Checkpoints, Position};
use crate::job::Job;

use self::api::{Shard, StreamError, Streams};

pub(crate) use self::sequence::Sequence;
pub(crate) use self::window::OpenWindow;

/// How often it is looked whether a stream has new shards, beside the ends of shards, which tell it at once. Choice:
/// DynamoDB makes new shards when it ends old ones.
const SHARDS_INTERVAL: Duration = Duration::from_mins(1);

/// How often it is looked whether a stream that has ended was followed by another one. Choice: somebody waits for it.
const FOLLOWER_INTERVAL: Duration = Duration::from_secs(1);

/// What the readers of all shards share.
#[derive(Debug)]
struct Reader {
    job: Arc<Job>,
    source: StreamSource,
    streams: Streams,
    /// The ARN of the stream that is read.
    stream: String,
    checkpoints: Checkpoints,
}

/// How the reading of a shard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ShardEnd {
    /// It has no further record, and all that it had are done.
    Finished,
    /// It is to be read on later.
    Stopped,
}

/// Reads a stream until it is to stop.
pub(crate) async fn run(job: &Arc<Job>, source: &StreamSource, checkpoints: &Checkpoints) {
    tokio::select! {
        () = read(job, source, checkpoints) => {}
        // It writes as long as there is something to read.
        () = checkpoints.keep_writing() => {}
    }
    checkpoints.write().await;
}

async fn read(job: &Arc<Job>, source: &StreamSource, checkpoints: &Checkpoints) {
    let store = job.ports.tables.store(source.arn.account(), source.arn.region());
    let streams = Streams::new(store);
    let mut failures = 0;
    loop {
        match start::begin(job, source, &streams, checkpoints).await {
            Ok((stream, shards)) => {
                failures = 0;
                if !job.mapping.enabled {
                    job.status.set(EventSourceState::Stopped);
                    return job.stop.cancelled().await;
                }
                job.status.set(EventSourceState::Running);
                let reader = Arc::new(Reader {
                    job: Arc::clone(job),
                    source: source.clone(),
                    streams: streams.clone(),
                    stream,
                    checkpoints: checkpoints.clone(),
                });
                read_shards(&reader, shards).await;
            }
            Err(error) => {
                failures += 1;
                job.problem(&format!("the stream cannot be read: {error}"));
            }
        }
        // A stream that was read and is there no more was replaced, or will be.
        let delay =
            delay(limits::BATCH_RETRY_DELAY, limits::BATCH_RETRY_DELAY_MAX, failures.max(1));
        if !job.pause(delay).await {
            return;
        }
    }
}

/// Reads all shards, those of now and those to come, until it is to stop, or the stream is there no more, or was read
/// to its end and the table has another one.
async fn read_shards(reader: &Arc<Reader>, mut shards: Vec<Shard>) {
    let mut reading = JoinSet::new();
    let mut under_way: BTreeSet<String> = BTreeSet::new();
    let stop = &reader.job.stop;
    loop {
        for shard in ready(&shards, reader) {
            if !stop.is_cancelled() && under_way.insert(shard.clone()) {
                reading.spawn(shard::read(Arc::clone(reader), shard));
            }
        }
        let interval = if under_way.is_empty() { FOLLOWER_INTERVAL } else { SHARDS_INTERVAL };
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = reading.join_next() => match ended {
                Ok((shard, ShardEnd::Finished)) => {
                    under_way.remove(&shard);
                }
                Ok((shard, ShardEnd::Stopped)) => {
                    under_way.remove(&shard);
                    if !reader.job.pause(limits::BATCH_RETRY_DELAY).await {
                        break;
                    }
                }
                Err(error) => {
                    // Which one it was is not known; all begin again where the checkpoint is.
                    tracing::error!(%error, stream = reader.stream, "a reader of a stream panicked");
                    break;
                }
            },
            () = tokio::time::sleep(interval) => {}
        }
        match reader.streams.shards(&reader.stream).await {
            Ok(found) => shards = found,
            Err(StreamError::NotFound(_)) => break,
            Err(error) => reader.job.problem(&format!("the stream cannot be read: {error}")),
        }
        forget_trimmed(&shards, reader);
        if start::all_ended(&shards, &reader.checkpoints.get())
            && let Ok(current) = start::current(&reader.streams, &reader.source).await
            && current != reader.stream
        {
            break;
        }
    }
    // The readers see the same word. Without it (the stream is gone) what they still have is in vain.
    if !stop.is_cancelled() {
        reading.abort_all();
    }
    while reading.join_next().await.is_some() {}
}

/// The shards that are to be read now: not at their end, and their parents are.
fn ready(shards: &[Shard], reader: &Reader) -> Vec<String> {
    let checkpoint = reader.checkpoints.get();
    let ended =
        |id: &str| checkpoint.shards.get(id).is_some_and(|shard| shard.position == Position::End);
    let is_there = |id: &str| shards.iter().any(|shard| shard.id == id);
    let waits = |parent: &str| is_there(parent) && !ended(parent);
    let ready = shards.iter().filter(|shard| !ended(&shard.id));
    ready
        .filter(|shard| !shard.parent.as_deref().is_some_and(waits))
        .map(|shard| shard.id.clone())
        .collect()
}

/// What was read of shards that are gone is of no use.
fn forget_trimmed(shards: &[Shard], reader: &Reader) {
    let is_there = |id: &String| shards.iter().any(|shard| shard.id == *id);
    if !reader.checkpoints.get().shards.keys().all(is_there) {
        reader.checkpoints.change(|checkpoint| checkpoint.shards.retain(|id, _| is_there(id)));
    }
}
