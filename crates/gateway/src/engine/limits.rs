//! What one connection may do.

use std::time::Duration;

use stillwire_model::limits;

/// What one connection may do; API Gateway's own limits by default. `None` and [`usize::MAX`] lift a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// How long it may be without a message in either direction.
    pub idle_timeout: Option<Duration>,
    /// How long it may live.
    pub lifetime_max: Option<Duration>,
    /// The largest frame it may send, in bytes; messages to it are split into such frames.
    pub frame_bytes_max: usize,
    /// The largest message it may send, in bytes.
    pub message_bytes_max: usize,
    /// Whether it may send binary messages.
    pub binary: bool,
    /// How long a message may take from its first frame to its last byte.
    pub message_timeout: Option<Duration>,
    /// How often a silent client is pinged; one that then stays silent as long again is lost.
    pub ping_interval: Option<Duration>,
    /// Control frames it may send within a second.
    pub controls_per_second_max: u32,
    /// Messages that may be with the application at once; then the socket is not read.
    pub in_flight_max: usize,
    /// Bytes that may wait for a slow reader before a post is refused.
    pub outbox_bytes_max: usize,
    /// Messages that may wait for a slow reader before a post is refused.
    pub outbox_messages_max: usize,
    /// How long it may take no byte at all while bytes are due to it.
    pub stall_timeout: Duration,
    /// Whether messages may be compressed when the client offers it.
    pub compression: bool,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            idle_timeout: Some(limits::IDLE_TIMEOUT),
            lifetime_max: Some(limits::CONNECTION_LIFETIME_MAX),
            frame_bytes_max: limits::FRAME_BYTES_MAX,
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            binary: false,
            message_timeout: Some(limits::MESSAGE_TIMEOUT),
            ping_interval: None,
            controls_per_second_max: limits::CONTROLS_PER_SECOND_MAX,
            in_flight_max: limits::IN_FLIGHT_PER_CONNECTION_MAX,
            outbox_bytes_max: limits::OUTBOX_BYTES_MAX,
            outbox_messages_max: limits::OUTBOX_MESSAGES_MAX,
            stall_timeout: limits::STALL_TIMEOUT,
            compression: false,
        }
    }
}
