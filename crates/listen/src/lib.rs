//! Addresses: ports, the local certificate authority, and a door that accepts and serves HTTP, plain and TLS.
//!
//! * [`bind`] takes a port; [`Door`] accepts on it: the first byte of a connection tells TLS from plain.
//! * [`Authority`] is the local certificate authority, made once and kept.
//! * [`http`] serves HTTP/1.1 on an accepted connection.
//!
//! Invariants: every accepted connection has a deadline until it said what it wants; their number is bounded,
//! and the last descriptors of the process are not given away.

mod authority;
mod door;
pub mod http;
mod stream;

pub use authority::{Authority, AuthorityError, is_here, is_own_host, system_bundle};
pub use door::{Accepted, BindError, Capacity, Door, Place, bind, inherit_socket_options, port_of};
pub use stream::Stream;
