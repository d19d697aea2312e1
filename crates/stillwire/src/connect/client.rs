//! A WebSocket client over the project's own protocol crate.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use stillwire_websocket::client::{Answer, request};
use stillwire_websocket::{
    CloseFrame, Decoder, Limits, Masking, Message, Opcode, Role, encode_close, encode_message,
    encode_ping, encode_pong,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::connect::address::Address;
use crate::report::hinted;

/// How long a connection may take until it is open: a `$connect` may run for its 29 s and an authorizer before.
const OPEN_TIMEOUT: Duration = Duration::from_mins(1);

/// How long the server may take to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// What a server may send: generous, so that the client shows what other tools would refuse, but bounded.
const LIMITS: Limits =
    Limits { frame_bytes_max: 64 << 20, message_bytes_max: 64 << 20, binary: true };

/// The most of a refusal's body that is shown, in bytes.
const REFUSAL_BYTES_MAX: usize = 16 * 1024;

trait Transport: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Transport for T {}

/// What to open.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) address: &'a Address,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) subprotocols: &'a [String],
    /// PEM files of authorities to trust beside the system's, where they exist.
    pub(crate) authorities: [Option<PathBuf>; 2],
}

/// How the handshake ended.
pub(crate) enum Opened {
    Connected(Client),
    Refused(Refusal),
}

/// A server's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// What came from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// The connection is over.
    Closed(End),
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// With a close frame that has a code.
    Code(CloseFrame),
    /// With a close frame that has none.
    NoCode,
    /// Without a close frame.
    Lost,
}

impl End {
    /// The code as clients count it, and the reason.
    ///
    /// Source: RFC 6455, section 7.4.1: 1005 stands for no code, 1006 for no close frame.
    pub(crate) fn code_and_reason(&self) -> (u16, &str) {
        match self {
            Self::Code(frame) => (frame.code.get(), &frame.reason),
            Self::NoCode => (1005, ""),
            Self::Lost => (1006, ""),
        }
    }
}

/// An open connection.
pub(crate) struct Client {
    stream: Pin<Box<dyn Transport>>,
    decoder: Decoder,
    buffer: Vec<u8>,
    subprotocol: Option<String>,
    closing: bool,
}

impl Client {
    /// Opens a connection.
    pub(crate) async fn open(opening: Opening<'_>) -> Result<Opened> {
        let authority = opening.address.authority.clone();
        timeout(OPEN_TIMEOUT, Self::handshake(opening))
            .await
            .with_context(|| format!("{authority} did not answer the handshake within 60 s"))?
    }

    async fn handshake(opening: Opening<'_>) -> Result<Opened> {
        let mut stream = transport(&opening).await?;
        let mut nonce = [0; 16];
        fill(&mut nonce)?;
        let key = BASE64_STANDARD.encode(nonce);
        let Address { authority, target, .. } = opening.address;
        let head = request(authority, target, &key, opening.subprotocols, opening.headers);
        stream.write_all(head.as_bytes()).await?;
        stream.flush().await?;
        let mut buffer = Vec::new();
        let answer = loop {
            if let Some(answer) = Answer::parse(&buffer)? {
                break answer;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                anyhow::bail!("{authority} closed the connection during the handshake");
            }
        };
        let rest = buffer.split_off(answer.head_len);
        if answer.status != 101 {
            let body = refusal_body(&mut stream, &answer, rest).await;
            return Ok(Opened::Refused(Refusal { status: answer.status, body }));
        }
        let subprotocol = answer.check(&key, opening.subprotocols)?;
        answer.check_extensions(false)?;
        Ok(Opened::Connected(Self {
            stream,
            decoder: Decoder::new(Role::Client),
            buffer: rest,
            subprotocol,
            closing: false,
        }))
    }

    /// The sub-protocol the server chose.
    pub(crate) fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Sends a text message.
    pub(crate) async fn send(&mut self, text: &str) -> Result<()> {
        let mut bytes = Vec::new();
        // One frame, as browsers send: whoever exceeds the server's frame limit is to see what they would.
        encode_message(Opcode::Text, text.as_bytes(), usize::MAX, masking()?, &mut bytes);
        self.write(&bytes).await
    }

    /// Sends a ping.
    pub(crate) async fn ping(&mut self, payload: &str) -> Result<()> {
        let mut bytes = Vec::new();
        encode_ping(payload.as_bytes(), masking()?, &mut bytes);
        self.write(&bytes).await
    }

    /// Begins the close handshake; the server's answer comes as an event, within its time.
    pub(crate) async fn close(&mut self, frame: Option<&CloseFrame>) -> Result<()> {
        let mut bytes = Vec::new();
        encode_close(frame, masking()?, &mut bytes);
        self.closing = true;
        self.write(&bytes).await
    }

    /// Waits for the next event.
    ///
    /// # Cancel safety
    /// Cancel safe: bytes that were read are kept.
    pub(crate) async fn next(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.decode()? {
                if let Event::Ping(payload) = &event {
                    let mut bytes = Vec::new();
                    encode_pong(payload, masking()?, &mut bytes);
                    self.write(&bytes).await?;
                }
                if let (Event::Closed(end), false) = (&event, self.closing) {
                    let frame = if let End::Code(frame) = end { Some(frame) } else { None };
                    let mut bytes = Vec::new();
                    encode_close(frame, masking()?, &mut bytes);
                    // The server may be gone already; it has said its goodbye.
                    self.write(&bytes).await.ok();
                }
                return Ok(event);
            }
            let reading = self.stream.read_buf(&mut self.buffer);
            let read = if self.closing {
                timeout(CLOSE_TIMEOUT, reading).await.unwrap_or(Ok(0))
            } else {
                reading.await
            };
            match read {
                Ok(0) => return Ok(Event::Closed(End::Lost)),
                Ok(_) => {}
                Err(error) if is_goodbye(&error) => return Ok(Event::Closed(End::Lost)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn decode(&mut self) -> Result<Option<Event>> {
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let decoded = self
            .decoder
            .decode(&LIMITS, &mut self.buffer)
            .context("the server broke the protocol")?;
        let event = decoded.message.map(|message| match message {
            Message::Text(text) => Event::Text(text.into_owned()),
            Message::Binary(bytes) => Event::Binary(bytes.into_owned()),
            Message::Ping(bytes) => Event::Ping(bytes.into_owned()),
            Message::Pong(bytes) => Event::Pong(bytes.into_owned()),
            Message::Close(Some(frame)) => Event::Closed(End::Code(frame)),
            Message::Close(None) => Event::Closed(End::NoCode),
        });
        let consumed = decoded.consumed;
        self.buffer.drain(..consumed);
        Ok(event)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        Ok(())
    }
}

async fn transport(opening: &Opening<'_>) -> Result<Pin<Box<dyn Transport>>> {
    let Address { host, port, authority, secure, .. } = opening.address;
    let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|error| {
        let hint = if error.kind() == io::ErrorKind::ConnectionRefused {
            "nothing listens there; is `stillwire dev` running?"
        } else {
            "check the host and the port"
        };
        hinted(format!("cannot connect to {authority}: {error}"), hint)
    })?;
    stream.set_nodelay(true)?;
    if !*secure {
        return Ok(Box::pin(stream));
    }
    let name =
        ServerName::try_from(host.clone()).context("the host's name is not valid for TLS")?;
    let connector = TlsConnector::from(Arc::new(tls(&opening.authorities)?));
    let stream = connector.connect(name, stream).await.map_err(|error| {
        let hint = "to trust another authority, name its PEM file with --ca";
        hinted(format!("no TLS with {authority}: {error}"), hint)
    })?;
    Ok(Box::pin(stream))
}

/// Trusts the system's authorities, the local one, and the one the user names.
fn tls(authorities: &[Option<PathBuf>; 2]) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let [named, local] = authorities;
    if let Some(path) = named
        && !path.exists()
    {
        anyhow::bail!("{} does not exist", path.display());
    }
    let system = stillwire_listen::system_bundle();
    for path in [named.as_ref(), local.as_ref(), system.as_ref()].into_iter().flatten() {
        if let Ok(certificates) = CertificateDer::pem_file_iter(path) {
            roots.add_parsable_certificates(certificates.filter_map(Result::ok));
        }
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Reads what a server says with its no, as far as it comes soon and is short.
async fn refusal_body(
    stream: &mut Pin<Box<dyn Transport>>,
    answer: &Answer,
    mut body: Vec<u8>,
) -> String {
    let length = answer.header("content-length").and_then(|length| length.parse().ok());
    let wanted = length.unwrap_or(REFUSAL_BYTES_MAX).min(REFUSAL_BYTES_MAX);
    let reading = async {
        while body.len() < wanted && stream.read_buf(&mut body).await.is_ok_and(|read| read > 0) {}
    };
    timeout(CLOSE_TIMEOUT, reading).await.ok();
    body.truncate(wanted);
    String::from_utf8_lossy(&body).into_owned()
}

/// Errors by which a TCP or TLS connection merely ends.
fn is_goodbye(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        error.kind(),
        K::ConnectionReset | K::UnexpectedEof | K::BrokenPipe | K::ConnectionAborted
    )
}

fn masking() -> Result<Masking> {
    let mut key = [0; 4];
    fill(&mut key)?;
    Ok(Masking::Key(key))
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| anyhow::anyhow!("the system has no random source"))
}
