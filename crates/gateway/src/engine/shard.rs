//! A shard: one task that owns its connections and does all their reading and writing.
//!
//! It waits for its own set of sockets, for its bell and for its wheel, and gives every client that has something
//! its turn. A connection never leaves its shard, so nothing here is shared or locked.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mio::{Events, Interest, Token};
use stillwire_model::limits;
use tokio::io::Interest as WaitFor;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::engine::Tally;
use crate::engine::address::Addresses;
use crate::engine::client::{Client, Fate, Scene};
use crate::engine::connection::Session as _;
use crate::engine::ending::Ending;
use crate::engine::entrance::{Accepting, accept};
use crate::engine::lingering::Lingering;
use crate::engine::service::{Command, Key, Mailbox, Newcomer, Service};
use crate::engine::socket::Buffers;
use crate::engine::wheel::{Millis, TICK, Wheel};

/// Events taken from the kernel at once.
const EVENTS_AT_ONCE: usize = 1024;

/// How long a shard works before other tasks of the thread have their turn.
const TIME_IN_A_ROW: Duration = Duration::from_millis(2);

/// Holds clients.
pub(crate) struct Shard<S: Service> {
    shared: Arc<Shared<S>>,
    number: u8,
    origin: Instant,
    sockets: AsyncFd<mio::Poll>,
    events: Events,
    sleep: Pin<Box<Sleep>>,
    seats: Vec<Seat<S>>,
    free: VecDeque<u32>,
    taken: usize,
    /// Doors by the tokens of their sockets; a place whose door was closed is used again.
    doors: Vec<Option<Accepting<S::Site>>>,
    /// The shard that gets the next client.
    turn: usize,
    wheel: Wheel,
    lingering: Lingering,
    work: Work<S>,
    /// Bytes that clients hold of unfinished messages.
    held: usize,
    /// Everybody leaves, and who is next.
    leaving: Option<Leaving>,
    closing: bool,
}

/// What all shards share.
pub(crate) struct Shared<S: Service> {
    pub(crate) service: Arc<S>,
    pub(crate) addresses: Addresses,
    pub(crate) mailboxes: Vec<Arc<Mailbox<S>>>,
    pub(crate) tally: Arc<Tally>,
}

impl<S: Service> Shared<S> {
    #[expect(clippy::indexing_slicing, reason = "there is one for each shard")]
    fn mailbox(&self, shard: u8) -> &Arc<Mailbox<S>> {
        &self.mailboxes[usize::from(shard)]
    }
}

/// A place for a client.
struct Seat<S: Service> {
    generation: u32,
    /// When its deadline fires, by the wheel.
    armed: Millis,
    client: Option<Client<S>>,
}

/// Lists and buffers that are used anew in every round.
struct Work<S: Service> {
    buffers: Buffers,
    out: Vec<u8>,
    /// Seats to look at.
    due: Vec<u32>,
    /// Seats that want another turn.
    again: Vec<u32>,
    fired: Vec<(u32, Millis)>,
    commands: Vec<Command<S>>,
}

struct Leaving {
    ending: Ending,
    began: Millis,
    spread: Millis,
    /// Seats in the order they are asked to leave, of which `asked` were.
    seats: Vec<u32>,
    asked: usize,
}

impl<S: Service> Shard<S> {
    /// A shard without clients. To be called where the runtime is that will poll it.
    pub(crate) fn new(shared: Arc<Shared<S>>, number: u8) -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for owners that close their descriptor early; this one does not"
        )]
        let sockets = AsyncFd::with_interest(poll, WaitFor::READABLE)?;
        let now = Instant::now();
        Ok(Self {
            shared,
            number,
            origin: now,
            sockets,
            events: Events::with_capacity(EVENTS_AT_ONCE),
            sleep: Box::pin(sleep_until(now)),
            seats: Vec::new(),
            free: VecDeque::new(),
            taken: 0,
            doors: Vec::new(),
            turn: usize::from(number),
            wheel: Wheel::new(),
            lingering: Lingering::default(),
            work: Work {
                buffers: Buffers::new(),
                out: Vec::new(),
                due: Vec::new(),
                again: Vec::new(),
                fired: Vec::new(),
                commands: Vec::new(),
            },
            held: 0,
            leaving: None,
            closing: false,
        })
    }

    /// Holds clients until it was told to close and the last one has left.
    pub(crate) async fn run(mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = Instant::now() + TIME_IN_A_ROW;
        while Instant::now() < until {
            let now = self.now();
            let mut busy = self.obey(now);
            busy |= self.fire(now);
            match self.poll_sockets(cx, now) {
                Ok(more) => busy |= more,
                Err(error) => {
                    // Nothing can be held without it; dropping the clients pays what they are owed.
                    tracing::error!(%error, shard = self.number, "cannot wait for sockets");
                    return Poll::Ready(());
                }
            }
            busy |= self.take_second_turns(now);
            self.free_held(now);
            self.lingering.close_due(now, self.work.buffers.raw());
            if self.closing && self.taken == 0 {
                self.lingering.close_all(self.work.buffers.raw());
                return Poll::Ready(());
            }
            if !busy && self.rest(cx) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Lets the task sleep until something happens; false when something has.
    fn rest(&mut self, cx: &mut Context<'_>) -> bool {
        self.work.buffers.trim();
        self.work.out.shrink_to(BUFFER_KEPT_BYTES);
        if let Some(at) = self.next_deadline() {
            let at = self.origin + Duration::from_millis(at);
            if self.sleep.deadline() != at {
                self.sleep.as_mut().reset(at);
            }
            if self.sleep.as_mut().poll(cx).is_ready() {
                return false;
            }
        }
        self.mailbox().bell.rest(cx.waker())
    }

    fn next_deadline(&self) -> Option<Millis> {
        let doors = self.doors.iter().flatten().filter_map(|door| door.retry_at);
        let leaving = self.leaving.as_ref().and_then(Leaving::next);
        self.wheel.next().into_iter().chain(doors).chain(leaving).chain(self.lingering.next()).min()
    }

    /// Does what the mailbox and the bell ask for.
    fn obey(&mut self, now: Millis) -> bool {
        let mut due = std::mem::take(&mut self.work.due);
        let called = self.mailbox().bell.take(&mut due);
        if called {
            let mut commands = std::mem::take(&mut self.work.commands);
            self.mailbox().take(&mut commands);
            for command in commands.drain(..) {
                self.execute(command, now);
            }
            self.work.commands = commands;
        }
        let busy = called || !due.is_empty();
        for slot in due.drain(..) {
            self.with_client(slot, now, Client::turn);
        }
        self.work.due = due;
        busy
    }

    fn execute(&mut self, command: Command<S>, now: Millis) {
        match command {
            Command::Open { listener, capacity, entrance } => {
                self.open(Accepting::new(listener, capacity, entrance));
            }
            Command::Shut { site } => {
                for place in &mut self.doors {
                    place.take_if(|door| Arc::ptr_eq(&door.entrance.site, &site));
                }
            }
            Command::Adopt(newcomer) => self.adopt(newcomer, now),
            Command::Accept { key, welcome, session } => {
                if self.is_here(key) {
                    self.shared.tally.enter();
                    self.with_client(key.slot, now, |client, scene| {
                        client.accept(&welcome, session, scene)
                    });
                    if let Some(leaving) = &mut self.leaving {
                        leaving.seats.push(key.slot);
                    }
                } else {
                    session.ended(Ending::lost());
                }
            }
            Command::Refuse { key, answer } if self.is_here(key) => {
                let answer = answer.unwrap_or_else(|| self.shared.service.refusal(500));
                self.with_client(key.slot, now, |client, scene| client.turn_away(&answer, scene));
            }
            Command::Refuse { .. } => {}
            Command::Leave { ending, spread } => {
                let seats = (0..).zip(&self.seats).filter(|(_, seat)| seat.client.is_some());
                let seats = seats.map(|(slot, _)| slot).collect();
                let spread = Millis::try_from(spread.as_millis()).unwrap_or(Millis::MAX);
                self.leaving = Some(Leaving { ending, began: now, spread, seats, asked: 0 });
            }
            Command::Close => {
                self.doors.clear();
                self.closing = true;
                let slots = u32::try_from(self.seats.len()).unwrap_or(u32::MAX);
                for slot in 0..slots {
                    self.with_client(slot, now, Client::tick);
                }
            }
        }
    }

    /// Acts on deadlines that have passed.
    fn fire(&mut self, now: Millis) -> bool {
        let mut fired = std::mem::take(&mut self.work.fired);
        self.wheel.expire(now, &mut fired);
        let mut busy = !fired.is_empty();
        for (slot, at) in fired.drain(..) {
            if let Some(seat) = self.seat(slot)
                && seat.armed == at
            {
                seat.armed = Millis::MAX;
                self.with_client(slot, now, Client::tick);
            }
        }
        self.work.fired = fired;
        while let Some(slot) = self.leaving.as_mut().and_then(|leaving| leaving.take(now)) {
            busy = true;
            let ending = self.leaving.as_ref().map(|leaving| leaving.ending.clone());
            if let Some(ending) = ending {
                self.with_client(slot, now, |client, scene| client.end(ending, scene));
            }
        }
        for door in 0..self.doors.len() {
            let waits = self.doors.get(door).and_then(|door| door.as_ref()?.retry_at);
            if waits.is_some_and(|at| at <= now) {
                self.accept(door, now);
                busy = true;
            }
        }
        busy
    }

    /// Serves the sockets that are ready; false when there is nothing to know until the shard is woken.
    fn poll_sockets(&mut self, cx: &mut Context<'_>, now: Millis) -> io::Result<bool> {
        let polled = match self.sockets.poll_read_ready_mut(cx) {
            Poll::Ready(ready) => {
                let mut ready = ready?;
                let polled = ready.get_inner_mut().poll(&mut self.events, Some(Duration::ZERO));
                if self.events.iter().count() < EVENTS_AT_ONCE {
                    // The kernel has told everything up to here, and will wake us for what comes after.
                    ready.clear_ready();
                }
                polled
            }
            // A busy shard is told of others only when the runtime looks; so it looks itself.
            Poll::Pending if !self.work.again.is_empty() => {
                self.sockets.get_mut().poll(&mut self.events, Some(Duration::ZERO))
            }
            Poll::Pending => return Ok(false),
        };
        match polled {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let Token(token) = event.token();
            match u32::try_from(token) {
                Ok(slot) => {
                    let hung_up = event.is_read_closed() || event.is_error();
                    let readable = event.is_readable() || hung_up;
                    self.with_client(slot, now, |client, scene| {
                        if readable {
                            client.is_readable(hung_up);
                        }
                        client.turn(scene)
                    });
                }
                Err(_) => self.accept(usize::MAX - token, now),
            }
        }
        std::mem::swap(&mut self.events, &mut events);
        // Also after nothing: whoever was told of readiness must see its end before it rests, or nobody wakes it.
        Ok(true)
    }

    fn take_second_turns(&mut self, now: Millis) -> bool {
        let mut again = std::mem::take(&mut self.work.again);
        let busy = !again.is_empty();
        for slot in again.drain(..) {
            self.with_client(slot, now, Client::turn);
        }
        // Those that want yet another turn were added to the list that is there now.
        if self.work.again.is_empty() {
            self.work.again = again;
        }
        busy
    }

    /// Gives a client its turn, and does what follows from it.
    fn with_client(
        &mut self,
        slot: u32,
        now: Millis,
        act: impl FnOnce(&mut Client<S>, &mut Scene<'_, S>) -> Fate,
    ) {
        let (number, closing) = (self.number, self.closing);
        let Some(seat) = usize::try_from(slot).ok().and_then(|slot| self.seats.get_mut(slot))
        else {
            return;
        };
        let Some(client) = &mut seat.client else { return };
        self.work.out.clear();
        let mut scene = Scene {
            service: self.shared.service.as_ref(),
            mailbox: self.shared.mailbox(number),
            addresses: &self.shared.addresses,
            shard: number,
            key: Key { slot, generation: seat.generation },
            now,
            buffers: &mut self.work.buffers,
            out: &mut self.work.out,
            closing,
        };
        // A fault while serving one client is that client's end, and nobody else's.
        let fate = catch_unwind(AssertUnwindSafe(|| {
            let fate = act(client, &mut scene);
            if fate == Fate::Leaves {
                client.say_goodbye(&mut scene);
            }
            fate
        }));
        let fate = fate.unwrap_or_else(|_| {
            tracing::error!(slot, "serving a client panicked");
            // Whoever still knows it must learn that it is gone.
            catch_unwind(AssertUnwindSafe(|| client.lose(&mut scene))).unwrap_or(Fate::Leaves)
        });
        match fate {
            Fate::Leaves => self.remove(slot, now),
            Fate::Stays | Fate::WantsMore => {
                if let Some(due) = client.due(closing)
                    && due < seat.armed
                {
                    seat.armed = self.wheel.arm(slot, due);
                }
                let held = client.held();
                if fate == Fate::WantsMore {
                    self.work.again.push(slot);
                }
                if let Some((before, after)) = held {
                    self.held = (self.held + after).saturating_sub(before);
                }
            }
        }
    }

    fn adopt(&mut self, mut newcomer: Newcomer<S::Site>, now: Millis) {
        let slot = self.free.pop_front().or_else(|| u32::try_from(self.seats.len()).ok());
        let Some(slot) = slot else { return };
        let token = Token(usize::try_from(slot).unwrap_or(usize::MAX));
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.sockets.get_ref().registry();
        if let Err(error) = registry.register(&mut newcomer.stream, token, interest) {
            tracing::warn!(%error, "cannot hold a client");
            self.free.push_front(slot);
            return;
        }
        let client = Some(Client::new(newcomer, now));
        match self.seat(slot) {
            Some(seat) => seat.client = client,
            None => self.seats.push(Seat { generation: 0, armed: Millis::MAX, client }),
        }
        self.taken += 1;
        self.with_client(slot, now, |_, _| Fate::Stays);
    }

    fn remove(&mut self, slot: u32, now: Millis) {
        let Some(seat) = self.seat(slot) else { return };
        let Some(mut client) = seat.client.take() else { return };
        seat.generation = Addresses::next_generation(seat.generation);
        seat.armed = Millis::MAX;
        self.taken -= 1;
        self.free.push_back(slot);
        self.held = self.held.saturating_sub(client.forget_held());
        let (session, stream) = client.leave();
        if let Some((session, ending)) = session {
            session.ended(ending);
            self.shared.tally.leave();
        }
        if let Some(mut stream) = stream
            && self.sockets.get_ref().registry().deregister(&mut stream).is_ok()
        {
            self.lingering.keep(stream, now, self.work.buffers.raw());
        }
    }

    /// Ends the oldest unfinished messages while all of them together are too large.
    fn free_held(&mut self, now: Millis) {
        let share = limits::UNFINISHED_BYTES_MAX / self.shared.mailboxes.len().max(1);
        while self.held > share {
            let oldest = (0..).zip(&self.seats).filter_map(|(slot, seat)| {
                let (since, _) = seat.client.as_ref()?.unfinished()?;
                Some((since, slot))
            });
            let Some((_, slot)) = oldest.min() else {
                self.held = 0; // nobody holds anything
                return;
            };
            let before = self.held;
            self.with_client(slot, now, Client::cut_off);
            if self.held >= before {
                return; // it goes on with the next round
            }
        }
    }

    fn open(&mut self, mut door: Accepting<S::Site>) {
        let place = self.doors.iter().position(Option::is_none).unwrap_or(self.doors.len());
        let token = Token(usize::MAX - place);
        let registry = self.sockets.get_ref().registry();
        if let Err(error) = registry.register(&mut door.listener, token, Interest::READABLE) {
            tracing::error!(%error, "cannot wait for clients");
            return;
        }
        match self.doors.get_mut(place) {
            Some(free) => *free = Some(door),
            None => self.doors.push(Some(door)),
        }
    }

    fn accept(&mut self, door: usize, now: Millis) {
        let Some(Some(door)) = self.doors.get_mut(door) else { return };
        let mut accepted = Vec::new();
        accept(door, now, &mut accepted);
        for newcomer in accepted {
            // In turns: it balances better than the kernel's hash would.
            let shards = self.shared.mailboxes.len().max(1);
            let shard = self.turn % shards;
            self.turn = (shard + 1) % shards;
            match self.shared.mailboxes.get(shard) {
                Some(mailbox) if shard != usize::from(self.number) => {
                    mailbox.send(Command::Adopt(newcomer));
                }
                _ => self.adopt(newcomer, now),
            }
        }
    }

    fn is_here(&self, key: Key) -> bool {
        let seat = usize::try_from(key.slot).ok().and_then(|slot| self.seats.get(slot));
        seat.is_some_and(|seat| seat.generation == key.generation && seat.client.is_some())
    }

    fn seat(&mut self, slot: u32) -> Option<&mut Seat<S>> {
        self.seats.get_mut(usize::try_from(slot).ok()?)
    }

    fn mailbox(&self) -> &Arc<Mailbox<S>> {
        self.shared.mailbox(self.number)
    }

    fn now(&self) -> Millis {
        Millis::try_from(self.origin.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }
}

impl<S: Service> Drop for Shard<S> {
    fn drop(&mut self) {
        self.mailbox().close();
    }
}

/// What is kept of buffers that a large message has made grow.
const BUFFER_KEPT_BYTES: usize = 128 * 1024;

impl Leaving {
    /// The next seat whose time has come: they leave evenly over the spread.
    fn take(&mut self, now: Millis) -> Option<u32> {
        if self.next()? > now {
            return None;
        }
        self.asked += 1;
        self.seats.get(self.asked - 1).copied()
    }

    /// When the next one leaves.
    fn next(&self) -> Option<Millis> {
        let (count, asked) = (self.seats.len() as u64, self.asked as u64);
        (asked < count).then(|| {
            let share = self.spread.saturating_mul(asked) / count;
            self.began + share / TICK * TICK
        })
    }
}
