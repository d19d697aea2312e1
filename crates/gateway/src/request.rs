//! What events tell of a handshake's request: headers as the client spelled them, the query decoded.

use std::net::SocketAddr;
use std::sync::Arc;

use stillwire_websocket::RequestHead;

/// What events tell of a handshake's request.
#[derive(Debug)]
pub(crate) struct Request {
    /// Headers by name, in the client's spelling and order, with those the gateway adds.
    pub(crate) headers: Vec<(String, Vec<String>)>,
    /// Query parameters by name, decoded, in the client's order.
    pub(crate) query: Vec<(String, Vec<String>)>,
    /// The trace this request belongs to.
    pub(crate) trace: Arc<str>,
}

impl Request {
    /// Reads it out of a head; `peer` and `secure` tell how it arrived, `local_port` where.
    pub(crate) fn new(
        head: &RequestHead,
        peer: SocketAddr,
        secure: bool,
        local_port: u16,
        trace: String,
    ) -> Self {
        let mut headers = Vec::new();
        for header in &head.headers {
            collect(&mut headers, &header.name, &header.value);
        }
        let address = peer.ip().to_string();
        let before: Vec<&str> = head.all("x-forwarded-for").collect();
        let forwarded = before.into_iter().chain([address.as_str()]).collect::<Vec<_>>().join(", ");
        let protocol = if secure { "https" } else { "http" };
        let port = local_port.to_string();
        for (name, value) in [
            ("X-Amzn-Trace-Id", trace.as_str()),
            ("X-Forwarded-For", &forwarded),
            ("X-Forwarded-Port", &port),
            ("X-Forwarded-Proto", protocol),
        ] {
            headers.retain(|(known, _): &(String, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name.to_owned(), vec![value.to_owned()]));
        }
        let mut query = Vec::new();
        if let (_, Some(text)) = head.path_and_query() {
            for (name, value) in form_urlencoded::parse(text.as_bytes()) {
                match query
                    .iter_mut()
                    .find(|(known, _): &&mut (String, Vec<String>)| *known == name)
                {
                    Some((_, values)) => values.push(value.into_owned()),
                    None => query.push((name.into_owned(), vec![value.into_owned()])),
                }
            }
        }
        Self { headers, query, trace: trace.into() }
    }

    /// The last value of a header, compared without case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, values) =
            self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        values.last().map(String::as_str)
    }

    /// The last value of a query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let (_, values) = self.query.iter().find(|(known, _)| known == name)?;
        values.last().map(String::as_str)
    }
}

fn collect(headers: &mut Vec<(String, Vec<String>)>, name: &str, value: &str) {
    match headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        Some((_, values)) => values.push(value.to_owned()),
        None => headers.push((name.to_owned(), vec![value.to_owned()])),
    }
}
