//! Holds the connections and turns each message into a call.
//!
//! The life of a message, by file:
//!
//! | step | file | receives → gives |
//! | --- | --- | --- |
//! | 1 | `engine` | sockets → handshakes, plain requests, messages |
//! | | `site` | an address → an API's stage, or a mapping of a custom domain |
//! | 2 | `upgrade` | a handshake → authorizer, `$connect`, 101, a registered connection |
//! | 3 | `session`, `route` | message + selection expression → the route |
//! | 4 | `event` | connection + route + message → the proxy event |
//! | 5 | `integration` | event, or mapped request → outcome, under the integration's time limit |
//! | 6 | `response` | outcome → what the client gets, if anything |
//! | 7 | `engine` | the outbox → the client's socket |
//!
//! The side door: `management` serves `@connections`; `registry` finds the connection; its outbox takes the
//! post. At the end, `admission` pays the `$disconnect` that every accepted `$connect` is owed, and `delivery` calls
//! the function. Beside the way: `throttle` says how many requests pass, `api_keys` with which keys, `validation` which
//! messages, `context` is what is known of one, `access` notes what became of it: in `metrics`, and in the stage's log.
//!
//! Invariants: only the engine touches a client's socket. An accepted `$connect` is followed by exactly one
//! `$disconnect`. A message sees one version of its API from start to finish. Every answer to an error is decided
//! in `rescue`.

mod access;
mod actions;
mod admission;
mod api_keys;
mod authorizer;
mod caller;
mod context;
mod delivery;
pub mod engine;
mod event;
mod exchange;
mod gateway;
mod integration;
mod management;
mod metrics;
mod peer;
mod registry;
mod request;
mod rescue;
mod response;
mod route;
mod service;
mod session;
mod shared;
mod site;
mod throttle;
mod upgrade;
mod validation;

pub use caller::{Key, Keys, SignedStages};
pub use gateway::{Gateway, Ports};
pub use route::select as select_route_key;
pub use shared::Config;
