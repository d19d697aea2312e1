//! Any head is parsed or refused, and what is accepted has no control characters left.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillwire_websocket::{RequestHead, Upgrade};

fuzz_target!(|input: &[u8]| {
    let Ok(Some(end)) = RequestHead::find_end(input, 0) else { return };
    let Ok(head) = RequestHead::parse(&input[..end]) else { return };
    assert!(head.target.bytes().all(|byte| byte.is_ascii_graphic()));
    for header in &head.headers {
        assert!(!header.value.bytes().any(|byte| byte != b'\t' && byte.is_ascii_control()));
    }
    if let Ok(upgrade) = Upgrade::check(&head) {
        assert_eq!(upgrade.accept.len(), 28);
    }
});
