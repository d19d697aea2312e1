//! TLS on the same port: records in any pieces, both versions, and clients that break it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests are named by the behaviour they check; a broken one may panic"
)]

mod support;

use std::io::{Read as _, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock, mpsc};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use stillwire_drain::Drain;
use stillwire_gateway::engine::ConnectionLimits;
use stillwire_listen::Authority;
use support::{Client, HANDSHAKE, PATIENCE, frame};

const NOVEMBER_2026: u64 = 1_795_000_000_000;

struct World {
    address: SocketAddr,
    roots: RootCertStore,
}

/// One server for all tests, with an authority of its own.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let authority = Authority::open(folder.path(), NOVEMBER_2026).unwrap();
            let listener = stillwire_listen::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            let address = listener.local_addr().unwrap();
            let drain = Drain::new();
            let limits = ConnectionLimits {
                frame_bytes_max: 4 << 20,
                message_bytes_max: 4 << 20,
                ..ConnectionLimits::default()
            };
            let tls = Arc::clone(&authority.tls);
            let _engine = support::open_at(listener, tls, limits, 1000, 1, &drain);
            let certificate = std::fs::read(folder.path().join("ca.pem")).unwrap();
            sender.send((address, certificate)).unwrap();
            drain.closing().await;
        });
    });
    let (address, certificate) = receiver.recv().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&certificate).unwrap()).unwrap();
    World { address, roots }
});

/// Writes at most so many bytes at once.
struct Crumbs(TcpStream, usize);

impl Write for Crumbs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(self.1)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl std::io::Read for Crumbs {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let most = bytes.len().min(self.1.max(64));
        self.0.read(&mut bytes[..most])
    }
}

type Secure = StreamOwned<ClientConnection, Crumbs>;

fn connect(version: &'static SupportedProtocolVersion, crumbs: usize) -> Secure {
    let stream = TcpStream::connect(WORLD.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let config = ClientConfig::builder_with_protocol_versions(&[version])
        .with_root_certificates(WORLD.roots.clone())
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut secure = StreamOwned::new(connection, Crumbs(stream, crumbs));
    secure.write_all(HANDSHAKE.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        secure.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    secure
}

/// Sends a text and expects it back.
fn comes_back(secure: &mut Secure, size: usize) {
    let bytes = frame(0x81, &vec![b'x'; size]);
    secure.write_all(&bytes).unwrap();
    let mut answer = vec![0; bytes.len() - 4];
    secure.read_exact(&mut answer).unwrap();
    assert_eq!(answer[answer.len() - size..], vec![b'x'; size]);
}

#[test]
fn messages_of_every_size_come_back_over_both_versions() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut secure = connect(version, usize::MAX);
        for size in [0, 1, 125, 16_383, 16_384, 16_385, 65_536, 1 << 20, 3] {
            comes_back(&mut secure, size);
        }
    }
}

#[test]
fn records_may_come_in_crumbs() {
    for crumbs in [1, 3, 100] {
        let mut secure = connect(&rustls::version::TLS13, crumbs);
        for size in [5, 2000, 20_000] {
            comes_back(&mut secure, size);
        }
    }
}

#[test]
fn a_goodbye_of_tls_ends_the_connection() {
    let mut secure = connect(&rustls::version::TLS13, usize::MAX);
    secure.write_all(&frame(0x88, b"")).unwrap();
    secure.conn.send_close_notify();
    secure.flush().unwrap();
    let mut rest = Vec::new();
    // The close frame, and TLS's own end: without it this would be an error.
    secure.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"\x88\x00");
}

#[test]
fn what_is_no_tls_gets_an_alert_and_the_end() {
    for garbage in [b"\x16\x03\x01\x00\x05hello".as_slice(), b"\x16\xff\xff\xff\xff", &[0x16; 5000]]
    {
        let mut client = Client::dial(WORLD.address);
        client.send(garbage);
        client.finish();
        assert!(client.is_closed());
    }
    let mut client = Client::connect(WORLD.address);
    client.send(&frame(0x81, b"plain on the same port"));
    assert_eq!(client.message().unwrap().payload, b"plain on the same port");
}

#[test]
fn bytes_that_were_changed_on_the_way_end_the_connection() {
    let mut secure = connect(&rustls::version::TLS13, usize::MAX);
    comes_back(&mut secure, 10);
    // A record that nobody sealed.
    secure.sock.0.write_all(&[0x17, 0x03, 0x03, 0x00, 0x20, 1, 2, 3]).unwrap();
    secure.sock.0.write_all(&[7; 0x1d]).unwrap();
    let mut rest = Vec::new();
    assert!(secure.read_to_end(&mut rest).is_err() || rest.is_empty());
}
