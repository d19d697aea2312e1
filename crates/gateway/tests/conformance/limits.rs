//! API Gateway's limits, which are the engine's defaults. Source: API Gateway quotas for WebSocket APIs.

use crate::support::{Client, fragments, frame};
use crate::{BINARY, BINARY_BEGINS, CLOSE, Expect, LAST, MIDDLE, TEXT_BEGINS, check, strict, text};

const FRAME: usize = 32 * 1024;

#[test]
fn a_frame_has_at_most_32_kilobytes() {
    check(strict(), "just", &[frame(0x81, &[b'x'; FRAME])], &[text(&"x".repeat(FRAME))]);
    check(strict(), "more", &[frame(0x81, &[b'x'; FRAME + 1])], &[Expect::Close(1009)]);
    check(
        strict(),
        "announced",
        &[frame(0x81, &[b'x'; FRAME + 1])[..8].to_vec()],
        &[Expect::Close(1009)],
    );
}

#[test]
fn a_message_has_at_most_128_kilobytes() {
    let largest = vec![b'x'; 4 * FRAME];
    let expected = [text(&"x".repeat(4 * FRAME))];
    check(strict(), "just", &[fragments(1, &largest, FRAME)], &expected);
    let frames = [fragments(1, &[b'x'; 4 * FRAME + 1], FRAME)];
    check(strict(), "more", &frames, &[Expect::Close(1009)]);
    // Refused with the header of the frame that is too much: its payload is not waited for.
    let mut frames = vec![frame(TEXT_BEGINS, &[b'x'; FRAME])];
    frames.extend(vec![frame(MIDDLE, &[b'x'; FRAME]); 3]);
    frames.push(frame(LAST, b"x")[..6].to_vec());
    check(strict(), "announced", &frames, &[Expect::Close(1009)]);
}

#[test]
fn a_large_message_comes_in_frames_that_any_client_takes() {
    let mut client = Client::connect(strict());
    client.send(&fragments(1, &[b'x'; 4 * FRAME], FRAME));
    let lengths: Vec<_> = (0..4).map(|_| client.frame().unwrap().payload.len()).collect();
    assert_eq!(lengths, [FRAME; 4]);
}

#[test]
fn binary_messages_are_refused_with_their_first_frame() {
    for first in [BINARY, BINARY_BEGINS] {
        check(strict(), "binary", &[frame(first, b"x")], &[Expect::Close(1003)]);
        check(strict(), "announced", &[frame(first, b"x")[..6].to_vec()], &[Expect::Close(1003)]);
    }
}

#[test]
fn absurd_lengths_are_refused_at_once() {
    for length in [(1 << 31) - 1, (1_u64 << 32) + 1, 1 << 40, (1 << 63) - 1, 1 << 63, u64::MAX] {
        let mut client = Client::connect(strict());
        client.send(&[&[0x81, 0xff], length.to_be_bytes().as_slice(), &[0; 4]].concat());
        let close = client.frame().expect("a close frame");
        let code = u16::from_be_bytes([close.payload[0], close.payload[1]]);
        assert!(close.first == CLOSE && (code == 1009 || code == 1002), "{length}: {close:?}");
    }
}

#[test]
fn more_than_a_hundred_control_frames_a_second_are_a_flood() {
    let mut client = Client::connect(strict());
    client.send(&frame(0x8a, b"").repeat(250));
    let close = client.frame().expect("a close frame");
    assert_eq!((close.first, &close.payload[..2]), (CLOSE, 1008_u16.to_be_bytes().as_slice()));
}
