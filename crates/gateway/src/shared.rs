//! What every part of the gateway shares: settings, ports, ids, the live connections.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stillwire_awswire::RequestIds;
use stillwire_model::{Clock, Invoke, limits};
use tokio::sync::mpsc;

use crate::admission::Departure;
use crate::registry::Registry;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many connections may be open at once.
    pub connections_max: usize,
    /// What one connection may do.
    pub connection: ConnectionLimits,
}

/// What one connection may do; API Gateway's own limits by default.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// How long it may be without a message in either direction.
    pub idle_timeout: Duration,
    /// How long it may live.
    pub lifetime_max: Duration,
    /// The largest frame it may send, in bytes; messages to it are split into such frames.
    pub frame_bytes_max: usize,
    /// The largest message it may send, in bytes.
    pub message_bytes_max: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            idle_timeout: limits::IDLE_TIMEOUT,
            lifetime_max: limits::CONNECTION_LIFETIME_MAX,
            frame_bytes_max: limits::FRAME_BYTES_MAX,
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
        }
    }
}

/// What every part of the gateway shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) invoke: Arc<dyn Invoke>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: RequestIds,
    pub(crate) registry: Arc<Registry>,
    /// Where admissions reserve room for their departure; `None` once the gateway stops.
    pub(crate) departures: Mutex<Option<mpsc::Sender<Departure>>>,
}
