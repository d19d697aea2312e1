//! A queue of SQS, wherever it is.
//!
//! | file | what it does |
//! | --- | --- |
//! | `api` | the questions that a queue answers |
//! | `message` | messages as functions get them |
//!
//! A message is deleted once the function has done it, or when no filter wants it. One that failed stays, and comes
//! again when the queue shows it again; what happens to it after several times is the queue's business.
//!
//! Source: AWS Lambda Developer Guide, "Using Lambda with Amazon SQS".

mod api;
mod message;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use stillwire_awswire::{endpoint_of, endpoint_variable};
use stillwire_model::{EventSourceState, Outcome, QueueSource, limits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::api::{Queue, QueueError, RECEIVE_MAX};
use self::message::Message;
use crate::backoff::delay;
use crate::job::{Attempt, Job};
use crate::response::failed_items;

/// How long a queue is asked to wait for messages. Source: Amazon SQS API, `WaitTimeSeconds` (20).
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Bytes of messages in one event: what an event may have, less what is around them.
const BATCH_BYTES_MAX: usize = limits::INVOKE_REQUEST_BYTES_MAX - 64 * 1024;

/// How often a function that is throttled is tried before its messages are left to the queue. Choice: a few seconds,
/// less than messages are hidden by default.
const THROTTLED_TRIES_MAX: u32 = 6;

/// Reads a queue until it is to stop.
pub(crate) async fn run(job: &Arc<Job>, source: &QueueSource) {
    if !job.mapping.enabled {
        job.status.set(EventSourceState::Stopped);
        return job.stop.cancelled().await;
    }
    let Some(endpoint) = endpoint_of(&job.ports.endpoints, "sqs") else {
        let variable = endpoint_variable("sqs");
        job.problem(&format!("there is no sqs here: name an endpoint with {variable}"));
        job.status.set(EventSourceState::Stopped);
        return job.stop.cancelled().await;
    };
    let queue = Queue::new(Arc::clone(job), source.arn.clone(), endpoint);
    job.status.set(EventSourceState::Running);
    tokio::select! {
        () = job.stop.cancelled() => return,
        () = find(job, &queue) => {}
    }
    let most =
        source.maximum_concurrency.map_or(limits::QUEUE_INVOCATIONS_MAX, |most| most as usize);
    let room = Arc::new(Semaphore::new(most));
    let mut running = JoinSet::new();
    let mut failures = 0;
    while !job.stop.is_cancelled() {
        while let Some(ended) = running.try_join_next() {
            warn_of(ended);
        }
        // What is received is hidden from others, so there must be room for it first.
        let permit = tokio::select! {
            () = job.stop.cancelled() => break,
            permit = Arc::clone(&room).acquire_owned() => permit,
        };
        let Ok(permit) = permit else { break };
        match gather(job, &queue).await {
            Ok(messages) => {
                failures = 0;
                if !messages.is_empty() {
                    running.spawn(deliver(Arc::clone(job), queue.clone(), messages, permit));
                }
            }
            Err(error) => {
                failures += 1;
                job.problem(&format!("the queue cannot be read: {error}"));
                wait(job, failures).await;
            }
        }
    }
    while let Some(ended) = running.join_next().await {
        warn_of(ended);
    }
}

fn warn_of(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a batch of a queue panicked");
    }
}

async fn wait(job: &Job, failures: u32) -> bool {
    job.pause(delay(Duration::from_secs(1), limits::BATCH_RETRY_DELAY_MAX, failures)).await
}

/// Waits until the queue is there.
async fn find(job: &Job, queue: &Queue) {
    let mut failures = 0;
    while let Err(error) = queue.find().await {
        failures += 1;
        job.problem(&format!("the queue cannot be read: {error}"));
        if !wait(job, failures).await {
            return;
        }
    }
}

/// Receives messages until a batch is full, or its time is over; those that are wanted.
async fn gather(job: &Job, queue: &Queue) -> Result<Vec<Message>, QueueError> {
    let mapping = &job.mapping;
    let size = mapping.batch_size as usize;
    let mut messages: Vec<Message> = Vec::new();
    let mut bytes = 0;
    let mut deadline: Option<Instant> = None;
    while messages.len() < size && bytes < BATCH_BYTES_MAX {
        let left = deadline.map_or(WAIT_MAX, |deadline| deadline - Instant::now());
        if deadline.is_some() && left.is_zero() {
            break;
        }
        let most = RECEIVE_MAX.min(size - messages.len());
        let received = tokio::select! {
            () = job.stop.cancelled() => {
                // Nobody else would see them for a while.
                queue.show_again(&messages).await;
                return Ok(Vec::new());
            }
            received = queue.receive(most, left.min(WAIT_MAX)) => received,
        };
        let received = match received {
            Ok(received) => received,
            Err(error) if messages.is_empty() => return Err(error),
            Err(_) => break, // it will be told when the next batch is gathered
        };
        job.counters.polled.add(received.len());
        let (wanted, unwanted): (Vec<Message>, Vec<Message>) =
            received.into_iter().partition(|message| job.filter.wants_message(&message.event));
        job.counters.filtered_out.add(unwanted.len());
        // Source: as above, "Filtering": what no filter wants is deleted from the queue.
        queue.delete(&unwanted.iter().collect::<Vec<_>>()).await;
        job.counters.deleted.add(unwanted.len());
        bytes += wanted.iter().map(|message| message.bytes).sum::<usize>();
        messages.extend(wanted);
        if mapping.batching_window.is_zero() {
            break;
        }
        if !messages.is_empty() && deadline.is_none() {
            deadline = Some(Instant::now() + mapping.batching_window);
        }
    }
    Ok(messages)
}

/// Invokes the function with messages and deletes those that it has done.
async fn deliver(job: Arc<Job>, queue: Queue, messages: Vec<Message>, _room: OwnedSemaphorePermit) {
    for messages in parts(messages) {
        deliver_part(&job, &queue, messages).await;
    }
}

/// Messages as events have room for them: several large ones may have come together.
fn parts(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let mut parts: Vec<(usize, Vec<Message>)> = Vec::new();
    for message in messages {
        match parts.last_mut() {
            Some((bytes, part)) if *bytes + message.bytes <= BATCH_BYTES_MAX => {
                *bytes += message.bytes + 1;
                part.push(message);
            }
            _ => parts.push((message.bytes, vec![message])),
        }
    }
    parts.into_iter().map(|(_, part)| part).collect()
}

async fn deliver_part(job: &Job, queue: &Queue, messages: Vec<Message>) {
    let texts: Vec<String> = messages.iter().map(|message| message.event.to_string()).collect();
    let event = format!("{{\"Records\":[{}]}}", texts.join(","));
    let mut tries = 0;
    let invoked = loop {
        match job.invoke(event.clone(), messages.len()).await {
            Attempt::Ran(_, invoked) => break invoked,
            Attempt::NotRun => {
                tries += 1;
                let (first, most) = (limits::BATCH_RETRY_DELAY, limits::BATCH_RETRY_DELAY_MAX);
                if tries >= THROTTLED_TRIES_MAX || !job.pause(delay(first, most, tries)).await {
                    return queue.show_again(&messages).await;
                }
            }
        }
    };
    let all_failed = || job.counters.failed.add(messages.len());
    let Outcome::Returned(answer) = &invoked.outcome else { return all_failed() };
    let mut failed = BTreeSet::new();
    if job.mapping.report_item_failures {
        let identifiers = messages.iter().map(|message| message.id.as_str());
        match failed_items(answer, identifiers) {
            Some(items) => failed = items,
            None => return all_failed(),
        }
    }
    let done = messages.iter().enumerate().filter(|(index, _)| !failed.contains(index));
    let done: Vec<&Message> = done.map(|(_, message)| message).collect();
    job.counters.failed.add(failed.len());
    job.counters.deleted.add(done.len());
    queue.delete(&done).await;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn large_messages_are_several_events_in_their_order() {
        let message = |(id, bytes): (usize, usize)| Message {
            id: id.to_string(),
            receipt: String::new(),
            event: json!({}),
            bytes,
        };
        let third = BATCH_BYTES_MAX / 3 + 1;
        let sizes = [third, third, third, 1, BATCH_BYTES_MAX * 2, 1];
        let parts = parts(sizes.into_iter().enumerate().map(message).collect());
        let ids = parts.iter().map(|part| part.iter().map(|message| message.id.as_str()).collect());
        assert_eq!(ids.collect::<Vec<String>>(), ["01", "23", "4", "5"]);
        assert!(super::parts(Vec::new()).is_empty());
    }
}
