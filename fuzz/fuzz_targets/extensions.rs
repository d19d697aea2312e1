//! Any `Sec-WebSocket-Extensions` is understood or declined, on both ends, and an answer is one to the offer.
#![no_main]

#[path = "../bodies/extensions.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::run(input));
