//! A batch, until all of it is done or given up.
//!
//! Source: AWS Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB", and the descriptions of
//! `MaximumRetryAttempts`, `MaximumRecordAgeInSeconds`, `BisectBatchOnFunctionError` and `FunctionResponseTypes` in the
//! API. Choice, where these are silent: a batch that is split keeps its attempts and is tried again at once; where the
//! failed item of a partial response is not the first, the batch that begins with it has one attempt behind it.

use std::sync::Arc;
use std::time::Duration;

use stillwire_model::{Invoked, Outcome, limits};
use tokio::sync::mpsc;

use super::failure::{Condition, GivenUp, in_short};
use super::record::Record;
use super::window::{WindowCall, state_of};
use super::{Reader, Sequence};
use crate::backoff;
use crate::job::Attempt;
use crate::metrics::Counters;
use crate::response::failed_items;

/// How long a stream keeps its records.
///
/// Source: Amazon DynamoDB Developer Guide, "Change data capture for DynamoDB Streams" (24 hours).
const RECORD_AGE_MAX: Duration = Duration::from_hours(24);

/// Records that are given to the function together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) lane: usize,
    pub(super) records: Vec<Record>,
    pub(super) window: Option<WindowCall>,
}

/// How far a batch has come.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) lane: usize,
    /// All of the lane's records up to this one are done or given up.
    pub(super) through: Option<Sequence>,
    /// What the function has said last about the tumbling window.
    pub(super) state: Option<String>,
    /// Whether the window has ended.
    pub(super) closed: bool,
}

/// A part of a batch: all of it at first.
#[derive(Debug)]
struct Piece {
    records: Vec<Record>,
    /// Attempts that count.
    attempts: u32,
    /// Invocations of all kinds.
    invocations: u32,
    last: Option<(Arc<str>, Invoked)>,
}

struct Delivery {
    reader: Arc<Reader>,
    shard: Arc<str>,
    lane: usize,
    window: Option<WindowCall>,
    progress: mpsc::Sender<Progress>,
}

/// What an invocation means for its records.
enum Verdict {
    Done,
    /// All from this one on are to come again.
    FailedFrom(usize),
}

/// Delivers a batch; its lane again. Where reading is to stop before it is done, the rest comes again another time.
pub(super) async fn deliver(
    reader: Arc<Reader>,
    shard: Arc<str>,
    batch: Batch,
    progress: mpsc::Sender<Progress>,
) -> usize {
    let Batch { lane, records, window } = batch;
    let piece = Piece { records, attempts: 0, invocations: 0, last: None };
    Delivery { reader, shard, lane, window, progress }.run(piece).await;
    lane
}

impl Delivery {
    async fn run(mut self, whole: Piece) {
        let mut pieces = vec![whole]; // the next one is the last
        let mut not_run = 0;
        while let Some(mut piece) = pieces.pop() {
            self.give_up_expired(&mut piece).await;
            if piece.records.is_empty() && !self.is_final() {
                continue;
            }
            let delay = match self.invoke(&piece.records).await {
                Attempt::NotRun => {
                    not_run += 1;
                    pieces.push(piece);
                    Some(not_run)
                }
                Attempt::Ran(id, invoked) => {
                    not_run = 0;
                    piece.invocations += 1;
                    let verdict = self.judge(&invoked, &piece.records);
                    piece.last = Some((id, invoked));
                    if let Verdict::FailedFrom(index) = verdict {
                        self.reader.job.counters.failed.add(piece.records.len() - index);
                    }
                    match verdict {
                        Verdict::Done => {
                            self.done(piece.records.last()).await;
                            None
                        }
                        Verdict::FailedFrom(index) => self.fail(piece, index, &mut pieces).await,
                    }
                }
            };
            if let Some(failures) = delay {
                let (first, most) = (limits::BATCH_RETRY_DELAY, limits::BATCH_RETRY_DELAY_MAX);
                if !self.reader.job.pause(backoff::delay(first, most, failures)).await {
                    return;
                }
            } else if self.reader.job.stop.is_cancelled() {
                return;
            }
        }
    }

    async fn invoke(&self, records: &[Record]) -> Attempt {
        self.reader.job.invoke(self.event(records), records.len()).await
    }

    /// Puts what is to come again among the pieces. Gives how often it failed, if it is to wait.
    async fn fail(&self, mut piece: Piece, index: usize, pieces: &mut Vec<Piece>) -> Option<u32> {
        let source = &self.reader.source;
        if index > 0 {
            let done: Vec<Record> = piece.records.drain(..index).collect();
            self.done(done.last()).await;
            piece.attempts = 1;
        } else if source.bisect && piece.records.len() > 1 {
            let second = piece.records.split_off(piece.records.len() / 2);
            let Piece { attempts, invocations, last, .. } = &piece;
            let (attempts, invocations, last) = (*attempts, *invocations, last.clone());
            pieces.push(Piece { records: second, attempts, invocations, last });
            pieces.push(piece);
            return None;
        } else {
            piece.attempts += 1;
        }
        // The last call of a window has no records that could become too old.
        let window_is_old = self.window.as_ref().is_some_and(|call| {
            let age = self.reader.job.now().saturating_sub(call.window.end);
            call.is_final && u128::from(age) > RECORD_AGE_MAX.as_millis()
        });
        if window_is_old || source.retries.is_some_and(|retries| piece.attempts > retries) {
            self.give_up(&piece, Condition::RetryAttemptsExhausted).await;
            return None;
        }
        let failures = piece.attempts;
        pieces.push(piece);
        Some(failures)
    }

    /// Gives up the records at the front that are too old.
    async fn give_up_expired(&self, piece: &mut Piece) {
        let age_max = self.reader.source.record_age.unwrap_or(RECORD_AGE_MAX);
        let age_max = u64::try_from(age_max.as_millis()).unwrap_or(u64::MAX);
        let now = self.reader.job.now();
        let is_old = |record: &&Record| now.saturating_sub(record.created) > age_max;
        let old = piece.records.iter().take_while(is_old).count();
        if old == 0 {
            return;
        }
        let records = piece.records.drain(..old).collect();
        let (attempts, invocations, last) = (piece.attempts, piece.invocations, piece.last.clone());
        let old = Piece { records, attempts, invocations, last };
        self.give_up(&old, Condition::MaximumRecordAgeExceeded).await;
    }

    async fn give_up(&self, piece: &Piece, condition: Condition) {
        let (job, source) = (&self.reader.job, &self.reader.source);
        let count = piece.records.len();
        let why = piece.last.as_ref().map_or_else(String::new, |(_, invoked)| in_short(invoked));
        let lost = if source.on_failure.is_some() {
            ""
        } else {
            ", for there is no on-failure destination"
        };
        tracing::warn!(
            function = %job.mapping.function, stream = %source.arn, ?condition,
            "{count} records are given up{lost}: {why}"
        );
        let mut told = false;
        if let Some(to) = source.on_failure.as_ref().filter(|_| count > 0) {
            let given_up = GivenUp {
                mapping: &job.mapping,
                shard: &self.shard,
                records: &piece.records,
                condition,
                invocations: piece.invocations,
                last: piece.last.as_ref().map(|(id, invoked)| (&**id, invoked)),
                event: &self.event(&piece.records),
                now: job.now(),
            };
            match job.ports.destinations.send(given_up.record(to)).await {
                Ok(()) => told = true,
                Err(why) => {
                    tracing::warn!(function = %job.mapping.function, to, "a record is dropped: {why}");
                }
            }
        }
        let Counters { delivered_on_failure, dropped, .. } = &*job.counters;
        (if told { delivered_on_failure } else { dropped }).add(count);
        self.done(piece.records.last()).await;
    }

    /// All records up to this one are done.
    async fn done(&self, last: Option<&Record>) {
        let progress = Progress {
            lane: self.lane,
            through: last.map(|record| record.sequence.clone()),
            state: self.window.as_ref().map(|call| call.window.state.clone()),
            closed: self.is_final(),
        };
        // It is taken as long as the shard is read.
        self.progress.send(progress).await.ok();
    }

    fn is_final(&self) -> bool {
        self.window.as_ref().is_some_and(|call| call.is_final)
    }

    fn event(&self, records: &[Record]) -> String {
        let records: Vec<&str> = records.iter().map(|record| record.text.as_str()).collect();
        let stream = self.reader.source.arn.as_str();
        let window = self.window.as_ref().map(|call| call.members(&self.shard, stream));
        format!("{{\"Records\":[{}]{}}}", records.join(","), window.unwrap_or_default())
    }

    /// Reads what the function has answered. Its state is the next one's, where it is one of records that are done.
    fn judge(&mut self, invoked: &Invoked, records: &[Record]) -> Verdict {
        let Outcome::Returned(answer) = &invoked.outcome else { return Verdict::FailedFrom(0) };
        let mapping = &self.reader.job.mapping;
        let identifiers = records.iter().map(|record| record.sequence.as_str());
        let failed = if mapping.report_item_failures && !records.is_empty() {
            failed_items(answer, identifiers).map(|failed| failed.first().copied())
        } else {
            Some(None)
        };
        let verdict = match failed {
            None | Some(Some(0)) => return Verdict::FailedFrom(0),
            Some(Some(index)) => Verdict::FailedFrom(index),
            Some(None) => Verdict::Done,
        };
        if let Some(call) = self.window.as_mut().filter(|call| !call.is_final) {
            let Some(state) = state_of(answer) else {
                self.reader.job.problem("the function's answer has no state for its window");
                return Verdict::FailedFrom(0);
            };
            call.window.state = state;
        }
        verdict
    }
}
