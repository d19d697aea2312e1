//! Event source mappings: streams of tables and queues of SQS that are read for functions.
//!
//! | file | what it does |
//! | --- | --- |
//! | `room`, `worker` | the mappings that there are; the life of one, from change to change |
//! | `job`, `status` | what all readers of a mapping share: invocations, and what is told of it |
//! | `metrics` | what is counted |
//! | `checkpoint` | how far a stream was read, kept on the disk |
//! | `filter`, `response`, `backoff` | which records are wanted; which ones have failed; how long to wait then |
//! | `stream` | a stream, shard by shard and batch by batch |
//! | `queue` | a queue of SQS, wherever it is |
//!
//! Invariants: a record of a stream is passed only after its batch was done with or given up, and what is on the disk
//! is never ahead of that, so that a crash repeats records and skips none. Records of one item reach a function in
//! their order, one batch at a time.
//!
//! How functions run, what a table is and where records of failures go is the business of the ports in
//! `stillwire_model`.
//!
//! Source: AWS Lambda Developer Guide, "How Lambda processes records from stream and queue-based event sources",
//! "Using AWS Lambda with Amazon DynamoDB" and "Using Lambda with Amazon SQS".

mod backoff;
mod checkpoint;
mod filter;
mod job;
mod metrics;
mod queue;
mod response;
mod room;
mod status;
mod stream;
mod worker;

pub use room::{EventSources, Ports};
