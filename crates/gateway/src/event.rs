//! The events that functions get: `$connect`, messages, `$disconnect`, and the authorizer's request.
//!
//! Members stand in the order the service was observed to write them.
//!
//! Source: API Gateway Developer Guide, "Set up a WebSocket API integration request" and "Create a Lambda
//! REQUEST authorizer function"; captured events for what is present in which event.

mod json;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use stillwire_awswire::clf_time;
use stillwire_model::{Api, RouteKey, StageName};

use crate::engine::{Ending, Incoming};
use crate::event::json::Object;
use crate::peer::Peer;
use crate::request::Request;

/// What is known of one request beside its connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment<'a> {
    /// `requestId` and `extendedRequestId`.
    pub(crate) request_id: &'a str,
    /// `requestTime`, in milliseconds since the epoch.
    pub(crate) epoch_millis: u64,
}

/// Headers that describe the hop between client and gateway: absent from the `$connect` event, present in the
/// authorizer's. Source: captured events.
const HOP_BY_HOP: [&str; 2] = ["connection", "upgrade"];

/// The `$connect` event.
pub(crate) fn connect(
    peer: &Peer,
    api: &Api,
    request: &Request,
    moment: Moment<'_>,
    authorizer_millis: Option<u64>,
) -> Bytes {
    let mut event = Object::begin();
    write_headers(&mut event, request, |name| {
        !HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop))
    });
    if !request.query.is_empty() {
        write_query(&mut event, request);
    }
    write_stage_variables(&mut event, peer, api);
    event.object("requestContext", |context| {
        context.text("routeKey", RouteKey::Connect.as_str());
        write_authorizer(context, peer, authorizer_millis);
        write_context(context, peer, "CONNECT", moment, None);
    });
    event.raw("isBase64Encoded", "false");
    event.finish()
}

/// The event of a message.
pub(crate) fn message(
    peer: &Peer,
    api: &Api,
    route: &RouteKey,
    message_id: &str,
    moment: Moment<'_>,
    body: Incoming<'_>,
) -> Bytes {
    let length = match body {
        Incoming::Text(text) => text.len(),
        Incoming::Binary(bytes) => bytes.len() * 4 / 3,
    };
    let mut event = Object::with_capacity(length + length / 8 + 1024);
    write_stage_variables(&mut event, peer, api);
    event.object("requestContext", |context| {
        context.text("routeKey", route.as_str());
        write_authorizer(context, peer, None);
        context.text("messageId", message_id);
        write_context(context, peer, "MESSAGE", moment, None);
    });
    match body {
        Incoming::Text(text) => {
            event.text("body", text);
            event.raw("isBase64Encoded", "false");
        }
        // Choice: the service refuses binary messages; where they are let in, they look as in its HTTP events.
        Incoming::Binary(bytes) => {
            event.text("body", &BASE64_STANDARD.encode(bytes));
            event.raw("isBase64Encoded", "true");
        }
    }
    event.finish()
}

/// The `$disconnect` event.
pub(crate) fn disconnect(
    peer: &Peer,
    api: &Api,
    ending: &Ending,
    request_id: &str,
    epoch_millis: u64,
) -> Bytes {
    // The service sends these four, and no header of the client. Source: captured events.
    let headers = [
        ("Host", peer.domain_name()),
        ("x-api-key", ""),
        ("X-Forwarded-For", ""),
        ("x-restapi", ""),
    ];
    let mut event = Object::begin();
    event.object("headers", |out| {
        for (name, value) in headers {
            out.text(name, value);
        }
    });
    event.object("multiValueHeaders", |out| {
        for (name, value) in headers {
            out.texts(name, [value]);
        }
    });
    write_stage_variables(&mut event, peer, api);
    event.object("requestContext", |context| {
        context.text("routeKey", RouteKey::Disconnect.as_str());
        write_authorizer(context, peer, None);
        context.raw("disconnectStatusCode", &ending.status_code.to_string());
        let moment = Moment { request_id, epoch_millis };
        write_context(context, peer, "DISCONNECT", moment, Some(&ending.reason));
    });
    event.raw("isBase64Encoded", "false");
    event.finish()
}

/// The event of an authorizer.
pub(crate) fn authorizer(peer: &Peer, api: &Api, request: &Request, moment: Moment<'_>) -> Bytes {
    let mut event = Object::begin();
    event.text("type", "REQUEST");
    event.text("methodArn", &connect_arn(api, peer.stage()));
    write_headers(&mut event, request, |_| true);
    write_query(&mut event, request);
    let none = BTreeMap::new();
    let variables = api.stages.get(peer.stage()).map_or(&none, |stage| &stage.variables);
    event.object("stageVariables", |out| {
        for (name, value) in variables {
            out.text(name, value);
        }
    });
    event.object("requestContext", |context| {
        context.text("routeKey", RouteKey::Connect.as_str());
        write_context(context, peer, "CONNECT", moment, None);
    });
    event.finish()
}

/// What an authorizer's policy must allow: `arn:…:execute-api:{region}:{account}:{api}/{stage}/$connect`.
pub(crate) fn connect_arn(api: &Api, stage: &StageName) -> String {
    arn(api, stage, RouteKey::Connect.as_str())
}

/// The ARN by which policies name something of a stage.
pub(crate) fn arn(api: &Api, stage: &StageName, rest: &str) -> String {
    let Api { partition, region, account, id, .. } = api;
    format!("arn:{partition}:execute-api:{region}:{account}:{id}/{stage}/{rest}")
}

fn write_headers(event: &mut Object, request: &Request, keep: impl Fn(&str) -> bool) {
    let headers = || request.headers.iter().filter(|(name, _)| keep(name));
    event.object("headers", |out| {
        for (name, values) in headers() {
            out.text(name, values.last().map_or("", String::as_str));
        }
    });
    event.object("multiValueHeaders", |out| {
        for (name, values) in headers() {
            out.texts(name, values.iter().map(String::as_str));
        }
    });
}

fn write_query(event: &mut Object, request: &Request) {
    event.object("queryStringParameters", |out| {
        for (name, values) in &request.query {
            out.text(name, values.last().map_or("", String::as_str));
        }
    });
    event.object("multiValueQueryStringParameters", |out| {
        for (name, values) in &request.query {
            out.texts(name, values.iter().map(String::as_str));
        }
    });
}

fn write_stage_variables(event: &mut Object, peer: &Peer, api: &Api) {
    if let Some(stage) = api.stages.get(peer.stage())
        && !stage.variables.is_empty()
    {
        event.object("stageVariables", |out| {
            for (name, value) in &stage.variables {
                out.text(name, value);
            }
        });
    }
}

fn write_authorizer(context: &mut Object, peer: &Peer, integration_millis: Option<u64>) {
    if let Some(authorized) = &peer.authorized {
        context.object("authorizer", |out| {
            out.text("principalId", &authorized.principal_id);
            if let Some(millis) = integration_millis {
                out.raw("integrationLatency", &millis.to_string());
            }
            for (name, value) in &authorized.context {
                out.text(name, value);
            }
        });
    }
}

fn write_context(
    context: &mut Object,
    peer: &Peer,
    event_type: &str,
    moment: Moment<'_>,
    disconnect_reason: Option<&str>,
) {
    context.text("eventType", event_type);
    context.text("extendedRequestId", moment.request_id);
    context.text("requestTime", &clf_time(moment.epoch_millis));
    context.text("messageDirection", "IN");
    if let Some(reason) = disconnect_reason {
        context.text("disconnectReason", reason);
    }
    context.text("stage", peer.stage().as_str());
    context.raw("connectedAt", &peer.connected_at.to_string());
    context.raw("requestTimeEpoch", &moment.epoch_millis.to_string());
    context.object("identity", |identity| {
        if let Some(user_agent) = &peer.user_agent {
            identity.text("userAgent", user_agent);
        }
        identity.text("sourceIp", &peer.source_ip.to_string());
        // Choice: at the end; no event with a key was captured.
        if let Some(key) = &peer.api_key {
            identity.text("apiKey", &key.value);
            identity.text("apiKeyId", &key.id);
        }
    });
    context.text("requestId", moment.request_id);
    context.text("domainName", peer.domain_name());
    context.text("connectionId", &peer.id.to_string());
    context.text("apiId", peer.api.id().as_str());
}
