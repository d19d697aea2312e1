//! Sockets of connections that ended well: kept a little, so that the other end gets all that was sent.
//!
//! A socket that is closed with something unread in it, or that something comes to later, resets the connection, and the
//! other end may lose what it has not read yet. So a socket says that it sends no more, and is closed a little later, when what
//! its client still said is read over.
//!
//! Source: RFC 1122, section 4.2.2.13; RFC 6455, section 7.1.1.

use std::collections::VecDeque;
use std::io::Read as _;
use std::net::Shutdown;

use mio::net::TcpStream;

use crate::engine::wheel::Millis;

/// How long a socket is kept. Choice: clients read what is there within some round trips.
const LINGER: Millis = 1000;

/// Sockets that are kept at once; beyond that the oldest goes. They hold descriptors that others need.
const SOCKETS_MAX: usize = 256;

/// How often what came is read over. Choice: whoever sends more than 512 KB after its close may lose by it.
const READS_MAX: usize = 8;

/// The sockets, the oldest first, and until when each is kept.
#[derive(Debug, Default)]
pub(crate) struct Lingering(VecDeque<(Millis, TcpStream)>);

impl Lingering {
    /// Keeps a socket that everything has been written to; `buffer` is for what an older one has to say.
    pub(crate) fn keep(&mut self, stream: TcpStream, now: Millis, buffer: &mut [u8]) {
        if stream.shutdown(Shutdown::Write).is_err() {
            return; // nobody is there any more
        }
        if self.0.len() == SOCKETS_MAX
            && let Some((_, oldest)) = self.0.pop_front()
        {
            close(oldest, buffer);
        }
        self.0.push_back((now + LINGER, stream));
    }

    /// When the next is to be closed.
    pub(crate) fn next(&self) -> Option<Millis> {
        self.0.front().map(|(until, _)| *until)
    }

    /// Closes those whose time is over.
    pub(crate) fn close_due(&mut self, now: Millis, buffer: &mut [u8]) {
        while let Some((_, stream)) = self.0.pop_front_if(|(until, _)| *until <= now) {
            close(stream, buffer);
        }
    }

    /// Closes all of them.
    pub(crate) fn close_all(&mut self, buffer: &mut [u8]) {
        self.close_due(Millis::MAX, buffer);
    }
}

fn close(mut stream: TcpStream, buffer: &mut [u8]) {
    for _ in 0..READS_MAX {
        if !stream.read(buffer).is_ok_and(|read| read > 0) {
            return;
        }
    }
}
