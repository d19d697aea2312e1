//! Any bytes, cut anywhere, are decoded alike. The body is also run by an ordinary test.
#![no_main]

#[path = "../bodies/frames.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::run(input));
