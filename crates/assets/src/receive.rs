//! A content on its way to the disk: summed up, bounded, whole or not there.

use std::future::poll_fn;
use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use stillwire_model::Content;
use tempfile::NamedTempFile;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;

use crate::checksum::{Algorithm, Summing};
use crate::chunked::{Chunks, InvalidChunk};
use crate::error::{Answered, Refused};
use crate::limits;
use crate::request::Headers;

/// A content that is on the disk, under no name yet.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) file: NamedTempFile,
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    /// The checksum that came with it, or else the one that S3 itself makes.
    pub(crate) checksum: (Algorithm, String),
}

/// What a request says about its content.
#[derive(Debug)]
struct Promise {
    is_chunked: bool,
    length: Option<u64>,
    md5: Option<String>,
    sha256: Option<String>,
    checksum: Option<(Algorithm, String)>,
    /// The checksum that is to come after the content.
    trailer: Option<Algorithm>,
}

impl Promise {
    fn read(headers: &Headers) -> Answered<Self> {
        let signed = headers.get("x-amz-content-sha256").unwrap_or_default();
        let encoding = headers.get("content-encoding").unwrap_or_default();
        let mut encodings = encoding.split(',').map(str::trim);
        let is_chunked = signed.starts_with("STREAMING-")
            || encodings.any(|encoding| encoding.eq_ignore_ascii_case("aws-chunked"));
        let length = if is_chunked { "x-amz-decoded-content-length" } else { "content-length" };
        let length = match headers.get(length).map(str::parse) {
            None => None,
            Some(Ok(length)) => Some(length),
            Some(Err(_)) => return Err(Refused::invalid("the length is not a number")),
        };
        if length.is_some_and(|length| length > limits::OBJECT_BYTES_MAX) {
            return Err(Refused::too_large(limits::OBJECT_BYTES_MAX));
        }
        let is_sum = signed.len() == 64 && signed.bytes().all(|byte| byte.is_ascii_hexdigit());
        let checksum = headers
            .iter()
            .find_map(|(name, value)| Some((Algorithm::of_header(name)?, value.to_owned())));
        Ok(Self {
            is_chunked,
            length,
            md5: headers.get("content-md5").map(str::to_owned),
            sha256: is_sum.then(|| signed.to_ascii_lowercase()),
            checksum,
            trailer: headers.get("x-amz-trailer").and_then(Algorithm::of_header),
        })
    }
}

/// Takes a whole content; its file is in `folder`.
pub(crate) async fn receive(
    headers: &Headers,
    mut body: Box<dyn Content>,
    folder: &Path,
) -> Answered<Received> {
    let promise = Promise::read(headers)?;
    let (pieces, waiting) = channel(limits::PIECES_WAITING);
    let folder = folder.to_owned();
    let writing = tokio::task::spawn_blocking(move || write(promise, waiting, &folder));
    let mut is_whole = false;
    // The writer ends early where it refuses; why is what it returns.
    loop {
        match timeout(limits::PIECE_TIMEOUT, poll_fn(|cx| body.poll_next(cx))).await {
            Ok(Some(Ok(piece))) => {
                if pieces.send(Some(piece)).await.is_err() {
                    break;
                }
            }
            Ok(None) => {
                is_whole = pieces.send(None).await.is_ok();
                break;
            }
            Ok(Some(Err(_))) | Err(_) => break,
        }
    }
    drop(pieces);
    match writing.await {
        Ok(Ok(_)) if !is_whole => Err(Refused::incomplete()),
        Ok(received) => received,
        Err(error) => Err(Refused::disk(&std::io::Error::other(error))),
    }
}

/// Writes what comes; `None` says that it was all.
fn write(
    promise: Promise,
    mut pieces: Receiver<Option<Bytes>>,
    folder: &Path,
) -> Answered<Received> {
    let disk = |error| Refused::disk(&error);
    let mut file = NamedTempFile::new_in(folder).map_err(disk)?;
    let mut chunks = promise.is_chunked.then(Chunks::new);
    let algorithm = promise.checksum.as_ref().map(|(algorithm, _)| *algorithm).or(promise.trailer);
    // S3 makes this one where a request brings none.
    let algorithm = algorithm.unwrap_or(Algorithm::Crc64);
    let mut sum = Summing::new(algorithm);
    let mut sha256 = promise.sha256.as_ref().map(|_| Summing::new(Algorithm::Sha256));
    let mut md5 = md5::Context::new();
    let mut size = 0_u64;
    let mut take = |bytes: &[u8]| {
        size += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if size > limits::OBJECT_BYTES_MAX {
            return Err(Refused::too_large(limits::OBJECT_BYTES_MAX));
        }
        sum.update(bytes);
        md5.consume(bytes);
        if let Some(sha256) = &mut sha256 {
            sha256.update(bytes);
        }
        file.write_all(bytes).map_err(disk)
    };
    let mut is_whole = false;
    while let Some(piece) = pieces.blocking_recv() {
        let Some(piece) = piece else {
            is_whole = true;
            break;
        };
        match &mut chunks {
            Some(chunks) => chunks.feed(&piece, &mut take)?,
            None => take(&piece)?,
        }
    }
    if !is_whole
        || chunks.as_ref().is_some_and(|chunks| !chunks.is_at_end())
        || promise.length.is_some_and(|length| length != size)
    {
        return Err(Refused::incomplete());
    }
    let md5 = md5.compute().0;
    if promise.md5.is_some_and(|given| given != BASE64_STANDARD.encode(md5)) {
        return Err(Refused::bad_digest("Content-MD5"));
    }
    if let (Some(given), Some(sum)) = (promise.sha256, sha256) {
        let sum = BASE64_STANDARD.decode(sum.finish()).unwrap_or_default();
        if hex(&sum) != given {
            let message =
                "The provided 'x-amz-content-sha256' header does not match what was computed.";
            return Err(Refused::new(400, "XAmzContentSHA256Mismatch", message));
        }
    }
    let sum = sum.finish();
    let trailers = chunks.map(|chunks| chunks.trailers).unwrap_or_default();
    let trailer =
        trailers.into_iter().find_map(|(name, value)| Some((Algorithm::of_header(&name)?, value)));
    for (given_by, given) in promise.checksum.into_iter().chain(trailer) {
        if given_by == algorithm && given != sum {
            return Err(Refused::bad_digest(&given_by.header()));
        }
    }
    file.as_file().sync_all().map_err(disk)?;
    Ok(Received { file, size, md5, checksum: (algorithm, sum) })
}

/// Reads a body that is a document and no content.
pub(crate) async fn document(mut body: Box<dyn Content>) -> Answered<String> {
    let mut text = Vec::new();
    loop {
        match timeout(limits::PIECE_TIMEOUT, poll_fn(|cx| body.poll_next(cx))).await {
            Ok(Some(Ok(piece))) => {
                if text.len() + piece.len() > limits::DOCUMENT_BYTES_MAX {
                    let message = "Your request was too big.";
                    return Err(Refused::new(400, "MaxMessageLengthExceeded", message));
                }
                text.extend_from_slice(&piece);
            }
            Ok(None) => break,
            Ok(Some(Err(_))) | Err(_) => return Err(Refused::incomplete()),
        }
    }
    String::from_utf8(text).map_err(|_| Refused::malformed_xml())
}

impl From<InvalidChunk> for Refused {
    fn from(error: InvalidChunk) -> Self {
        Self::new(400, "InvalidRequest", error.to_string())
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok(); // writing to a String cannot fail
        text
    })
}
