//! HTTP/1.1 on an accepted connection.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use stillwire_drain::Drain;
use tokio::io::{AsyncRead, AsyncWrite};

/// How long a client may take to send a request's head, and how long it may stay idle between requests.
const HEAD_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a client may take to send a request's body.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Serves requests until the client leaves or the drain begins; a request in flight is finished first.
pub async fn serve<S, F, B>(
    stream: S,
    drain: &Drain,
    answer: impl Fn(Request<Incoming>) -> F + Send + Sync,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    F: Future<Output = Response<B>> + Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.closing() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is larger than the limit.
    #[error("the body is too large")]
    TooLarge,
    /// The client stopped sending.
    #[error("the body did not arrive")]
    Incomplete,
}

/// Reads a whole body of at most `bytes_max`.
pub async fn body(incoming: Incoming, bytes_max: usize) -> Result<Bytes, BodyError> {
    let reading = Limited::new(incoming, bytes_max).collect();
    match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) | Err(_) => Err(BodyError::Incomplete),
    }
}
