//! A whole Stillwire inside a test: the real program, real sockets, real functions.
//!
//! * [`App`] writes a small app: functions in Python, routes, an authorizer.
//! * [`Stillwire`] starts the program on an app and knows its addresses.
//! * [`Client`] is a WebSocket client that can also misbehave.
//! * [`Events`] are what functions got, and [`raw`] says anything at all to a port.
//! * [`tools`] finds the other clients and SDKs that tests drive: Python, Node.
//!
//! Everything here waits for states, with deadlines, and panics with what it saw when a deadline passes.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test says what went wrong by panicking, and waits by sleeping"
)]

mod app;
mod client;
mod events;
mod http;
mod line;
mod program;
pub mod tools;

pub use app::App;
pub use client::{Client, Got, Opening, Refused};
pub use events::Events;
pub use http::{Answer, raw};
pub use program::{Stillwire, eventually, example};
