//! The deploy tools themselves, unmodified, against a running Stillwire: what they print, what they leave, what runs then.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test says what went wrong by panicking, and waits in a thread of its own"
)]

mod assets;
mod aws_cli;
mod cdk;
mod commands;
mod docs;
mod elsewhere;
mod fixtures;
mod sam;
mod small_services;
mod support;
mod terraform;
