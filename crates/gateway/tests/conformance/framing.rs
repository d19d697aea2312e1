//! Frames, pings, reserved bits, opcodes. Source: RFC 6455, sections 5.2 and 5.5.

use crate::support::frame;
use crate::{BINARY, CLOSE, Expect, PING, PONG, TEXT, check, pong, roomy, text};

#[test]
fn messages_of_every_length_form_come_back() {
    for len in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537] {
        let payload = vec![b'*'; len];
        for first in [TEXT, BINARY] {
            let name = format!("{len} bytes, {first:#x}");
            check(
                roomy(),
                &name,
                &[frame(first, &payload)],
                &[Expect::Frame(first, payload.clone())],
            );
        }
    }
}

#[test]
fn pings_are_answered_with_their_payload() {
    for payload in
        [b"".as_slice(), b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", &[0xfe; 125]]
    {
        check(roomy(), "ping", &[frame(PING, payload)], &[pong(payload)]);
    }
    let many: Vec<_> = (0..10).map(|number| frame(PING, &[number])).collect();
    let answers: Vec<_> = (0..10).map(|number| pong(&[number])).collect();
    check(roomy(), "ten pings", &many, &answers);
}

#[test]
fn pongs_that_nobody_asked_for_are_read_over() {
    for payload in [b"".as_slice(), b"unsolicited"] {
        check(roomy(), "pong", &[frame(PONG, payload)], &[]);
        let frames = [frame(PONG, payload), frame(PING, b"really")];
        check(roomy(), "pong, then ping", &frames, &[pong(b"really")]);
    }
}

#[test]
fn a_control_frame_is_at_most_125_bytes_long() {
    for first in [PING, PONG, CLOSE] {
        check(roomy(), "long control frame", &[frame(first, &[0xfe; 126])], &[Expect::Close(1002)]);
    }
}

#[test]
fn reserved_bits_are_refused_on_every_frame() {
    for bits in 1..8 {
        for first in [TEXT, BINARY, CLOSE, PING, PONG] {
            let name = format!("reserved bits {bits} on {first:#x}");
            check(roomy(), &name, &[frame(first | bits << 4, b"")], &[Expect::Close(1002)]);
            let frames = [frame(TEXT, b"before"), frame(first | bits << 4, b"x"), frame(PING, b"")];
            check(roomy(), &name, &frames, &[text("before"), Expect::Close(1002)]);
        }
    }
}

#[test]
fn reserved_opcodes_are_refused_also_between_messages() {
    for opcode in (3..8).chain(11..16) {
        let name = format!("opcode {opcode}");
        check(roomy(), &name, &[frame(0x80 | opcode, b"")], &[Expect::Close(1002)]);
        let frames = [frame(TEXT, b"before"), frame(0x80 | opcode, b"x"), frame(PING, b"")];
        check(roomy(), &name, &frames, &[text("before"), Expect::Close(1002)]);
    }
}

#[test]
fn a_frame_without_a_mask_is_refused() {
    check(roomy(), "no mask", &[b"\x81\x05Hello".to_vec()], &[Expect::Close(1002)]);
}

#[test]
fn a_length_has_its_shortest_form() {
    for head in [
        b"\x82\xfe\x00\x7d\0\0\0\0".as_slice(),
        b"\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0",
        b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        check(roomy(), "length", &[head.to_vec()], &[Expect::Close(1002)]);
    }
}
