//! Taking a port and accepting on it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use stillwire_drain::Drain;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::Stream;

/// How long a connection may take until its first byte, and again for its TLS handshake.
///
/// Choice: the figure of most servers; slow clients hold one descriptor each for no longer.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections the kernel holds until they are accepted. A burst of connects overflows smaller ones.
const BACKLOG: u32 = 4096;

/// A port that cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Takes a port; port 0 is any free one.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| BindError { address, source })
}

/// The number of a port that is taken.
///
/// # Errors
/// When the kernel does not tell.
pub fn port_of(listeners: &[TcpListener]) -> io::Result<u16> {
    let first = listeners.first().ok_or(io::ErrorKind::NotFound)?;
    Ok(first.local_addr()?.port())
}

/// Gives the connections of a listener what they would else be given one by one: Linux lets them inherit it.
///
/// Small writes go out at once; a peer that vanished is noticed by probes when idle, and after 30 s while bytes are
/// due to it.
pub fn inherit_socket_options(listener: &std::net::TcpListener) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_tcp_nodelay(listener, true)?;
    sockopt::set_socket_keepalive(listener, true)?;
    sockopt::set_tcp_keepidle(listener, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(listener, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(listener, KEEPALIVE_PROBES)?;
    sockopt::set_tcp_user_timeout(listener, 30_000)?;
    Ok(())
}

/// Choice: a peer that vanished while idle is noticed after two minutes.
const KEEPALIVE_IDLE: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 4;

/// How many connections may be open at once, over all doors that share it.
#[derive(Debug, Clone)]
pub struct Capacity(Arc<Semaphore>);

impl Capacity {
    /// Room for `connections`.
    pub fn new(connections: usize) -> Self {
        Self(Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))))
    }

    /// A place for one connection; `None` when all are taken.
    pub fn try_take(&self) -> Option<Place> {
        Arc::clone(&self.0).try_acquire_owned().ok().map(Place)
    }
}

/// A connection's place in the [`Capacity`]; keep it as long as the connection.
#[derive(Debug)]
pub struct Place(
    #[expect(dead_code, reason = "it is given back when dropped")] OwnedSemaphorePermit,
);

/// A connection that said whether it speaks TLS.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub stream: Stream,
    /// Who is at the other end.
    pub peer: SocketAddr,
    /// Its place in the [`Capacity`]; keep it as long as the connection.
    pub place: Place,
}

/// A listening port and what it needs to accept.
#[derive(Debug)]
pub struct Door {
    /// The port, at each address of this machine at which it is open.
    pub listeners: Vec<TcpListener>,
    /// How to speak TLS.
    pub tls: Arc<ServerConfig>,
    /// The bound on open connections.
    pub capacity: Capacity,
}

impl Door {
    /// The number of its port.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn port(&self) -> io::Result<u16> {
        port_of(&self.listeners)
    }

    /// Accepts until the drain begins; every connection is served by `serve` in a task of its own.
    pub fn open<F>(
        self,
        name: &'static str,
        drain: &Drain,
        serve: impl Fn(Accepted) -> F + Clone + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let tls = TlsAcceptor::from(self.tls);
        for listener in self.listeners {
            let accepting =
                Accepting { listener, tls: tls.clone(), capacity: self.capacity.clone() };
            drain.spawn("door", accepting.run(name, drain.clone(), serve.clone()));
        }
    }
}

/// A door at one address.
struct Accepting {
    listener: TcpListener,
    tls: TlsAcceptor,
    capacity: Capacity,
}

impl Accepting {
    async fn run<F>(
        self,
        name: &'static str,
        drain: Drain,
        serve: impl Fn(Accepted) -> F + Clone + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = drain.closing() => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors or memory: accepting again at once would only spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            // One of IPv4 is one of IPv4, whatever the door speaks.
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            let Some(place) = self.capacity.try_take() else {
                drain.spawn("refuse", refuse(stream));
                continue;
            };
            let (tls, serve) = (self.tls.clone(), serve.clone());
            let closing = drain.clone();
            drain.spawn(name, async move {
                let opened = tokio::select! {
                    opened = timeout(2 * OPENING_TIMEOUT, opening(stream, tls)) => opened,
                    () = closing.closing() => return, // it has not said anything yet
                };
                match opened {
                    Ok(Ok(stream)) => serve(Accepted { stream, peer, place }).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "a connection did not begin"),
                    Err(_) => tracing::debug!(%peer, "a connection did not begin in time"),
                }
            });
        }
    }
}

/// Waits for the first byte and, where it begins a TLS record, for the handshake.
async fn opening(stream: TcpStream, tls: TlsAcceptor) -> io::Result<Stream> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    let seen =
        timeout(OPENING_TIMEOUT, stream.peek(&mut first)).await.map_err(io::Error::other)??;
    if seen == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first == [TLS_HANDSHAKE_RECORD] {
        return Ok(Stream::Tls(Box::new(Box::pin(tls.accept(stream)).await?)));
    }
    Ok(Stream::Plain(stream))
}

/// The first byte of a TLS connection; no HTTP method begins with it. Source: RFC 8446, section 5.1.
const TLS_HANDSHAKE_RECORD: u8 = 0x16;

/// Tells one client too many to come back, in plain: TLS work is what an overload must not cost.
async fn refuse(mut stream: TcpStream) {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\
        Connection: close\r\n\r\n";
    let sent = timeout(Duration::from_secs(1), stream.write_all(answer)).await;
    tracing::warn!(delivered = matches!(sent, Ok(Ok(()))), "at capacity: refused a connection");
}
