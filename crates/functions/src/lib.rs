//! Execution environments: each function runs in processes of its own, one invocation at a time in each.
//!
//! [`Functions`] is the handle; behind it `pool` queues invocations and decides which environment serves one,
//! `environment` owns a process from start to end, `runtime_api` speaks with the runtime inside it (over the socket of a
//! bootstrap of ours, or behind `listener`), and [`supervisor`] is the only one that starts processes. `python` and `node`
//! find interpreters and packages, and have the bootstraps that run inside; `foreign` finds other runtimes; `sandbox` confines what runs; `watch` notices
//! changed code.
//!
//! Invariants: an environment has one invocation at most; invocations of a function start in the order of the
//! calls; no process outlives the daemon; a function sees no variable of the daemon's.

mod cache;
mod code;
mod debug;
mod entry;
mod environment;
mod failure;
mod foreign;
mod functions;
mod group;
mod layers;
mod listener;
mod memory;
mod names;
mod node;
mod once;
mod output;
mod phase;
mod places;
mod platform_log;
mod pool;
mod process;
mod process_env;
mod python;
mod runtime;
mod runtime_api;
mod runtime_http;
mod runtime_link;
mod sandbox;
mod shared;
mod sources;
pub mod supervisor;
mod template;
mod tool;
mod versions;
mod watch;
mod wrapper;

pub use functions::{Config, Functions, Problem, StartError};
pub use places::usual_places;
pub use sandbox::{Isolation, NoSandbox, Sandbox};
pub use watch::is_ignored;
