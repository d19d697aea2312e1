//! A request in its canonical form, which is what both sides sign.

use std::fmt::Write as _;

use super::RawRequest;

/// Builds the canonical request from the headers that are signed, whose names are in lower case and in order.
pub(super) fn request(
    request: &RawRequest<'_>,
    query: &str,
    service: &str,
    signed_headers: &[&str],
    payload_hash: &str,
) -> String {
    let mut out = String::with_capacity(256 + request.path.len() + query.len());
    out.push_str(request.method);
    out.push('\n');
    path(request.path, service, &mut out);
    out.push('\n');
    out.push_str(query);
    out.push('\n');
    for name in signed_headers {
        out.push_str(name);
        out.push(':');
        let values = request.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        for (position, (_, value)) in values.enumerate() {
            if position > 0 {
                out.push(',');
            }
            header_value(value, &mut out);
        }
        out.push('\n');
    }
    out.push('\n');
    out.push_str(&signed_headers.join(";"));
    out.push('\n');
    out.push_str(payload_hash);
    out
}

/// The path: dot segments resolved, slashes single, and every byte that is not unreserved encoded, which encodes a
/// second time what is encoded already. S3 takes it as it is.
fn path(path: &str, service: &str, out: &mut String) {
    if path.is_empty() {
        out.push('/');
        return;
    }
    if service == "s3" {
        out.push_str(path);
        return;
    }
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    for segment in &segments {
        out.push('/');
        encode(segment.as_bytes(), out);
    }
    if segments.is_empty() || path.ends_with('/') {
        out.push('/');
    }
}

/// The query: names and values decoded and encoded again, sorted; without the signature itself.
///
/// A plus is a plus: the encoding of signatures writes a space as `%20` only.
pub(super) fn query(query: &str, without: Option<&str>) -> String {
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name), decode(value));
        if without.is_some_and(|without| name == without.as_bytes()) {
            continue;
        }
        let (mut written_name, mut written_value) = (String::new(), String::new());
        encode(&name, &mut written_name);
        encode(&value, &mut written_value);
        pairs.push((written_name, written_value));
    }
    pairs.sort();
    let mut out = String::with_capacity(query.len());
    for (name, value) in &pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        out.push_str(value);
    }
    out
}

/// A header's value without spaces around it, and with single ones inside.
fn header_value(value: &str, out: &mut String) {
    let words = value.split([' ', '\t']).filter(|word| !word.is_empty());
    for (position, word) in words.enumerate() {
        if position > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
}

/// Encodes every byte that is not unreserved.
pub(super) fn encode(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
}

/// Decodes what is percent-encoded; a `%` without two digits stays.
pub(super) fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default();
    loop {
        rest = match rest {
            [] => return bytes,
            [b'%', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                bytes.push(u8::try_from(digit(*high) * 16 + digit(*low)).unwrap_or_default());
                after
            }
            [byte, after @ ..] => {
                bytes.push(*byte);
                after
            }
        };
    }
}
