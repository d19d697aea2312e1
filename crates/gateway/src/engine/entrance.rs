//! Accepting clients: as many as there is room for, and a clear no to the others.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

use mio::net::{TcpListener, TcpStream};
use rustix::io::Errno;
use stillwire_listen::Capacity;

use crate::engine::service::{Entrance, Newcomer};
use crate::engine::wheel::Millis;

/// Clients accepted before others have their turn.
const ACCEPTED_AT_ONCE: usize = 64;

/// How long a door stays shut when the kernel has no descriptor or no memory left.
const RETRY_AFTER: Millis = 100;

/// A port and what it needs to accept.
pub(crate) struct Accepting<T> {
    pub(crate) listener: TcpListener,
    capacity: Capacity,
    pub(crate) entrance: Arc<Entrance<T>>,
    /// A descriptor to give up when there is no other, so that who waits can be sent away.
    reserve: Option<File>,
    /// When to try again, where more clients may wait than were accepted.
    pub(crate) retry_at: Option<Millis>,
}

impl<T> Accepting<T> {
    pub(crate) fn new(
        listener: TcpListener,
        capacity: Capacity,
        entrance: Arc<Entrance<T>>,
    ) -> Self {
        Self { listener, capacity, entrance, reserve: reserve(), retry_at: None }
    }
}

/// Accepts those who wait, into `accepted`.
pub(crate) fn accept<T>(door: &mut Accepting<T>, now: Millis, accepted: &mut Vec<Newcomer<T>>) {
    door.retry_at = None;
    for _ in 0..ACCEPTED_AT_ONCE {
        let (stream, peer) = match door.listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // It left before it was accepted, or its network did.
            Err(error) if !is_shortage(&error) => {
                tracing::debug!(%error, "a client did not arrive");
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a client: sent away, the next ones wait");
                if door.reserve.take().is_some() {
                    drop(door.listener.accept());
                    door.reserve = reserve();
                }
                door.retry_at = Some(now + RETRY_AFTER);
                return;
            }
        };
        match door.capacity.try_take() {
            Some(place) => {
                let entrance = Arc::clone(&door.entrance);
                // One of IPv4 is one of IPv4, whatever the door speaks.
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                accepted.push(Newcomer { stream, peer, place, entrance });
            }
            None => refuse(stream),
        }
    }
    door.retry_at = Some(now);
}

/// Whether this end lacks what another client takes. All other errors are the client's own.
///
/// Source: accept(2), which passes on the network's errors of the new socket.
fn is_shortage(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, None | Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Tells one client too many to come back, in plain: TLS work is what an overload must not cost.
fn refuse(mut stream: TcpStream) {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\
        Connection: close\r\n\r\n";
    // What it has sent is read, because the kernel forgets our answer where something is left unread.
    let mut asked = [0; 2048];
    let told = stream
        .write_all(answer)
        .and_then(|()| stream.shutdown(Shutdown::Write))
        .map(|()| stream.read(&mut asked));
    tracing::warn!(told = told.is_ok(), "at capacity: refused a client");
}
