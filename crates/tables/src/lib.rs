//! The DynamoDB API over an embedded engine.
//!
//! The engine is a library (`dynoxide`, over `SQLite`) that lives behind [`stillwire_model::TableApi`]: nothing
//! outside this crate knows it. It runs on threads of its own, with deep stacks, so that neither a slow disk
//! nor a deeply nested expression touches the threads that serve connections.
//! The endpoint that functions ask is served on them too, so that requests need no way from thread to thread.
//!
//! * [`Engine`] has a store for each account and region ([`stillwire_model::TableStores`]).
//! * [`Remote`] asks stores that are elsewhere, through the same port.
//! * [`provision()`] makes the tables that a template declares, and changes them when it changes.
//!
//! The life of a request: `engine` finds the store, `store` decides who answers. Plain requests take the `lane` to the
//! engine, or need no engine (`whole`); others go over the `wire` to its own HTTP front (`running`), which words every error; what is about tables is translated by
//! `definitions`, and transactions with a token by `tokens`. Streams and expiry are ours (`streams`, `expiry`): they read and
//! write the engine's file from behind (`backroom`).
//!
//! Invariants: a write that was acknowledged is on disk, unless [`Durability`] says otherwise; the data of a table are dropped only by `remove`, for one that its template gave up; a fault of the engine
//! is one failed request.

mod backroom;
mod constants;
mod definitions;
mod durability;
mod engine;
mod errors;
mod expiry;
mod guard;
mod health;
mod lane;
mod operators;
mod place;
mod provision;
mod remote;
mod returned;
mod running;
mod snapshot;
mod store;
mod streams;
mod tokens;
mod unfinished;
mod unfit;
mod watched;
mod whole;
mod wire;

pub use durability::Durability;
pub use engine::{Config, Engine, OpenError};
pub use provision::{ProvisionError, Provisioned, Which, provision, remove, set_aside};
pub use remote::{Remote, There};
pub use snapshot::{SnapshotError, snapshot};
