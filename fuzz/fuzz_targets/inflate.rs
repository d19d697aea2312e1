//! Any compressed payload is inflated within its limit or refused, and any message survives compression.
#![no_main]

#[path = "../bodies/inflate.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::run(input));
