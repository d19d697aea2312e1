//! What an engine serves: who decides about arrivals, answers plain requests, and gives connections a meaning.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::net::{TcpListener, TcpStream};
use rustls::ServerConfig;
use stillwire_awswire::ConnectionId;
use stillwire_listen::{Capacity, Place};
use stillwire_websocket::{Negotiated, RequestHead};
use tokio::time::Duration;

use crate::engine::bell::Bell;
use crate::engine::connection::Session;
use crate::engine::ending::Ending;
use crate::engine::limits::ConnectionLimits;
use crate::engine::outbox::Outbox;
use crate::engine::plain::{Answer, Request};

/// What an engine serves.
///
/// Its methods run on the threads that hold the connections: they decide or pass on, and never wait.
pub trait Service: Sized + Send + Sync + 'static {
    /// What a door leads to.
    type Site: Send + Sync + 'static;
    /// What a connection means.
    type Session: Session + Send + 'static;

    /// A client asks to become a WebSocket. The answer goes to `ticket`, now or later.
    fn arrive(&self, site: &Arc<Self::Site>, arrival: Arrival, ticket: Ticket<Self>);

    /// A plain request. Its answer is due at once.
    fn request(&self, site: &Self::Site, request: Request<'_>) -> Answer;

    /// The answer to what is no request, by its status.
    fn refusal(&self, status: u16) -> Answer;

    /// The largest body of a plain request, in bytes.
    fn body_bytes_max(&self, site: &Self::Site) -> usize;
}

/// A client that asks to be let in.
#[derive(Debug)]
pub struct Arrival {
    /// Its handshake.
    pub head: RequestHead,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Whether it came over TLS.
    pub secure: bool,
}

/// What a client gets that is let in.
#[derive(Debug)]
pub struct Welcome {
    /// A whole 101.
    pub head: String,
    /// What it says about compression.
    pub compression: Option<Negotiated>,
}

/// The right to answer a handshake, once. Dropped, it refuses with 500.
pub struct Ticket<S: Service> {
    id: ConnectionId,
    key: Key,
    mailbox: Arc<Mailbox<S>>,
    answered: bool,
}

/// A connection within its shard; one that has ended has another generation than its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl<S: Service> Ticket<S> {
    pub(crate) fn new(id: ConnectionId, key: Key, mailbox: Arc<Mailbox<S>>) -> Self {
        Self { id, key, mailbox, answered: false }
    }

    /// The id of the connection to be.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The outbox of the connection to be. What is posted before it is let in waits.
    pub fn outbox(&self, limits: Arc<ConnectionLimits>) -> Outbox {
        Outbox::new(limits, Arc::clone(&self.mailbox.bell), self.key.slot)
    }

    /// Lets the client in: it gets its welcome, and its session begins.
    ///
    /// A client that has left meanwhile was let in all the same, and is lost at once.
    pub fn accept(mut self, welcome: Welcome, session: S::Session) {
        self.answered = true;
        self.mailbox.send(Command::Accept { key: self.key, welcome, session });
    }

    /// Turns the client away.
    pub fn refuse(mut self, answer: Answer) {
        self.answered = true;
        self.mailbox.send(Command::Refuse { key: self.key, answer: Some(answer) });
    }
}

impl<S: Service> Drop for Ticket<S> {
    fn drop(&mut self) {
        if !self.answered {
            self.mailbox.send(Command::Refuse { key: self.key, answer: None });
        }
    }
}

impl<S: Service> fmt::Debug for Ticket<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Ticket").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Where a door leads, and how to speak TLS there.
#[derive(Debug)]
pub(crate) struct Entrance<T> {
    pub(crate) site: Arc<T>,
    pub(crate) tls: Arc<ServerConfig>,
}

/// A client that was accepted and has not said anything.
#[derive(Debug)]
pub(crate) struct Newcomer<T> {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) place: Place,
    pub(crate) entrance: Arc<Entrance<T>>,
}

/// What is asked of a shard.
pub(crate) enum Command<S: Service> {
    /// To listen.
    Open { listener: TcpListener, capacity: Capacity, entrance: Arc<Entrance<S::Site>> },
    /// To close the doors that lead to a site.
    Shut { site: Arc<S::Site> },
    /// To hold a client that another shard accepted.
    Adopt(Newcomer<S::Site>),
    /// To let a client in.
    Accept { key: Key, welcome: Welcome, session: S::Session },
    /// To turn a client away; without an answer, because something went wrong.
    Refuse { key: Key, answer: Option<Answer> },
    /// To end all connections within this time, and every later one at once.
    Leave { ending: Ending, spread: Duration },
    /// To close the doors, and be over once the last connection is.
    Close,
}

/// Where a shard is asked. Bounded by what there is to ask about: doors, and clients within their capacity.
pub(crate) struct Mailbox<S: Service> {
    pub(crate) bell: Arc<Bell>,
    /// None once the shard is over.
    commands: Mutex<Option<Vec<Command<S>>>>,
}

impl<S: Service> Mailbox<S> {
    pub(crate) fn new() -> Self {
        Self { bell: Arc::default(), commands: Mutex::new(Some(Vec::new())) }
    }

    /// Asks; what a shard that is over is asked is dropped, which pays what a session is owed.
    pub(crate) fn send(&self, command: Command<S>) {
        let mut waiting = self.lock();
        if let Some(commands) = waiting.as_mut() {
            commands.push(command);
            drop(waiting);
            self.bell.call();
        } else {
            drop(waiting);
            drop(command); // without the lock, because it may ask again
        }
    }

    /// For the shard: takes everything that was asked into `commands`, which is empty.
    pub(crate) fn take(&self, commands: &mut Vec<Command<S>>) {
        if let Some(waiting) = self.lock().as_mut() {
            std::mem::swap(waiting, commands);
        }
    }

    /// For the shard: it is over.
    pub(crate) fn close(&self) {
        let unheard = self.lock().take();
        drop(unheard);
    }

    /// The list is whole between any two statements, so a panic elsewhere cannot have broken it.
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Command<S>>>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
