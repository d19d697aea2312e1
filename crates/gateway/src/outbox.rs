//! The handle in front of a connection's task: everyone posts here, the task alone writes to the socket.
//!
//! The queue is bounded in messages and bytes, so a slow reader fills its own and nobody else's.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use bytes::Bytes;
use stillwire_model::limits;

use crate::ending::Ending;

/// A connection's queue of outgoing messages and its count of invocations under way.
#[derive(Debug, Default)]
pub struct Outbox(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Bytes>,
    bytes: usize,
    in_flight: usize,
    /// Someone wants the connection to end; the first wish counts.
    end: Option<Ending>,
    closed: bool,
    waker: Option<Waker>,
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

/// What the connection's task found in its outbox.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Messages to send, in the order they were accepted.
    pub(crate) messages: VecDeque<Bytes>,
    /// The wish to end.
    pub(crate) end: Option<Ending>,
    /// Invocations under way.
    pub(crate) in_flight: usize,
}

impl Outbox {
    /// Takes a message for the client, to be sent as text.
    pub fn post(&self, message: Bytes) -> Result<(), PostError> {
        let mut inner = self.lock();
        if inner.closed || inner.end.is_some() {
            return Err(PostError::Gone);
        }
        if inner.queue.len() >= limits::OUTBOX_MESSAGES_MAX
            || inner.bytes + message.len() > limits::OUTBOX_BYTES_MAX
        {
            return Err(PostError::Full);
        }
        inner.bytes += message.len();
        inner.queue.push_back(message);
        wake(inner);
        Ok(())
    }

    /// Asks the connection to end. Messages posted before are sent first.
    pub fn end(&self, ending: Ending) -> Result<(), PostError> {
        let mut inner = self.lock();
        if inner.closed || inner.end.is_some() {
            return Err(PostError::Gone);
        }
        inner.end = Some(ending);
        wake(inner);
        Ok(())
    }

    /// Counts an invocation that begins.
    pub(crate) fn begin_invocation(&self) {
        self.lock().in_flight += 1;
    }

    /// Counts an invocation that ended; the task may read on.
    pub(crate) fn finish_invocation(&self) {
        let mut inner = self.lock();
        inner.in_flight = inner.in_flight.saturating_sub(1);
        wake(inner);
    }

    /// Invocations under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.lock().in_flight
    }

    /// For the connection's task alone: takes what is there, if there is `room` for it, and is woken by what
    /// comes.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>, room: bool) -> Taken {
        let mut inner = self.lock();
        if inner.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            inner.waker = Some(cx.waker().clone());
        }
        let messages = if room {
            inner.bytes = 0;
            std::mem::take(&mut inner.queue)
        } else {
            VecDeque::new()
        };
        Taken { messages, end: inner.end.clone(), in_flight: inner.in_flight }
    }

    /// For the connection's task alone: from now on every post is refused.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.queue = VecDeque::new();
        inner.waker = None;
    }

    /// The fields are whole between any two statements, so a panic elsewhere cannot have broken them.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes after the lock is gone, so that the woken task does not wait for it.
fn wake(inner: MutexGuard<'_, Inner>) {
    let waker = inner.waker.clone();
    drop(inner);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(outbox: &Outbox) -> Taken {
        outbox.poll_take(&mut Context::from_waker(Waker::noop()), true)
    }

    #[test]
    fn a_full_queue_refuses_and_room_comes_back() {
        let outbox = Outbox::default();
        for _ in 0..limits::OUTBOX_MESSAGES_MAX {
            outbox.post(Bytes::from_static(b"x")).unwrap();
        }
        assert_eq!(outbox.post(Bytes::from_static(b"x")), Err(PostError::Full));
        assert_eq!(take(&outbox).messages.len(), limits::OUTBOX_MESSAGES_MAX);
        outbox.post(Bytes::from(vec![b'x'; limits::OUTBOX_BYTES_MAX])).unwrap();
        assert_eq!(outbox.post(Bytes::from_static(b"x")), Err(PostError::Full));
    }

    #[test]
    fn what_was_accepted_before_the_end_is_still_there_and_nothing_after() {
        let outbox = Outbox::default();
        outbox.post(Bytes::from_static(b"last")).unwrap();
        outbox.end(Ending::deleted()).unwrap();
        assert_eq!(outbox.post(Bytes::from_static(b"late")), Err(PostError::Gone));
        assert_eq!(outbox.end(Ending::going_away()), Err(PostError::Gone));
        let taken = take(&outbox);
        assert_eq!((taken.messages.len(), taken.end), (1, Some(Ending::deleted())));
    }
}
