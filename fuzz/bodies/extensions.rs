//! Any `Sec-WebSocket-Extensions` is understood or declined, on both ends, and an answer is one to the offer.

use stillwire_websocket::DeflateConfig;
use stillwire_websocket::client::Answer;

pub(crate) fn run(input: &[u8]) {
    let offers = String::from_utf8_lossy(input);
    if let Some(agreed) = DeflateConfig::default().negotiate(offers.lines()) {
        assert!(offers.contains("permessage-deflate"));
        assert!(!agreed.header_value().contains("client_max"), "nothing is asked of the client");
        assert_eq!(extensions(&agreed.header_value()), Some(true));
    }
    // The same bytes as a server's answer.
    if extensions(&offers) == Some(true) {
        assert!(offers.contains("server_no_context_takeover"));
    }
}

/// Whether a client that offered compression takes this answer; `None` when it is no header.
fn extensions(value: &str) -> Option<bool> {
    let head = format!("HTTP/1.1 101 S\r\nSec-WebSocket-Extensions: {value}\r\n\r\n");
    let answer = Answer::parse(head.as_bytes()).ok()??;
    Some(matches!(answer.check_extensions(true), Ok(Some(_))))
}
