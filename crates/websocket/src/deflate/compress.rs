//! Messages to compressed messages.
//!
//! Source: RFC 7692, section 7.2.1.

use std::cell::RefCell;

use flate2::{Compress, Compression, FlushCompress, Status};

use super::{TAIL, WindowBits};

/// The smallest message that is compressed, in bytes.
///
/// Choice: below it there is little to save, and a packet is a packet.
const MESSAGE_BYTES_MIN: usize = 128;

/// How hard to look for repetitions, of 1 to 9.
///
/// Choice: messages of JSON come to within a hundredth of the size that the usual 6 gives, in two thirds of the
/// time for large ones. 1 takes less than half the time, for half as much again.
const LEVEL: u32 = 3;

/// What a thread keeps of the room for compressed messages.
const SCRATCH_BYTES_MAX: usize = 256 * 1024;

/// How many windows there are to choose from.
const WINDOWS: usize = (WindowBits::MAX.get() - WindowBits::MIN.get() + 1) as usize;

thread_local! {
    static COMPRESSOR: RefCell<Compressor> = const {
        RefCell::new(Compressor { states: [const { None }; WINDOWS], scratch: Vec::new() })
    };
}

struct Compressor {
    /// One for each window that was ever asked for.
    states: [Option<Compress>; WINDOWS],
    scratch: Vec<u8>,
}

/// Compresses a message and lends it to `send`; `None` when that would not make it smaller.
pub(crate) fn deflate<T>(
    message: &[u8],
    window: WindowBits,
    send: impl FnOnce(&[u8]) -> T,
) -> Option<T> {
    if message.len() < MESSAGE_BYTES_MIN {
        return None;
    }
    COMPRESSOR.with_borrow_mut(|compressor| {
        let sent = compressor.run(message, window).map(send);
        compressor.scratch.clear();
        compressor.scratch.shrink_to(SCRATCH_BYTES_MAX);
        sent
    })
}

impl Compressor {
    fn run(&mut self, message: &[u8], window: WindowBits) -> Option<&[u8]> {
        let place = usize::from(window.get() - WindowBits::MIN.get());
        let state = self.states.get_mut(place)?.get_or_insert_with(|| {
            Compress::new_with_window_bits(Compression::new(LEVEL), false, window.get())
        });
        state.reset();
        self.scratch.clear();
        // With room for the message and no more, one call either makes it smaller or is given up.
        self.scratch.reserve_exact(message.len());
        let status = state.compress_vec(message, &mut self.scratch, FlushCompress::Sync);
        let whole = matches!(status, Ok(Status::Ok)) && state.total_in() == message.len() as u64;
        let compressed = self.scratch.strip_suffix(&TAIL)?;
        let smaller = whole && self.scratch.len() < message.len();
        smaller.then_some(compressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise, and the same once more: only who looks back all of `distance` can make it smaller.
    fn doubled(distance: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..distance).map(|_| noise()).collect::<Vec<_>>().repeat(2)
    }

    #[test]
    fn what_is_compressed_looks_back_as_far_as_its_window_and_no_further() {
        for bits in WindowBits::MIN.get()..=WindowBits::MAX.get() {
            let window = WindowBits::new(bits).unwrap();
            let len =
                |message: &[u8]| deflate(message, window, <[u8]>::len).unwrap_or(message.len());
            let size = 1_usize << bits;
            // The compressor keeps the last 262 bytes of its window for what comes.
            let within = doubled(size - 300);
            assert!(len(&within) < within.len() * 2 / 3, "{bits}: {}", len(&within));
            let beyond = doubled(size + 1);
            assert!(len(&beyond) > beyond.len() * 9 / 10, "{bits}: {}", len(&beyond));
        }
    }
}
