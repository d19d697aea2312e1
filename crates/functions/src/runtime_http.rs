//! The Runtime API for runtimes that are not ours: whatever HTTP/1.1 they speak.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

use crate::runtime_api::{
    Answer, Asked, Call, CallKind, DISCARD_BYTES_MAX, HEADER_BYTES_MAX, MODE, Served,
};

/// The trailers of a result that failed while it was streamed.
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
/// See [`ERROR_TYPE`].
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

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
        // A client that hangs up waits for no answer.
        .half_close(false)
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
    let answer = match read(request, calls).await? {
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
async fn read(
    request: Request<Incoming>,
    calls: &mpsc::Sender<Call>,
) -> Result<Result<CallKind, Answer>, Broken> {
    let (head, body) = request.into_parts();
    let asked = Asked::of(head.method.as_str(), head.uri.path());
    let begun = Begun::new(&asked, calls);
    let (body, trailers) = collect(body, asked.body_bytes_max()).await?;
    begun.complete();
    let call = asked.call(head.headers.get(MODE).map(HeaderValue::as_bytes), body);
    Ok(match call {
        Ok(CallKind::Response { id, .. }) if trailers.contains_key(ERROR_TYPE) => {
            Ok(CallKind::Error { id, body: error_of(&trailers) })
        }
        call => call,
    })
}

/// A result that is being read. Dropped before it is complete, which it is with its connection, it tells so.
struct Begun(Option<(String, mpsc::Sender<Call>)>);

impl Begun {
    fn new(asked: &Asked, calls: &mpsc::Sender<Call>) -> Self {
        match asked {
            Asked::Response(id) => Self(Some((id.clone(), calls.clone()))),
            _ => Self(None),
        }
    }

    fn complete(mut self) {
        self.0 = None;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let Some((id, calls)) = self.0.take() else { return };
        let (answer, _nobody_waits) = oneshot::channel();
        if calls.try_send(Call { kind: CallKind::Truncated { id }, answer }).is_err() {
            tracing::debug!("a truncated result could not be told");
        }
    }
}

/// The error object of a result that failed while it was streamed.
fn error_of(trailers: &HeaderMap) -> Bytes {
    let encoded = trailers.get(ERROR_BODY).map(HeaderValue::as_bytes).unwrap_or_default();
    let body = BASE64_STANDARD.decode(encoded).unwrap_or_default();
    if !body.is_empty() {
        return body.into();
    }
    let kind = trailers.get(ERROR_TYPE).and_then(|kind| kind.to_str().ok());
    serde_json::json!({ "errorType": kind.unwrap_or("Runtime.Unknown") }).to_string().into()
}

/// The body, or `None` for one that is too large; that is read all the same, so that its sender gets an answer. And
/// the trailers.
async fn collect(
    mut body: Incoming,
    bytes_max: usize,
) -> Result<(Option<Bytes>, HeaderMap), Broken> {
    let (mut kept, mut size, mut trailers) = (BytesMut::new(), 0_usize, HeaderMap::new());
    while let Some(frame) = body.frame().await {
        let data = match frame.map_err(Broken::Body)?.into_data() {
            Ok(data) => data,
            Err(frame) => {
                trailers = frame.into_trailers().unwrap_or_default();
                continue;
            }
        };
        size = size.saturating_add(data.len());
        if size > DISCARD_BYTES_MAX {
            return Err(Broken::Endless);
        }
        if size <= bytes_max {
            kept.extend_from_slice(&data);
        }
    }
    Ok(((size <= bytes_max).then(|| kept.freeze()), trailers))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Minutes and hours without an event are nothing special.
    #[tokio::test(start_paused = true)]
    async fn a_runtime_waits_for_its_event_as_long_as_it_takes() {
        let (mut theirs, ours) = tokio::io::duplex(4096);
        let (sender, mut calls) = mpsc::channel(1);
        let serving = serve(ours, sender);
        let asking = async move {
            let request = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";
            theirs.write_all(request).await.unwrap();
            let mut answer = vec![0; 4096];
            let count = theirs.read(&mut answer).await.unwrap();
            answer.truncate(count);
            String::from_utf8(answer).unwrap()
        };
        let environment = async move {
            let call = calls.recv().await.unwrap();
            assert!(matches!(call.kind, CallKind::Next));
            tokio::time::sleep(Duration::from_hours(6)).await;
            assert!(!call.answer.is_closed());
            call.answer.send(Answer::event(Vec::new(), Bytes::from_static(b"{}"))).unwrap();
        };
        let ((), answer, ()) = tokio::join!(serving, asking, environment);
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("{}"), "{answer}");
    }
}
