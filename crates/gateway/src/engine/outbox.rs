//! The handle in front of a connection: everyone posts here, its shard alone writes to the socket.
//!
//! The queue is bounded in messages and bytes, so a slow reader fills its own and nobody else's.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::engine::ConnectionLimits;
use crate::engine::bell::Bell;
use crate::engine::ending::Ending;

/// A connection's queue of outgoing messages and its count of messages that the application has.
#[derive(Debug)]
pub struct Outbox {
    inner: Mutex<Inner>,
    /// Messages that the application has.
    in_flight: AtomicU32,
    /// The shard waits until they are fewer.
    behind: AtomicBool,
    /// Something may wait here, and the shard knows.
    rung: AtomicBool,
    limits: Arc<ConnectionLimits>,
    bell: Arc<Bell>,
    slot: u32,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Inner {
    queue: VecDeque<Outgoing>,
    bytes: usize,
    /// Someone wants the connection to end; the first wish counts.
    end: Option<Box<Ending>>,
    closed: bool,
}

/// A message for a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outgoing {
    /// UTF-8 text.
    Text(Bytes),
    /// Anything.
    Binary(Bytes),
}

impl Outgoing {
    /// Text where it is some, else binary where connections may have that; `None` for what cannot be sent.
    pub fn of(bytes: Bytes, limits: &ConnectionLimits) -> Option<Self> {
        match str::from_utf8(&bytes) {
            Ok(_) => Some(Self::Text(bytes)),
            Err(_) => limits.binary.then_some(Self::Binary(bytes)),
        }
    }

    fn len(&self) -> usize {
        let (Self::Text(bytes) | Self::Binary(bytes)) = self;
        bytes.len()
    }
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The connection has ended.
    #[error("the connection has ended")]
    Gone,
    /// The client reads too slowly.
    #[error("the client reads too slowly: its queue is full")]
    Full,
}

/// Someone's wish that a connection ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) ending: Ending,
    /// Messages that were taken before it still wait.
    pub(crate) is_early: bool,
}

impl Outbox {
    pub(crate) fn new(limits: Arc<ConnectionLimits>, bell: Arc<Bell>, slot: u32) -> Self {
        Self {
            inner: Mutex::default(),
            in_flight: AtomicU32::new(0),
            behind: AtomicBool::new(false),
            rung: AtomicBool::new(false),
            limits,
            bell,
            slot,
        }
    }

    /// What the connection may do.
    pub fn limits(&self) -> &Arc<ConnectionLimits> {
        &self.limits
    }

    /// Takes a message for the client.
    ///
    /// Once taken it stands in the queue of a live connection, behind all that were taken before it.
    pub fn post(&self, message: Outgoing) -> Result<(), PostError> {
        let mut inner = self.lock();
        if inner.closed || inner.end.is_some() {
            return Err(PostError::Gone);
        }
        // An empty queue takes any message: a limit below the size of one would refuse it for ever.
        let bytes = inner.bytes.saturating_add(message.len());
        if inner.queue.len() >= self.limits.outbox_messages_max
            || bytes > self.limits.outbox_bytes_max && !inner.queue.is_empty()
        {
            return Err(PostError::Full);
        }
        inner.bytes = bytes;
        inner.queue.push_back(message);
        drop(inner);
        self.ring();
        Ok(())
    }

    /// Asks the connection to end. Messages posted before are sent first.
    pub fn end(&self, ending: Ending) -> Result<(), PostError> {
        let mut inner = self.lock();
        if inner.closed || inner.end.is_some() {
            return Err(PostError::Gone);
        }
        inner.end = Some(Box::new(ending));
        drop(inner);
        self.ring();
        Ok(())
    }

    /// Counts a message that the application got.
    pub(crate) fn begin_message(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a message that the application is done with; the shard may read on.
    pub(crate) fn finish_message(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if self.behind.swap(false, Ordering::SeqCst) {
            self.ring();
        }
    }

    /// For the shard: whether the application has as many messages as it may. Then the next that ends rings.
    pub(crate) fn is_behind(&self) -> bool {
        let enough = || {
            let in_flight = self.in_flight.load(Ordering::SeqCst);
            usize::try_from(in_flight).is_ok_and(|count| count >= self.limits.in_flight_max)
        };
        if !enough() {
            return false;
        }
        self.behind.store(true, Ordering::SeqCst);
        enough() // one may have ended before the wish to be rung was there
    }

    /// For the shard: gives messages to `send` in the order they were taken, for as long as there is `room`.
    pub(crate) fn take(
        &self,
        mut room: bool,
        mut send: impl FnMut(Outgoing) -> bool,
    ) -> Option<Wish> {
        if !self.rung.swap(false, Ordering::SeqCst) {
            return None;
        }
        let mut inner = self.lock();
        while room && let Some(message) = inner.queue.pop_front() {
            inner.bytes = inner.bytes.saturating_sub(message.len());
            room = send(message);
        }
        let is_early = !inner.queue.is_empty();
        if is_early {
            self.rung.store(true, Ordering::SeqCst); // it comes back by itself once there is room
        } else if inner.queue.capacity() > 0 {
            inner.queue = VecDeque::new(); // an idle connection holds no buffer
        }
        inner.end.as_deref().map(|ending| Wish { ending: ending.clone(), is_early })
    }

    /// For the shard: from now on every post is refused.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.queue = VecDeque::new();
        inner.bytes = 0;
    }

    /// Tells the shard, once until it looks.
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            self.bell.ring(self.slot);
        }
    }

    /// The fields are whole between any two statements, so a panic elsewhere cannot have broken them.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Outbox {
        Outbox::new(Arc::default(), Arc::default(), 3)
    }

    fn text(bytes: &'static [u8]) -> Outgoing {
        Outgoing::Text(Bytes::from_static(bytes))
    }

    fn taken(outbox: &Outbox, count: usize) -> usize {
        let mut taken = 0;
        outbox.take(true, |_| {
            taken += 1;
            taken < count
        });
        taken
    }

    #[test]
    fn a_full_queue_refuses_and_room_comes_back() {
        let outbox = outbox();
        for _ in 0..outbox.limits.outbox_messages_max {
            outbox.post(text(b"x")).unwrap();
        }
        assert_eq!(outbox.post(text(b"x")), Err(PostError::Full));
        assert_eq!(taken(&outbox, 1), 1);
        outbox.post(text(b"x")).unwrap();
        assert_eq!(taken(&outbox, usize::MAX), outbox.limits.outbox_messages_max);
        outbox.post(Outgoing::Text(vec![b'x'; outbox.limits.outbox_bytes_max].into())).unwrap();
        assert_eq!(outbox.post(text(b"x")), Err(PostError::Full));
    }

    #[test]
    fn what_was_accepted_before_the_end_is_still_there_and_nothing_after() {
        let outbox = outbox();
        outbox.post(text(b"last")).unwrap();
        outbox.end(Ending::deleted()).unwrap();
        assert_eq!(outbox.post(text(b"late")), Err(PostError::Gone));
        assert_eq!(outbox.end(Ending::going_away()), Err(PostError::Gone));
        let mut messages = Vec::new();
        let wishes = outbox.take(true, |message| {
            messages.push(message);
            true
        });
        let wish = Wish { ending: Ending::deleted(), is_early: false };
        assert_eq!((messages, wishes), (vec![text(b"last")], Some(wish)));
    }

    #[test]
    fn a_burst_of_posts_rings_once() {
        let outbox = outbox();
        for _ in 0..10 {
            outbox.post(text(b"x")).unwrap();
        }
        let mut rung = Vec::new();
        outbox.bell.take(&mut rung);
        assert_eq!(rung, [3]);
        taken(&outbox, usize::MAX);
        outbox.post(text(b"x")).unwrap();
        rung.clear();
        outbox.bell.take(&mut rung);
        assert_eq!(rung, [3]);
    }

    #[test]
    fn the_end_of_a_message_rings_only_when_the_shard_waits_for_it() {
        let outbox = outbox();
        let mut rung = Vec::new();
        for _ in 0..=outbox.limits.in_flight_max {
            outbox.begin_message();
        }
        outbox.finish_message();
        outbox.bell.take(&mut rung);
        assert!(rung.is_empty());
        assert!(outbox.is_behind());
        outbox.finish_message();
        assert!(!outbox.is_behind());
        outbox.bell.take(&mut rung);
        assert_eq!(rung, [3]);
    }
}
