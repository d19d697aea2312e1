//! RFC 6455 and RFC 7692 without I/O: the opening handshake, frames, messages and close codes, for both ends.
//!
//! Callers own sockets and clocks; this crate takes bytes and gives values. The same code then serves the
//! gateway, the command-line client, tests and fuzzers.
//!
//! * [`RequestHead`] and [`Upgrade`]: the server's side of the handshake; [`client`] has the other side.
//! * [`Decoder`]: bytes in, [`Message`]s out. It keeps nothing but what is incomplete, and can be written down.
//! * `encode_…`: messages in, bytes out.
//! * [`DeflateConfig`]: what is agreed about compression.
//!
//! Invariants: bytes from the peer are never trusted before they were checked; the memory a peer can make a
//! decoder hold is bounded by its [`Limits`]; an error knows the close code it leads to.

pub mod client;
mod close;
mod decoder;
mod deflate;
mod encode;
mod error;
mod frame;
mod handshake;
mod limits;
mod message;
mod partial;
mod upgrade;
mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use decoder::{Decoded, Decoder};
pub use deflate::{DeflateConfig, Negotiated, WindowBits};
pub use encode::{encode_close, encode_message, encode_message_deflated, encode_ping, encode_pong};
pub use error::ProtocolError;
pub use frame::{Masking, Opcode, Role};
pub use handshake::{HEAD_BYTES_MAX, HEADERS_MAX, HeadError, Header, RequestHead};
pub use limits::Limits;
pub use message::Message;
pub use upgrade::{Upgrade, UpgradeError, accept_key};
