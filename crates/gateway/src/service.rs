//! What the engine serves here: APIs at their addresses.

use std::sync::Arc;

use crate::engine::{Answer, Arrival, Request, Service, Ticket};
use crate::rescue::status_text;
use crate::session::ApiSession;
use crate::shared::Shared;
use crate::site::Site;
use crate::{management, upgrade};

/// The largest body of a post where messages have no limit, in bytes.
///
/// Choice: what is not bounded by an operator is bounded by common sense.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Serves APIs.
#[derive(Debug)]
pub(crate) struct ApiService(pub(crate) Arc<Shared>);

impl Service for ApiService {
    type Site = Site;
    type Session = ApiSession;

    fn arrive(&self, site: &Arc<Site>, arrival: Arrival, ticket: Ticket<Self>) {
        upgrade::begin(arrival, site, &self.0, ticket);
    }

    fn request(&self, site: &Site, request: Request<'_>) -> Answer {
        management::answer(&request, site, &self.0)
    }

    fn refusal(&self, status: u16) -> Answer {
        match status {
            413 => management::too_large(self.0.limits.message_bytes_max()),
            _ => refusal(status, &self.0.ids.next()),
        }
    }

    fn body_bytes_max(&self, _: &Site) -> usize {
        self.0.limits.message_bytes_max().min(BODY_BYTES_MAX)
    }
}

/// The gateway's own answer with this status.
pub(crate) fn refusal(status: u16, request_id: &str) -> Answer {
    if status == 426 {
        let answer = Answer { status, ..Answer::default() }.with("x-amz-apigw-id", request_id);
        // Tells a plain GET, too, what this address is for.
        return answer.with("Upgrade", "websocket").with("Sec-WebSocket-Version", "13");
    }
    refusal_saying(status_text(status), status, request_id)
}

/// The gateway's own answer with this status, where it says something of its own.
pub(crate) fn refusal_saying(text: &str, status: u16, request_id: &str) -> Answer {
    let body = serde_json::json!({ "message": text }).to_string().into();
    let answer = Answer { status, body, ..Answer::default() }
        .with("x-amz-apigw-id", request_id)
        .with("Content-Type", "application/json");
    if status == 503 { answer.with("Retry-After", "1") } else { answer }
}
