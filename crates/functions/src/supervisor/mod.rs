//! The supervisor: the only process that starts processes.
//!
//! The daemon may grow large, and forking a large process stalls it; so a small copy of the same program is
//! started first and does all the starting. It is also the one that notices the daemon's death, by the end of
//! their socket, and takes every function with it.

mod client;
mod descriptors;
mod protocol;
mod server;
mod templates;
mod trampoline;
mod tree;

pub use client::Supervisor;
pub(crate) use client::{Owner, Process, Processes};
pub(crate) use protocol::{Exit, Fork, Role, Spawn};
pub use server::run;
pub(crate) use trampoline::Ready;
pub use trampoline::enter;
pub(crate) use tree::{MARK, mark};
