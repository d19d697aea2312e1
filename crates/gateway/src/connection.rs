//! A connection after its 101: the one place that reads and writes a client's socket.
//!
//! It is a state machine that is polled: no buffer is held while the client is silent, a read goes into one
//! buffer that all connections of a thread share, and only what is incomplete is kept. What messages mean is
//! the [`Session`]'s business.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use stillwire_model::limits;
use stillwire_websocket::{
    Decoder, Limits, Masking, Message, Opcode, ProtocolError, Role, encode_close, encode_message,
    encode_pong,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Duration, Instant, Sleep, sleep_until};

use crate::ending::{Ending, Goodbye};
use crate::outbox::Outbox;
use crate::shared::ConnectionLimits;

/// How long the other end may take to finish the close handshake, and to take our last bytes.
///
/// Choice: long enough for a slow network, short enough that a dead one costs little.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a client may take no byte at all while bytes are due to it.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes on their way to the socket before more is taken from the outbox.
const WRITE_AHEAD_BYTES: usize = 64 * 1024;

/// The size of the buffer that a thread's connections read into.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// What a connection is for: gets its messages, and knows the outbox that others post to.
pub trait Session {
    /// Where messages for the client are posted.
    fn outbox(&self) -> &Outbox;

    /// A text message of the client. What is due back at once is appended to `replies`.
    fn message(&mut self, text: &str, replies: &mut Replies<'_>);

    /// A message went either way.
    fn active(&mut self);

    /// The end is decided: from now on the client cannot be reached. Called once.
    fn ending(&mut self, ending: &Ending, why: Option<ProtocolError>);
}

/// Answers that go out with the next write, before anything that is posted.
#[derive(Debug)]
pub struct Replies<'a> {
    out: &'a mut Vec<u8>,
    frame_bytes_max: usize,
}

impl Replies<'_> {
    /// Sends a text message.
    pub fn send(&mut self, text: &str) {
        encode_message(
            Opcode::Text,
            text.as_bytes(),
            self.frame_bytes_max,
            Masking::None,
            self.out,
        );
    }
}

/// A live connection's task.
pub struct Connection<S, T> {
    stream: S,
    session: T,
    limits: ConnectionLimits,
    decoder: Decoder,
    /// Read but not decoded: what came with the handshake, or while the application is behind.
    unread: Vec<u8>,
    /// Encoded but not written, from `written` on.
    out: Vec<u8>,
    written: usize,
    /// Since when the socket takes nothing.
    stalled: Option<Instant>,
    in_flight: usize,
    /// The end that is wished for, and when it comes even if the client has taken nothing by then.
    hurried: Option<Box<(Ending, Instant)>>,
    /// The newest ping that is not answered yet.
    ping: Option<Box<[u8]>>,
    born: Instant,
    last_message: Instant,
    state: State,
    timer: Pin<Box<Sleep>>,
}

/// Serves the client until the connection is over; says how it ended. A future of its own, without an `async`
/// block around it, because such a block would hold the state twice.
impl<S, T> Future for Connection<S, T>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: Session + Unpin,
{
    type Output = Ending;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ending> {
        let this = self.get_mut();
        if !matches!(this.state, State::Leaving(_)) {
            let ending = ready!(this.poll_open(cx));
            this.session.outbox().close();
            this.forget_output();
            this.timer.as_mut().reset(Instant::now() + CLOSE_TIMEOUT);
            this.state = State::Leaving(ending);
        }
        // The socket is closed in any case; this only lets TLS say goodbye.
        let goodbye = Pin::new(&mut this.stream).poll_shutdown(cx);
        if goodbye.is_pending() && this.timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        match std::mem::replace(&mut this.state, State::Open) {
            State::Leaving(ending) => Poll::Ready(ending),
            _ => Poll::Ready(Ending::lost()),
        }
    }
}

enum State {
    Open,
    /// Over, but for the goodbye.
    Leaving(Ending),
    /// The end is decided; the close frame is on its way, or was none.
    Closing {
        ending: Ending,
        until: Instant,
        /// Nothing more is expected from the client: the connection is over once our bytes are out.
        answered: bool,
    },
}

impl<S, T> std::fmt::Debug for Connection<S, T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Connection").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, T: Session> Connection<S, T> {
    /// Takes over a socket whose 101 was written; `unread` is what the client sent after its handshake.
    pub fn new(stream: S, session: T, limits: ConnectionLimits, unread: Vec<u8>) -> Self {
        let now = Instant::now();
        let accepted = Limits {
            frame_bytes_max: limits.frame_bytes_max,
            message_bytes_max: limits.message_bytes_max,
            // Source: API Gateway Developer Guide, "Working with binary media types": binary frames close 1003.
            binary: false,
        };
        Self {
            stream,
            session,
            decoder: Decoder::new(Role::Server, accepted),
            unread,
            out: Vec::new(),
            written: 0,
            stalled: None,
            in_flight: 0,
            hurried: None,
            ping: None,
            born: now,
            last_message: now,
            state: State::Open,
            timer: Box::pin(sleep_until(now + limits.idle_timeout)),
            limits,
        }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        loop {
            self.take_posts(cx);
            self.decode_unread();
            let had_room = self.has_room();
            if self.poll_write(cx).is_err() {
                return Poll::Ready(self.lost());
            }
            if !had_room && self.has_room() {
                continue; // what waits in the outbox for room will wake nobody
            }
            if let Some(ending) = self.over() {
                return Poll::Ready(ending);
            }
            if self.may_read() {
                match self.poll_read(cx) {
                    Poll::Ready(Ok(true)) => continue,
                    Poll::Ready(Ok(false) | Err(_)) => return Poll::Ready(self.lost()),
                    Poll::Pending => {}
                }
            }
            if !self.poll_timer(cx) {
                return Poll::Pending;
            }
        }
    }

    /// Encodes what others posted, and heeds their wish to end.
    fn take_posts(&mut self, cx: &mut Context<'_>) {
        let room = self.has_room();
        let taken = self.session.outbox().poll_take(cx, room);
        self.in_flight = taken.in_flight;
        if !matches!(self.state, State::Open) {
            return;
        }
        if !taken.messages.is_empty() {
            self.note_message();
        }
        let frame_bytes_max = self.limits.frame_bytes_max;
        for message in taken.messages {
            encode_message(Opcode::Text, &message, frame_bytes_max, Masking::None, &mut self.out);
        }
        match taken.end {
            Some(ending) if room => self.close(ending, None),
            Some(ending) => self.hurry(ending),
            None => {}
        }
    }

    /// Whether more may be encoded: what the socket does not take piles up in the outbox, which is bounded.
    fn has_room(&self) -> bool {
        self.out.len() - self.written < WRITE_AHEAD_BYTES
    }

    /// The end is wished for while the client takes no bytes: it has a moment to change that.
    fn hurry(&mut self, ending: Ending) {
        let now = Instant::now();
        let hurried = self.hurried.get_or_insert_with(|| Box::new((ending, now + CLOSE_TIMEOUT)));
        let until = hurried.1;
        if until < self.timer.deadline() {
            self.timer.as_mut().reset(until);
        }
    }

    fn decode_unread(&mut self) {
        if !self.unread.is_empty() && self.accepts_messages() {
            let mut bytes = std::mem::take(&mut self.unread);
            self.decode(&mut bytes);
        }
    }

    /// Reading stops while the application is behind: the client feels it in its own socket.
    fn may_read(&self) -> bool {
        match &self.state {
            State::Open => self.accepts_messages() && self.unread.is_empty(),
            State::Closing { answered, .. } => !answered,
            State::Leaving(_) => false,
        }
    }

    fn accepts_messages(&self) -> bool {
        self.in_flight < limits::IN_FLIGHT_PER_CONNECTION_MAX && self.has_room()
    }

    /// Reads once; false at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            let bytes = buffer.filled_mut();
            if bytes.is_empty() {
                return Poll::Ready(Ok(false));
            }
            self.decode(bytes);
            Poll::Ready(Ok(true))
        })
    }

    fn decode(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while let Some(rest) = bytes.get_mut(at..)
            && !rest.is_empty()
        {
            if matches!(self.state, State::Open) && !self.accepts_messages() {
                self.unread.extend_from_slice(rest);
                return;
            }
            match self.decoder.decode(rest) {
                Ok(decoded) => {
                    at += decoded.consumed;
                    match decoded.message {
                        Some(message) => self.receive(message),
                        None => return,
                    }
                }
                Err(violation) => {
                    // Nothing after this can be understood; reading on lets our close frame arrive.
                    self.close(Ending::by_violation(violation), Some(violation));
                    return;
                }
            }
        }
    }

    fn receive(&mut self, message: Message<'_>) {
        if let State::Closing { answered, .. } = &mut self.state {
            // We have said our close; only the client's own still matters.
            *answered |= matches!(message, Message::Close(_));
            return;
        }
        match message {
            Message::Text(text) => {
                self.note_message();
                let frame_bytes_max = self.limits.frame_bytes_max;
                let mut replies = Replies { out: &mut self.out, frame_bytes_max };
                self.session.message(&text, &mut replies);
                self.in_flight = self.session.outbox().in_flight();
            }
            Message::Ping(payload) => {
                // Of pings that pile up only the newest need an answer. Source: RFC 6455, section 5.5.3.
                if self.has_room() {
                    encode_pong(&payload, Masking::None, &mut self.out);
                } else {
                    self.ping = Some(payload.into_owned().into());
                }
            }
            // Nobody asked for a pong; binary was refused by the decoder.
            Message::Pong(_) | Message::Binary(_) => {}
            Message::Close(frame) => {
                self.close(Ending::by_client(frame), None);
                if let State::Closing { answered, .. } = &mut self.state {
                    *answered = true;
                }
            }
        }
    }

    /// Decides the end. The first decision stands; from here on the connection cannot be posted to.
    fn close(&mut self, ending: Ending, why: Option<ProtocolError>) {
        if !matches!(self.state, State::Open) {
            return;
        }
        self.session.ending(&ending, why);
        self.session.outbox().close();
        self.unread = Vec::new();
        match &ending.goodbye {
            Goodbye::Frame(frame) => encode_close(Some(frame), Masking::None, &mut self.out),
            Goodbye::Bare => encode_close(None, Masking::None, &mut self.out),
            Goodbye::Silent => {}
        }
        let until = Instant::now() + CLOSE_TIMEOUT;
        self.state = State::Closing { ending, until, answered: false };
        self.timer.as_mut().reset(until);
    }

    /// The ending, once nothing is left to do.
    fn over(&mut self) -> Option<Ending> {
        match &self.state {
            State::Closing { ending, answered: true, .. } if self.out.is_empty() => {
                Some(ending.clone())
            }
            _ => None,
        }
    }

    /// The socket is gone: what was decided before stands, else the connection was lost.
    fn lost(&mut self) -> Ending {
        match &self.state {
            State::Open => Ending::lost(),
            State::Closing { ending, .. } | State::Leaving(ending) => ending.clone(),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while let Some(rest) = self.out.get(self.written..)
            && !rest.is_empty()
        {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    self.written += written;
                    self.stalled = None;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    if self.stalled.is_none() {
                        let now = Instant::now();
                        self.stalled = Some(now);
                        if now + STALL_TIMEOUT < self.timer.deadline() {
                            self.timer.as_mut().reset(now + STALL_TIMEOUT);
                        }
                    }
                    return Ok(());
                }
            }
        }
        if !self.out.is_empty() {
            // An idle connection holds no buffer.
            self.out = Vec::new();
            self.written = 0;
        }
        if let Some(payload) = self.ping.take()
            && matches!(self.state, State::Open)
        {
            encode_pong(&payload, Masking::None, &mut self.out);
            return self.poll_write(cx);
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Acts on a deadline that has passed; false when none has.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        if self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        let now = Instant::now();
        let stalls_until = self.stalled.map(|since| since + STALL_TIMEOUT);
        if stalls_until.is_some_and(|until| until <= now) {
            tracing::info!("closing: a client takes no bytes");
            self.give_up(Ending::lost());
        }
        if let Some(hurried) = self.hurried.take_if(|hurried| hurried.1 <= now) {
            self.give_up(hurried.0);
        }
        match &mut self.state {
            State::Open => {
                // Messages do not touch the timer: it finds out here that it fired early.
                let (idle, age) = (self.limits.idle_timeout, self.limits.lifetime_max);
                let due = (self.last_message + idle).min(self.born + age);
                if due <= now {
                    self.close(Ending::going_away(), None);
                } else {
                    let hurried_until = self.hurried.as_ref().map(|hurried| hurried.1);
                    let next =
                        [stalls_until, hurried_until].into_iter().flatten().fold(due, Instant::min);
                    self.timer.as_mut().reset(next);
                }
            }
            State::Closing { until, answered, .. } => {
                if *until <= now {
                    *answered = true;
                    self.forget_output();
                } else {
                    let until = *until;
                    self.timer.as_mut().reset(until);
                }
            }
            State::Leaving(_) => {}
        }
        true
    }

    /// Ends without waiting for a client that takes nothing.
    fn give_up(&mut self, ending: Ending) {
        self.forget_output();
        self.close(ending, None);
    }

    fn forget_output(&mut self) {
        self.out = Vec::new();
        self.written = 0;
        self.stalled = None;
    }

    fn note_message(&mut self) {
        self.last_message = Instant::now();
        self.session.active();
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
