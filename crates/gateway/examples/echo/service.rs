//! What the echo makes of arrivals, messages and requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stillwire_awswire::ConnectionId;
use stillwire_gateway::engine::{
    Answer, Arrival, ConnectionLimits, Ending, Incoming, Outbox, Outgoing, Replies, Request,
    Service, Session, Ticket, Welcome,
};
use stillwire_websocket::{DeflateConfig, ProtocolError, Upgrade};

/// Sends every message back, with the write that follows the read.
pub(crate) struct Echo {
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

/// Lets everybody in.
pub(crate) struct EchoService {
    limits: Arc<ConnectionLimits>,
    everyone: Everyone,
}

impl EchoService {
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        Self { limits: Arc::new(limits), everyone: Arc::default() }
    }
}

impl Service for EchoService {
    type Site = ();
    type Session = Echo;

    fn arrive(&self, _: &Arc<()>, arrival: Arrival, ticket: Ticket<Self>) {
        match Upgrade::check(&arrival.head) {
            Ok(upgrade) => {
                let id = ticket.id();
                let offers = arrival.head.all("sec-websocket-extensions");
                let compression = self.limits.compression;
                let compression =
                    compression.then(|| DeflateConfig::default().negotiate(offers)).flatten();
                let extensions = compression.map(|agreed| {
                    format!("Sec-WebSocket-Extensions: {}\r\n", agreed.header_value())
                });
                let head = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {}\r\nx-connection-id: {id}\r\n{}\r\n",
                    upgrade.accept,
                    extensions.unwrap_or_default()
                );
                let outbox = Arc::new(ticket.outbox(Arc::clone(&self.limits)));
                lock(&self.everyone).insert(id, Arc::clone(&outbox));
                let welcome = Welcome { head, compression };
                ticket.accept(welcome, Echo { id, outbox, everyone: Arc::clone(&self.everyone) });
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
