//! The bodies of the fuzz targets, run over their seeds and over what chance makes of them.
//!
//! Fuzzing itself needs a nightly compiler and time (`cargo xtask fuzz`). This needs neither: it keeps the targets
//! alive, and finds what is shallow. The same seeds and the same dice give the same inputs each time.

#[path = "../../../fuzz/bodies/extensions.rs"]
mod extensions;
#[path = "../../../fuzz/bodies/frames.rs"]
mod frames;
#[path = "../../../fuzz/bodies/handshake.rs"]
mod handshake;
#[path = "../../../fuzz/bodies/inflate.rs"]
mod inflate;

use std::fs;
use std::path::Path;

/// How many inputs are made of the seeds of each target.
const INPUTS: usize = 4000;

#[test]
fn heads_made_of_the_seeds_are_parsed_or_refused() {
    smoke("handshake", handshake::run);
}

#[test]
fn frames_made_of_the_seeds_are_decoded_alike_however_they_are_cut() {
    smoke("frames", frames::run);
}

#[test]
fn payloads_made_of_the_seeds_are_inflated_or_refused() {
    smoke("inflate", inflate::run);
}

#[test]
fn extensions_made_of_the_seeds_are_understood_or_declined() {
    smoke("extensions", extensions::run);
}

fn smoke(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("seeds").map(|entry| entry.expect("a seed").path()).collect();
    paths.sort();
    let seeds: Vec<_> = paths.iter().map(|path| fs::read(path).expect("a seed")).collect();
    assert!(!seeds.is_empty());
    for seed in &seeds {
        body(seed);
    }
    let mut dice = Dice(0x5717_7712_e000_0001);
    for _ in 0..INPUTS {
        let mut input = dice.choose(&seeds).clone();
        for _ in 0..=dice.below(4) {
            change(&mut input, &seeds, &mut dice);
        }
        let passed = std::panic::catch_unwind(|| body(&input)).is_ok();
        assert!(passed, "{target} fails on {}", input.escape_ascii());
    }
}

/// Makes one change, of the kinds that fuzzers make.
fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    let to = (at + dice.below(16)).min(input.len());
    match dice.below(6) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..to)),
        2 => input.insert(at, dice.byte()),
        3 => input.splice(at..at, input.get(at..to).unwrap_or_default().to_vec()).for_each(drop),
        4 => {
            let other = dice.choose(seeds);
            let piece = other.get(dice.below(other.len() + 1)..).unwrap_or_default();
            input.splice(at..to, piece.iter().copied()).for_each(drop);
        }
        _ => {
            let byte = dice.byte();
            if let Some(place) = input.get_mut(at) {
                *place = if dice.below(2) == 0 { byte } else { *place ^ (1 << (byte % 8)) };
            }
        }
    }
}

/// Chance that is the same each time: xorshift64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).expect("less than a usize")
    }

    /// Bytes that mean something are more frequent.
    fn byte(&mut self) -> u8 {
        let telling = b"\x00\x01\x7e\x7f\x80\x81\x88\xc1\xff,;=\" \r\n";
        match self.below(2) {
            0 => *self.choose(telling),
            _ => self.roll().to_le_bytes()[0],
        }
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        from.get(self.below(from.len())).expect("below its length")
    }
}
