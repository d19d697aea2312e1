//! Compression of messages: the extension `permessage-deflate`, without I/O.
//!
//! Source: RFC 7692, section 7.
//!
//! * [`DeflateConfig::negotiate`] answers what a client offers; [`crate::client`] has the other side.
//! * [`crate::Decoder::with_deflate`] lets a decoder take compressed messages.
//! * [`encode_message_deflated`](crate::encode_message_deflated) writes them.
//!
//! Choice: no context is ever taken over from one message to the next, in either direction. A context costs
//! about 300 KiB for each connection, held while it is silent, for what mostly repeats within a message anyway.
//! Without it the states of the compressor and its opposite belong to a thread, serve all its connections, and
//! a connection holds nothing between messages.
//!
//! Choice: a compressed message is collected as it came and inflated at its end, not as it arrives. What is
//! incomplete is then bytes that can be written down like any other (the state inside an inflater cannot), they
//! are bounded by the message limit like any other, and a bomb is found before anything is allocated for it. The
//! price is that at its end a message is there twice, compressed and not: together at most twice its limit, and a
//! thousandth more for what no compressor makes smaller.

mod compress;
mod extensions;
mod inflate;
mod negotiation;

pub(crate) use compress::deflate;
pub(crate) use inflate::{compressed_bytes_max, inflate};
pub(crate) use negotiation::accepted;
pub use negotiation::{DeflateConfig, Negotiated, WindowBits};

/// What every compressed message ends with, and what is left out on the wire.
///
/// Source: RFC 7692, sections 7.2.1 and 7.2.2.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
