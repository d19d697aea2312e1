//! What the engine's suites share: its echo as a server, and a client that may say anything.

#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "each suite uses its part; a broken one may panic"
)]

#[path = "../../examples/echo/service.rs"]
mod service;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::ResolvesServerCertUsingSni;
use stillwire_drain::Drain;
use stillwire_gateway::engine::{Addresses, ConnectionLimits, Engine};
use stillwire_listen::{Capacity, Door};

use service::EchoService;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Starts the engine's echo on a thread of its own; it lives as long as the process.
pub(crate) fn serve(limits: ConnectionLimits, connections_max: usize) -> SocketAddr {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let drain = Drain::new();
            let (address, _engine) = open(limits, connections_max, 1, &drain);
            sender.send(address).unwrap();
            drain.closing().await;
        });
    });
    receiver.recv().unwrap()
}

/// Starts the engine's echo in the runtime that is there.
pub(crate) fn open(
    limits: ConnectionLimits,
    connections_max: usize,
    shards: usize,
    drain: &Drain,
) -> (SocketAddr, Engine<EchoService>) {
    let listener = stillwire_listen::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let nobody = Arc::new(ResolvesServerCertUsingSni::new());
    let tls = ServerConfig::builder().with_no_client_auth().with_cert_resolver(nobody);
    (address, open_at(listener, Arc::new(tls), limits, connections_max, shards, drain))
}

/// The same at a port that is taken already, with a way to speak TLS.
pub(crate) fn open_at(
    listener: tokio::net::TcpListener,
    tls: Arc<ServerConfig>,
    limits: ConnectionLimits,
    connections_max: usize,
    shards: usize,
    drain: &Drain,
) -> Engine<EchoService> {
    let door = Door { listeners: vec![listener], tls, capacity: Capacity::new(connections_max) };
    let service = Arc::new(EchoService::new(limits));
    let engine = Engine::start(service, Addresses::new().unwrap(), shards, drain).unwrap();
    engine.open(door, Arc::new(())).unwrap();
    engine
}

/// A client that may say anything.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    /// What came and was not looked at.
    bytes: Vec<u8>,
}

/// A frame of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

impl Client {
    pub(crate) fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, bytes: Vec::new() }
    }

    /// A WebSocket.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, "")
    }

    /// A WebSocket whose handshake has these header lines more.
    pub(crate) fn connect_with(address: SocketAddr, headers: &str) -> Self {
        let mut client = Self::dial(address);
        let head = HANDSHAKE.trim_end().to_owned() + "\r\n" + headers + "\r\n";
        client.send(head.as_bytes());
        let head = client.head().unwrap_or_default();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends; a server that has closed already is not an error.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        match self.stream.write_all(bytes) {
            Ok(()) => {}
            Err(error)
                if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            Err(error) => panic!("cannot send: {error}"),
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).ok();
    }

    /// The head of an HTTP answer; `None` when the server closed before it.
    pub(crate) fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.bytes.drain(..end + 4).collect();
                return String::from_utf8(head).ok();
            }
            if !self.read() {
                return None;
            }
        }
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, len)) = parse(&self.bytes) {
                self.bytes.drain(..len);
                return Some(frame);
            }
            if !self.read() {
                assert!(self.bytes.is_empty(), "the stream ends within a frame: {:?}", self.bytes);
                return None;
            }
        }
    }

    /// The next message, put together of its fragments; a control frame as it is.
    pub(crate) fn message(&mut self) -> Option<Frame> {
        let mut whole = self.frame()?;
        while whole.first & 0x80 == 0 {
            let frame = self.frame()?;
            assert_eq!(frame.first & 0x7f, 0, "a continuation");
            whole.first |= frame.first & 0x80;
            whole.payload.extend(frame.payload);
        }
        Some(whole)
    }

    /// Whether the server closes the connection, within the patience of a test.
    pub(crate) fn is_closed(&mut self) -> bool {
        while self.read() {}
        true
    }

    /// Reads once; false at the end of the stream.
    fn read(&mut self) -> bool {
        let mut buffer = vec![0; 65_536];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(read) => {
                self.bytes.extend_from_slice(&buffer[..read]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing comes: {error}"),
        }
    }
}

/// A frame of the server, which has no mask, and its length.
fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&first, &short) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(short & 0x80, 0, "a server's frame is not masked");
    let (len, at) = match short {
        126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        short => (u64::from(short), 2),
    };
    let end = at + usize::try_from(len).unwrap();
    let payload = bytes.get(at..end)?.to_vec();
    Some((Frame { first, payload }, end))
}

/// A client's frame with this first byte, masked.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | len as u8),
        len @ 126..65_536 => {
            bytes.push(0xfe);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0xff);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    let mask = [0x12, 0x34, 0x56, 0x78];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// A message of this opcode in fragments of so many bytes.
pub(crate) fn fragments(opcode: u8, payload: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = payload.chunks(size).len();
    for (number, piece) in payload.chunks(size).enumerate() {
        let opcode = if number == 0 { opcode } else { 0 };
        let fin = if number + 1 == count { 0x80 } else { 0 };
        bytes.extend(frame(fin | opcode, piece));
    }
    bytes
}
