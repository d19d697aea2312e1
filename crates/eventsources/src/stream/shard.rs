//! The life of a shard: what is read, due, running and done.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::cursor::{Cursor, Page};
use super::delivery::{self, Progress};
use super::lanes::{Batching, Lanes};
use super::record::{Record, for_function};
use super::{Reader, ShardEnd};
use crate::checkpoint::{Position, ShardPosition};

/// Words of progress that may wait. Choice: they are taken as fast as they come.
const PROGRESS_MAX: usize = 64;

/// Reads a shard until its end, or until it is to stop; its id again, and which it was.
pub(super) async fn read(reader: Arc<Reader>, shard: String) -> (String, ShardEnd) {
    let id: Arc<str> = shard.as_str().into();
    let end = Reading::new(reader, id).run().await;
    (shard, end)
}

struct Reading {
    reader: Arc<Reader>,
    shard: Arc<str>,
    at: ShardPosition,
    lanes: Lanes,
    running: JoinSet<usize>,
    progress: (mpsc::Sender<Progress>, mpsc::Receiver<Progress>),
}

impl Reading {
    fn new(reader: Arc<Reader>, shard: Arc<str>) -> Self {
        let known = reader.checkpoints.get().shards.remove(&*shard);
        let at = known.unwrap_or_else(|| Position::TrimHorizon.into());
        let (mapping, source) = (&reader.job.mapping, &reader.source);
        // Choice: a state has one course, so a tumbling window has one lane.
        let lanes =
            if source.tumbling_window.is_some() { 1 } else { source.parallelization_factor };
        let batching = Batching {
            lanes: lanes as usize,
            size: mapping.batch_size as usize,
            window: mapping.batching_window,
            tumbling: source.tumbling_window,
        };
        let lanes = Lanes::new(batching, &at);
        let progress = mpsc::channel(PROGRESS_MAX);
        Self { reader, shard, at, lanes, running: JoinSet::new(), progress }
    }

    async fn run(mut self) -> ShardEnd {
        let position = self.at.position.clone();
        let cursor = Cursor::new(Arc::clone(&self.reader), Arc::clone(&self.shard), position);
        // One look is under way as long as there is room for what it finds.
        let mut looking = Some(Box::pin(cursor.next()));
        let stop = self.reader.job.stop.clone();
        let mut stopping = stop.is_cancelled();
        loop {
            if !stopping {
                self.begin_due();
            }
            if self.lanes.is_finished() {
                self.keep(Position::End.into());
                return ShardEnd::Finished;
            }
            if stopping && self.running.is_empty() {
                self.take_progress();
                return ShardEnd::Stopped;
            }
            let due = self.lanes.due().filter(|_| !stopping);
            let has_room = self.lanes.has_room() && !stopping;
            tokio::select! {
                () = stop.cancelled(), if !stopping => stopping = true,
                Some(progress) = self.progress.1.recv() => {
                    self.lanes.progress(progress);
                    self.take_progress();
                }
                Some(ended) = self.running.join_next() => match ended {
                    Ok(lane) => {
                        self.take_progress();
                        self.lanes.idle(lane);
                    }
                    Err(error) => {
                        // Its records are not done, and come again when the shard is read again.
                        let shard = &self.shard;
                        tracing::error!(%error, %shard, "a batch panicked");
                        stopping = true;
                    }
                },
                (cursor, page) = async {
                    match &mut looking {
                        Some(looking) => looking.as_mut().await,
                        None => pending().await,
                    }
                }, if has_room => {
                    looking = self.take_page(&cursor, page).then(|| Box::pin(cursor.next()));
                }
                () = until(due) => {}
            }
        }
    }

    fn begin_due(&mut self) {
        while let Some(batch) = self.lanes.take(Instant::now()) {
            let (reader, shard) = (Arc::clone(&self.reader), Arc::clone(&self.shard));
            self.running.spawn(delivery::deliver(reader, shard, batch, self.progress.0.clone()));
        }
    }

    /// Sorts what was found into lanes; whether there may be more.
    fn take_page(&mut self, cursor: &Cursor, page: Page) -> bool {
        let Page { records, ended, looked } = page;
        let Reader { job, source, .. } = &*self.reader;
        let (stream, region) = (source.arn.as_str(), source.arn.region());
        let nothing_found = records.is_empty();
        job.counters.polled.add(records.len());
        for record in records {
            let record = for_function(record, stream, region);
            if !job.filter.wants(&record) {
                job.counters.filtered_out.add(1);
            } else if let Some(record) = Record::read(&record) {
                self.lanes.push(record);
            }
        }
        if nothing_found {
            self.lanes.caught_up(looked);
        } else if let Some(last) = cursor.read_through() {
            self.lanes.read_through(last);
            self.keep(self.lanes.position());
        }
        if ended {
            self.lanes.end();
        }
        !ended
    }

    /// Takes all words of progress that are there.
    fn take_progress(&mut self) {
        while let Ok(progress) = self.progress.1.try_recv() {
            self.lanes.progress(progress);
        }
        self.keep(self.lanes.position());
    }

    fn keep(&mut self, at: ShardPosition) {
        if self.at != at {
            self.at = at.clone();
            let shard = (*self.shard).to_owned();
            self.reader.checkpoints.change(|checkpoint| _ = checkpoint.shards.insert(shard, at));
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => pending().await,
    }
}
