//! The Runtime API, version 2018-06-01: HTTP on one side, calls to an environment's task on the other.
//!
//! It knows no state: whether a call fits the moment is decided by the environment, which owns the state.
//! Any stream will do; today it is the socket a bootstrap inherited, a listener for other clients fits as well.
//!
//! Source: AWS Lambda Developer Guide, "Using the Lambda runtime API"; the public emulator for errors.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use stillwire_model::limits;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

/// The largest header block. A runtime may send its stack traces in one header (below 1 MB).
const HEADER_BYTES_MAX: usize = 1280 * 1024;
/// The largest answer that is read to its end, though it is refused; beyond it the connection is closed.
const DISCARD_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The largest error object.
const ERROR_BYTES_MAX: usize = limits::INVOKE_RESPONSE_BYTES_MAX;

const ROOT: &str = "/2018-06-01/";
const MODE: &str = "lambda-runtime-function-response-mode";

/// What a runtime asks of its environment; each is to be answered.
#[derive(Debug)]
pub(crate) struct Call {
    /// What it asks.
    pub(crate) kind: CallKind,
    /// Where the answer goes.
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The kinds of calls.
#[derive(Debug)]
pub(crate) enum CallKind {
    /// It is ready for an event.
    Next,
    /// The handler's result; `None` is one larger than allowed.
    Response {
        /// For which invocation.
        id: String,
        /// The result.
        body: Option<Bytes>,
    },
    /// The handler's error.
    Error {
        /// For which invocation.
        id: String,
        /// The error object.
        body: Bytes,
    },
    /// The function cannot be initialised.
    InitError(Bytes),
}

/// An answer: status, extra headers and body.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Answer {
    /// An event.
    pub(crate) fn event(headers: Vec<(&'static str, String)>, body: Bytes) -> Self {
        Self { status: StatusCode::OK, headers, body }
    }

    /// 202: taken.
    pub(crate) fn accepted() -> Self {
        let body = Bytes::from_static(b"{\"status\":\"OK\"}\n");
        Self { status: StatusCode::ACCEPTED, headers: Vec::new(), body }
    }

    /// 413: the result is larger than a result may be.
    pub(crate) fn too_large() -> Self {
        let message = format!(
            "Exceeded maximum allowed payload size ({} bytes).",
            limits::INVOKE_RESPONSE_BYTES_MAX
        );
        Self::error(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
    }

    /// 400: not the current invocation.
    pub(crate) fn invalid_request_id() -> Self {
        Self::error(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
    }

    /// 403: not now.
    pub(crate) fn invalid_transition(from: &str, to: &str) -> Self {
        let message = format!(
            "State transition from {from} to {to} failed for runtime. Error: State transition is not allowed"
        );
        Self::error(StatusCode::FORBIDDEN, "InvalidStateTransition", &message)
    }

    fn error(status: StatusCode, kind: &str, message: &str) -> Self {
        let body = serde_json::json!({ "errorMessage": message, "errorType": kind }).to_string();
        Self { status, headers: Vec::new(), body: body.into() }
    }

    fn not_found() -> Self {
        Self { status: StatusCode::NOT_FOUND, headers: Vec::new(), body: Bytes::new() }
    }
}

/// A served connection; ends with its peer.
pub(crate) type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

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
    let path = head.uri.path().strip_prefix(ROOT).unwrap_or_default();
    let fields: Vec<&str> = path.split('/').collect();
    let streaming = head.headers.get(MODE).is_none_or(|mode| mode == "streaming");
    Ok(match (&head.method, fields.as_slice()) {
        (&Method::GET, ["runtime", "invocation", "next"]) => Ok(CallKind::Next),
        (&Method::POST, ["runtime", "invocation", id, "response"]) => {
            let id = (*id).to_owned();
            let body = collect(body, limits::INVOKE_RESPONSE_BYTES_MAX).await?;
            if streaming {
                Ok(CallKind::Response { id, body })
            } else {
                let (kind, message) =
                    ("InvalidFunctionResponseMode", "Invalid function response mode");
                Err(Answer::error(StatusCode::BAD_REQUEST, kind, message))
            }
        }
        (&Method::POST, ["runtime", "invocation", id, "error"]) => {
            let id = (*id).to_owned();
            collect(body, ERROR_BYTES_MAX)
                .await?
                .map(|body| CallKind::Error { id, body })
                .ok_or_else(Answer::too_large)
        }
        (&Method::POST, ["runtime", "init", "error"]) => collect(body, ERROR_BYTES_MAX)
            .await?
            .map(CallKind::InitError)
            .ok_or_else(Answer::too_large),
        (&Method::GET, ["ping"]) => Err(Answer::event(Vec::new(), Bytes::from_static(b"pong"))),
        _ => Err(Answer::not_found()),
    })
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
