//! Execution environments: each function runs in processes of its own, one invocation at a time in each.
//!
//! [`Functions`] is the handle; behind it `pool` queues invocations and decides which environment serves one,
//! `environment` owns a process from start to end, `runtime_api` speaks with the runtime inside it, and
//! [`supervisor`] is the only one that starts processes. `python` finds interpreters and packages, `watch`
//! notices changed code.
//!
//! Invariants: an environment has one invocation at most; invocations of a function start in the order of the
//! calls; no process outlives the daemon; a function sees no variable of the daemon's.

mod code;
mod entry;
mod environment;
mod failure;
mod functions;
mod group;
mod memory;
mod output;
mod phase;
mod platform_log;
mod pool;
mod process;
mod process_env;
mod python;
mod runtime_api;
#[expect(dead_code, reason = "until runtimes of others are started")]
mod runtime_http;
mod runtime_link;
mod shared;
pub mod supervisor;
mod template;
mod tool;
mod watch;

pub use functions::{Config, Functions, Problem, StartError};
pub use python::usual_places;
