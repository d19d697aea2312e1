//! UTF-8, checked as it arrives.

/// Checks a text that arrives in pieces: an error is found with the first byte that makes it one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Utf8Checker {
    /// The beginning of a character that the last piece did not complete.
    begun: [u8; 4],
    begun_len: u8,
}

/// The text is not UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotUtf8;

impl Utf8Checker {
    /// Checks the next piece.
    pub(crate) fn feed(&mut self, mut piece: &[u8]) -> Result<(), NotUtf8> {
        while self.begun_len > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.push(byte);
            match str::from_utf8(self.begun()) {
                Ok(_) => self.begun_len = 0,
                Err(error) if error.error_len().is_some() => return Err(NotUtf8),
                Err(_) => {} // still incomplete
            }
        }
        let Err(error) = str::from_utf8(piece) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(NotUtf8);
        }
        for &byte in piece.get(error.valid_up_to()..).unwrap_or_default() {
            self.push(byte);
        }
        Ok(())
    }

    /// Ends the text: an unfinished character is an error. The checker is fresh afterwards.
    pub(crate) fn finish(&mut self) -> Result<(), NotUtf8> {
        if std::mem::take(&mut self.begun_len) == 0 { Ok(()) } else { Err(NotUtf8) }
    }

    fn begun(&self) -> &[u8] {
        self.begun.get(..usize::from(self.begun_len)).unwrap_or_default()
    }

    /// At most four bytes ever get here: a UTF-8 sequence is complete or wrong by then.
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.begun.get_mut(usize::from(self.begun_len)) {
            *place = byte;
            self.begun_len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_in_pieces(text: &[u8], size: usize) -> Result<(), NotUtf8> {
        let mut checker = Utf8Checker::default();
        for piece in text.chunks(size.max(1)) {
            checker.feed(piece)?;
        }
        checker.finish()
    }

    #[test]
    fn an_error_is_found_with_its_first_byte() {
        let mut checker = Utf8Checker::default();
        checker.feed(b"ok \xf0\x9f").unwrap();
        assert_eq!(checker.feed(b"x"), Err(NotUtf8));
        // 0xf4 0x90 is beyond the last character: wrong with its second byte, not its fourth.
        let mut checker = Utf8Checker::default();
        checker.feed(b"\xf4").unwrap();
        assert_eq!(checker.feed(b"\x90"), Err(NotUtf8));
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
            prop_assert_eq!(check_in_pieces(&text, size).is_ok(), str::from_utf8(&text).is_ok());
        }
    }
}
