//! Text is UTF-8, and what is not fails as soon as it is known. Source: RFC 6455, sections 5.6 and 8.1.

use crate::support::{Client, frame};
use crate::{CLOSE, Expect, LAST, MIDDLE, TEXT, TEXT_BEGINS, check, roomy, text};

const VALID: [&str; 14] = [
    "Hello-µ@ßöäüàá-UTF-8!!",
    "κόσμε",
    "\0",
    "\u{80}",
    "\u{800}",
    "\u{10000}",
    "\u{7f}",
    "\u{7ff}",
    "\u{ffff}",
    "\u{10ffff}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{fffd}",
    "\u{fffe}\u{1fffe}\u{10fffe}",
];

const INVALID: [&[u8]; 32] = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64",
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xf7\xbf\xbf\xbf",
    b"\xfb\xbf\xbf\xbf\xbf",
    b"\xfd\xbf\xbf\xbf\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\x80",
    b"\xbf",
    b"\x80\xbf",
    b"\x80\xbf\x80\xbf\x80\xbf",
    b"\xc0\x20\xc1\x20",
    b"\xe0\x20\xe1\x20",
    b"\xf0\x20\xf1\x20",
    b"\xc0",
    b"\xfe",
    b"\xff",
    b"\xfe\xfe\xff\xff",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xf8\x80\x80\x80\xaf",
    b"\xc1\xbf",
    b"\xe0\x9f\xbf",
    b"\xf0\x8f\xbf\xbf",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xed\xad\xbf",
    b"\xed\xae\x80",
    b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\xed\xaf\xbf\xed\xbf\xbf",
];

/// The beginnings of characters, which are wrong only at the end.
const INCOMPLETE: [&[u8]; 5] =
    [b"\xdf", b"\xe0\xa0", b"\xef\xbf", b"\xf0\x90\x80", b"ok \xf4\x8f\xbf"];

#[test]
fn every_character_comes_back_in_one_frame_and_in_fragments_of_a_byte() {
    for valid in VALID {
        check(roomy(), valid, &[frame(TEXT, valid.as_bytes())], &[text(valid)]);
        let mut frames = vec![frame(TEXT_BEGINS, b"")];
        frames.extend(valid.bytes().map(|byte| frame(MIDDLE, &[byte])));
        frames.push(frame(LAST, b""));
        check(roomy(), valid, &frames, &[text(valid)]);
    }
}

#[test]
fn what_is_no_utf8_closes_with_1007() {
    for invalid in INVALID.into_iter().chain(INCOMPLETE) {
        let name = format!("{invalid:x?}");
        check(roomy(), &name, &[frame(TEXT, invalid)], &[Expect::Close(1007)]);
        let mut frames = vec![frame(TEXT_BEGINS, b"")];
        frames.extend(invalid.iter().map(|byte| frame(MIDDLE, &[*byte])));
        frames.push(frame(LAST, b""));
        check(roomy(), &name, &frames, &[Expect::Close(1007)]);
    }
}

#[test]
fn a_wrong_byte_fails_before_the_message_is_complete() {
    for wrong in [b"\xce\xba\xe1\xbd\xb9\xf4\x90".as_slice(), b"\xed\xa0", b"\xff", b"\xc0"] {
        // As a fragment without a last one, and as the beginning of a frame that does not go on.
        let mut client = Client::connect(roomy());
        client.send(&frame(TEXT_BEGINS, wrong));
        let got = client.frame().expect("a close frame");
        assert_eq!((got.first, &got.payload[..2]), (CLOSE, 1007_u16.to_be_bytes().as_slice()));

        let mut client = Client::connect(roomy());
        let mut bytes = frame(TEXT, &[wrong, &[b'x'; 100]].concat());
        bytes.truncate(6 + wrong.len());
        client.send(&bytes);
        let got = client.frame().expect("a close frame");
        assert_eq!((got.first, &got.payload[..2]), (CLOSE, 1007_u16.to_be_bytes().as_slice()));
    }
}
