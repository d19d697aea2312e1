//! Requests of SDKs and tools to a service, as the local endpoint hands them to the room that serves it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::BoxFuture;

/// A service that takes a request whole and answers it: those of the Query protocol (forms in, XML out) and of the JSON
/// protocols.
pub trait ServiceApi: Send + Sync + fmt::Debug {
    /// Answers one request.
    ///
    /// # Cancel safety
    /// A request that was accepted is carried out even when the future is dropped.
    fn call(&self, request: ServiceRequest) -> BoxFuture<'static, ServiceReply>;
}

/// A service that keeps objects, whose contents come and go in pieces.
pub trait ObjectApi: Send + Sync + fmt::Debug {
    /// Answers one request. Its content is read while it is answered, at most as much as the service takes.
    ///
    /// # Cancel safety
    /// An object whose content has not come to its end when the future is dropped does not exist.
    fn call(&self, request: ObjectRequest) -> BoxFuture<'static, ObjectReply>;
}

/// Who calls, and where what is asked for is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCaller {
    /// The account that the caller's key names, in digits.
    pub account: Arc<str>,
    /// The region that the caller means.
    pub region: Arc<str>,
    /// The caller's access key; empty where the request is not signed.
    pub access_key: String,
    /// The function that calls, where it is one: its role's session, as an ARN.
    pub function: Option<String>,
}

/// A request to a [`ServiceApi`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRequest {
    /// Who calls.
    pub caller: ServiceCaller,
    /// The operation, where a header says it (`AmazonSSM.GetParameter`); else empty.
    pub target: String,
    /// The query as it was sent, without `?`.
    pub query: String,
    /// The body: a form, or JSON.
    pub body: Bytes,
}

/// An answer of a [`ServiceApi`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceReply {
    /// The HTTP status.
    pub status: u16,
    /// What the body is.
    pub content_type: &'static str,
    /// The request's id, as the body says it too where it does.
    pub request_id: String,
    /// The body.
    pub body: Bytes,
}

/// A request to an [`ObjectApi`].
#[derive(Debug)]
pub struct ObjectRequest {
    /// Who calls.
    pub caller: ServiceCaller,
    /// The HTTP method.
    pub method: String,
    /// The `Host` header: it may name a bucket.
    pub host: String,
    /// The path as it was sent, still percent-encoded, without the query.
    pub path: String,
    /// The query as it was sent, without `?`.
    pub query: String,
    /// The headers whose values are text, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Box<dyn Content>,
}

/// An answer of an [`ObjectApi`].
#[derive(Debug)]
pub struct ObjectReply {
    /// The HTTP status.
    pub status: u16,
    /// Its headers, with names in lower case; `content-length` where the length of the content is known.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Box<dyn Content>,
}

/// A content that comes in pieces.
pub trait Content: Send + Sync + Unpin + fmt::Debug {
    /// The next piece; `None` at the end. After an error there is nothing more.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>>;
}

/// A content that is there.
impl Content for Option<Bytes> {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(self.take().filter(|bytes| !bytes.is_empty()).map(Ok))
    }
}
