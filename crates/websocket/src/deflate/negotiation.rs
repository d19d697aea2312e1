//! What is agreed about compression.
//!
//! Source: RFC 7692, sections 5 and 7.1.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::extensions::{Extension, extensions};

const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// How far back a compressor looks, as the base-2 logarithm of bytes: 9 to 15.
///
/// The protocol also knows 8, which no compressor of the zlib family can keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct WindowBits(u8);

impl WindowBits {
    /// The smallest window: 512 bytes.
    pub const MIN: Self = Self(9);
    /// The largest window: 32 KiB.
    pub const MAX: Self = Self(15);

    /// The window, where a compressor can keep to it.
    pub fn new(bits: u8) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&bits).then_some(Self(bits))
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl From<WindowBits> for u8 {
    fn from(bits: WindowBits) -> Self {
        bits.0
    }
}

impl TryFrom<u8> for WindowBits {
    type Error = &'static str;

    fn try_from(bits: u8) -> Result<Self, Self::Error> {
        Self::new(bits).ok_or("window bits are 9 to 15")
    }
}

/// What a server is willing to do about compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateConfig {
    /// The largest window of what the server sends.
    pub server_window_bits_max: WindowBits,
    /// The largest window of what a client sends, where the client can be told.
    pub client_window_bits_max: WindowBits,
}

impl Default for DeflateConfig {
    /// The largest windows: they cost each thread a little memory, and no connection any.
    fn default() -> Self {
        Self { server_window_bits_max: WindowBits::MAX, client_window_bits_max: WindowBits::MAX }
    }
}

/// Compression as it was agreed. No context is taken over in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiated {
    /// The window that what this end sends must keep to.
    pub window_bits: WindowBits,
    /// The parameters that a server's answer carries.
    server_window_bits: Option<WindowBits>,
    client_window_bits: Option<WindowBits>,
}

impl DeflateConfig {
    /// Answers the offers of a client: the values of its `Sec-WebSocket-Extensions` headers, in order.
    ///
    /// The first acceptable offer is taken. An offer that breaks the grammar, has a parameter that is unknown,
    /// doubled or wrong, or asks for a window of 8 bits, is declined and the next is looked at.
    ///
    /// Source: RFC 7692, section 7.1 (which parameters an offer may have, and when to decline it).
    pub fn negotiate<'a>(&self, offers: impl IntoIterator<Item = &'a str>) -> Option<Negotiated> {
        let mut offers = offers.into_iter().flat_map(extensions);
        offers.find_map(|offer| self.accept(&Parameters::read(&offer.ok()?, Side::Offer)?))
    }

    fn accept(self, offer: &Parameters) -> Option<Negotiated> {
        let largest = self.server_window_bits_max;
        let wished = match offer.server_max_window_bits {
            Some(bits) => Some(WindowBits::new(bits)?),
            None => None,
        };
        let window_bits = wished.map_or(largest, |wished| wished.min(largest));
        // A client that names a window uses no larger one: it need not be told.
        let largest = self.client_window_bits_max;
        let client_window_bits =
            offer.client_max_window_bits.filter(|bits| *bits > largest.get()).map(|_| largest);
        let told = wished.is_some() || window_bits < WindowBits::MAX;
        let server_window_bits = told.then_some(window_bits);
        Some(Negotiated { window_bits, server_window_bits, client_window_bits })
    }
}

impl Negotiated {
    /// The value of the `Sec-WebSocket-Extensions` header that a server answers with.
    pub fn header_value(&self) -> String {
        let mut value =
            format!("{NAME}; {SERVER_NO_CONTEXT_TAKEOVER}; {CLIENT_NO_CONTEXT_TAKEOVER}");
        for (name, bits) in [
            (SERVER_MAX_WINDOW_BITS, self.server_window_bits),
            (CLIENT_MAX_WINDOW_BITS, self.client_window_bits),
        ] {
            if let Some(bits) = bits {
                // Writing to a String cannot fail.
                let _infallible = write!(value, "; {name}={}", bits.get());
            }
        }
        value
    }
}

/// Reads a server's answer to [`crate::client::DEFLATE_OFFER`]; `None` when it is not one to that offer.
///
/// Source: RFC 7692, section 7.1: a server must confirm `server_no_context_takeover`, may choose its own window
/// and may ask for `client_no_context_takeover`, which the client keeps to anyway.
pub(crate) fn accepted(answer: &str) -> Option<Negotiated> {
    let mut list = extensions(answer);
    let (Some(Ok(extension)), None) = (list.next(), list.next()) else { return None };
    let parameters = Parameters::read(&extension, Side::Answer)?;
    let as_offered =
        parameters.server_no_context_takeover && parameters.client_max_window_bits.is_none();
    as_offered.then_some(Negotiated {
        window_bits: WindowBits::MAX,
        server_window_bits: None,
        client_window_bits: None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Offer,
    Answer,
}

#[derive(Default)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// The largest where a client says no more than that it can be told.
    client_max_window_bits: Option<u8>,
}

impl Parameters {
    /// Reads the parameters; `None` when the extension is another, or a parameter is not as it must be.
    fn read(extension: &Extension<'_>, side: Side) -> Option<Self> {
        if extension.name != NAME {
            return None;
        }
        let mut read = Self::default();
        for (name, value) in &extension.parameters {
            let fresh = match (*name, value.as_deref()) {
                (SERVER_NO_CONTEXT_TAKEOVER, None) => {
                    !std::mem::replace(&mut read.server_no_context_takeover, true)
                }
                (CLIENT_NO_CONTEXT_TAKEOVER, None) => {
                    !std::mem::replace(&mut read.client_no_context_takeover, true)
                }
                (SERVER_MAX_WINDOW_BITS, Some(value)) => {
                    read.server_max_window_bits.replace(bits(value)?).is_none()
                }
                (CLIENT_MAX_WINDOW_BITS, Some(value)) => {
                    read.client_max_window_bits.replace(bits(value)?).is_none()
                }
                (CLIENT_MAX_WINDOW_BITS, None) if side == Side::Offer => {
                    read.client_max_window_bits.replace(WindowBits::MAX.get()).is_none()
                }
                _ => false,
            };
            if !fresh {
                return None;
            }
        }
        Some(read)
    }
}

/// Source: RFC 7692, section 7.1.2: a decimal number without leading zeros, from 8 to 15.
fn bits(value: &str) -> Option<u8> {
    match value {
        "8" => Some(8),
        "9" => Some(9),
        "10" => Some(10),
        "11" => Some(11),
        "12" => Some(12),
        "13" => Some(13),
        "14" => Some(14),
        "15" => Some(15),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_of(config: DeflateConfig, offers: &[&str]) -> Option<String> {
        config.negotiate(offers.iter().copied()).map(|agreed| agreed.header_value())
    }

    fn answer(offer: &str) -> Option<String> {
        answer_of(DeflateConfig::default(), &[offer])
    }

    const PLAIN: &str =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    #[test]
    fn what_clients_offer_is_accepted_without_takeover() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate;client_max_window_bits=8",
            "permessage-deflate ; server_no_context_takeover ;\tclient_no_context_takeover",
            "permessage-deflate; client_max_window_bits=15",
            "x-webkit-deflate-frame, permessage-deflate",
            ", permessage-deflate,",
            "other; a=\"b\"; c, permessage-deflate",
        ] {
            assert_eq!(answer(offer).as_deref(), Some(PLAIN), "{offer}");
        }
        for bits in 9..=15 {
            let offer = format!("permessage-deflate; server_max_window_bits={bits}");
            let expected = format!("{PLAIN}; server_max_window_bits={bits}");
            assert_eq!(answer(&offer), Some(expected.clone()));
            // The same in quotes, one of them escaped. Source: RFC 6455, section 9.1.
            for quoted in [format!("\"{bits}\""), format!("\"\\{bits}\"")] {
                let offer = format!("permessage-deflate; server_max_window_bits={quoted}");
                assert_eq!(answer(&offer), Some(expected.clone()), "{offer}");
            }
        }
    }

    #[test]
    fn a_wrong_offer_is_declined_and_the_next_is_looked_at() {
        for wrong in [
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=8", // legal, but no compressor can
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; server_max_window_bits=1e1",
            "permessage-deflate; server_max_window_bits=-10",
            "permessage-deflate; server_max_window_bits=+10",
            "permessage-deflate; server_max_window_bits=99999999999999999999",
            "permessage-deflate; server_max_window_bits=\"010\"",
            "permessage-deflate; server_max_window_bits=\"10 \"",
            "permessage-deflate; server_max_window_bits=\"\"",
            "permessage-deflate; server_max_window_bits=\"10\"0",
            "permessage-deflate; server_max_window_bits=10\"\"",
            "permessage-deflate; server_max_window_bits=",
            "permessage-deflate; client_max_window_bits=0",
            "permessage-deflate; client_max_window_bits=\"16\"",
            "permessage-deflate; client_max_window_bits=09",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
            "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; unknown",
            "permessage-deflate; Server_No_Context_Takeover",
            "permessage-deflate;",
            "permessage-deflate; =",
            "permessage-deflate=1",
            "PERMESSAGE-DEFLATE",
            "permessage deflate",
            "x; y=\"permessage-deflate\"",
            "\u{e4}; permessage-deflate",
            "",
        ] {
            assert_eq!(answer(wrong), None, "{wrong}");
            let then = format!("{wrong}, permessage-deflate; server_max_window_bits=9");
            let expected = format!("{PLAIN}; server_max_window_bits=9");
            assert_eq!(answer(&then), Some(expected.clone()), "{then}");
            let lines = [wrong, "permessage-deflate; server_max_window_bits=9"];
            assert_eq!(answer_of(DeflateConfig::default(), &lines), Some(expected), "{lines:?}");
        }
        assert_eq!(answer("x; y=\", permessage-deflate"), None); // all of it is in quotes
    }

    #[test]
    fn a_smaller_window_is_asked_for_where_the_client_can_be_told() {
        let ten = WindowBits::new(10).unwrap();
        let config = DeflateConfig { server_window_bits_max: ten, client_window_bits_max: ten };
        let answers = |parameters: &str| {
            answer_of(config, &[&format!("permessage-deflate{parameters}")])
                .unwrap()
                .replace(PLAIN, "")
        };
        assert_eq!(answers(""), "; server_max_window_bits=10");
        assert_eq!(answers("; server_max_window_bits=9"), "; server_max_window_bits=9");
        let both = "; server_max_window_bits=10; client_max_window_bits=10";
        assert_eq!(answers("; client_max_window_bits"), both);
        assert_eq!(answers("; client_max_window_bits=12"), both);
        assert_eq!(answers("; client_max_window_bits=10"), "; server_max_window_bits=10");
        assert_eq!(answers("; client_max_window_bits=8"), "; server_max_window_bits=10");
    }

    #[test]
    fn a_client_takes_only_what_it_offered() {
        for (answer, taken) in [
            (PLAIN, true),
            ("permessage-deflate; server_no_context_takeover", true),
            ("permessage-deflate; server_no_context_takeover; server_max_window_bits=8", true),
            ("permessage-deflate", false), // the server would take its context over
            ("permessage-deflate; server_no_context_takeover; client_max_window_bits=10", false),
            ("permessage-deflate; server_no_context_takeover; client_max_window_bits", false),
            ("permessage-deflate; server_no_context_takeover, other", false),
            ("permessage-deflate; server_no_context_takeover; unknown", false),
            ("other", false),
            ("", false),
        ] {
            assert_eq!(accepted(answer).is_some(), taken, "{answer}");
        }
    }
}
