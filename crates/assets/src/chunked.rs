//! `aws-chunked`: a content in chunks, with checksums after it.
//!
//! Source: Amazon S3 API Reference, "Signature calculations for the authorization header: transferring payload in multiple
//! chunks", with its page on trailing headers. The signatures of chunks are not checked.

/// The longest line between chunks, in bytes. Choice: a signature and a checksum are below 200.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// Lines after the last chunk. Choice: a checksum and its signature are two.
const TRAILERS_MAX: usize = 16;

/// A content that is not in chunks as it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content is not in the chunks of aws-chunked")]
pub(crate) struct InvalidChunk;

/// Takes chunks apart as they come.
#[derive(Debug)]
pub(crate) struct Chunks {
    state: State,
    line: Vec<u8>,
    /// Lines after the last chunk: names in lower case, and values.
    pub(crate) trailers: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the line that says how long the next chunk is.
    Size,
    /// In a chunk that has so many bytes more.
    Data(u64),
    /// In the line end after a chunk.
    DataEnd,
    /// In the lines after the last chunk.
    Trailer,
    End,
}

impl Chunks {
    pub(crate) fn new() -> Self {
        Self { state: State::Size, line: Vec::new(), trailers: Vec::new() }
    }

    /// Takes a piece and hands on what of it is content.
    pub(crate) fn feed<E: From<InvalidChunk>>(
        &mut self,
        mut piece: &[u8],
        mut content: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !piece.is_empty() {
            if let State::Data(left) = self.state {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                let (data, rest) = piece.split_at_checked(here).ok_or(InvalidChunk)?;
                content(data)?;
                piece = rest;
                let left = left - u64::try_from(here).unwrap_or(left);
                self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                continue;
            }
            let Some(end) = piece.iter().position(|byte| *byte == b'\n') else {
                self.grow(piece)?;
                return Ok(());
            };
            let (line, rest) = piece.split_at_checked(end + 1).ok_or(InvalidChunk)?;
            self.grow(line)?;
            piece = rest;
            self.line_ended()?;
        }
        Ok(())
    }

    /// Whether the content came to its end.
    pub(crate) fn is_at_end(&self) -> bool {
        // Some clients leave out the empty line after trailers, or after a last chunk without any.
        self.state == State::End || (self.state == State::Trailer && self.line.is_empty())
    }

    fn grow(&mut self, with: &[u8]) -> Result<(), InvalidChunk> {
        if self.line.len() + with.len() > LINE_BYTES_MAX || self.state == State::End {
            return Err(InvalidChunk);
        }
        self.line.extend_from_slice(with);
        Ok(())
    }

    fn line_ended(&mut self) -> Result<(), InvalidChunk> {
        let line = std::mem::take(&mut self.line);
        let line = str::from_utf8(&line).map_err(|_| InvalidChunk)?.trim_ascii_end();
        self.state = match self.state {
            State::Size => {
                let digits = line.split(';').next().unwrap_or_default();
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(InvalidChunk);
                }
                match u64::from_str_radix(digits, 16).map_err(|_| InvalidChunk)? {
                    0 => State::Trailer,
                    size => State::Data(size),
                }
            }
            State::DataEnd if line.is_empty() => State::Size,
            State::Trailer if line.is_empty() => State::End,
            State::Trailer if self.trailers.len() < TRAILERS_MAX => {
                let (name, value) = line.split_once(':').ok_or(InvalidChunk)?;
                let name = name.trim().to_ascii_lowercase();
                self.trailers.push((name, value.trim().to_owned()));
                State::Trailer
            }
            State::DataEnd | State::Trailer | State::Data(_) | State::End => {
                return Err(InvalidChunk);
            }
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Trailers = Vec<(String, String)>;

    /// What comes out of pieces of `step` bytes, with the trailers.
    fn read(text: &[u8], step: usize) -> Option<(Vec<u8>, Trailers)> {
        let (mut chunks, mut content) = (Chunks::new(), Vec::new());
        for piece in text.chunks(step) {
            chunks
                .feed(piece, |data| {
                    content.extend_from_slice(data);
                    Ok::<_, InvalidChunk>(())
                })
                .ok()?;
        }
        chunks.is_at_end().then_some((content, chunks.trailers))
    }

    #[test]
    fn chunks_are_joined_however_they_come() {
        let text = b"5;chunk-signature=ab\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32: AAAA\r\n\r\n";
        for step in 1..text.len() {
            let (content, trailers) = read(text, step).unwrap();
            assert_eq!(content, b"hello world", "{step}");
            assert_eq!(trailers, [("x-amz-checksum-crc32".to_owned(), "AAAA".to_owned())]);
        }
    }

    #[test]
    fn what_is_cut_off_or_no_chunk_is_refused() {
        for text in [
            &b"5\r\nhell"[..],
            b"5\r\nhello",
            b"5\r\nhello\r\n",
            b"5\r\nhelloX\r\n0\r\n\r\n",
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"\r\n",
            b"fffffffffffffffff\r\n",
            b"0\r\n\r\nmore",
            b"0\r\nno trailer\r\n\r\n",
        ] {
            assert_eq!(read(text, 3), None, "{:?}", String::from_utf8_lossy(text));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, step in 1..50_usize) {
            let _read = read(&bytes, step);
        }

        #[test]
        fn any_content_survives(content: Vec<u8>, cut in 1..20_usize) {
            let mut text = Vec::new();
            for chunk in content.chunks(cut) {
                text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                text.extend_from_slice(chunk);
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(read(&text, 7).map(|(read, _)| read), Some(content));
        }
    }
}
