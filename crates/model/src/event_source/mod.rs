//! Event source mappings: which stream or queue is read for which function, and how.

mod arn;
mod members;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::FunctionArn;

pub use self::arn::{QueueArn, StreamArn};
pub use self::members::InvalidEventSource;

/// The label of a stream in the ARN that a template gives its table's stream: it means the stream that the table has now.
///
/// The true label is the moment at which the stream was made, which no template can know.
pub const DECLARED_STREAM_LABEL: &str = "2000-01-01T00:00:00.000";

/// A stream or queue that is read for a function.
///
/// Source of all members: AWS Lambda API, `CreateEventSourceMapping`.
#[derive(Debug, Clone, PartialEq)]
pub struct EventSourceMapping {
    /// Its UUID.
    pub id: Arc<str>,
    /// The function that is invoked.
    pub function: FunctionArn,
    /// The version or alias of it.
    pub qualifier: Option<String>,
    /// What is read.
    pub source: EventSource,
    /// Whether it is read now. What was read so far is remembered either way.
    pub enabled: bool,
    /// Records or messages of one invocation, at most.
    pub batch_size: u32,
    /// How long records are gathered before the function is invoked with fewer; zero for not at all.
    pub batching_window: Duration,
    /// Patterns of which one must match, as they were written; without any, everything is wanted.
    pub filters: Vec<String>,
    /// Whether the function says which items have failed (`ReportBatchItemFailures`).
    pub report_item_failures: bool,
    /// Names and values that its owner gave it. They mean nothing here.
    pub tags: BTreeMap<String, String>,
}

/// What is read.
#[derive(Debug, Clone, PartialEq)]
pub enum EventSource {
    /// The stream of a table.
    Stream(StreamSource),
    /// A queue of SQS.
    Queue(QueueSource),
}

/// A stream, and how it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamSource {
    /// Which stream.
    pub arn: StreamArn,
    /// Where reading begins.
    pub starting_position: StartingPosition,
    /// Batches of one shard that may run at once, each with items of its own.
    pub parallelization_factor: u32,
    /// How often a failed batch is tried again; `None` until its records expire.
    pub retries: Option<u32>,
    /// Records older than this are given up; `None` where only the stream's own limit holds.
    pub record_age: Option<Duration>,
    /// Whether a failed batch is split in two.
    pub bisect: bool,
    /// The length of the windows over which a state is carried from batch to batch.
    pub tumbling_window: Option<Duration>,
    /// The ARN of who is told of batches that are given up.
    pub on_failure: Option<String>,
}

/// A queue, and how it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueSource {
    /// Which queue.
    pub arn: QueueArn,
    /// Invocations that may run at once; `None` where only the function's own limit holds.
    pub maximum_concurrency: Option<u32>,
}

/// Where the reading of a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartingPosition {
    /// With the oldest record that there still is.
    TrimHorizon,
    /// With what is written after the mapping was made.
    Latest,
}

impl EventSource {
    /// The ARN of what is read.
    pub fn arn(&self) -> &str {
        match self {
            Self::Stream(stream) => stream.arn.as_str(),
            Self::Queue(queue) => queue.arn.as_str(),
        }
    }
}

impl StartingPosition {
    /// The name of the position on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TrimHorizon => "TRIM_HORIZON",
            Self::Latest => "LATEST",
        }
    }
}
