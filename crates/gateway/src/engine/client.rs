//! One accepted client, from its first byte to its last: what its socket tells leads from phase to phase.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use mio::net::TcpStream;
use stillwire_listen::Place;
use stillwire_websocket::{HEAD_BYTES_MAX, RequestHead};

use crate::engine::address::{Address, Addresses};
use crate::engine::connection::{Connection, Session as _, Turn};
use crate::engine::ending::Ending;
use crate::engine::plain::{Answer, Plain, Request, Step};
use crate::engine::service::{Arrival, Entrance, Key, Mailbox, Newcomer, Service, Ticket, Welcome};
use crate::engine::socket::{Buffers, Found, Socket};
use crate::engine::wheel::Millis;

/// How long a client may take to send its request's head, and again for its TLS handshake before that.
///
/// Choice: the figure of most servers; slow clients hold one descriptor each for no longer.
const OPENING_TIMEOUT: Millis = 10_000;

/// How long a client that is sent away may take to leave.
const PARTING_TIMEOUT: Millis = 3000;

/// Bytes that a client may send before it is let in. They are read when it is.
const EARLY_BYTES_MAX: usize = 16 * 1024;

/// Reads of one client before others have their turn.
const READS_IN_A_ROW: usize = 1;

/// An accepted client.
pub(crate) struct Client<S: Service> {
    socket: Socket,
    phase: Phase<S>,
    /// The socket may have bytes that were not read.
    readable: bool,
    /// The client sends no more, or is gone: what there is to read ends with that, and no event tells it again.
    hung_up: bool,
    /// Bytes that it holds of unfinished messages.
    held: usize,
    _place: Place,
}

enum Phase<S: Service> {
    /// It has not said what it wants.
    Opening(Box<Opening<S::Site>>),
    /// It asked to become a WebSocket. What it sends meanwhile waits.
    Asked(Vec<u8>),
    /// It sends plain requests.
    Plain(Box<Asking<S::Site>>),
    /// It is a WebSocket.
    Open(Connection<S::Session>),
    /// It has its last answer, and is waited for until then; the flag says that we have finished.
    Parting(Millis, bool),
}

struct Opening<T> {
    head: Vec<u8>,
    until: Millis,
    peer: SocketAddr,
    entrance: Arc<Entrance<T>>,
}

/// A client that sends plain requests.
struct Asking<T> {
    plain: Plain,
    peer: SocketAddr,
    entrance: Arc<Entrance<T>>,
}

/// What a client's turn happens in.
pub(crate) struct Scene<'a, S: Service> {
    pub(crate) service: &'a S,
    pub(crate) mailbox: &'a Arc<Mailbox<S>>,
    pub(crate) addresses: &'a Addresses,
    pub(crate) shard: u8,
    pub(crate) key: Key,
    pub(crate) now: Millis,
    pub(crate) buffers: &'a mut Buffers,
    /// Where answers are gathered; empty at the beginning of a turn.
    pub(crate) out: &'a mut Vec<u8>,
    /// The doors are closed: plain requests are the last of their connections.
    pub(crate) closing: bool,
}

/// Whether a client stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It waits for its socket, its application or its deadline.
    Stays,
    /// It could go on at once, after the others.
    WantsMore,
    /// It is over.
    Leaves,
}

/// The client is gone, or cannot be served.
struct Lost;

impl From<std::io::Error> for Lost {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

impl<S: Service> Client<S> {
    pub(crate) fn new(newcomer: Newcomer<S::Site>, now: Millis) -> Self {
        let Newcomer { stream, peer, place, entrance } = newcomer;
        let until = now + OPENING_TIMEOUT;
        let opening = Opening { head: Vec::new(), until, peer, entrance };
        Self {
            socket: Socket::new(stream),
            phase: Phase::Opening(Box::new(opening)),
            readable: false,
            hung_up: false,
            held: 0,
            _place: place,
        }
    }

    /// Its socket can be read again, perhaps for the last time.
    pub(crate) fn is_readable(&mut self, hung_up: bool) {
        self.readable = true;
        self.hung_up |= hung_up;
    }

    /// Does what its socket, its application and its outbox allow.
    pub(crate) fn turn(&mut self, scene: &mut Scene<'_, S>) -> Fate {
        let done = match self.socket.flush(scene.now) {
            Ok(()) => self.advance(scene),
            Err(error) => Err(error.into()),
        };
        done.unwrap_or_else(|Lost| self.lose(scene))
    }

    /// Acts on a deadline that has passed.
    pub(crate) fn tick(&mut self, scene: &mut Scene<'_, S>) -> Fate {
        let passed = self.due(scene.closing).is_some_and(|due| due <= scene.now);
        let taken_at = self.socket.taken_at();
        let done = match &mut self.phase {
            Phase::Open(connection) => {
                let unsent = self.socket.unsent();
                scene.out.clear();
                connection.tick(taken_at, &mut Turn { now: scene.now, out: scene.out, unsent });
                self.send(scene)
            }
            Phase::Opening(opening) if passed && !opening.head.is_empty() && !scene.closing => {
                let answer = scene.service.refusal(408);
                self.refuse(&answer, scene)
            }
            Phase::Opening(_) | Phase::Plain(_) | Phase::Parting(..) if passed => Err(Lost),
            _ => Ok(()),
        };
        match done {
            Ok(()) => self.turn(scene),
            Err(Lost) => self.lose(scene),
        }
    }

    /// When [`Client::tick`] has something to do; `closing` says that nobody new is served.
    pub(crate) fn due(&self, closing: bool) -> Option<Millis> {
        let taken_at = self.socket.taken_at();
        match &self.phase {
            Phase::Open(connection) => connection.due(taken_at),
            Phase::Opening(_) if closing => Some(0),
            Phase::Opening(opening) => Some(opening.until),
            Phase::Asked(_) => None, // the service has its own deadlines
            Phase::Plain(asking) if closing && asking.plain.is_idle() => Some(0),
            Phase::Plain(plain) => {
                let stalled = taken_at.map_or(Millis::MAX, |at| at + OPENING_TIMEOUT);
                Some(plain.plain.until.min(stalled))
            }
            Phase::Parting(until, _) => Some(*until),
        }
    }

    /// Lets the client in; gives the session back when it had left.
    pub(crate) fn accept(
        &mut self,
        welcome: &Welcome,
        session: S::Session,
        scene: &mut Scene<'_, S>,
    ) -> Fate {
        let Phase::Asked(early) = &mut self.phase else {
            session.ended(Ending::lost()); // a ticket answers once, so this is never reached
            return Fate::Leaves;
        };
        let mut early = std::mem::take(early);
        scene.out.clear();
        scene.out.extend_from_slice(welcome.head.as_bytes());
        let unsent = self.socket.unsent();
        self.phase = Phase::Open(Connection::new(session, welcome.compression, scene.now));
        if let Phase::Open(connection) = &mut self.phase {
            connection.open();
            connection.receive(&mut early, &mut Turn { now: scene.now, out: scene.out, unsent });
        }
        match self.send(scene) {
            Ok(()) => self.turn(scene),
            Err(Lost) => self.lose(scene), // it was let in all the same
        }
    }

    /// Sends the client away with an answer.
    pub(crate) fn turn_away(&mut self, answer: &Answer, scene: &mut Scene<'_, S>) -> Fate {
        match self.refuse(answer, scene) {
            Ok(()) => self.turn(scene),
            Err(Lost) => Fate::Leaves,
        }
    }

    /// Ends the connection, once what was posted to it before is sent.
    pub(crate) fn end(&mut self, ending: Ending, scene: &mut Scene<'_, S>) -> Fate {
        if let Phase::Open(connection) = &mut self.phase {
            connection.wish(ending);
        }
        self.turn(scene)
    }

    /// Since when a message or a request is under way, and how many bytes it holds.
    pub(crate) fn unfinished(&self) -> Option<(Millis, usize)> {
        match &self.phase {
            Phase::Open(connection) => connection.unfinished(),
            Phase::Plain(plain) => plain.plain.unfinished(),
            _ => None,
        }
    }

    /// Bytes that it held of an unfinished message and holds now, where that has changed.
    pub(crate) fn held(&mut self) -> Option<(usize, usize)> {
        let held = self.unfinished().map_or(0, |(_, bytes)| bytes);
        let before = std::mem::replace(&mut self.held, held);
        (before != held).then_some((before, held))
    }

    /// Bytes that it held of an unfinished message.
    pub(crate) fn forget_held(&mut self) -> usize {
        std::mem::take(&mut self.held)
    }

    /// Ends the connection for the unfinished message that it holds.
    pub(crate) fn cut_off(&mut self, scene: &mut Scene<'_, S>) -> Fate {
        let Phase::Open(connection) = &mut self.phase else { return Fate::Leaves };
        let unsent = self.socket.unsent();
        connection.cut_off(&mut Turn { now: scene.now, out: scene.out, unsent });
        match self.send(scene) {
            Ok(()) => self.turn(scene),
            Err(Lost) => self.lose(scene),
        }
    }

    /// Lets a client that speaks TLS know that the end of its socket is no attack.
    pub(crate) fn say_goodbye(&mut self, scene: &mut Scene<'_, S>) {
        self.socket.say_goodbye(scene.buffers, scene.now).ok();
    }

    /// Gives the session and how it ended, if it was one; and its socket, where its client may still read.
    pub(crate) fn leave(self) -> (Option<(S::Session, Ending)>, Option<TcpStream>) {
        match self.phase {
            Phase::Open(connection) => {
                let may_read = connection.ends_well() && !self.hung_up;
                let stream = may_read.then(|| self.socket.into_stream());
                (Some(connection.finish()), stream)
            }
            _ => (None, None),
        }
    }

    /// The client is gone, or as good as gone.
    pub(crate) fn lose(&mut self, scene: &mut Scene<'_, S>) -> Fate {
        if let Phase::Open(connection) = &mut self.phase {
            connection.lose(&mut Turn { now: scene.now, out: scene.out, unsent: 0 });
        }
        Fate::Leaves
    }

    fn advance(&mut self, scene: &mut Scene<'_, S>) -> Result<Fate, Lost> {
        for reads_left in (0..=READS_IN_A_ROW).rev() {
            let wants_bytes = match &self.phase {
                Phase::Opening(_) => true,
                Phase::Asked(early) => early.len() < EARLY_BYTES_MAX,
                Phase::Plain(_) => self.answer_requests(scene)?,
                Phase::Open(_) => self.resume(scene)?,
                Phase::Parting(..) => self.part(scene)?,
            };
            if let Phase::Open(connection) = &mut self.phase {
                let all_sent = self.socket.unsent() == 0;
                if connection.is_over(all_sent) {
                    return Ok(Fate::Leaves);
                }
                if connection.finishes(all_sent) {
                    self.socket.finish(scene.buffers, scene.now)?;
                }
            }
            if !wants_bytes || !self.readable {
                return Ok(Fate::Stays);
            }
            if reads_left > 0 {
                self.read(scene)?;
            }
        }
        Ok(Fate::WantsMore)
    }

    /// Reads once, and lets the phase have it.
    fn read(&mut self, scene: &mut Scene<'_, S>) -> Result<(), Lost> {
        let (limit, secure) = match &self.phase {
            Phase::Opening(opening) => {
                let begins = opening.head.is_empty() && !self.socket.is_secure();
                let tls = begins.then(|| Arc::clone(&opening.entrance.tls));
                (HEAD_BYTES_MAX.saturating_sub(opening.head.len()), tls)
            }
            Phase::Asked(early) => (EARLY_BYTES_MAX.saturating_sub(early.len()), None),
            _ => (usize::MAX, None),
        };
        let bytes = match self.socket.read(scene.buffers, limit, secure.as_ref(), scene.now)? {
            Found::Bytes { bytes, more } => {
                self.readable = more || self.hung_up;
                bytes
            }
            Found::Nothing => {
                self.readable = false;
                return Ok(());
            }
            Found::End => return Err(Lost),
        };
        match &mut self.phase {
            Phase::Opening(opening) => {
                if secure.is_some() && self.socket.is_secure() {
                    opening.until = scene.now + OPENING_TIMEOUT;
                }
                let seen = opening.head.len();
                opening.head.extend_from_slice(bytes);
                self.hear(seen, scene)
            }
            Phase::Asked(early) => {
                early.extend_from_slice(bytes);
                Ok(())
            }
            Phase::Plain(plain) => {
                plain.plain.receive(bytes);
                Ok(())
            }
            Phase::Open(connection) => {
                scene.out.clear();
                let unsent = self.socket.unsent();
                connection.receive(bytes, &mut Turn { now: scene.now, out: scene.out, unsent });
                self.send(scene)
            }
            Phase::Parting(..) => Ok(()), // nothing it says matters any more
        }
    }

    /// Finds out what the client wants.
    fn hear(&mut self, seen: usize, scene: &mut Scene<'_, S>) -> Result<(), Lost> {
        let Phase::Opening(opening) = &mut self.phase else { return Ok(()) };
        let found = RequestHead::find_end(&opening.head, seen);
        let parsed = found.and_then(|end| {
            end.map(|end| {
                let head = RequestHead::parse(opening.head.get(..end).unwrap_or_default())?;
                Ok((head, opening.head.split_off(end)))
            })
            .transpose()
        });
        match parsed {
            Ok(None) => Ok(()),
            Ok(Some((head, rest))) if head.asks_for_websocket() => {
                let arrival = Arrival { head, peer: opening.peer, secure: self.socket.is_secure() };
                let site = Arc::clone(&opening.entrance.site);
                self.phase = Phase::Asked(rest);
                let Key { slot, generation } = scene.key;
                let address = Address { node: 0, shard: scene.shard, slot, generation };
                let id = scene.addresses.id_of(address);
                let ticket = Ticket::new(id, scene.key, Arc::clone(scene.mailbox));
                scene.service.arrive(&site, arrival, ticket);
                Ok(())
            }
            Ok(Some((head, rest))) => {
                let plain = Plain::new(Box::new(head), rest, scene.now);
                let (peer, entrance) = (opening.peer, Arc::clone(&opening.entrance));
                self.phase = Phase::Plain(Box::new(Asking { plain, peer, entrance }));
                Ok(())
            }
            Err(error) => {
                tracing::debug!(peer = %opening.peer, %error, "refused a request");
                let answer = scene.service.refusal(error.status());
                self.refuse(&answer, scene)
            }
        }
    }

    /// Answers all requests that are there; true when it waits for more of one.
    fn answer_requests(&mut self, scene: &mut Scene<'_, S>) -> Result<bool, Lost> {
        loop {
            let Phase::Plain(asking) = &mut self.phase else { return self.part(scene) };
            let Asking { plain, peer, entrance } = asking.as_mut();
            if self.socket.unsent() > 0 {
                return Ok(false); // it takes its answers first
            }
            let body_bytes_max = scene.service.body_bytes_max(&entrance.site);
            scene.out.clear();
            match plain.step(body_bytes_max, scene.now) {
                Step::More { go_on } => {
                    if go_on {
                        scene.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                    }
                    self.send(scene)?;
                    return Ok(true);
                }
                Step::Request(head, body) => {
                    let last =
                        scene.closing || !head.http_1_1 || head.has_token("connection", "close");
                    let request = Request { head: &head, body, peer: *peer };
                    let mut answer = scene.service.request(&entrance.site, request);
                    if head.method == "HEAD" {
                        answer.body = Bytes::new(); // it has none, whatever it says
                    }
                    if last {
                        self.refuse(&answer, scene)?;
                    } else {
                        answer.write(false, scene.out);
                        self.send(scene)?;
                    }
                }
                Step::Refuse(status) => {
                    let answer = scene.service.refusal(status);
                    self.refuse(&answer, scene)?;
                }
            }
        }
    }

    /// Sends what is posted, reads what waits; true when it wants more bytes of the client.
    fn resume(&mut self, scene: &mut Scene<'_, S>) -> Result<bool, Lost> {
        loop {
            let Phase::Open(connection) = &mut self.phase else { return Ok(false) };
            scene.out.clear();
            let unsent = self.socket.unsent();
            let mut turn = Turn { now: scene.now, out: scene.out, unsent };
            connection.resume(&mut turn);
            if turn.out.is_empty() {
                return Ok(connection.wants_bytes(&turn));
            }
            self.send(scene)?;
        }
    }

    /// The last answer and the end of what we say.
    fn refuse(&mut self, answer: &Answer, scene: &mut Scene<'_, S>) -> Result<(), Lost> {
        scene.out.clear();
        answer.write(true, scene.out);
        self.send(scene)?;
        self.phase = Phase::Parting(scene.now + PARTING_TIMEOUT, false);
        self.part(scene).map(|_| ())
    }

    /// Finishes once everything is sent; what the client still says is read over until it leaves.
    fn part(&mut self, scene: &mut Scene<'_, S>) -> Result<bool, Lost> {
        if let Phase::Parting(_, finished @ false) = &mut self.phase
            && self.socket.unsent() == 0
        {
            *finished = true;
            self.socket.finish(scene.buffers, scene.now)?;
        }
        Ok(true)
    }

    fn send(&mut self, scene: &mut Scene<'_, S>) -> Result<(), Lost> {
        Ok(self.socket.send(scene.out, scene.buffers, scene.now)?)
    }
}
