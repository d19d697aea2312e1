//! HTTP requests to backends: pooled connections, TLS, bounded answers, and only to where they may go.
//!
//! Invariants: a request ends within its deadline; an answer is never larger than its bound; no redirect is followed; the
//! address that was checked is the one that is connected to.

mod connector;
mod destination;
pub mod service;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use crate::connector::Connector;

pub use destination::Forbidden;

/// The largest answer that is read, in bytes. Choice: as much as a function may answer.
pub const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;

/// How long a connection is kept for the next request.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// Connections that are kept for one backend.
const IDLE_PER_HOST_MAX: usize = 64;

/// Sends requests. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Outbound {
    client: Client<Connector, Full<Bytes>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// It took longer than it may.
    #[error("the backend did not answer in time")]
    TimedOut,
    /// The answer is larger than [`ANSWER_BYTES_MAX`].
    #[error("the answer is larger than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    /// The backend cannot be reached, or does not speak HTTP.
    #[error("{0}")]
    Failed(String),
}

impl Outbound {
    /// A client without connections, that trusts the certificate authorities in this PEM file.
    pub fn new(authorities: Option<&Path>) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .build(Connector::new(authorities));
        Self { client }
    }

    /// Sends a request to an absolute address and reads the whole answer, all within `deadline`.
    ///
    /// # Errors
    /// When there is no answer in time, none at all, or one that is too large.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> Result<Response<Bytes>, OutboundError> {
        let exchange = async {
            let response = self.client.request(request.map(Full::new)).await.map_err(failed)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    OutboundError::TooLarge
                } else {
                    OutboundError::Failed(error.to_string())
                }
            })?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        timeout(deadline, exchange).await.unwrap_or(Err(OutboundError::TimedOut))
    }
}

/// The innermost reason says most: the outer ones only repeat that something failed.
fn failed(error: hyper_util::client::legacy::Error) -> OutboundError {
    let mut reason: &dyn std::error::Error = &error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    OutboundError::Failed(reason.to_string())
}
