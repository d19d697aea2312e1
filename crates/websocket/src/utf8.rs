//! UTF-8, checked as it arrives.

use crate::ProtocolError;

/// Checks a text that grows: its first `valid` bytes are known to be whole characters. Gives how many are now.
///
/// An error is found with the first byte that makes it one. A character that is not complete yet is none, so
/// a text is UTF-8 when at its end all of it is valid.
pub(crate) fn check(text: &[u8], valid: usize) -> Result<usize, ProtocolError> {
    match str::from_utf8(text.get(valid..).unwrap_or_default()) {
        Ok(_) => Ok(text.len()),
        Err(error) if error.error_len().is_some() => Err(ProtocolError::InvalidUtf8),
        Err(error) => Ok(valid + error.valid_up_to()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_utf8_in_pieces(text: &[u8], size: usize) -> bool {
        let mut valid = 0;
        for end in (0..text.len()).step_by(size).skip(1).chain([text.len()]) {
            match check(&text[..end], valid) {
                Ok(now) => valid = now,
                Err(_) => return false,
            }
        }
        valid == text.len()
    }

    #[test]
    fn an_error_is_found_with_its_first_byte() {
        assert_eq!(check(b"ok \xf0\x9f", 0), Ok(3));
        assert_eq!(check(b"ok \xf0\x9fx", 3), Err(ProtocolError::InvalidUtf8));
        // 0xf4 0x90 is beyond the last character: wrong with its second byte, not its fourth.
        assert_eq!(check(b"\xf4", 0), Ok(0));
        assert_eq!(check(b"\xf4\x90", 0), Err(ProtocolError::InvalidUtf8));
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_verdict_of_the_whole(
            text in prop_oneof![
                any::<String>().prop_map(String::into_bytes),
                proptest::collection::vec(any::<u8>(), 0..64),
            ],
            size in 1usize..9,
        ) {
            prop_assert_eq!(is_utf8_in_pieces(&text, size), str::from_utf8(&text).is_ok());
        }
    }
}
