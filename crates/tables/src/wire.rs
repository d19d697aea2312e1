//! Requests to the engine's own HTTP front, which alone words every error as DynamoDB does.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use stillwire_model::Reply;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::errors::internal;

/// Connections kept for the next request.
const IDLE_MAX: usize = 32;

/// How long the engine may take for one request.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// The engine insists on a signature but does not check it; who may call is decided before.
const SIGNATURE: &str = "AWS4-HMAC-SHA256 Credential=STILLWIRE/20250101/us-east-1/dynamodb/aws4_request, \
    SignedHeaders=host;x-amz-date, Signature=0000000000000000000000000000000000000000000000000000000000000000";

type Connection = SendRequest<Full<Bytes>>;

/// The way to the engine, with connections that are used again.
#[derive(Debug)]
pub(crate) struct Wire {
    address: SocketAddr,
    runtime: Handle,
    idle: Mutex<Vec<Connection>>,
}

impl Wire {
    pub(crate) fn new(address: SocketAddr, runtime: Handle) -> Self {
        Self { address, runtime, idle: Mutex::default() }
    }

    /// One request, one answer; a failure is an answer too.
    pub(crate) async fn call(&self, target: &str, body: Bytes) -> Reply {
        match timeout(CALL_TIMEOUT, self.exchange(target, body)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => internal(&error),
            Err(_) => internal(&"it took longer than a minute"),
        }
    }

    async fn exchange(&self, target: &str, body: Bytes) -> Result<Reply, WireError> {
        let mut connection = match self.take_idle() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        connection.ready().await?;
        let request = Request::post("/")
            .header(header::HOST, "tables")
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.0")
            .header(header::AUTHORIZATION, SIGNATURE)
            .header("x-amz-date", "20250101T000000Z")
            .header("x-amz-target", target)
            .body(Full::new(body))?;
        let response = connection.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        self.keep(connection);
        Ok(Reply { status, body })
    }

    async fn connect(&self) -> Result<Connection, WireError> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await?;
        self.runtime.spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "a connection to the tables' engine has ended");
            }
        });
        Ok(connection)
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }
}

/// Why the engine could not be asked.
#[derive(Debug, thiserror::Error)]
enum WireError {
    #[error("the engine cannot be reached: {0}")]
    Connect(#[from] std::io::Error),
    #[error("the engine did not answer: {0}")]
    Exchange(#[from] hyper::Error),
    #[error("the request is malformed: {0}")]
    Request(#[from] http::Error),
}
