//! Messages up to 16 MiB, whole, in fragments, and in small pieces.

use crate::support::{Client, fragments, frame};
use crate::{BINARY, TEXT, roomy};

const MIB: usize = 1 << 20;

/// Sends in pieces from a thread of its own, because both ends would else wait for each other.
fn comes_back(bytes: &[u8], first: u8, payload: &[u8], piece: usize) {
    let mut client = Client::connect(roomy());
    let mut writer = client.stream().try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for piece in bytes.chunks(piece) {
                std::io::Write::write_all(&mut writer, piece).unwrap();
            }
        });
        let got = client.message().unwrap();
        assert!(got.first == first && got.payload == payload, "{} bytes", payload.len());
    });
}

#[test]
fn large_messages_come_back_whole() {
    for size in [64 << 10, 256 << 10, MIB, 4 * MIB, 16 * MIB] {
        let payload = vec![b'*'; size];
        comes_back(&frame(TEXT, &payload), TEXT, &payload, usize::MAX);
        comes_back(&frame(BINARY, &payload), BINARY, &payload, usize::MAX);
    }
}

#[test]
fn a_large_message_comes_back_from_fragments_of_any_size() {
    let payload = vec![b'*'; 4 * MIB];
    for size in [64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, MIB, 4 * MIB] {
        comes_back(&fragments(1, &payload, size), TEXT, &payload, usize::MAX);
        comes_back(&fragments(2, &payload, size), BINARY, &payload, usize::MAX);
    }
}

#[test]
fn a_large_message_comes_back_from_pieces_of_any_size() {
    let payload = vec![b'*'; MIB];
    for piece in [64, 128, 256, 512, 1024, 2048] {
        comes_back(&frame(TEXT, &payload), TEXT, &payload, piece);
    }
}

#[test]
fn a_thousand_messages_come_back_in_order() {
    for size in [0, 16, 64, 256, 1024, 4096, 16_384] {
        let mut client = Client::connect(roomy());
        let mut writer = client.stream().try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..1000_u32 {
                    let payload = [&number.to_be_bytes(), vec![7; size].as_slice()].concat();
                    std::io::Write::write_all(&mut writer, &frame(BINARY, &payload)).unwrap();
                }
            });
            for number in 0..1000_u32 {
                let got = client.message().unwrap().payload;
                assert_eq!((&got[..4], got.len()), (number.to_be_bytes().as_slice(), size + 4));
            }
        });
    }
}
