//! Requests, taken apart: segments of the path, the query, headers and members of the body; and plain answers.

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use stillwire_model::{LambdaReply, LambdaRequest};

use crate::error::{Answered, Refused};
use crate::room::Home;

/// A request whose path was read.
#[derive(Debug)]
pub(crate) struct Request {
    /// Where the caller is: what it names without an account and a region is there, or at home.
    pub(crate) from: Home,
    pub(crate) method: String,
    /// The segments after the version, decoded. Every operation's path begins with the date of its version, and no two
    /// operations differ by it alone.
    pub(crate) path: Vec<String>,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// Members of a body.
pub(crate) type Members = Map<String, Value>;

impl Request {
    pub(crate) fn read(request: LambdaRequest) -> Answered<Self> {
        let LambdaRequest { account, region, method, path, query, headers, body } = request;
        let from = Home { account: account.to_string(), region: region.to_string() };
        let decode = |segment: &str| percent_decode_str(segment).decode_utf8().map(Into::into);
        let segments: Result<Vec<String>, _> =
            path.trim_matches('/').split('/').skip(1).map(decode).collect();
        let path = segments.map_err(|_| Refused::invalid("the path is not UTF-8"))?;
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Ok(Self { from, method, path, query, headers, body })
    }

    /// The first value of a member of the query.
    pub(crate) fn queried(&self, name: &str) -> Option<&str> {
        self.queried_all(name).next()
    }

    /// All values of a member of the query.
    pub(crate) fn queried_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A header; `name` is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The members of the body.
    pub(crate) fn members(&self) -> Answered<Members> {
        if self.body.is_empty() {
            return Ok(Members::new());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(members)) => Ok(members),
            Ok(_) => {
                Err(Refused::content("Could not parse request body into json: it is no object"))
            }
            Err(error) => {
                Err(Refused::content(format!("Could not parse request body into json: {error}")))
            }
        }
    }
}

/// An answer in JSON.
pub(crate) fn reply(status: u16, body: impl Into<Bytes>) -> LambdaReply {
    let headers = vec![("content-type", "application/json".to_owned())];
    LambdaReply { status, headers, body: body.into() }
}

/// An answer without a body.
pub(crate) fn empty(status: u16) -> LambdaReply {
    LambdaReply { status, headers: Vec::new(), body: Bytes::new() }
}
