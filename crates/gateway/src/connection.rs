//! A connection after its 101: the one place that reads and writes a client's socket.
//!
//! It is a state machine that is polled: no buffer is held while the client is silent, a read goes into one
//! buffer that all connections of a thread share, and only what is incomplete is kept.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use stillwire_drain::Drain;
use stillwire_model::limits;
use stillwire_websocket::{
    Decoder, Limits, Masking, Message, Opcode, Role, encode_close, encode_message, encode_pong,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Duration, Instant, Sleep, sleep_until};

use crate::ending::{Ending, Goodbye};
use crate::event::{self, Moment};
use crate::outbox::PostError;
use crate::registry::Live;
use crate::rescue::{self, Failure};
use crate::shared::Shared;
use crate::{integration, response, route};

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

/// A live connection's task.
pub(crate) struct Connection<S> {
    stream: S,
    live: Arc<Live>,
    shared: Arc<Shared>,
    drain: Drain,
    decoder: Decoder,
    /// Read but not decoded: what came with the handshake, or while the application is behind.
    unread: Vec<u8>,
    /// Encoded but not written, from `written` on.
    out: Vec<u8>,
    written: usize,
    /// Since when the socket takes nothing.
    stalled: Option<Instant>,
    in_flight: usize,
    born: Instant,
    last_message: Instant,
    state: State,
    timer: Pin<Box<Sleep>>,
}

enum State {
    Open,
    /// The end is decided; the close frame is on its way, or was none.
    Closing {
        ending: Ending,
        until: Instant,
        /// Nothing more is expected from the client: the connection is over once our bytes are out.
        answered: bool,
    },
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Takes over a socket whose 101 was written; `unread` is what the client sent after its handshake.
    pub(crate) fn new(
        stream: S,
        live: Arc<Live>,
        shared: Arc<Shared>,
        drain: Drain,
        unread: Vec<u8>,
    ) -> Self {
        let now = Instant::now();
        let config = &shared.config.connection;
        let limits = Limits {
            frame_bytes_max: config.frame_bytes_max,
            message_bytes_max: config.message_bytes_max,
            // Source: API Gateway Developer Guide, "Working with binary media types": binary frames close 1003.
            binary: false,
        };
        Self {
            stream,
            live,
            decoder: Decoder::new(Role::Server, limits),
            unread,
            out: Vec::new(),
            written: 0,
            stalled: None,
            in_flight: 0,
            born: now,
            last_message: now,
            state: State::Open,
            timer: Box::pin(sleep_until(now + config.idle_timeout)),
            shared,
            drain,
        }
    }

    /// Serves the client until the connection is over; says how it ended.
    pub(crate) async fn run(mut self) -> Ending {
        let ending = std::future::poll_fn(|cx| self.poll(cx)).await;
        self.live.outbox.close();
        let goodbye = std::future::poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx));
        // The socket is closed in any case; this only lets TLS say goodbye.
        tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await.ok();
        ending
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        loop {
            self.take_posts(cx);
            self.decode_unread();
            if self.poll_write(cx).is_err() {
                return Poll::Ready(self.lost());
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
        let room = self.out.len() - self.written < WRITE_AHEAD_BYTES;
        let taken = self.live.outbox.poll_take(cx, room);
        self.in_flight = taken.in_flight;
        if !matches!(self.state, State::Open) {
            return;
        }
        if !taken.messages.is_empty() {
            self.note_message();
        }
        let frame_bytes_max = self.shared.config.connection.frame_bytes_max;
        for message in taken.messages {
            encode_message(Opcode::Text, &message, frame_bytes_max, Masking::None, &mut self.out);
        }
        if let Some(ending) = taken.end
            && room
        {
            self.close(ending);
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
        }
    }

    fn accepts_messages(&self) -> bool {
        self.in_flight < limits::IN_FLIGHT_PER_CONNECTION_MAX
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
                    if matches!(self.state, State::Open) {
                        tracing::info!(connection = %self.live.peer.id, %violation, "closing");
                    }
                    // Nothing after this can be understood; reading on lets our close frame arrive.
                    self.close(Ending::by_violation(violation));
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
                self.dispatch(&text);
            }
            Message::Ping(payload) => {
                // Of pings that pile up only the newest need an answer. Source: RFC 6455, section 5.5.3.
                if self.out.len() - self.written < WRITE_AHEAD_BYTES {
                    encode_pong(&payload, Masking::None, &mut self.out);
                }
            }
            // Nobody asked for a pong; binary was refused by the decoder.
            Message::Pong(_) | Message::Binary(_) => {}
            Message::Close(frame) => {
                self.close(Ending::by_client(frame));
                if let State::Closing { answered, .. } = &mut self.state {
                    *answered = true;
                }
            }
        }
    }

    /// Turns a message into a call. The call begins here, so calls begin in the order of the messages.
    fn dispatch(&mut self, text: &str) {
        let peer = &self.live.peer;
        let api = peer.api.load_full();
        let request_id = self.shared.ids.next();
        let key = route::select(&api.route_selection, text);
        let found = api.message_route(key.as_deref());
        let Some((route, integration)) =
            found.and_then(|route| route.integration.as_ref().map(|target| (route, target)))
        else {
            send_error(&self.live, &Failure::NoRoute, &request_id);
            return;
        };
        let message_id = self.shared.ids.next();
        let epoch_millis = self.shared.clock.epoch_millis();
        let moment = Moment { request_id: &request_id, epoch_millis };
        let payload = event::message(peer, &route.key, &message_id, moment, text);
        let trace = self.shared.ids.trace(epoch_millis).into();
        let call = integration::call(integration, payload, Some(trace), &self.shared);
        let two_way = route.two_way;
        let live = Arc::clone(&self.live);
        self.in_flight += 1;
        let invocation = InFlight::begin(&live);
        self.drain.spawn("message", async move {
            let result = call.await;
            let reply =
                result.and_then(|result| if two_way { response::reply(&result) } else { Ok(None) });
            match reply {
                Ok(Some(reply)) => send(&live, reply),
                Ok(None) => {}
                Err(failure) => send_error(&live, &failure, &request_id),
            }
            drop(invocation);
        });
    }

    /// Decides the end. The first decision stands; from here on the connection cannot be posted to.
    fn close(&mut self, ending: Ending) {
        if !matches!(self.state, State::Open) {
            return;
        }
        self.shared.registry.forget(self.live.peer.id);
        self.live.outbox.close();
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
            State::Closing { ending, .. } => ending.clone(),
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
        if self.stalled.is_some_and(|since| since + STALL_TIMEOUT <= now) {
            tracing::info!(connection = %self.live.peer.id, "closing: the client takes no bytes");
            self.out = Vec::new();
            self.written = 0;
            self.stalled = None;
            self.close(Ending::lost());
        }
        let config = &self.shared.config.connection;
        let (idle, age) = (config.idle_timeout, config.lifetime_max);
        match &mut self.state {
            State::Open => {
                // Messages do not touch the timer: it finds out here that it fired early.
                let due = (self.last_message + idle).min(self.born + age);
                if due <= now {
                    self.close(Ending::going_away());
                } else {
                    self.timer.as_mut().reset(due);
                }
            }
            State::Closing { until, answered, .. } => {
                if *until <= now {
                    *answered = true;
                    self.out = Vec::new();
                    self.written = 0;
                } else {
                    let until = *until;
                    self.timer.as_mut().reset(until);
                }
            }
        }
        true
    }

    fn note_message(&mut self) {
        self.last_message = Instant::now();
        self.live.touch(self.shared.clock.epoch_millis());
    }
}

/// Counts an invocation for as long as it runs, also when its task panics.
struct InFlight(Arc<Live>);

impl InFlight {
    fn begin(live: &Arc<Live>) -> Self {
        live.outbox.begin_invocation();
        Self(Arc::clone(live))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.outbox.finish_invocation();
    }
}

fn send(live: &Live, message: Bytes) {
    match live.outbox.post(message) {
        Ok(()) | Err(PostError::Gone) => {} // who has left gets no answer
        Err(PostError::Full) => {
            tracing::warn!(connection = %live.peer.id, "an answer was dropped: the client reads too slowly");
        }
    }
}

fn send_error(live: &Live, failure: &Failure, request_id: &str) {
    tracing::warn!(connection = %live.peer.id, request = request_id, %failure, "message not handled");
    send(live, rescue::error_frame(failure, live.peer.id, request_id).into());
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
