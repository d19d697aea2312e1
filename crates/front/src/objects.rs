//! S3: requests that are signed for `s3`, in the header or in the query, and those to a host of its.
//!
//! Source: service model `s3` (signing name `s3`).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use stillwire_model::{Content, ObjectReply, ObjectRequest};

use crate::outgoing::Outgoing;
use crate::{Caller, Front, unserved};

pub(crate) fn is_for(caller: &Caller) -> bool {
    caller.service() == Some("s3")
}

pub(crate) async fn answer(
    front: &Front,
    caller: &Caller,
    parts: Parts,
    incoming: Incoming,
) -> Response<Outgoing> {
    let from = front.from(caller, front.function(caller).as_deref());
    if from.function.is_some() {
        // Assets of deployments are nothing that an app keeps its own things with.
        return unserved::answer(caller).map(Outgoing::Whole);
    }
    let headers = parts.headers.iter();
    let request = ObjectRequest {
        caller: from,
        method: parts.method.as_str().to_owned(),
        host: caller.host.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: headers
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect(),
        body: Box::new(Arriving(incoming)),
    };
    let ObjectReply { status, headers, body } = front.rooms.objects.call(request).await;
    let mut response = Response::new(Outgoing::Pieces(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        // What an object was given as metadata may not fit a header any more.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// The body of a request as it arrives.
#[derive(Debug)]
struct Arriving(Incoming);

impl Content for Arriving {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match Pin::new(&mut self.0).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(io::Error::other(error))));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers of HTTP itself are nobody's here.
                    if let Ok(piece) = frame.into_data() {
                        return Poll::Ready(Some(Ok(piece)));
                    }
                }
            }
        }
    }
}
