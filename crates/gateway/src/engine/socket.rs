//! A client's socket, plain or TLS, without waiting: what the kernel does not take now is kept here.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};

use crate::engine::tls::Tls;
use crate::engine::wheel::Millis;

/// The size of the buffer that a shard's connections read into.
const READ_BYTES: usize = 64 * 1024;

/// Buffers that all connections of a shard share while they have their turn.
#[derive(Debug)]
pub(crate) struct Buffers {
    /// What came from the kernel.
    raw: Vec<u8>,
    /// What it meant, where it was encrypted.
    plain: Vec<u8>,
    /// What goes to the kernel, where it is encrypted.
    sealed: Vec<u8>,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self { raw: vec![0; READ_BYTES], plain: Vec::new(), sealed: Vec::new() }
    }

    /// Room for what came from the kernel.
    pub(crate) fn raw(&mut self) -> &mut [u8] {
        &mut self.raw
    }

    /// Gives back what a large message made them grow by.
    pub(crate) fn trim(&mut self) {
        for buffer in [&mut self.plain, &mut self.sealed] {
            buffer.clear();
            buffer.shrink_to(2 * READ_BYTES);
        }
    }
}

/// What a read found.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// Bytes of the client, perhaps none; `more` may wait in the kernel.
    Bytes { bytes: &'a mut [u8], more: bool },
    /// Nothing until the socket is ready again.
    Nothing,
    /// The end: the client sends no more.
    End,
}

/// A client's socket.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    tls: Option<Box<Tls>>,
    unsent: Option<Box<Unsent>>,
}

/// Bytes that the kernel has not taken, exactly as they are due on the wire.
#[derive(Debug, Serialize, Deserialize)]
struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
    /// When the kernel last took some.
    taken_at: Millis,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, tls: None, unsent: None }
    }

    /// What it is to the kernel.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Whether it is encrypted.
    pub(crate) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Reads once, at most `limit` bytes where it is plain. Where `secure` is given and the first byte begins a TLS record, TLS begins.
    pub(crate) fn read<'a>(
        &mut self,
        buffers: &'a mut Buffers,
        limit: usize,
        secure: Option<&Arc<ServerConfig>>,
        now: Millis,
    ) -> io::Result<Found<'a>> {
        let held = self.tls.as_mut().map_or(0, |tls| tls.restore(&mut buffers.raw));
        // A record is read whole, whatever is left of the limit: less would stay in the kernel unseen.
        let limit = if self.tls.is_some() { usize::MAX } else { limit.max(1) };
        let end = held.saturating_add(limit).min(buffers.raw.len());
        let room = buffers.raw.get_mut(held..end).unwrap_or_default();
        let wanted = room.len();
        let read = match take(&self.stream, room) {
            Ok(0) => return Ok(Found::End),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if let Some(tls) = &mut self.tls {
                    tls.keep(buffers.raw.get(..held).unwrap_or_default());
                }
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(error),
        };
        let more = read == wanted;
        let raw = buffers.raw.get_mut(..held + read).unwrap_or_default();
        if let Some(config) = secure
            && raw.first() == Some(&TLS_HANDSHAKE_RECORD)
        {
            self.tls = Some(Box::new(Tls::new(Arc::clone(config)).map_err(io::Error::other)?));
        }
        let Some(tls) = &mut self.tls else { return Ok(Found::Bytes { bytes: raw, more }) };
        buffers.plain.clear();
        buffers.sealed.clear();
        let opened = tls.open(raw, &mut buffers.plain, &mut buffers.sealed);
        let sealed = std::mem::take(&mut buffers.sealed);
        let written = self.write(&sealed, now);
        buffers.sealed = sealed;
        let opened = opened.map_err(io::Error::other)?;
        written?;
        if opened.closed && buffers.plain.is_empty() {
            return Ok(Found::End);
        }
        Ok(Found::Bytes { bytes: &mut buffers.plain, more: more || opened.closed })
    }

    /// Sends bytes, or keeps what the kernel does not take.
    pub(crate) fn send(
        &mut self,
        bytes: &[u8],
        buffers: &mut Buffers,
        now: Millis,
    ) -> io::Result<()> {
        match &mut self.tls {
            None => self.write(bytes, now),
            Some(tls) => {
                buffers.sealed.clear();
                tls.seal(bytes, &mut buffers.sealed).map_err(io::Error::other)?;
                let sealed = std::mem::take(&mut buffers.sealed);
                let written = self.write(&sealed, now);
                buffers.sealed = sealed;
                written
            }
        }
    }

    /// Offers the kernel what it did not take before.
    pub(crate) fn flush(&mut self, now: Millis) -> io::Result<()> {
        let Some(unsent) = &mut self.unsent else { return Ok(()) };
        while let Some(rest) = unsent.bytes.get(unsent.sent..)
            && !rest.is_empty()
        {
            let taken = offer(&self.stream, rest)?;
            if taken == 0 {
                return Ok(());
            }
            unsent.sent += taken;
            unsent.taken_at = now;
        }
        self.unsent = None;
        Ok(())
    }

    /// Bytes that the kernel has not taken.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent.as_ref().map_or(0, |unsent| unsent.bytes.len() - unsent.sent)
    }

    /// When the kernel last took a byte, while it does not take all.
    pub(crate) fn taken_at(&self) -> Option<Millis> {
        self.unsent.as_ref().map(|unsent| unsent.taken_at)
    }

    /// Says that nothing more will be sent. What arrives can still be read.
    pub(crate) fn finish(&mut self, buffers: &mut Buffers, now: Millis) -> io::Result<()> {
        self.say_goodbye(buffers, now)?;
        self.stream.shutdown(Shutdown::Write)
    }

    /// Says the goodbye of TLS, where it is spoken, and once.
    pub(crate) fn say_goodbye(&mut self, buffers: &mut Buffers, now: Millis) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        buffers.sealed.clear();
        tls.say_goodbye(&mut buffers.sealed);
        let sealed = std::mem::take(&mut buffers.sealed);
        let written = self.write(&sealed, now);
        buffers.sealed = sealed;
        written
    }

    fn write(&mut self, bytes: &[u8], now: Millis) -> io::Result<()> {
        let mut rest = bytes;
        if self.unsent.is_none() {
            while !rest.is_empty() {
                let taken = offer(&self.stream, rest)?;
                if taken == 0 {
                    break;
                }
                rest = rest.get(taken..).unwrap_or_default();
            }
        }
        if !rest.is_empty() {
            let unsent = self.unsent.get_or_insert_with(|| {
                Box::new(Unsent { bytes: Vec::new(), sent: 0, taken_at: now })
            });
            if unsent.sent > unsent.bytes.len() / 2 {
                unsent.bytes.drain(..std::mem::take(&mut unsent.sent));
            }
            unsent.bytes.extend_from_slice(rest);
        }
        Ok(())
    }
}

/// The first byte of a TLS connection; no HTTP method begins with it. Source: RFC 8446, section 5.1.
const TLS_HANDSHAKE_RECORD: u8 = 0x16;

/// Reads what there is into `room`.
fn take(mut stream: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Offers bytes to the kernel; gives how many it took, zero when it takes none now.
fn offer(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => return Ok(taken),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
