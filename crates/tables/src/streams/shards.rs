//! How a stream is cut into shards: one for each four hours.
//!
//! A shard is a window of time, and so of sequence numbers. Nothing about shards is kept: they follow from the stream
//! and the clock.

use serde_json::{Map, Value, json};

use super::record::public_sequence;
use super::registry::{Stream, horizon_sequence};

/// How long a shard takes records, in microseconds.
pub(super) const WINDOW: i64 = 4 * 60 * 60 * 1_000_000;

/// The most shards of a stream, which a wrong clock may have stretched over years. Choice: most of a year.
const SHARDS_MAX: i64 = 2000;

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shard {
    pub(super) id: String,
    /// Which window of time.
    pub(super) window: i64,
    /// The first sequence number that it may hold.
    pub(super) first: i64,
    /// The last sequence number that it may hold.
    pub(super) last: i64,
    /// Whether it takes records.
    pub(super) is_open: bool,
    /// The shard before it, which is to be read first.
    pub(super) parent: Option<String>,
}

impl Shard {
    pub(super) fn described(&self) -> Value {
        let mut range = Map::new();
        range.insert("StartingSequenceNumber".to_owned(), public_sequence(self.first).into());
        if !self.is_open {
            range.insert("EndingSequenceNumber".to_owned(), public_sequence(self.last).into());
        }
        let mut shard = json!({ "ShardId": self.id, "SequenceNumberRange": range });
        if let (Some(parent), Some(members)) = (&self.parent, shard.as_object_mut()) {
            members.insert("ParentShardId".to_owned(), parent.clone().into());
        }
        shard
    }
}

/// The shards of a stream that can be read now, oldest first. What is before `sealed` is complete.
pub(super) fn of(stream: &Stream, now_millis: u64, sealed: i64) -> Vec<Shard> {
    let now = i64::try_from(now_millis.saturating_mul(1000)).unwrap_or(i64::MAX);
    // A clock that was set back: sequence numbers go on from the newest, and so do shards.
    let time = now.max(stream.newest).min(i64::MAX - 2 * WINDOW);
    // Nobody else writes between the newest record and the next one, which is later.
    let complete = sealed.max(stream.newest);
    let is_closed = stream.closed.is_some();
    // Where nothing was ever written, the stream ends where it began.
    let end = if is_closed { stream.last.unwrap_or(stream.first) } else { time };
    let end = end.max(stream.first);
    let begin = stream.first.max(horizon_sequence(now_millis));
    let newest = end.div_euclid(WINDOW);
    let oldest = begin.div_euclid(WINDOW).max(newest - SHARDS_MAX + 1);
    let first_of_all = stream.first.div_euclid(WINDOW);
    (oldest..=newest)
        .map(|window| {
            let window_end = (window + 1) * WINDOW - 1;
            Shard {
                id: id(stream, window),
                window,
                first: stream.first.max(window * WINDOW),
                last: if is_closed { window_end.min(end) } else { window_end },
                is_open: !is_closed && complete <= window_end,
                parent: (window > first_of_all).then(|| id(stream, window - 1)),
            }
        })
        .collect()
}

/// A shard's id. Source: service model, `ShardId`: 28 to 65 characters.
fn id(stream: &Stream, window: i64) -> String {
    let name = format!("{}/{}", stream.table, stream.label);
    format!("shardId-{:020}-{:08x}", window * WINDOW / 1000, crc32fast::hash(name.as_bytes()))
}
