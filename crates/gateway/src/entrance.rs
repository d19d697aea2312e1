//! Where an accepted stream says what it wants: to become a WebSocket, or an HTTP answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use stillwire_drain::Drain;
use stillwire_listen::{Accepted, Rewind, Stream, http};
use stillwire_websocket::{HeadError, RequestHead};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::peer::LiveApi;
use crate::shared::Shared;
use crate::{management, upgrade};

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves one accepted stream: a plain request to its end here, a client in a task of its own in `drain`.
pub(crate) async fn enter(
    accepted: Accepted,
    api: Arc<LiveApi>,
    shared: Arc<Shared>,
    drain: Drain,
    doors: Drain,
) {
    let Accepted { mut stream, peer, place } = accepted;
    let head = tokio::select! {
        head = timeout(HEAD_TIMEOUT, read_head(&mut stream)) => head,
        () = doors.closing() => return,
    };
    let head = match head {
        Ok(Ok(Some(head))) => head,
        Ok(Ok(None)) => return, // left before it said anything
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "no request");
            return;
        }
        Err(_) => return upgrade::refuse_status(&mut stream, 408, &shared).await,
    };
    let (bytes, head_len) = match head {
        Ok(found) => found,
        Err(error) => return upgrade::refuse_status(&mut stream, error.status(), &shared).await,
    };
    let request = match RequestHead::parse(bytes.get(..head_len).unwrap_or_default()) {
        Ok(request) => request,
        Err(error) => {
            tracing::debug!(%peer, %error, "refused a request");
            return upgrade::refuse_status(&mut stream, error.status(), &shared).await;
        }
    };
    if request.asks_for_websocket() {
        let rest = bytes.get(head_len..).unwrap_or_default().to_vec();
        let arrival = upgrade::Arrival { stream, peer, request, rest };
        let inner = drain.clone();
        drain.spawn("connection", async move {
            // Boxed: a handshake needs much more state than the connection it leads to.
            let opened = Box::pin(upgrade::open(arrival, api, shared, inner)).await;
            if let Some(opened) = opened {
                opened.run().await;
            }
            drop(place);
        });
    } else {
        let stream = Rewind::new(bytes.into(), stream);
        // Boxed: clients should not pay for the state that requests need.
        let serving = http::serve(stream, &doors, |request| {
            management::answer(request, Arc::clone(&api), Arc::clone(&shared))
        });
        Box::pin(serving).await;
        drop(place);
    }
}

type Head = Result<(Vec<u8>, usize), HeadError>;

/// Reads to the end of a request's head; gives all that was read and the head's length.
async fn read_head(stream: &mut Stream) -> io::Result<Option<Head>> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let seen = bytes.len();
        if stream.read_buf(&mut bytes).await? == 0 {
            return if bytes.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        match RequestHead::find_end(&bytes, seen) {
            Ok(Some(head_len)) => return Ok(Some(Ok((bytes, head_len)))),
            Ok(None) => {}
            Err(error) => return Ok(Some(Err(error))),
        }
    }
}
