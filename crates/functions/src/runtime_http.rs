//! The Runtime API for runtimes that are not ours: whatever HTTP/1.1 they speak.
//!
//! Any stream will do.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

use crate::runtime_api::{
    Answer, Asked, Call, CallKind, DISCARD_BYTES_MAX, HEADER_BYTES_MAX, MODE, Served,
};

/// Serves one connection of a runtime.
pub(crate) fn serve<S>(stream: S, calls: mpsc::Sender<Call>) -> Served
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request| {
        let calls = calls.clone();
        async move { answer(request, &calls).await }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .max_header_size(HEADER_BYTES_MAX)
        .max_buf_size(2 * HEADER_BYTES_MAX)
        .auto_date_header(false)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    Box::pin(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a runtime's connection");
        }
    })
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the body did not arrive")]
    Body(#[source] hyper::Error),
    #[error("a body of more than {DISCARD_BYTES_MAX} bytes")]
    Endless,
    #[error("the environment is over")]
    Over,
}

async fn answer(
    request: Request<Incoming>,
    calls: &mpsc::Sender<Call>,
) -> Result<Response<Full<Bytes>>, Broken> {
    let answer = match read(request).await? {
        Ok(kind) => {
            let (answer, answered) = oneshot::channel();
            calls.send(Call { kind, answer }).await.map_err(|_| Broken::Over)?;
            answered.await.map_err(|_| Broken::Over)?
        }
        Err(refusal) => refusal,
    };
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        } else {
            tracing::debug!(name, "a value that no header can carry");
        }
    }
    Ok(response)
}

/// Reads a request; an inner error is a refusal that needs no environment.
async fn read(request: Request<Incoming>) -> Result<Result<CallKind, Answer>, Broken> {
    let (head, body) = request.into_parts();
    let asked = Asked::of(head.method.as_str(), head.uri.path());
    let body = collect(body, asked.body_bytes_max()).await?;
    Ok(asked.call(head.headers.get(MODE).map(HeaderValue::as_bytes), body))
}

/// The body, or `None` for one that is too large; that is read all the same, so that its sender gets an answer.
async fn collect(mut body: Incoming, bytes_max: usize) -> Result<Option<Bytes>, Broken> {
    let (mut kept, mut size) = (BytesMut::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Broken::Body)?.into_data() else { continue };
        size = size.saturating_add(data.len());
        if size > DISCARD_BYTES_MAX {
            return Err(Broken::Endless);
        }
        if size <= bytes_max {
            kept.extend_from_slice(&data);
        }
    }
    Ok((size <= bytes_max).then(|| kept.freeze()))
}
