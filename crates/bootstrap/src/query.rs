//! Services of the Query protocol: forms in, XML out.

use stillwire_awswire::{Query, Xml, query_answer, query_refusal};
use stillwire_model::{ServiceReply, ServiceRequest};
use uuid::Uuid;

use crate::error::{Answered, Refused};

/// Answers a request by an operation that writes its result.
pub(crate) fn answer(
    request: &ServiceRequest,
    namespace: &str,
    operate: impl FnOnce(&Query) -> Answered<Xml>,
) -> ServiceReply {
    let form = if request.body.is_empty() { request.query.as_bytes() } else { &request.body };
    let request_id = Uuid::new_v4().to_string();
    let answered = Query::parse(form)
        .map_err(|error| Refused::new(400, "ValidationError", error.to_string()))
        .and_then(|query| Ok((operate(&query)?, query)));
    let (status, body) = match answered {
        Ok((result, query)) => {
            let body = query_answer(query.action(), namespace, &request_id, |xml| {
                xml.append(&result);
            });
            (200, body)
        }
        Err(Refused { status, code, message }) => {
            (status, query_refusal((status, code, &message), namespace, &request_id))
        }
    };
    ServiceReply { status, content_type: "text/xml", request_id, body: body.into() }
}
