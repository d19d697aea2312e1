//! The line to a server: plain, or with TLS.

use std::io::{Read, Result, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A line on which reading waits only so long.
#[derive(Debug)]
pub(crate) enum Line {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Line {
    /// The line that the scheme of a URL asks for (`wss`, `https`); one with TLS needs an authority to trust, as a
    /// PEM file.
    pub(crate) fn to(url: &str, address: &str, trusted: Option<&Path>) -> Self {
        let stream = TcpStream::connect(address).expect("the server accepts");
        if !url.starts_with("wss:") && !url.starts_with("https:") {
            return Self::Plain(stream);
        }
        let mut roots = RootCertStore::empty();
        let file = trusted.expect("an authority to trust");
        for authority in CertificateDer::pem_file_iter(file).expect("the authority's file") {
            roots.add(authority.expect("a certificate")).expect("a certificate to trust");
        }
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned();
        let name = ServerName::try_from(host).expect("a host's name");
        let tls = ClientConnection::new(Arc::new(config), name).expect("TLS");
        Self::Secure(Box::new(StreamOwned::new(tls, stream)))
    }

    /// Sets how long a read may wait.
    pub(crate) fn wait_at_most(&self, time: Duration) {
        self.socket().set_read_timeout(Some(time)).expect("a time limit");
    }

    /// Ends it so that the other side reads a reset.
    pub(crate) fn reset(self) {
        set_socket_linger(self.socket(), Some(Duration::ZERO)).expect("a socket");
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Secure(stream) => &stream.sock,
        }
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Secure(stream) => stream.read(buffer),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Secure(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Secure(stream) => stream.flush(),
        }
    }
}
