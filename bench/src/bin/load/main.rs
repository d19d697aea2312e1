//! Load on a server; each kind prints one line of JSON.
//!
//! * `load echo ADDRESS TARGET CONNECTIONS IN_FLIGHT BYTES SECONDS IDLE`: a closed loop, which says how much a server
//!   can do, not how long a user waits; `IDLE` more connections stay silent.
//! * `load paced ADDRESS TARGET CONNECTIONS RATE BYTES SECONDS`: an open loop, which does not wait for the server:
//!   a message's time counts from when it was due.
//! * `load trips ADDRESS TARGET BYTES COUNT`: round trips of one connection, one after the other.
//! * `load churn ADDRESS TARGET AT_ONCE SECONDS`: connects, upgrades, leaves.
//! * `load posts ADDRESS TARGET CONNECTIONS AT_ONCE BYTES SECONDS`: `POST /ID`, one by one, over kept connections.
//! * `load broadcast ADDRESS TARGET CONNECTIONS ROUNDS BYTES`: `POST /broadcast`, and waits until all have it.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool that measures"
)]

mod broadcast;
mod churn;
mod echo;
mod paced;
mod posts;
mod trips;

use std::error::Error;

use stillwire_websocket::{Masking, Opcode, encode_message};

type Outcome = Result<serde_json::Value, Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kind, address, target, numbers @ ..] = words.as_slice() else {
        return Err(
            "load KIND ADDRESS TARGET NUMBERS: the first lines of this file list them".into()
        );
    };
    let numbers: Result<Vec<usize>, _> = numbers.iter().map(|word| word.parse()).collect();
    let outcome = match (kind.as_str(), numbers?.as_slice()) {
        ("echo", &[connections, in_flight, bytes, seconds, idle]) => {
            echo::run(address, target, connections, in_flight, bytes, seconds, idle)
        }
        ("paced", &[connections, rate, bytes, seconds]) => {
            paced::run(address, target, connections, rate, bytes, seconds)
        }
        ("trips", &[bytes, count]) => trips::run(address, target, bytes, count),
        ("churn", &[at_once, seconds]) => churn::run(address, target, at_once, seconds),
        ("posts", &[connections, at_once, bytes, seconds]) => {
            posts::run(address, target, connections, at_once, bytes, seconds)
        }
        ("broadcast", &[connections, rounds, bytes]) => {
            broadcast::run(address, target, connections, rounds, bytes)
        }
        _ => Err("no such load: the first lines of this file list them".into()),
    };
    println!("{}", outcome?);
    Ok(())
}

/// A client's frame with a text of about so many bytes.
fn frame_of(bytes: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    let text = format!(r#"{{"action":"echo","pad":"{}"}}"#, "x".repeat(bytes.saturating_sub(26)));
    let masking = Masking::Key([1, 2, 3, 4]);
    encode_message(Opcode::Text, text.as_bytes(), usize::MAX, masking, &mut frame);
    frame
}
