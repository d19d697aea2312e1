//! TLS without buffers of its own: records are opened and sealed in what the shard shares.
//!
//! A connection at rest keeps its keys and, at most, the beginning of a record.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic,
};

/// The server's end of a TLS connection.
pub(crate) struct Tls {
    connection: UnbufferedServerConnection,
    /// The beginning of a record.
    begun: Vec<u8>,
    failed: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// What opening records led to.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The client said goodbye: it sends no more.
    pub(crate) closed: bool,
}

impl Tls {
    /// A connection whose client has not said anything.
    pub(crate) fn new(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        let connection = UnbufferedServerConnection::new(config)?;
        Ok(Self { connection, begun: Vec::new(), failed: false })
    }

    /// Puts the beginning of a record back to the front of `raw`; gives its length.
    pub(crate) fn restore(&mut self, raw: &mut [u8]) -> usize {
        let begun = std::mem::take(&mut self.begun);
        // A record is smaller than the buffer: 16 KiB and its overhead.
        let room = raw.get_mut(..begun.len());
        room.map_or(0, |room| {
            room.copy_from_slice(&begun);
            begun.len()
        })
    }

    /// Keeps the beginning of a record.
    pub(crate) fn keep(&mut self, begun: &[u8]) {
        self.begun = begun.to_vec();
    }

    /// Opens the records in `raw`: what they say is appended to `plain`, what is due back to `sealed`.
    ///
    /// # Errors
    /// What the client did wrong; the alert for it stands in `sealed`.
    pub(crate) fn open(
        &mut self,
        raw: &mut [u8],
        plain: &mut Vec<u8>,
        sealed: &mut Vec<u8>,
    ) -> Result<Opened, rustls::Error> {
        let (mut at, mut closed) = (0, false);
        loop {
            let rest = raw.get_mut(at..).unwrap_or_default();
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(rest);
            let more = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                    true
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(sealed, |room| refused_record(data.encode(room)))?;
                    true
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    true
                }
                Ok(ConnectionState::PeerClosed) => {
                    closed = true;
                    true
                }
                Ok(ConnectionState::Closed) => {
                    closed = true;
                    false
                }
                // Waits for the client, or for us to write. Early data is never accepted.
                Ok(_) => false,
                Err(error) => {
                    self.fail(&error, raw.get_mut(at + discard..).unwrap_or_default(), sealed);
                    return Err(error);
                }
            };
            at += discard;
            if !more {
                break;
            }
        }
        self.keep(raw.get(at..).unwrap_or_default());
        Ok(Opened { closed })
    }

    /// Seals the alert that tells the client what it did wrong, where there is one.
    fn fail(&mut self, error: &rustls::Error, rest: &mut [u8], sealed: &mut Vec<u8>) {
        self.failed = true;
        if matches!(error, rustls::Error::AlertReceived(_)) {
            return; // it knows
        }
        // The alert comes with the next state, before anything else is looked at.
        let UnbufferedStatus { state, discard: _ } = self.connection.process_tls_records(rest);
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = state {
            append(sealed, |room| refused_record(data.encode(room))).ok(); // it fails anyway
        }
    }

    /// Seals bytes for the client, appended to `sealed`.
    pub(crate) fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), rustls::Error> {
        if plain.is_empty() {
            return Ok(());
        }
        self.write(sealed, |traffic, room| traffic.encrypt(plain, room))
    }

    /// Seals the goodbye.
    pub(crate) fn say_goodbye(&mut self, sealed: &mut Vec<u8>) {
        // A connection whose handshake is not over has none to say.
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "its lifetime is too narrow"
        )]
        self.write(sealed, |traffic, room| traffic.queue_close_notify(room)).ok();
    }

    fn write(
        &mut self,
        sealed: &mut Vec<u8>,
        mut write: impl FnMut(
            &mut WriteTraffic<'_, ServerConnectionData>,
            &mut [u8],
        ) -> Result<usize, EncryptError>,
    ) -> Result<(), rustls::Error> {
        // After a failure the library may not be asked again.
        while !self.failed {
            // It insists on the beginning of a record that it has seen.
            let UnbufferedStatus { state, discard: _ } =
                self.connection.process_tls_records(&mut self.begun);
            match state? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    return append(sealed, |room| refused(write(&mut traffic, room)));
                }
                // A change of keys comes first.
                ConnectionState::EncodeTlsData(mut data) => {
                    append(sealed, |room| refused_record(data.encode(room)))?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                _ => break,
            }
        }
        Err(rustls::Error::HandshakeNotComplete)
    }
}

/// What was written, or how much room it takes.
type Written = Result<usize, Option<usize>>;

fn refused(written: Result<usize, EncryptError>) -> Written {
    written.map_err(|error| match error {
        EncryptError::InsufficientSize(wanted) => Some(wanted.required_size),
        EncryptError::EncryptExhausted => None,
    })
}

fn refused_record(written: Result<usize, EncodeError>) -> Written {
    written.map_err(|error| match error {
        EncodeError::InsufficientSize(wanted) => Some(wanted.required_size),
        EncodeError::AlreadyEncoded => None,
    })
}

/// Appends what `write` writes: it is asked again with the room that it says it needs.
///
/// # Errors
/// The keys have sealed all that they may.
fn append(
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Written,
) -> Result<(), rustls::Error> {
    let begin = out.len();
    let mut room = 0;
    loop {
        out.resize(begin + room, 0);
        match write(out.get_mut(begin..).unwrap_or_default()) {
            Ok(written) => {
                out.truncate(begin + written);
                return Ok(());
            }
            Err(Some(wanted)) if wanted > room => room = wanted,
            Err(_) => {
                out.truncate(begin);
                return Err(rustls::Error::EncryptError);
            }
        }
    }
}
