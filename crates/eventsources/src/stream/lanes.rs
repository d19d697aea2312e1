//! Records that were read and wait for their batch; and how far each lane is.
//!
//! Records of one item are in one lane, and a lane has one batch at a time: so they stay in order.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use stillwire_model::limits;
use tokio::time::Instant;

use super::Sequence;
use super::delivery::{Batch, Progress};
use super::record::Record;
use super::window::{OpenWindow, WindowCall};
use crate::checkpoint::{Position, ShardPosition};

/// Bytes of records in one event: what an event may have, less what is around the records.
const BATCH_BYTES_MAX: usize = limits::INVOKE_REQUEST_BYTES_MAX - 64 * 1024;

/// Records that are read ahead of their batches, at least: a page of the stream.
const AHEAD_MIN: usize = 1000;

/// How batches are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batching {
    pub(super) lanes: usize,
    pub(super) size: usize,
    /// How long records wait for others.
    pub(super) window: Duration,
    /// The length of tumbling windows.
    pub(super) tumbling: Option<Duration>,
}

/// All lanes of a shard.
#[derive(Debug)]
pub(super) struct Lanes {
    batching: Batching,
    all: Vec<Lane>,
    /// Records, and bytes of them, in all lanes.
    waiting: (usize, usize),
    /// Where reading began.
    start: Position,
    /// The last record that was read, also of those that are not wanted.
    read_through: Option<Sequence>,
    /// The tumbling window that is open.
    open: Option<OpenWindow>,
    /// When it was looked last and nothing was there, in milliseconds since 1970.
    caught_up: u64,
    /// Whether the shard has no further records.
    ended: bool,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Record>,
    /// The records that wait or run, in their order.
    undone: VecDeque<Sequence>,
    /// The last record that is done.
    done: Option<Sequence>,
    /// Whether a batch runs.
    busy: bool,
}

impl Lanes {
    /// Lanes that go on where a shard was left.
    pub(super) fn new(batching: Batching, at: &ShardPosition) -> Self {
        let count = batching.lanes.max(1);
        let mut lanes: Vec<Lane> = (0..count).map(|_| Lane::default()).collect();
        // With another number of lanes an item may be in another one.
        if usize::try_from(at.lanes).is_ok_and(|before| before == count) {
            for (lane, done) in &at.done {
                if let Some(lane) = lanes.get_mut(*lane) {
                    lane.done = Some(done.clone());
                }
            }
        }
        Self {
            batching,
            all: lanes,
            waiting: (0, 0),
            start: at.position.clone(),
            read_through: None,
            open: at.window.clone().filter(|_| batching.tumbling.is_some()),
            caught_up: 0,
            ended: false,
        }
    }

    /// Takes a record that is wanted; one that its lane has done before a restart is passed.
    pub(super) fn push(&mut self, record: Record) {
        let index = record.lane(self.all.len());
        let Some(lane) = self.all.get_mut(index) else { return };
        if lane.done.as_ref().is_some_and(|done| record.sequence <= *done) {
            return;
        }
        self.waiting.0 += 1;
        self.waiting.1 += record.text.len();
        lane.undone.push_back(record.sequence.clone());
        lane.waiting.push_back(record);
    }

    /// Everything up to this record was read.
    pub(super) fn read_through(&mut self, sequence: &Sequence) {
        self.read_through = Some(sequence.clone());
    }

    /// Nothing more was there at this moment.
    pub(super) fn caught_up(&mut self, looked: u64) {
        self.caught_up = looked;
    }

    /// The shard has no further records.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether more may be read.
    pub(super) fn has_room(&self) -> bool {
        let (records, bytes) = self.waiting;
        let lanes = self.all.len();
        !self.ended
            && records < self.batching.size.max(AHEAD_MIN) * lanes * 2
            && bytes < BATCH_BYTES_MAX * lanes * 2
    }

    /// Whether everything that the shard had is done.
    pub(super) fn is_finished(&self) -> bool {
        let idle = |lane: &Lane| lane.undone.is_empty() && !lane.busy;
        self.ended && self.open.is_none() && self.all.iter().all(idle)
    }

    /// The next batch that is to run now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Batch> {
        if self.batching.tumbling.is_some() {
            return self.take_in_windows(now);
        }
        let due = |lane: &Lane| lane.due(self.batching, self.ended).is_some_and(|due| due <= now);
        let index = self.all.iter().position(due)?;
        self.batch(index, u64::MAX, None)
    }

    /// Windows end one after the other, and no batch is of two.
    fn take_in_windows(&mut self, now: Instant) -> Option<Batch> {
        let length = self.batching.tumbling?;
        let lane = self.all.first().filter(|lane| !lane.busy)?;
        let next = lane.waiting.front().map(|record| record.created);
        if let Some(open) = &self.open {
            let over = match next {
                Some(next) => next >= open.end,
                None => self.ended || self.caught_up >= open.end,
            };
            if over || open.is_too_large() {
                let call = WindowCall { window: open.clone(), is_final: true };
                return self.batch(0, 0, Some(call));
            }
        }
        let first = next?;
        let window = self.open.get_or_insert_with(|| OpenWindow::around(first, length)).clone();
        let more = lane.waiting.back().is_some_and(|last| last.created >= window.end);
        let due = lane.due(self.batching, self.ended || more)?;
        let end = window.end;
        (due <= now).then(|| self.batch(0, end, Some(WindowCall { window, is_final: false })))?
    }

    /// The batch of a lane: what fits of its records that were made before a moment.
    fn batch(&mut self, index: usize, before: u64, window: Option<WindowCall>) -> Option<Batch> {
        let lane = self.all.get_mut(index)?;
        let mut records = Vec::new();
        let mut bytes = 0;
        while let Some(record) = lane.waiting.front() {
            let full = records.len() >= self.batching.size
                || (bytes + record.text.len() > BATCH_BYTES_MAX && !records.is_empty());
            if full || record.created >= before {
                break;
            }
            bytes += record.text.len() + 1;
            records.extend(lane.waiting.pop_front());
        }
        lane.busy = true;
        self.waiting.0 -= records.len();
        self.waiting.1 -= records.iter().map(|record| record.text.len()).sum::<usize>();
        Some(Batch { lane: index, records, window })
    }

    /// When the next batch is due, if nothing else happens.
    pub(super) fn due(&self) -> Option<Instant> {
        self.all.iter().filter_map(|lane| lane.due(self.batching, self.ended)).min()
    }

    /// A batch has come so far.
    pub(super) fn progress(&mut self, progress: Progress) {
        let Progress { lane, through, state, closed } = progress;
        if let (Some(lane), Some(through)) = (self.all.get_mut(lane), through) {
            while lane.undone.front().is_some_and(|first| *first <= through) {
                lane.undone.pop_front();
            }
            lane.done = Some(through);
        }
        if let (Some(open), Some(state)) = (&mut self.open, state) {
            open.state = state;
        }
        if closed {
            self.open = None;
        }
    }

    /// The batch of a lane has ended.
    pub(super) fn idle(&mut self, lane: usize) {
        if let Some(lane) = self.all.get_mut(lane) {
            lane.busy = false;
        }
    }

    /// The place at which reading is to go on after a restart.
    pub(super) fn position(&self) -> ShardPosition {
        let first = self.all.iter().filter_map(|lane| lane.undone.front()).min();
        let position = match (first, &self.read_through) {
            (Some(first), _) => Position::At(first.clone()),
            (None, Some(last)) => Position::After(last.clone()),
            (None, None) => self.start.clone(),
        };
        // Only what is beyond the place says more than the place does.
        let beyond = |(index, lane): (usize, &Lane)| {
            let done = lane.done.clone().filter(|done| first.is_some_and(|first| done > first))?;
            Some((index, done))
        };
        let done: BTreeMap<_, _> = self.all.iter().enumerate().filter_map(beyond).collect();
        let lanes = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        ShardPosition { position, lanes, done, window: self.open.clone() }
    }
}

impl Lane {
    /// When its next batch is due; `None` while one runs, or there is nothing. `now_or_never`: nothing more will come
    /// that the batch could wait for.
    fn due(&self, batching: Batching, now_or_never: bool) -> Option<Instant> {
        let first = self.waiting.front().filter(|_| !self.busy)?;
        let bytes = || self.waiting.iter().map(|record| record.text.len() + 1).sum::<usize>();
        let full = self.waiting.len() >= batching.size
            || (!batching.window.is_zero() && bytes() > BATCH_BYTES_MAX);
        if full || now_or_never || batching.window.is_zero() {
            return Some(first.read);
        }
        Some(first.read + batching.window)
    }
}

#[cfg(test)]
mod tests;
