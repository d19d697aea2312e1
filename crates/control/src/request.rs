//! Requests, taken apart: segments of the path, members of the query, the body.

use percent_encoding::percent_decode_str;
use serde_json::Value;
use stillwire_model::ControlRequest;

use crate::error::{Answered, bad_request, unknown_path};
use crate::members::{Member, Purpose, Resource, read};

/// The largest body, in bytes. Choice: the largest resource, a route with all its models, is far below.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A request whose path and body were read.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The segments after `/v2`, decoded.
    pub(crate) path: Vec<String>,
    query: String,
    body: Resource,
}

impl Request {
    pub(crate) fn read(request: &ControlRequest) -> Answered<Self> {
        let rest = request.path.strip_prefix("/v2/").ok_or_else(unknown_path)?;
        let decode = |segment: &str| percent_decode_str(segment).decode_utf8().map(Into::into);
        let path: Result<Vec<String>, _> =
            rest.trim_end_matches('/').split('/').map(decode).collect();
        let path = path.map_err(|_| bad_request("the path is not UTF-8"))?;
        if request.body.len() > BODY_BYTES_MAX {
            return Err(bad_request(format!("the body is larger than {BODY_BYTES_MAX} bytes")));
        }
        let body = if request.body.is_empty() {
            Resource::new()
        } else {
            match serde_json::from_slice(&request.body) {
                Ok(Value::Object(body)) => body,
                Ok(_) => return Err(bad_request("the body is not a JSON object")),
                Err(error) => return Err(bad_request(format!("the body is not JSON: {error}"))),
            }
        };
        Ok(Self { method: request.method.clone(), path, query: request.query.clone(), body })
    }

    /// The members of the body that a new resource is made of.
    pub(crate) fn create(&self, members: &[Member]) -> Answered<Resource> {
        Ok(read(&self.body, members, Purpose::Create)?)
    }

    /// The members of the body that change a resource.
    pub(crate) fn update(&self, members: &[Member]) -> Answered<Resource> {
        Ok(read(&self.body, members, Purpose::Update)?)
    }

    /// All values of a member of the query.
    pub(crate) fn queried(&self, name: &str) -> Vec<String> {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    }
}
