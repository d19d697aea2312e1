//! `$context`: what is known of one request, by the names that access logs, mappings and templates use.
//!
//! Source: API Gateway Developer Guide, "WebSocket API mapping template reference" and "Set up a WebSocket API logging
//! format".

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use stillwire_awswire::{clf_time, with_clf_time};
use tokio::time::Instant;

use crate::peer::Peer;
use crate::rescue::{Failure, Fault};

/// One request, from its client's side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) peer: &'a Peer,
    /// `CONNECT`, `MESSAGE` or `DISCONNECT`.
    pub(crate) event_type: &'static str,
    pub(crate) route_key: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) message_id: Option<&'a str>,
    pub(crate) epoch_millis: u64,
}

/// What became of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fate {
    /// The status of the answer, or the one that an answer would have.
    pub(crate) status: u16,
    pub(crate) failure: Option<Failure>,
    pub(crate) integration: Option<IntegrationFate>,
    pub(crate) authorizer: Option<AuthorizerFate>,
    /// Whether a signature was right.
    pub(crate) authenticate: Option<Verdict>,
    /// Whether a policy allowed it.
    pub(crate) authorize: Option<Verdict>,
}

/// What a check led to, which takes no time that could be told in milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(crate) status: u16,
    pub(crate) error: Option<String>,
}

impl Verdict {
    /// Of a check that refuses with 403.
    pub(crate) fn of<T>(checked: Result<T, impl ToString>) -> Self {
        let error = checked.err().map(|error| error.to_string());
        Self { status: if error.is_some() { 403 } else { 200 }, error }
    }

    /// `error`, `latency` or `status`.
    fn variable(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "error" => self.error.as_deref().map(Cow::Borrowed),
            "latency" => Some("0".into()),
            "status" => Some(self.status.to_string().into()),
            _ => None,
        }
    }
}

/// What became of a call of an integration.
#[derive(Debug, Clone, Default)]
pub(crate) struct IntegrationFate {
    /// How long it took.
    pub(crate) latency: Duration,
    /// The status that the backend, or the function's own code, gave.
    pub(crate) status: Option<u16>,
    /// The id of the call, where it was one of a function.
    pub(crate) request_id: Option<Arc<str>>,
}

/// What became of a call of an authorizer.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuthorizerFate {
    /// How long it took, in milliseconds.
    pub(crate) latency: u64,
    pub(crate) status: u16,
    pub(crate) error: Option<String>,
    /// The id of the call, where it came to that.
    pub(crate) request_id: Option<Arc<str>>,
}

impl Fate {
    /// A request that failed.
    pub(crate) fn of(failure: Failure) -> Self {
        Self { status: failure.handshake_status(), failure: Some(failure), ..Self::default() }
    }

    /// Whose fault it is that the request did not succeed.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match (&self.failure, &self.integration) {
            (Some(failure), _) => Some(failure.fault()),
            (None, Some(called)) => {
                called.status.filter(|it| *it >= 400).map(|_| Fault::Integration)
            }
            // The word of an authorizer, or that there is none.
            (None, None) => match self.status {
                400..500 => Some(Fault::Client),
                500.. => Some(Fault::Execution),
                _ => None,
            },
        }
    }
}

/// Milliseconds since then.
pub(crate) fn millis_since(began: Instant) -> u64 {
    in_millis(began.elapsed())
}

fn in_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Context<'_> {
    /// A variable that is known from the beginning of the request; `name` is without `$context.`.
    pub(crate) fn variable(&self, name: &str) -> Option<Cow<'_, str>> {
        let peer = self.peer;
        let text = |text| Some(Cow::Borrowed(text));
        let owned = |text| Some(Cow::Owned(text));
        match name {
            "apiId" => text(peer.api.id().as_str()),
            "connectedAt" => owned(peer.connected_at.to_string()),
            "connectionId" => owned(peer.id.to_string()),
            "domainName" => text(peer.domain_name()),
            "eventType" => text(self.event_type),
            "requestId" | "extendedRequestId" => text(self.request_id),
            "messageId" => self.message_id.map(Cow::Borrowed),
            "identity.apiKey" => peer.api_key.as_ref().map(|key| (*key.value).into()),
            "identity.apiKeyId" => peer.api_key.as_ref().map(|key| (*key.id).into()),
            "identity.sourceIp" => owned(peer.source_ip.to_string()),
            "identity.userAgent" => peer.user_agent.as_deref().map(Cow::Borrowed),
            "identity.caller" | "identity.user" => peer.access_key.as_deref().map(Cow::Borrowed),
            "requestTime" => owned(clf_time(self.epoch_millis)),
            "requestTimeEpoch" => owned(self.epoch_millis.to_string()),
            "routeKey" => text(self.route_key),
            "stage" => text(peer.stage().as_str()),
            _ => {
                let authorized = peer.authorized.as_deref()?;
                match name.strip_prefix("authorizer.")? {
                    "principalId" => text(authorized.principal_id.as_str()),
                    property => authorized.context.get(property).map(|value| value.as_str().into()),
                }
            }
        }
    }

    /// Appends a variable to a line of an access log, where that needs no text of its own; gives whether it did.
    pub(crate) fn append(&self, name: &str, fate: &Fate, line: &mut String) -> bool {
        let appended = match name {
            "connectionId" => write!(line, "{}", self.peer.id),
            "identity.sourceIp" => write!(line, "{}", self.peer.source_ip),
            "requestTime" => with_clf_time(self.epoch_millis, |text| line.write_str(text)),
            "requestTimeEpoch" => write!(line, "{}", self.epoch_millis),
            "status" => write!(line, "{}", fate.status),
            _ => return false,
        };
        appended.is_ok() // a text takes everything
    }

    /// Any other variable that is known once the request is over.
    pub(crate) fn variable_of<'a>(&'a self, name: &str, fate: &'a Fate) -> Option<Cow<'a, str>> {
        let number = |number: u64| Some(Cow::Owned(number.to_string()));
        let (integration, authorizer) = (fate.integration.as_ref(), fate.authorizer.as_ref());
        match name {
            "error.message" => fate.failure.as_ref().map(|failure| failure.frame_text().into()),
            "error.messageString" => {
                fate.failure.as_ref().map(|failure| format!("\"{}\"", failure.frame_text()).into())
            }
            "error.responseType" => {
                fate.failure.as_ref().map(|failure| failure.response_type().into())
            }
            "error.validationErrorString" => {
                fate.failure.as_ref()?.validation_error().map(Cow::Owned)
            }
            "integration.error" | "integrationErrorMessage" => {
                integration?;
                fate.failure.as_ref().map(|failure| failure.to_string().into())
            }
            "integration.latency" | "integrationLatency" => number(in_millis(integration?.latency)),
            "integration.status" | "integrationStatus" => number(integration?.status?.into()),
            "integration.integrationStatus" => {
                // Of the service that runs the function, not of the function.
                let status = match fate.failure {
                    None | Some(Failure::FunctionFailed | Failure::MalformedResponse(_)) => 200,
                    Some(_) => fate.status,
                };
                integration.and_then(|_| number(status.into()))
            }
            "integration.requestId" | "awsEndpointRequestId" => {
                integration?.request_id.as_deref().map(Cow::Borrowed)
            }
            "authorizer.requestId" => authorizer?.request_id.as_deref().map(Cow::Borrowed),
            "authorizer.integrationLatency" | "authorizer.latency" => number(authorizer?.latency),
            "authorizer.integrationStatus" | "authorizer.status" => {
                number(authorizer?.status.into())
            }
            "authorizer.error" => authorizer?.error.clone().map(Cow::Owned),
            _ => match name.split_once('.') {
                Some(("authenticate", rest)) => fate.authenticate.as_ref()?.variable(rest),
                Some(("authorize", rest)) => fate.authorize.as_ref()?.variable(rest),
                _ => self.variable(name),
            },
        }
    }
}
