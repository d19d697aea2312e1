//! The engine: holds connections at the limit of the machine, and knows nothing of what they are for.
//!
//! | step | file | receives → gives |
//! | --- | --- | --- |
//! | 1 | `entrance` | a port → accepted clients, within the capacity |
//! | 2 | `shard` | readiness, bells, deadlines → turns of clients |
//! | 3 | `socket`, `tls` | the kernel's bytes → the client's, and back |
//! | 4 | `client` | bytes → a handshake, a plain request (`plain`), or a connection's bytes |
//! | 5 | `connection` | bytes and deadlines → messages, answers, the end |
//! | 6 | `outbox`, `bell` | posts from anywhere → the client's shard |
//!
//! What arrivals, requests and messages mean is a [`Service`]'s business. `wheel` keeps deadlines, `address` makes
//! ids that lead to their connection; `lingering` keeps sockets until the other end has what was sent.
//!
//! Invariants: a client belongs to one shard, and only its shard touches its socket. An idle client holds no
//! buffer. Its whole state is plain data: nothing is hidden in a suspended function. A fault while serving a client
//! ends that client.

mod address;
mod bell;
mod client;
mod connection;
mod ending;
mod entrance;
mod limits;
mod lingering;
mod outbox;
mod plain;
mod service;
mod shard;
mod socket;
mod tls;
mod wheel;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fmt, io};

use stillwire_drain::Drain;
use stillwire_listen::Door;
use tokio::time::Duration;

pub use address::Addresses;
pub use connection::{Incoming, Replies, Session};
pub use ending::{Ending, Goodbye};
pub use limits::ConnectionLimits;
pub use outbox::{Outbox, Outgoing, PostError};
pub use plain::{Answer, Request};
pub use service::{Arrival, Service, Ticket, Welcome};

use crate::engine::service::{Command, Entrance, Mailbox};
use crate::engine::shard::{Shard, Shared};

/// The most shards: as many as an id has room for.
pub const SHARDS_MAX: usize = 256;

/// Holds the clients of a [`Service`]. Clones share everything.
pub struct Engine<S: Service>(Arc<Shared<S>>);

impl<S: Service> Engine<S> {
    /// Starts `shards` (at least one), each a task of `drain`, that give ids by `addresses`.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn start(
        service: Arc<S>,
        addresses: Addresses,
        shards: usize,
        drain: &Drain,
    ) -> io::Result<Self> {
        let count = shards.clamp(1, SHARDS_MAX);
        let mailboxes = (0..count).map(|_| Arc::new(Mailbox::new())).collect();
        let shared = Arc::new(Shared { service, addresses, mailboxes, tally: Arc::default() });
        for number in 0..=u8::try_from(count - 1).unwrap_or(u8::MAX) {
            let shard = Shard::new(Arc::clone(&shared), number)?;
            drain.spawn("shard", shard.run());
        }
        Ok(Self(shared))
    }

    /// Accepts clients at `door`, which leads to `site`.
    ///
    /// # Errors
    /// When the kernel refuses the port's settings.
    pub fn open(&self, door: Door, site: Arc<S::Site>) -> io::Result<()> {
        let Door { listeners, tls, capacity } = door;
        let entrance = Arc::new(Entrance { site, tls });
        for listener in listeners {
            let listener = listener.into_std()?;
            stillwire_listen::inherit_socket_options(&listener)?;
            let listener = mio::net::TcpListener::from_std(listener);
            let (capacity, entrance) = (capacity.clone(), Arc::clone(&entrance));
            // One shard accepts for all; clients are dealt out in turns.
            if let Some(mailbox) = self.0.mailboxes.first() {
                mailbox.send(Command::Open { listener, capacity, entrance });
            }
        }
        Ok(())
    }

    /// Closes the doors that lead to `site`. Whoever came in stays.
    pub fn shut(&self, site: &Arc<S::Site>) {
        if let Some(mailbox) = self.0.mailboxes.first() {
            mailbox.send(Command::Shut { site: Arc::clone(site) });
        }
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.0.tally.0.load(Ordering::Relaxed)
    }

    /// Ends every connection within `spread`, and those that are let in later at once.
    pub fn leave(&self, ending: &Ending, spread: Duration) {
        for mailbox in &self.0.mailboxes {
            mailbox.send(Command::Leave { ending: ending.clone(), spread });
        }
    }

    /// Closes the doors. Plain requests under way are answered; shards end with their last client.
    pub fn close(&self) {
        for mailbox in &self.0.mailboxes {
            mailbox.send(Command::Close);
        }
    }
}

impl<S: Service> Clone for Engine<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Service> fmt::Debug for Engine<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shards = self.0.mailboxes.len();
        out.debug_struct("Engine").field("shards", &shards).finish_non_exhaustive()
    }
}

/// Counts open connections.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicUsize);

impl Tally {
    fn enter(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
