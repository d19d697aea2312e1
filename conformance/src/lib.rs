//! The conformance suite: what API Gateway WebSocket APIs do, as data, against the real program.
//!
//! * `assertions` and `cases` read what is claimed and what proves it.
//! * `world` is the program on one app, with the events its functions got and a `backend` for its integrations.
//! * `play` plays one case; `expect` compares what came with what was expected, and keeps names for what is not known
//!   beforehand; `sdk` are boto3 and the AWS SDK for JavaScript.
//! * `suite` plays all cases, and `page` writes `docs/api-coverage.md`.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a suite that tells what went wrong, and waits by sleeping"
)]

mod assertions;
mod backend;
mod cases;
mod checks;
mod expect;
mod page;
mod play;
mod sdk;
mod steps;
mod suite;
mod world;

pub use suite::run;

/// What a part of the suite gives, or what went wrong in a sentence.
type Result<T> = std::result::Result<T, String>;
