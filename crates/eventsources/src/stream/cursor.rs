//! The next records of a shard.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use stillwire_model::{BoxFuture, limits};
use tokio::time::timeout;

use super::api::StreamError;
use super::record::sequence_of;
use super::{Reader, Sequence};
use crate::backoff::delay;
use crate::checkpoint::Position;

/// The longest pause before a look that a word asks for, where the words before it were in vain: a store may not know
/// which table was written to. Choice: short, since the next word may be true.
const VAIN_PAUSE_MAX: Duration = Duration::from_millis(50);

/// A place in a shard that moves on.
pub(super) struct Cursor {
    reader: Arc<Reader>,
    shard: Arc<str>,
    position: Position,
    iterator: Option<String>,
    /// A word of new records, asked for before the last look, which found none.
    changed: Option<BoxFuture<'static, ()>>,
    /// Words in a row that led to nothing.
    vain: u32,
    failures: u32,
}

/// What one look has found.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) records: Vec<Value>,
    /// Whether the shard has no further record, ever.
    pub(super) ended: bool,
    /// When it was looked, in milliseconds since 1970.
    pub(super) looked: u64,
}

impl Cursor {
    pub(super) fn new(reader: Arc<Reader>, shard: Arc<str>, position: Position) -> Self {
        Self { reader, shard, position, iterator: None, changed: None, vain: 0, failures: 0 }
    }

    /// Looks once; after a look that found nothing, once there is a word of more, or a while has passed. What fails is
    /// tried again.
    pub(super) async fn next(mut self) -> (Self, Page) {
        let woken = self.wait().await;
        let (answer, looked) = loop {
            match self.look().await {
                Ok(found) => break found,
                Err(StreamError::NotFound(_)) => {
                    // Whoever started this finds out whether the shard or the whole stream is gone.
                    return (self, Page { records: Vec::new(), ended: true, looked: 0 });
                }
                Err(error) => self.fail(&error).await,
            }
        };
        self.failures = 0;
        self.vain = if woken && answer.is_empty() { self.vain + 1 } else { 0 };
        if let Some(last) = answer.iter().filter_map(sequence_of).next_back() {
            self.position = Position::After(last);
        }
        let ended = self.iterator.is_none();
        (self, Page { records: answer, ended, looked })
    }

    /// Whether a word came.
    async fn wait(&mut self) -> bool {
        let Some(changed) = self.changed.take() else { return false };
        if timeout(limits::STREAM_POLL_INTERVAL, changed).await.is_err() {
            return false;
        }
        if self.vain > 0 {
            tokio::time::sleep(delay(Duration::from_millis(1), VAIN_PAUSE_MAX, self.vain)).await;
        }
        true
    }

    /// Afterwards there is no iterator if the shard is at its end.
    async fn look(&mut self) -> Result<(Vec<Value>, u64), StreamError> {
        let Reader { streams, source, stream, job, .. } = &*self.reader;
        if self.iterator.is_none() {
            self.iterator = streams.iterator(stream, &self.shard, &self.position).await?;
        }
        // Asked for before the look, so that nothing falls between the two.
        let changed = streams.changed(source.arn.table());
        let looked = job.now();
        let Some(iterator) = self.iterator.as_deref() else { return Ok((Vec::new(), looked)) };
        let answer = streams.records(iterator).await?;
        self.iterator = answer.next;
        if answer.records.is_empty() {
            self.changed = Some(changed);
        }
        Ok((answer.records, looked))
    }

    async fn fail(&mut self, error: &StreamError) {
        // The next look finds its own way to the place.
        self.iterator = None;
        self.failures += 1;
        match error {
            StreamError::Expired if self.failures == 1 => return,
            StreamError::Trimmed => {
                let (stream, shard) = (&self.reader.stream, &self.shard);
                tracing::warn!(stream, %shard, "records were lost: they became too old unread");
                self.position = Position::TrimHorizon;
            }
            error => self.reader.job.problem(&format!("the stream cannot be read: {error}")),
        }
        let (first, most) = (limits::BATCH_RETRY_DELAY, limits::BATCH_RETRY_DELAY_MAX);
        tokio::time::sleep(delay(first, most, self.failures)).await;
    }

    /// The last record that was read.
    pub(super) fn read_through(&self) -> Option<&Sequence> {
        match &self.position {
            Position::After(sequence) => Some(sequence),
            Position::TrimHorizon | Position::At(_) | Position::End => None,
        }
    }
}
