//! When batches are due, what is in them, and where reading goes on after a restart.

use proptest::prelude::*;

use super::*;

fn record(sequence: usize, item: u64, created: u64) -> Record {
    Record {
        sequence: Sequence::new(&sequence.to_string()),
        item,
        created,
        read: Instant::now(),
        text: format!("{{\"n\":{sequence}}}"),
    }
}

fn batching(lanes: usize, size: usize, window: u64) -> Batching {
    Batching { lanes, size, window: Duration::from_secs(window), tumbling: None }
}

fn lanes(batching: Batching) -> Lanes {
    Lanes::new(batching, &Position::TrimHorizon.into())
}

fn sequences(batch: &Batch) -> Vec<&str> {
    batch.records.iter().map(|record| record.sequence.as_str()).collect()
}

/// All of a batch is done.
fn finish(lanes: &mut Lanes, batch: Batch) {
    let through = batch.records.last().map(|record| record.sequence.clone());
    let closed = batch.window.as_ref().is_some_and(|call| call.is_final);
    lanes.progress(Progress { lane: batch.lane, through, state: None, closed });
    lanes.idle(batch.lane);
}

fn read(lanes: &mut Lanes, records: impl IntoIterator<Item = Record>) {
    for record in records {
        lanes.read_through(&record.sequence.clone());
        lanes.push(record);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_window_what_is_there_runs_at_once_and_one_batch_after_the_other() {
    let mut lanes = lanes(batching(1, 10, 0));
    read(&mut lanes, (1..=25).map(|n| record(n, 0, 0)));
    let mut sizes = Vec::new();
    while let Some(batch) = lanes.take(Instant::now()) {
        assert!(lanes.take(Instant::now()).is_none(), "a lane has one batch");
        sizes.push(batch.records.len());
        finish(&mut lanes, batch);
    }
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(lanes.position().position, Position::After(Sequence::new("25")));
}

#[tokio::test(start_paused = true)]
async fn with_a_window_a_batch_waits_until_it_is_full_or_its_time_is_over() {
    let mut lanes = lanes(batching(1, 3, 2));
    read(&mut lanes, [record(1, 0, 0), record(2, 0, 0)]);
    assert!(lanes.take(Instant::now()).is_none());
    assert_eq!(lanes.due(), Some(Instant::now() + Duration::from_secs(2)));
    read(&mut lanes, [record(3, 0, 0), record(4, 0, 0)]);
    let full = lanes.take(Instant::now()).unwrap();
    assert_eq!(sequences(&full), ["1", "2", "3"]);
    finish(&mut lanes, full);
    assert!(lanes.take(Instant::now()).is_none());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(sequences(&lanes.take(Instant::now()).unwrap()), ["4"]);
    // At the end of a shard there is nothing to wait for.
    let mut ended = self::lanes(batching(1, 3, 300));
    read(&mut ended, [record(1, 0, 0)]);
    ended.end();
    let batch = ended.take(Instant::now()).unwrap();
    finish(&mut ended, batch);
    assert!(ended.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_no_larger_than_an_event() {
    let mut lanes = lanes(batching(1, 100, 300));
    let large = |n| Record { text: "x".repeat(BATCH_BYTES_MAX / 3 + 1), ..record(n, 0, 0) };
    read(&mut lanes, (1..=5).map(large));
    assert!(lanes.due().is_none_or(|due| due <= Instant::now()), "bytes fill a batch too");
    assert_eq!(lanes.take(Instant::now()).unwrap().records.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_slow_lane_holds_the_place_and_the_others_remember_what_they_did() {
    let batching = batching(2, 1, 0);
    let mut lanes = lanes(batching);
    read(&mut lanes, [record(1, 0, 0), record(2, 1, 0), record(3, 1, 0), record(4, 0, 0)]);
    let slow = lanes.take(Instant::now()).unwrap();
    for _ in 0..2 {
        let batch = lanes.take(Instant::now()).unwrap();
        assert_eq!(batch.lane, 1);
        finish(&mut lanes, batch);
    }
    let at = lanes.position();
    assert_eq!(at.position, Position::At(Sequence::new("1")));
    assert_eq!(at.done, [(1, Sequence::new("3"))].into());
    // After a restart the other lane's records are passed, unless lanes are others now.
    let again = |batching| {
        let mut lanes = Lanes::new(batching, &at);
        read(&mut lanes, [record(1, 0, 0), record(2, 1, 0), record(3, 1, 0), record(5, 1, 0)]);
        lanes.waiting.0
    };
    assert_eq!((again(batching), again(self::batching(3, 1, 0))), (2, 4));
    finish(&mut lanes, slow);
    assert_eq!(lanes.position().position, Position::At(Sequence::new("4")));
}

#[tokio::test(start_paused = true)]
async fn windows_end_one_after_the_other_with_a_last_call() {
    let tumbling = Some(Duration::from_secs(10));
    let mut lanes = lanes(Batching { tumbling, ..batching(1, 10, 0) });
    read(&mut lanes, [record(1, 0, 1000), record(2, 0, 9000), record(3, 0, 11_000)]);
    let first = lanes.take(Instant::now()).unwrap();
    assert_eq!(sequences(&first), ["1", "2"]);
    let call = first.window.clone().unwrap();
    assert_eq!((call.window.start, call.window.end, call.is_final), (0, 10_000, false));
    finish(&mut lanes, first);
    lanes.open.as_mut().unwrap().state = "7".to_owned();
    let last = lanes.take(Instant::now()).unwrap();
    assert!(last.records.is_empty() && last.window.as_ref().unwrap().is_final);
    assert_eq!(last.window.as_ref().unwrap().window.state, "7");
    finish(&mut lanes, last);
    let second = lanes.take(Instant::now()).unwrap();
    assert_eq!(sequences(&second), ["3"]);
    assert_eq!(second.window.as_ref().unwrap().window.state, "{}");
    finish(&mut lanes, second);
    // Without further records it ends once there is nothing more of its time.
    assert!(lanes.take(Instant::now()).is_none());
    lanes.caught_up(19_999);
    assert!(lanes.take(Instant::now()).is_none());
    lanes.caught_up(20_000);
    assert!(lanes.take(Instant::now()).unwrap().window.unwrap().is_final);
}

proptest! {
    /// Whatever runs and ends in which order: each record is in one batch, items keep their order, and the place for
    /// a restart is never after a record that is not done.
    #[test]
    fn no_record_is_skipped_and_items_keep_their_order(
        items in prop::collection::vec(0_u64..6, 1..60),
        lane_count in 1_usize..5,
        size in 1_usize..8,
        order in prop::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let mut lanes = lanes(batching(lane_count, size, 0));
        let mut unread: VecDeque<Record> =
            items.iter().enumerate().map(|(n, item)| record(n + 1, *item, 0)).collect();
        let mut running: Vec<Batch> = Vec::new();
        let mut seen: Vec<Record> = Vec::new();
        let mut order = order.into_iter().cycle();
        while !unread.is_empty() || !running.is_empty() || lanes.waiting.0 > 0 {
            let choice = order.next().unwrap().index(3);
            if choice == 0 {
                read(&mut lanes, unread.pop_front());
            } else if choice == 1 {
                running.extend(lanes.take(Instant::now()));
            } else if !running.is_empty() {
                let batch = running.swap_remove(order.next().unwrap().index(running.len()));
                seen.extend(batch.records.iter().cloned());
                finish(&mut lanes, batch);
            }
            let place = lanes.position().position;
            let is_passed = |sequence: &Sequence| match &place {
                Position::At(first) => sequence < first,
                Position::After(last) => sequence <= last,
                _ => false,
            };
            let undone = lanes.all.iter().flat_map(|lane| &lane.undone);
            prop_assert!(undone.into_iter().all(|sequence| !is_passed(sequence)));
        }
        prop_assert_eq!(seen.len(), items.len());
        for item in 0..6 {
            let of_item = seen.iter().filter(|record| record.item == item);
            let sequences: Vec<&Sequence> = of_item.map(|record| &record.sequence).collect();
            prop_assert!(sequences.is_sorted());
        }
    }
}
