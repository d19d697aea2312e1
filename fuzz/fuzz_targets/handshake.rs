//! Any head is parsed or refused, and what is accepted has no control characters left.
#![no_main]

#[path = "../bodies/handshake.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::run(input));
