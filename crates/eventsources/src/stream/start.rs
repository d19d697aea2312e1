//! Which stream it is, and where reading begins.

use std::sync::Arc;

use stillwire_model::{DECLARED_STREAM_LABEL, StartingPosition, StreamSource};

use super::api::{Shard, StreamError, Streams};
use super::record::{created_millis, sequence_of};
use crate::checkpoint::{Checkpoint, Checkpoints, Position};
use crate::job::Job;

/// Empty answers in a row after which nothing more is expected now. Choice: on AWS an answer may be empty before the last
/// record; one that comes too early only makes a mapping begin with older records.
const EMPTY_MAX: u32 = 3;

/// Finds the stream and its shards, and settles where each begins, unless that is settled already: `LATEST` means the
/// moment at which this ran first, and that is on the disk when this returns.
pub(super) async fn begin(
    job: &Arc<Job>,
    source: &StreamSource,
    streams: &Streams,
    checkpoints: &Checkpoints,
) -> Result<(String, Vec<Shard>), StreamError> {
    let known = checkpoints.get();
    let position = source.starting_position.as_str();
    let is_new = known.source != source.arn.as_str() || known.starting_position != position;
    let current = current(streams, source).await;
    if !is_new
        && !current.as_ref().is_ok_and(|current| *current == known.stream)
        && let Ok(shards) = streams.shards(&known.stream).await
        && !all_ended(&shards, &known)
    {
        // The table has another stream now, or none. What the earlier one still has comes first.
        return Ok((known.stream, shards));
    }
    let stream = current?;
    let shards = streams.shards(&stream).await?;
    if is_new {
        let mut new = Checkpoint {
            source: source.arn.as_str().to_owned(),
            starting_position: position.to_owned(),
            stream: stream.clone(),
            ..Checkpoint::default()
        };
        if source.starting_position == StartingPosition::Latest {
            for shard in &shards {
                let position = if is_parent(&shard.id, &shards) {
                    Position::End
                } else {
                    latest(streams, &stream, &shard.id, job.now()).await?
                };
                new.shards.insert(shard.id.clone(), position.into());
            }
        }
        checkpoints.change(|checkpoint| *checkpoint = new);
        checkpoints.write().await;
    } else if known.stream != stream {
        // Another stream of the same table: all of it is newer than the mapping.
        checkpoints.change(|checkpoint| {
            checkpoint.stream.clone_from(&stream);
            checkpoint.shards.clear();
        });
        checkpoints.write().await;
    }
    Ok((stream, shards))
}

/// Whether all that a stream has was read.
pub(super) fn all_ended(shards: &[Shard], checkpoint: &Checkpoint) -> bool {
    let ended = |shard: &Shard| {
        checkpoint.shards.get(&shard.id).is_some_and(|known| known.position == Position::End)
    };
    shards.iter().all(ended)
}

/// The ARN of the stream that is meant now.
pub(super) async fn current(
    streams: &Streams,
    source: &StreamSource,
) -> Result<String, StreamError> {
    if source.arn.label() == DECLARED_STREAM_LABEL {
        return streams.latest_stream(source.arn.table()).await;
    }
    Ok(source.arn.as_str().to_owned())
}

/// A shard that has a child gets no more records.
fn is_parent(id: &str, shards: &[Shard]) -> bool {
    shards.iter().any(|shard| shard.parent.as_deref() == Some(id))
}

/// The place after the last record of a shard: everything that there is now is read past.
///
/// An iterator of the type `LATEST` would be there at once, but it expires, and nothing else tells where it is.
async fn latest(
    streams: &Streams,
    stream: &str,
    shard: &str,
    now: u64,
) -> Result<Position, StreamError> {
    let mut last = Position::TrimHorizon;
    let mut empty = 0;
    let mut iterator = streams.iterator(stream, shard, &last).await?;
    while let Some(at) = iterator {
        let answer = streams.records(&at).await?;
        iterator = answer.next;
        let Some(newest) = answer.records.last() else {
            empty += 1;
            if empty == EMPTY_MAX && iterator.is_some() {
                return Ok(last);
            }
            continue;
        };
        empty = 0;
        if let Some(sequence) = sequence_of(newest) {
            last = Position::After(sequence);
        }
        // More may come as fast as it is read. Whole seconds: what was made within this one counts as old.
        if created_millis(newest) / 1000 > now / 1000 {
            return Ok(last);
        }
    }
    Ok(Position::End)
}
