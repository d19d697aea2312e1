//! A WebSocket echo on the very engine that holds an API's connections: for conformance suites and benchmarks.
//!
//! `echo [--port PORT] [--max-message BYTES] [--deflate on] [--tls FOLDER] [--shards N]`; prints its address. With
//! `--tls` the folder keeps a local authority, and the port speaks TLS too. `POST /broadcast` sends its body to
//! every connection, `POST /ID` to one; a new connection's id comes in the header `x-connection-id` of its 101.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for the people of this project"
)]

use std::collections::HashMap;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::server::ResolvesServerCertUsingSni;
use stillwire_awswire::ConnectionId;
use stillwire_drain::Drain;
use stillwire_gateway::engine::{
    Addresses, Answer, Arrival, ConnectionLimits, Ending, Engine, Incoming, Outbox, Outgoing,
    Replies, Request, Service, Session, Ticket,
};
use stillwire_listen::{Authority, Capacity, Door};
use stillwire_websocket::{ProtocolError, Upgrade};

/// Sends every message back, with the write that follows the read.
struct Echo {
    id: ConnectionId,
    outbox: Arc<Outbox>,
    everyone: Everyone,
}

type Everyone = Arc<Mutex<HashMap<ConnectionId, Arc<Outbox>>>>;

impl Session for Echo {
    fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    fn message(&mut self, message: Incoming<'_>, replies: &mut Replies<'_>) {
        match message {
            Incoming::Text(text) => replies.text(text),
            Incoming::Binary(bytes) => replies.binary(bytes),
        }
    }

    fn ending(&mut self, _: &Ending, _: Option<ProtocolError>) {
        lock(&self.everyone).remove(&self.id);
    }

    fn ended(self, _: Ending) {}
}

struct EchoService {
    limits: Arc<ConnectionLimits>,
    everyone: Everyone,
}

impl Service for EchoService {
    type Site = ();
    type Session = Echo;

    fn arrive(&self, _: &Arc<()>, arrival: Arrival, ticket: Ticket<Self>) {
        match Upgrade::check(&arrival.head) {
            Ok(upgrade) => {
                let id = ticket.id();
                let head = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {}\r\nx-connection-id: {id}\r\n\r\n",
                    upgrade.accept
                );
                let outbox = Arc::new(ticket.outbox(Arc::clone(&self.limits)));
                lock(&self.everyone).insert(id, Arc::clone(&outbox));
                ticket.accept(head, Echo { id, outbox, everyone: Arc::clone(&self.everyone) });
            }
            Err(refused) => ticket.refuse(self.refusal(refused.status())),
        }
    }

    fn request(&self, (): &(), request: Request<'_>) -> Answer {
        let (path, _) = request.head.path_and_query();
        let everyone = lock(&self.everyone);
        let sent = match path {
            "/broadcast" => everyone
                .values()
                .flat_map(|outbox| outbox.post(Outgoing::Text(request.body.clone())))
                .count(),
            path => ConnectionId::parse(path.trim_start_matches('/'))
                .ok()
                .and_then(|id| everyone.get(&id))
                .map_or(0, |outbox| {
                    outbox.post(Outgoing::Text(request.body.clone())).is_ok().into()
                }),
        };
        self.refusal(if sent > 0 { 200 } else { 410 })
    }

    fn refusal(&self, status: u16) -> Answer {
        Answer { status, ..Answer::default() }
    }

    fn body_bytes_max(&self, (): &()) -> usize {
        self.limits.message_bytes_max
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut port, mut shards, mut tls) = (0, 1, None);
    let mut limits = ConnectionLimits { binary: true, ..ConnectionLimits::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or("each option has a value")?;
        match word.as_str() {
            "--port" => port = value.parse()?,
            "--max-message" => {
                limits.message_bytes_max = value.parse()?;
                limits.frame_bytes_max = limits.message_bytes_max;
            }
            "--deflate" => limits.compression = value == "on",
            "--tls" => tls = Some(value),
            "--shards" => shards = value.parse()?,
            other => {
                return Err(format!(
                    "{other} is no option; the first lines of this file list them"
                )
                .into());
            }
        }
    }
    let mut runtime = if shards == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    runtime.enable_all().build()?.block_on(async {
        let listener = stillwire_listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        println!("{}", listener.local_addr()?);
        let door =
            Door { listener, tls: tls_config(tls.as_deref())?, capacity: Capacity::new(1 << 20) };
        let drain = Drain::new();
        let service = EchoService { limits: Arc::new(limits), everyone: Arc::default() };
        let addresses = Addresses::new().ok_or("no random source")?;
        let engine = Engine::start(Arc::new(service), addresses, shards, &drain)?;
        engine.open(door, Arc::new(()))?;
        drain.closing().await;
        Ok(())
    })
}

fn tls_config(folder: Option<&str>) -> Result<Arc<ServerConfig>, Box<dyn Error>> {
    let Some(folder) = folder else {
        let nobody = Arc::new(ResolvesServerCertUsingSni::new());
        let config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(nobody);
        return Ok(Arc::new(config));
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let authority = Authority::open(Path::new(folder), u64::try_from(now.as_millis())?)?;
    Ok(authority.tls)
}
