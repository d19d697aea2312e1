//! Holds the connections and turns each message into a call.
//!
//! The life of a message, by file:
//!
//! | step | file | receives → gives |
//! | --- | --- | --- |
//! | 1 | `entrance` | an accepted stream → a handshake, or a plain HTTP request |
//! | 2 | `upgrade` | a handshake → authorizer, `$connect`, 101, a registered connection |
//! | 3 | `connection` | bytes → messages; the one place that reads and writes a client's socket |
//! | 4 | `session`, `route` | message + selection expression → the route |
//! | 5 | `event` | connection + route + message → the proxy event |
//! | 6 | `integration` | event → outcome, under the integration's time limit |
//! | 7 | `response` | outcome → what the client gets, if anything |
//! | 8 | `outbox` | the bounded queue back to step 3 |
//!
//! The side door: `management` serves `@connections`; `registry` finds the connection; its `outbox` takes the
//! post. At the end, `admission` pays the `$disconnect` that every accepted `$connect` is owed, and `delivery` calls
//! the function.
//!
//! Invariants: only a connection's own task touches its socket. An accepted `$connect` is followed by exactly
//! one `$disconnect`. A message sees one version of its API from start to finish. Every answer to an error is
//! decided in `rescue`.

mod admission;
mod authorizer;
mod connection;
mod delivery;
mod ending;
mod entrance;
mod event;
mod gateway;
mod integration;
mod management;
mod outbox;
mod peer;
mod policy;
mod registry;
mod request;
mod rescue;
mod response;
mod route;
mod session;
mod shared;
mod upgrade;

/// The part that holds connections, for whoever wants another meaning of messages than an API's.
pub mod engine {
    pub use crate::connection::{Connection, Replies, Session};
    pub use crate::ending::{Ending, Goodbye};
    pub use crate::outbox::{Outbox, PostError};
}

pub use gateway::{Gateway, Ports};
pub use route::select as select_route_key;
pub use shared::{Config, ConnectionLimits};
