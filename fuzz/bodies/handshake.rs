//! Any head is parsed or refused, and what is accepted has no control characters left.

use stillwire_websocket::{RequestHead, Upgrade};

pub(crate) fn run(input: &[u8]) {
    let Ok(Some(end)) = RequestHead::find_end(input, 0) else { return };
    let Some(Ok(head)) = input.get(..end).map(RequestHead::parse) else { return };
    assert!(head.target.bytes().all(|byte| byte.is_ascii_graphic()));
    for header in &head.headers {
        assert!(!header.value.bytes().any(|byte| byte != b'\t' && byte.is_ascii_control()));
    }
    if let Ok(upgrade) = Upgrade::check(&head) {
        assert_eq!(upgrade.accept.len(), 28);
    }
}
