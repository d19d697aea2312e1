//! RFC 6455 as cases against the real listener: what a client sends, what it gets.
//!
//! The families are those of the public Autobahn suite, and the handshake. Every case is sent at once, frame by frame,
//! and byte by byte where it is small: the answers must be the same.

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::large_stack_arrays,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a broken test may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod close;
mod deflate;
mod fragmentation;
mod framing;
mod handshake;
mod limits;
mod sizes;
mod utf8;

use std::net::SocketAddr;
use std::sync::OnceLock;

use stillwire_gateway::engine::ConnectionLimits;
use support::{Client, Frame};

pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;
/// The first bytes of fragments: a text's first, a binary's first, one in the middle, the last.
pub(crate) const TEXT_BEGINS: u8 = 0x01;
pub(crate) const BINARY_BEGINS: u8 = 0x02;
pub(crate) const MIDDLE: u8 = 0x00;
pub(crate) const LAST: u8 = 0x80;

/// What a client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expect {
    /// A message or a control frame.
    Frame(u8, Vec<u8>),
    /// A close frame with this code, and then the end.
    Close(u16),
    /// A close frame without a code, and then the end.
    BareClose,
}

pub(crate) fn text(text: &str) -> Expect {
    Expect::Frame(TEXT, text.as_bytes().to_vec())
}

pub(crate) fn pong(payload: &[u8]) -> Expect {
    Expect::Frame(PONG, payload.to_vec())
}

/// The echo with room for everything.
pub(crate) fn roomy() -> SocketAddr {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    *SERVER.get_or_init(|| {
        let limits = ConnectionLimits {
            frame_bytes_max: 32 << 20,
            message_bytes_max: 32 << 20,
            binary: true,
            controls_per_second_max: u32::MAX,
            ..ConnectionLimits::default()
        };
        support::serve(limits, 1000)
    })
}

/// The echo with API Gateway's limits.
pub(crate) fn strict() -> SocketAddr {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    *SERVER.get_or_init(|| support::serve(ConnectionLimits::default(), 1000))
}

/// Sends `frames` in every way, and expects the same each time.
pub(crate) fn check(server: SocketAddr, name: &str, frames: &[Vec<u8>], expected: &[Expect]) {
    let whole = frames.concat();
    once(server, &format!("{name}, at once"), &[whole.as_slice()], expected);
    let pieces: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    once(server, &format!("{name}, frame by frame"), &pieces, expected);
    if whole.len() <= 512 {
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        once(server, &format!("{name}, byte by byte"), &bytes, expected);
    }
}

fn once(server: SocketAddr, name: &str, pieces: &[&[u8]], expected: &[Expect]) {
    let mut client = Client::connect(server);
    for piece in pieces {
        client.send(piece);
    }
    let ends = matches!(expected.last(), Some(Expect::Close(_) | Expect::BareClose));
    if !ends {
        client.send(&support::frame(CLOSE, &1000_u16.to_be_bytes()));
    }
    for expect in expected {
        let got =
            client.message().unwrap_or_else(|| panic!("{name}: the end instead of {expect:?}"));
        let right = match expect {
            Expect::Frame(first, payload) => {
                got == Frame { first: *first, payload: payload.clone() }
            }
            Expect::Close(code) => {
                got.first == CLOSE && got.payload.starts_with(&code.to_be_bytes())
            }
            Expect::BareClose => got.first == CLOSE && got.payload.is_empty(),
        };
        assert!(
            right,
            "{name}: {:.200} instead of {:.200}",
            format!("{got:?}"),
            format!("{expect:?}")
        );
    }
    if !ends {
        let close = client.message().map(|frame| (frame.first, frame.payload));
        assert_eq!(close, Some((CLOSE, 1000_u16.to_be_bytes().to_vec())), "{name}");
    }
    assert_eq!(client.frame(), None, "{name}: nothing follows a close frame");
}
