//! Messages in several frames. Source: RFC 6455, section 5.4.

use crate::support::frame;
use crate::{
    BINARY_BEGINS, Expect, LAST, MIDDLE, PING, PONG, TEXT, TEXT_BEGINS, check, pong, roomy, text,
};

#[test]
fn control_frames_are_not_fragmented() {
    for opcode in [0x8, 0x9, 0xa] {
        let frames = [frame(opcode, b"frag"), frame(LAST, b"ment")];
        check(roomy(), "fragmented control", &frames, &[Expect::Close(1002)]);
    }
}

#[test]
fn fragments_make_one_message() {
    let frames = [frame(TEXT_BEGINS, b"frag"), frame(LAST, b"ment")];
    check(roomy(), "two", &frames, &[text("fragment")]);
    let frames = [frame(TEXT_BEGINS, b""), frame(MIDDLE, b""), frame(LAST, b"")];
    check(roomy(), "empty ones", &frames, &[text("")]);
    let frames = [frame(TEXT_BEGINS, b""), frame(MIDDLE, b"middle"), frame(LAST, b"")];
    check(roomy(), "empty at the ends", &frames, &[text("middle")]);
    let frames = [frame(BINARY_BEGINS, b"\xff"), frame(MIDDLE, b"\0"), frame(LAST, b"\xfe")];
    check(roomy(), "binary", &frames, &[Expect::Frame(0x82, b"\xff\0\xfe".to_vec())]);
}

#[test]
fn control_frames_come_between_fragments() {
    let frames = [
        frame(TEXT_BEGINS, b"frag"),
        frame(PING, b"one"),
        frame(MIDDLE, b"men"),
        frame(PONG, b""),
        frame(PING, b"two"),
        frame(LAST, b"t"),
        frame(TEXT, b"after"),
    ];
    let expected = [pong(b"one"), pong(b"two"), text("fragment"), text("after")];
    check(roomy(), "pings between", &frames, &expected);
}

#[test]
fn a_continuation_continues_something() {
    for first in [MIDDLE, LAST] {
        check(roomy(), "from nothing", &[frame(first, b"x")], &[Expect::Close(1002)]);
        let frames = [frame(TEXT, b"whole"), frame(first, b"x")];
        check(roomy(), "after a whole", &frames, &[text("whole"), Expect::Close(1002)]);
        let frames = [frame(TEXT_BEGINS, b"a"), frame(LAST, b"b"), frame(first, b"x")];
        check(roomy(), "after the last", &frames, &[text("ab"), Expect::Close(1002)]);
    }
}

#[test]
fn a_message_ends_before_the_next_begins() {
    for first in [TEXT, TEXT_BEGINS, 0x82, BINARY_BEGINS] {
        let frames = [frame(TEXT_BEGINS, b"a"), frame(first, b"b")];
        check(roomy(), "two begun", &frames, &[Expect::Close(1002)]);
    }
}
