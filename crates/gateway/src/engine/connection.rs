//! A connection after its 101, as a state machine: bytes and deadlines in, bytes and calls out.
//!
//! It owns no socket and no clock, and it holds no buffer while the client is silent: what arrives is decoded in
//! the shard's buffer, and only what is incomplete is kept. What messages mean is the [`Session`]'s business.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stillwire_websocket::{
    Decoder, Limits, Masking, Message, Negotiated, Opcode, ProtocolError, Role, encode_close,
    encode_message, encode_message_deflated, encode_ping, encode_pong,
};

use crate::engine::ConnectionLimits;
use crate::engine::ending::{Ending, Goodbye};
use crate::engine::outbox::{Outbox, Outgoing};
use crate::engine::wheel::Millis;

/// How long the other end may take to finish the close handshake, and to take our last bytes.
///
/// Choice: long enough for a slow network, short enough that a dead one costs little.
const CLOSE_TIMEOUT: Millis = 3000;

/// The largest message of a client that was told the end: nobody will read it.
const LATE_BYTES_MAX: usize = 128 * 1024;

/// Bytes on their way to the socket before more is taken from the outbox.
const WRITE_AHEAD_BYTES: usize = 64 * 1024;

/// What a connection is for: gets its messages, and knows the outbox that others post to.
pub trait Session {
    /// Where messages for the client are posted.
    fn outbox(&self) -> &Outbox;

    /// A message of the client. What is due back at once is appended to `replies`.
    fn message(&mut self, message: Incoming<'_>, replies: &mut Replies<'_>);

    /// The client is let in; its 101 is about to be written.
    fn opened(&mut self) {}

    /// A message went either way.
    fn active(&mut self) {}

    /// The end is decided: from now on the client cannot be reached. Called once.
    fn ending(&mut self, ending: &Ending, why: Option<ProtocolError>);

    /// The connection is over, and its socket closed.
    fn ended(self, ending: Ending);
}

/// A client's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// UTF-8 text.
    Text(&'a str),
    /// Anything; only where [`ConnectionLimits::binary`] accepts it.
    Binary(&'a [u8]),
}

/// Answers that go out with the next write, before anything that is posted.
#[derive(Debug)]
pub struct Replies<'a> {
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) frame_bytes_max: usize,
    pub(crate) compression: Option<Negotiated>,
}

impl Replies<'_> {
    /// Sends a text message.
    pub fn text(&mut self, text: &str) {
        self.send(Opcode::Text, text.as_bytes());
    }

    /// Sends a message.
    pub fn message(&mut self, message: &Outgoing) {
        match message {
            Outgoing::Text(bytes) => self.send(Opcode::Text, bytes),
            Outgoing::Binary(bytes) => self.send(Opcode::Binary, bytes),
        }
    }

    /// Sends a binary message.
    pub fn binary(&mut self, bytes: &[u8]) {
        self.send(Opcode::Binary, bytes);
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let (limit, masking) = (self.frame_bytes_max, Masking::None);
        match self.compression {
            None => encode_message(opcode, payload, limit, masking, self.out),
            Some(Negotiated { window_bits, .. }) => {
                encode_message_deflated(opcode, payload, limit, masking, window_bits, self.out);
            }
        }
    }
}

/// What a connection works with while it has its turn.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) now: Millis,
    /// Where bytes for the client are appended.
    pub(crate) out: &'a mut Vec<u8>,
    /// Bytes before them that the socket has not taken.
    pub(crate) unsent: usize,
}

impl Turn<'_> {
    /// Whether more may be encoded: what the socket does not take piles up in the outbox, which is bounded.
    fn has_room(&self) -> bool {
        self.unsent + self.out.len() < WRITE_AHEAD_BYTES
    }
}

/// A live connection.
#[derive(Debug)]
pub(crate) struct Connection<T> {
    session: T,
    state: State,
}

/// All that a connection is between two turns, beside its session and its socket: plain data that can be written
/// down and read back, so that it can go on in another process.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    decoder: Decoder,
    born: Millis,
    last_message: Millis,
    last_heard: Millis,
    /// Control frames in the second they came in.
    controls: (u32, u32),
    pinged: bool,
    /// What was agreed about compression.
    compression: Option<Negotiated>,
    closing: Option<Box<Closing>>,
    rare: Option<Box<Rare>>,
}

/// The end is decided; the close frame is on its way, or was none.
#[derive(Debug, Serialize, Deserialize)]
struct Closing {
    ending: Ending,
    until: Millis,
    /// Nothing more is expected from the client: the connection is over once our bytes are out.
    answered: bool,
    /// Nor are our bytes waited for.
    abandoned: bool,
    /// The client broke the protocol: nothing it sends can be understood any more.
    garbled: bool,
    /// The socket was told that we send no more.
    finished: bool,
}

/// What few connections need, and those for a moment.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Rare {
    /// Read but not decoded, while the application or the client is behind.
    unread: Vec<u8>,
    /// The end that is wished for, and when it comes even if the client has taken nothing by then.
    hurried: Option<(Ending, Millis)>,
    /// Since when a message is under way.
    midway_since: Option<Millis>,
}

impl Rare {
    fn is_idle(&self) -> bool {
        self.unread.is_empty() && self.hurried.is_none() && self.midway_since.is_none()
    }
}

impl<T: Session> Connection<T> {
    /// A connection whose 101 was written.
    pub(crate) fn new(session: T, compression: Option<Negotiated>, now: Millis) -> Self {
        let decoder = Decoder::new(Role::Server);
        let state = State {
            decoder: if compression.is_some() { decoder.with_deflate() } else { decoder },
            born: now,
            last_message: now,
            last_heard: now,
            controls: (0, 0),
            pinged: false,
            compression,
            closing: None,
            rare: None,
        };
        Self { session, state }
    }

    /// Says that the client is let in.
    pub(crate) fn open(&mut self) {
        self.session.opened();
    }

    /// Takes bytes of the client.
    pub(crate) fn receive(&mut self, bytes: &mut [u8], turn: &mut Turn<'_>) {
        self.state.last_heard = turn.now;
        self.state.pinged = false;
        match &mut self.state.rare {
            Some(rare) if !rare.unread.is_empty() => rare.unread.extend_from_slice(bytes),
            _ => self.decode(bytes, turn),
        }
        self.note_midway(turn.now);
    }

    /// Notes since when a message is under way, or that none is.
    fn note_midway(&mut self, now: Millis) {
        let is_midway = self.state.closing.is_none() && self.state.decoder.is_midway();
        let midway_since = is_midway.then(|| self.midway_since().unwrap_or(now));
        self.keep(|rare| rare.midway_since = midway_since, midway_since.is_some());
    }

    /// Does what became possible: sends what was posted, reads what waited, heeds the wish to end.
    pub(crate) fn resume(&mut self, turn: &mut Turn<'_>) {
        self.take_posts(turn);
        if self.state.rare.is_some() && self.accepts_messages(turn) {
            let unread = self.state.rare.as_mut().map(|rare| std::mem::take(&mut rare.unread));
            self.decode(&mut unread.unwrap_or_default(), turn);
            self.note_midway(turn.now);
        }
    }

    /// Acts on the deadlines that have passed; `taken_at` is when a socket that lags last took a byte.
    pub(crate) fn tick(&mut self, taken_at: Option<Millis>, turn: &mut Turn<'_>) {
        let now = turn.now;
        let limits = self.limits();
        let passed = |since: Millis, limit: Option<Duration>| {
            limit.is_some_and(|limit| since.saturating_add(millis(limit)) <= now)
        };
        let stalled = taken_at.is_some_and(|at| passed(at, Some(limits.stall_timeout)));
        let slow = self.midway_since().is_some_and(|since| passed(since, limits.message_timeout));
        let old = passed(self.state.last_message, limits.idle_timeout)
            || passed(self.state.born, limits.lifetime_max);
        let silent = passed(self.state.last_heard, limits.ping_interval);
        let deaf = self.state.pinged
            && passed(
                self.state.last_heard,
                limits.ping_interval.map(|time| time.saturating_mul(2)),
            );
        if let Some(closing) = &mut self.state.closing {
            if stalled || closing.until <= now {
                closing.answered = true;
                closing.abandoned = true;
            }
            return;
        }
        let hurried =
            self.state.rare.as_mut().and_then(|rare| rare.hurried.take_if(|(_, at)| *at <= now));
        if let Some((ending, _)) = hurried {
            self.abandon(ending, turn);
        } else if stalled {
            self.abandon(Ending::by_policy("slow consumer"), turn);
        } else if deaf {
            self.abandon(Ending::lost(), turn);
        } else if slow {
            self.close(Ending::by_policy("message unfinished"), None, turn);
        } else if old {
            self.close(Ending::going_away(), None, turn);
        } else if silent && !self.state.pinged {
            self.state.pinged = true;
            encode_ping(b"", Masking::None, turn.out);
        }
    }

    /// When [`Connection::tick`] has something to do, if the client and the application do nothing until then.
    pub(crate) fn due(&self, taken_at: Option<Millis>) -> Option<Millis> {
        let limits = self.limits();
        let after = |since: Millis, limit: Option<Duration>| {
            limit.map(|limit| since.saturating_add(millis(limit)))
        };
        let stall = taken_at.and_then(|at| after(at, Some(limits.stall_timeout)));
        if let Some(closing) = &self.state.closing {
            return Some(stall.map_or(closing.until, |stall| stall.min(closing.until)));
        }
        let pings = if self.state.pinged { 2 } else { 1 };
        [
            stall,
            after(self.state.last_message, limits.idle_timeout),
            after(self.state.born, limits.lifetime_max),
            after(
                self.state.last_heard,
                limits.ping_interval.map(|time| time.saturating_mul(pings)),
            ),
            self.midway_since().and_then(|since| after(since, limits.message_timeout)),
            self.state.rare.as_ref().and_then(|rare| Some(rare.hurried.as_ref()?.1)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The socket is gone: what was decided before stands, else the connection was lost.
    pub(crate) fn lose(&mut self, turn: &mut Turn<'_>) {
        self.abandon(Ending::lost(), turn);
    }

    /// Wishes for the end, which comes once what was posted before is sent.
    pub(crate) fn wish(&mut self, ending: Ending) {
        self.session.outbox().end(ending).ok(); // one that is ending already needs no second wish
    }

    /// Whether nothing is left to do; `all_sent` says that the socket has taken everything.
    pub(crate) fn is_over(&self, all_sent: bool) -> bool {
        let done = |closing: &Closing| closing.answered && (all_sent || closing.abandoned);
        self.state.closing.as_deref().is_some_and(done)
    }

    /// Whether both ends have said their close.
    pub(crate) fn ends_well(&self) -> bool {
        self.state.closing.as_deref().is_some_and(|closing| closing.answered && !closing.abandoned)
    }

    /// Whether the socket is to say now that we send no more: a connection that has failed does not wait for the
    /// client's close, but reads on, so that its own still arrives. True once.
    ///
    /// Source: RFC 6455, section 7.1.7.
    pub(crate) fn finishes(&mut self, all_sent: bool) -> bool {
        let Some(closing) = &mut self.state.closing else { return false };
        let now = closing.garbled && all_sent && !closing.finished;
        closing.finished |= now;
        now
    }

    /// Reading stops while the application is behind: the client feels it in its own socket.
    pub(crate) fn wants_bytes(&self, turn: &Turn<'_>) -> bool {
        match &self.state.closing {
            Some(closing) => !closing.answered,
            None => {
                self.state.rare.as_ref().is_none_or(|rare| rare.unread.is_empty())
                    && self.accepts_messages(turn)
            }
        }
    }

    /// Ends the connection for the message that it does not finish: others need the room.
    pub(crate) fn cut_off(&mut self, turn: &mut Turn<'_>) {
        self.close(Ending::by_policy("message unfinished"), None, turn);
        self.stop_decoding();
    }

    /// Since when a message is under way, and how many bytes it holds.
    pub(crate) fn unfinished(&self) -> Option<(Millis, usize)> {
        Some((self.midway_since()?, self.state.decoder.held_bytes()))
    }

    /// Gives back the session, with how it ended.
    pub(crate) fn finish(self) -> (T, Ending) {
        let ending = self.state.closing.map_or_else(Ending::lost, |closing| closing.ending);
        (self.session, ending)
    }

    fn limits(&self) -> &ConnectionLimits {
        self.session.outbox().limits()
    }

    fn midway_since(&self) -> Option<Millis> {
        self.state.rare.as_ref()?.midway_since
    }

    /// Sets something rare; `present` says whether that needs a place.
    fn keep(&mut self, set: impl FnOnce(&mut Rare), present: bool) {
        if present {
            set(self.state.rare.get_or_insert_default());
        } else if let Some(rare) = &mut self.state.rare {
            set(rare);
            self.state.rare.take_if(|rare| rare.is_idle());
        }
    }

    /// Encodes what others posted, and heeds their wish to end.
    fn take_posts(&mut self, turn: &mut Turn<'_>) {
        if self.state.closing.is_some() {
            return;
        }
        let frame_bytes_max = self.limits().frame_bytes_max;
        let compression = self.state.compression;
        let before = turn.out.len();
        let wish = self.session.outbox().take(turn.has_room(), |message| {
            let (opcode, payload) = match &message {
                Outgoing::Text(text) => (Opcode::Text, text),
                Outgoing::Binary(bytes) => (Opcode::Binary, bytes),
            };
            Replies { out: turn.out, frame_bytes_max, compression }.send(opcode, payload);
            turn.has_room()
        });
        if turn.out.len() > before {
            self.note_message(turn.now);
        }
        match wish {
            Some(wish) if wish.is_early => {
                let until = turn.now + CLOSE_TIMEOUT;
                self.keep(|rare| _ = rare.hurried.get_or_insert((wish.ending, until)), true);
            }
            Some(wish) => self.close(wish.ending, None, turn),
            None => {}
        }
    }

    fn accepts_messages(&self, turn: &Turn<'_>) -> bool {
        turn.has_room() && !self.session.outbox().is_behind()
    }

    /// What the client may send now.
    fn accepted(&self) -> Limits {
        let limits = self.limits();
        let room = if self.state.closing.is_some() { LATE_BYTES_MAX } else { usize::MAX };
        Limits {
            frame_bytes_max: limits.frame_bytes_max.min(room),
            message_bytes_max: limits.message_bytes_max.min(room),
            binary: limits.binary,
        }
    }

    fn decode(&mut self, bytes: &mut [u8], turn: &mut Turn<'_>) {
        let mut at = 0;
        while let Some(rest) = bytes.get_mut(at..)
            && !rest.is_empty()
            && !self.state.closing.as_ref().is_some_and(|closing| closing.garbled)
        {
            if self.state.closing.is_none() && !self.accepts_messages(turn) {
                self.keep(|rare| rare.unread.extend_from_slice(rest), true);
                return;
            }
            let accepted = self.accepted();
            match self.state.decoder.decode(&accepted, rest) {
                Ok(decoded) => {
                    at += decoded.consumed;
                    let Some(message) = decoded.message else { return };
                    match &mut self.state.closing {
                        None => self.heed(message, turn),
                        // We have said our close; only the client's own still matters.
                        Some(closing) => closing.answered |= matches!(message, Message::Close(_)),
                    }
                }
                Err(violation) => {
                    self.close(Ending::by_violation(violation), Some(violation), turn);
                    self.stop_decoding();
                }
            }
        }
    }

    /// Lets go of what was received: the rest is read, so that our close frame arrives, but means nothing.
    fn stop_decoding(&mut self) {
        self.state.decoder = Decoder::new(Role::Server);
        if let Some(closing) = &mut self.state.closing {
            closing.garbled = true;
        }
    }

    fn heed(&mut self, message: Message<'_>, turn: &mut Turn<'_>) {
        match message {
            Message::Text(text) => self.deliver(Incoming::Text(&text), turn),
            Message::Binary(bytes) => self.deliver(Incoming::Binary(&bytes), turn),
            Message::Ping(payload) => {
                if !self.is_flooded(turn) {
                    encode_pong(&payload, Masking::None, turn.out);
                }
            }
            Message::Pong(_) => _ = self.is_flooded(turn), // nobody asked, or it said all by coming
            Message::Close(frame) => {
                self.close(Ending::by_client(frame), None, turn);
                if let Some(closing) = &mut self.state.closing {
                    closing.answered = true;
                }
            }
        }
    }

    fn deliver(&mut self, message: Incoming<'_>, turn: &mut Turn<'_>) {
        self.note_message(turn.now);
        let frame_bytes_max = self.limits().frame_bytes_max;
        let compression = self.state.compression;
        let mut replies = Replies { out: turn.out, frame_bytes_max, compression };
        self.session.message(message, &mut replies);
    }

    /// Counts a control frame; true when there were too many, which ends the connection.
    fn is_flooded(&mut self, turn: &mut Turn<'_>) -> bool {
        let second = u32::try_from(turn.now / 1000).unwrap_or(u32::MAX);
        let (count, since) = self.state.controls;
        self.state.controls =
            if since == second { (count.saturating_add(1), since) } else { (1, second) };
        let flooded = self.state.controls.0 > self.limits().controls_per_second_max;
        if flooded {
            self.close(Ending::by_policy("too many control frames"), None, turn);
        }
        flooded
    }

    /// Decides the end. The first decision stands; from here on the connection cannot be posted to.
    fn close(&mut self, ending: Ending, why: Option<ProtocolError>, turn: &mut Turn<'_>) {
        if self.state.closing.is_some() {
            return;
        }
        self.session.ending(&ending, why);
        self.session.outbox().close();
        self.state.rare = None;
        match &ending.goodbye {
            Goodbye::Frame(frame) => encode_close(Some(frame), Masking::None, turn.out),
            Goodbye::Bare => encode_close(None, Masking::None, turn.out),
            Goodbye::Silent => {}
        }
        let until = turn.now + CLOSE_TIMEOUT;
        self.state.closing = Some(Box::new(Closing {
            ending,
            until,
            answered: false,
            abandoned: false,
            garbled: false,
            finished: false,
        }));
    }

    /// Ends without waiting for a client that is gone, or as good as gone.
    fn abandon(&mut self, ending: Ending, turn: &mut Turn<'_>) {
        self.close(ending, None, turn);
        if let Some(closing) = &mut self.state.closing {
            (closing.answered, closing.abandoned) = (true, true);
        }
    }

    fn note_message(&mut self, now: Millis) {
        self.state.last_message = now;
        self.session.active();
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
