//! The DynamoDB API over an embedded engine.
//!
//! The engine is a library (`dynoxide`, over `SQLite`) that lives behind [`stillwire_model::TableApi`]: nothing
//! outside this crate knows it. It runs on threads of its own, with deep stacks, so that neither a slow disk
//! nor a deeply nested expression touches the threads that serve connections.
//!
//! * [`Engine`] opens the store and answers requests.
//! * [`Engine::provision`] creates the tables that a template declares.
//!
//! Invariants: a write that was acknowledged is on disk; an existing table's data is never dropped here.

mod engine;
mod guard;
mod names;
mod provision;
mod wire;

pub use engine::{Engine, OpenError, Storage};
pub use provision::{ProvisionError, Provisioned};
