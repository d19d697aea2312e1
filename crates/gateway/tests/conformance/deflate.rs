//! Compression as it is negotiated, and messages that come compressed. Source: RFC 7692.

use std::net::SocketAddr;
use std::sync::OnceLock;

use stillwire_gateway::engine::ConnectionLimits;
use stillwire_websocket::{Masking, Opcode, WindowBits, encode_message_deflated};

use crate::support::{self, Client, HANDSHAKE, frame};
use crate::{CLOSE, LAST, MIDDLE, PING, TEXT, strict};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// The first byte of a compressed text in one frame, and of its first fragment.
const DEFLATED: u8 = 0xc1;
const DEFLATED_BEGINS: u8 = 0x41;

fn server() -> SocketAddr {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    *SERVER.get_or_init(|| {
        let limits = ConnectionLimits { compression: true, ..ConnectionLimits::default() };
        support::serve(limits, 1000)
    })
}

fn client() -> Client {
    Client::connect_with(server(), OFFER)
}

/// The compressed payload of a text.
fn deflated(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_message_deflated(
        Opcode::Text,
        text.as_bytes(),
        usize::MAX,
        Masking::None,
        WindowBits::MAX,
        &mut bytes,
    );
    assert_eq!(bytes[0], DEFLATED, "{text} is worth compressing");
    let head = match bytes[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    bytes.split_off(head)
}

/// What the client gets: whether it is compressed, and how many bytes of payload it has.
fn answer(client: &mut Client) -> (bool, usize) {
    let message = client.message().expect("an answer");
    assert_eq!(message.first & 0xbf, TEXT, "{message:?}");
    (message.first & 0x40 != 0, message.payload.len())
}

fn closes_with(client: &mut Client, code: u16) {
    let close = client.message().expect("a close frame");
    assert_eq!((close.first, &close.payload[..2]), (CLOSE, code.to_be_bytes().as_slice()));
    assert_eq!(client.frame(), None);
}

/// The extensions that a handshake with this offer is answered with.
fn agreed(server: SocketAddr, offer: &str) -> Option<String> {
    let mut client = Client::dial(server);
    client.send((HANDSHAKE.trim_end().to_owned() + "\r\n" + offer + "\r\n").as_bytes());
    let head = client.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let line = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    line.map(str::to_owned)
}

#[test]
fn an_offer_is_taken_where_the_server_is_willing() {
    let usual = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_eq!(agreed(server(), OFFER).as_deref(), Some(usual));
    assert_eq!(agreed(server(), ""), None);
    assert_eq!(agreed(strict(), OFFER), None);
    let many = "Sec-WebSocket-Extensions: x-unknown, permessage-deflate; what=1, permessage-deflate; client_max_window_bits\r\n";
    assert_eq!(agreed(server(), many).as_deref(), Some(usual));
    let windows = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n";
    assert_eq!(agreed(server(), windows), Some(format!("{usual}; server_max_window_bits=10")));
}

#[test]
fn a_compressed_message_comes_back_compressed() {
    let mut client = client();
    let text = "all work and no play makes jack a dull boy. ".repeat(100);
    let payload = deflated(&text);
    for _ in 0..3 {
        client.send(&frame(DEFLATED, &payload));
        let (compressed, len) = answer(&mut client);
        assert!(compressed && len < text.len() / 10, "{len}");
    }
    client.send(&frame(TEXT, b"plain, and short"));
    assert_eq!(answer(&mut client), (false, 16));
}

#[test]
fn a_compressed_message_comes_in_fragments_with_pings_between() {
    let text = "fragments ".repeat(200);
    let payload = deflated(&text);
    for size in [1, 2, 7, 1000] {
        let mut client = client();
        client.send(&frame(DEFLATED_BEGINS, b""));
        for piece in payload.chunks(size) {
            client.send(&frame(MIDDLE, piece));
        }
        client.send(&frame(PING, b"between"));
        client.send(&frame(LAST, b""));
        assert_eq!(client.message().unwrap().payload, b"between");
        assert!(answer(&mut client).0);
    }
}

#[test]
fn the_mark_of_compression_stands_on_first_frames_only() {
    for frames in [
        vec![frame(0xc9, b"ping")],
        vec![frame(0xc8, &1000_u16.to_be_bytes())],
        vec![frame(DEFLATED_BEGINS, b"x"), frame(0xc0, b"x")],
        vec![frame(0x01, b"x"), frame(0xc0, b"x")],
        vec![frame(0xa1, b"another bit")],
    ] {
        let mut client = client();
        client.send(&frames.concat());
        closes_with(&mut client, 1002);
    }
    let mut without = Client::connect(server());
    without.send(&frame(DEFLATED, &deflated(&"not agreed ".repeat(20))));
    closes_with(&mut without, 1002);
}

#[test]
fn what_does_not_inflate_or_is_no_text_closes_with_1007() {
    let mut not_text = Vec::new();
    let bytes = [0xff; 500];
    encode_message_deflated(
        Opcode::Text,
        &bytes,
        usize::MAX,
        Masking::None,
        WindowBits::MAX,
        &mut not_text,
    );
    for payload in [b"\xff\xff\xff\xff".as_slice(), &not_text[2..]] {
        let mut client = client();
        client.send(&frame(DEFLATED, payload));
        closes_with(&mut client, 1007);
    }
}

#[test]
fn a_message_is_measured_inflated() {
    let mut client = client();
    client.send(&frame(DEFLATED, &deflated(&"x".repeat(128 * 1024))));
    assert!(answer(&mut client).0);
    client.send(&frame(DEFLATED, &deflated(&"x".repeat(128 * 1024 + 1))));
    closes_with(&mut client, 1009);
}
