//! The head of an HTTP/1.1 request, parsed strictly.
//!
//! A handshake is where smuggling, header bombs and slow clients aim, so the grammar is enforced to the
//! letter: lines end in CR LF, names are tokens, nothing is folded, there is one `Host`, and a body cannot be
//! described in two ways.
//!
//! Source: RFC 9112 (message syntax), RFC 9110 (field syntax), RFC 6455 section 4.

/// The largest head that is read, in bytes.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The most header lines that are read.
pub const HEADERS_MAX: usize = 100;

/// The longest request target that is read, in bytes. Source: API Gateway quotas, "Length of the URL".
const TARGET_BYTES_MAX: usize = 4096;

/// The head of a request: its first line and its headers, spelled and ordered as the client sent them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// The method.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Whether the version is HTTP/1.1 (else it is 1.0).
    pub http_1_1: bool,
    /// The headers.
    pub headers: Vec<Header>,
}

/// One header line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name, in the client's letter case.
    pub name: String,
    /// The value, without surrounding white space. Bytes that are not UTF-8 are read as Latin-1.
    pub value: String,
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The head is larger than [`HEAD_BYTES_MAX`], or has more than [`HEADERS_MAX`] headers.
    #[error("the request head is too large")]
    TooLarge,
    /// The request target is too long.
    #[error("the request target is too long")]
    TargetTooLong,
    /// The HTTP version is neither 1.0 nor 1.1.
    #[error("the HTTP version is not supported")]
    Version,
    /// The head breaks the grammar; the text says where.
    #[error("the request head is malformed: {0}")]
    Malformed(&'static str),
}

impl HeadError {
    /// The HTTP status to answer with.
    pub fn status(self) -> u16 {
        match self {
            Self::TooLarge => 431,
            Self::TargetTooLong => 414,
            Self::Version => 505,
            Self::Malformed(_) => 400,
        }
    }
}

impl RequestHead {
    /// Finds the end of a head in `bytes`: the length including the empty line.
    ///
    /// `seen` is how many bytes an earlier call has looked at, so that a head that arrives byte by byte costs
    /// no more than one that arrives whole.
    ///
    /// # Errors
    /// [`HeadError::TooLarge`] when there is no end within [`HEAD_BYTES_MAX`].
    pub fn find_end(bytes: &[u8], seen: usize) -> Result<Option<usize>, HeadError> {
        let from = seen.saturating_sub(3);
        let window = bytes.get(from..bytes.len().min(HEAD_BYTES_MAX)).unwrap_or_default();
        match window.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(at) => Ok(Some(from + at + 4)),
            None if bytes.len() >= HEAD_BYTES_MAX => Err(HeadError::TooLarge),
            None => Ok(None),
        }
    }

    /// Parses a whole head, the empty line included.
    pub fn parse(head: &[u8]) -> Result<Self, HeadError> {
        let body = head.strip_suffix(b"\r\n\r\n").ok_or(HeadError::Malformed("it has no end"))?;
        let mut lines = split_lines(body);
        let first = lines.next().unwrap_or_default();
        let (method, target, http_1_1) = request_line(first)?;
        let mut headers = Vec::new();
        for line in lines {
            if headers.len() == HEADERS_MAX {
                return Err(HeadError::TooLarge);
            }
            headers.push(header(line)?);
        }
        let head = Self { method, target, http_1_1, headers };
        head.check_framing()?;
        Ok(head)
    }

    /// The values of the headers of this name, compared without case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let same = move |header: &&Header| header.name.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|header| header.value.as_str())
    }

    /// The first header of this name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value.as_str())
    }

    /// Whether a list header contains this token, compared without case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(token))
    }

    /// Whether the request asks to become a WebSocket, well or badly.
    pub fn asks_for_websocket(&self) -> bool {
        self.has_token("upgrade", "websocket")
    }

    /// The path of the target, and the query without its `?`.
    pub fn path_and_query(&self) -> (&str, Option<&str>) {
        match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&self.target, None),
        }
    }

    /// One `Host`, and at most one way to tell how long the body is.
    fn check_framing(&self) -> Result<(), HeadError> {
        let count = |name| self.all(name).count();
        match count("host") {
            1 => {}
            0 if !self.http_1_1 => {}
            _ => return Err(HeadError::Malformed("there must be one Host")),
        }
        if count("content-length") > 1 {
            return Err(HeadError::Malformed("there are two Content-Length"));
        }
        if count("content-length") > 0 && count("transfer-encoding") > 0 {
            return Err(HeadError::Malformed(
                "Content-Length and Transfer-Encoding exclude each other",
            ));
        }
        if !self.all("content-length").all(|len| {
            !len.is_empty() && len.len() < 19 && len.bytes().all(|byte| byte.is_ascii_digit())
        }) {
            return Err(HeadError::Malformed("Content-Length is not a number"));
        }
        if !self.http_1_1 && count("transfer-encoding") > 0 {
            return Err(HeadError::Malformed("HTTP/1.0 has no Transfer-Encoding"));
        }
        Ok(())
    }
}

/// Splits at CR LF. A CR or LF elsewhere stays in its line, where the grammar refuses it.
fn split_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        match bytes.windows(2).position(|two| two == b"\r\n") {
            Some(at) => {
                rest = bytes.get(at + 2..);
                bytes.get(..at)
            }
            None => rest.take(),
        }
    })
}

fn request_line(line: &[u8]) -> Result<(String, String, bool), HeadError> {
    let malformed = HeadError::Malformed("the first line is not `METHOD TARGET HTTP/1.1`");
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(malformed);
    };
    if !is_token(method) {
        return Err(malformed);
    }
    if target.len() > TARGET_BYTES_MAX {
        return Err(HeadError::TargetTooLong);
    }
    // Only the origin form: a gateway is no proxy. `*` is for OPTIONS, which nobody here answers.
    if target.first() != Some(&b'/') || !target.iter().all(u8::is_ascii_graphic) {
        return Err(HeadError::Malformed("the request target is not a path"));
    }
    let http_1_1 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        version if version.starts_with(b"HTTP/") => return Err(HeadError::Version),
        _ => return Err(malformed),
    };
    Ok((text(method), text(target), http_1_1))
}

fn header(line: &[u8]) -> Result<Header, HeadError> {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else {
        return Err(HeadError::Malformed("a header has no colon"));
    };
    let (name, rest) = line.split_at(colon);
    if !is_token(name) {
        return Err(HeadError::Malformed("a header's name is not a token"));
    }
    let value = rest.get(1..).unwrap_or_default().trim_ascii();
    if value.iter().any(|&byte| byte != b'\t' && byte.is_ascii_control()) {
        return Err(HeadError::Malformed("a header's value has a control character"));
    }
    Ok(Header { name: text(name), value: text(value) })
}

pub(crate) fn is_token(bytes: &[u8]) -> bool {
    let is_token_byte =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_token_byte)
}

fn text(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(head: &str) -> Result<RequestHead, HeadError> {
        RequestHead::parse(head.as_bytes())
    }

    #[test]
    fn headers_keep_their_case_and_order() {
        let head =
            parse("GET /dev?a=1 HTTP/1.1\r\nHost: x\r\nX-B:  two \r\nx-a: one\r\n\r\n").unwrap();
        let names: Vec<_> = head.headers.iter().map(|header| header.name.as_str()).collect();
        assert_eq!(names, ["Host", "X-B", "x-a"]);
        assert_eq!(head.first("x-b"), Some("two"));
        assert_eq!(head.path_and_query(), ("/dev", Some("a=1")));
    }

    #[test]
    fn what_smuggling_needs_is_refused() {
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\n",
        ] {
            assert_eq!(parse(head).unwrap_err().status(), 400, "{head:?}");
        }
    }

    #[test]
    fn what_is_too_much_has_its_own_status() {
        let bomb = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(100));
        assert_eq!(parse(&bomb), Err(HeadError::TooLarge));
        let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(4096));
        assert_eq!(parse(&long), Err(HeadError::TargetTooLong));
        assert_eq!(parse("GET / HTTP/3.0\r\nHost: a\r\n\r\n"), Err(HeadError::Version));
        assert_eq!(RequestHead::find_end(&[b'a'; HEAD_BYTES_MAX], 0), Err(HeadError::TooLarge));
    }

    #[test]
    fn the_end_is_found_however_the_head_arrives() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        for seen in 0..26 {
            assert_eq!(RequestHead::find_end(&head[..seen], 0), Ok(None));
            assert_eq!(RequestHead::find_end(head, seen), Ok(Some(27)));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let head = [b"GET / HTTP/1.1\r\nHost: a\r\n".as_slice(), &bytes, b"\r\n\r\n"].concat();
            if let Ok(head) = RequestHead::parse(&head) {
                let bad = |byte: u8| byte != b'\t' && byte.is_ascii_control();
                prop_assert!(head.headers.iter().all(|header| !header.value.bytes().any(bad)));
            }
        }
    }
}
