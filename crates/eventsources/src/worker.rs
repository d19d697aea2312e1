//! The life of a mapping, from change to change.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use stillwire_drain::Drain;
use stillwire_model::{EventSource, EventSourceMapping, EventSourceState};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::checkpoint::{Checkpoints, file_of};
use crate::filter::Filter;
use crate::job::Job;
use crate::metrics::Counters;
use crate::room::Ports;
use crate::status::Status;
use crate::{queue, stream};

/// Runs a mapping as it is wanted, until it is gone or the drain begins.
pub(crate) async fn work(
    ports: Ports,
    (folder, id): (Option<PathBuf>, Arc<str>),
    mut wanted: watch::Receiver<Option<Arc<EventSourceMapping>>>,
    (status, counters, drain): (Status, Arc<Counters>, Drain),
) {
    let file = file_of(folder.as_deref(), &id);
    let read = {
        let file = file.clone();
        tokio::task::spawn_blocking(move || Checkpoints::read(file)).await
    };
    let checkpoints = match read.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
        Ok(checkpoints) => checkpoints,
        Err(error) => {
            tracing::error!(mapping = %id, %error, "an event source is not read");
            status.problem(&error.to_string());
            return status.set(EventSourceState::Stopped);
        }
    };
    loop {
        let mapping = wanted.borrow_and_update().clone();
        let Some(mapping) = mapping else { break };
        status.set(EventSourceState::Starting);
        let stop = CancellationToken::new();
        let change = async {
            let over = tokio::select! {
                () = drain.closing() => true,
                // It ends with the room that wants it.
                changed = wanted.changed() => changed.is_err(),
            };
            status.set(EventSourceState::Stopping);
            stop.cancel();
            over
        };
        let told = (status.clone(), Arc::clone(&counters));
        let run = run(ports.clone(), mapping, &checkpoints, told, stop.clone());
        let (over, ()) = tokio::join!(change, run);
        status.set(EventSourceState::Stopped);
        if over {
            return;
        }
    }
    // The mapping was deleted, and what it has read goes with it.
    if let Some(file) = file
        && let Err(error) = fs::remove_file(&file)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(file = %file.display(), %error, "a file of a deleted mapping stays");
    }
}

/// Runs a mapping as it is, until it is to stop and its last invocation has ended.
async fn run(
    ports: Ports,
    mapping: Arc<EventSourceMapping>,
    checkpoints: &Checkpoints,
    (status, counters): (Status, Arc<Counters>),
    stop: CancellationToken,
) {
    // What deploys mappings has read their filters; one that is no pattern wants nothing.
    let filter = match Filter::read(&mapping.filters) {
        Ok(filter) => filter,
        Err(error) => {
            status.problem(&format!("a filter is no event pattern: {error}"));
            status.set(EventSourceState::Stopped);
            return stop.cancelled().await;
        }
    };
    let job = Arc::new(Job { mapping, filter, ports, status, counters, stop });
    match &job.mapping.source {
        EventSource::Stream(source) => stream::run(&job, source, checkpoints).await,
        EventSource::Queue(source) => queue::run(&job, source).await,
    }
}
