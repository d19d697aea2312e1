//! Asks a backend: the body of the request by its template, the rest by mappings.

use ::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use serde::Deserialize;
use stillwire_model::{Integration, IntegrationTarget};

use crate::exchange::Exchange;
use crate::integration::{content, http, service};
use crate::rescue::Failure;
use crate::route;
use crate::shared::Shared;

/// What a backend answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap<HeaderValue>,
    pub(crate) body: Bytes,
    /// What integration responses are chosen by, where that is not the status: the error of a function.
    pub(crate) error: Option<String>,
}

impl Answered {
    pub(crate) fn new(status: u16, body: Bytes) -> Self {
        Self { status, headers: HeaderMap::new(), body, error: None }
    }
}

/// Asks the backend of an integration.
pub(crate) async fn ask(
    integration: &Integration,
    exchange: &Exchange<'_>,
    shared: &Shared,
) -> Result<Answered, Failure> {
    match &integration.target {
        IntegrationTarget::Http { uri, method, proxy } => {
            let body = if *proxy {
                exchange.body.to_owned()
            } else {
                request_body(integration, exchange, shared)?
            };
            let body = content::as_binary(integration.content_handling, body.into())?;
            http::ask(integration, uri, method, body, exchange, shared).await
        }
        IntegrationTarget::Service { uri, method } => {
            let body = request_body(integration, exchange, shared)?;
            let body = content::as_binary(integration.content_handling, body.into())?;
            service::ask(integration, uri, method, body, exchange, shared).await
        }
        IntegrationTarget::Mock => mock(integration, exchange, shared),
        IntegrationTarget::Unsupported(reason) => Err(Failure::Unavailable(reason.clone())),
        IntegrationTarget::Function { .. } | IntegrationTarget::FunctionUri(_) => {
            Err(Failure::Unavailable("a function gets the proxy event".to_owned()))
        }
    }
}

/// The body that the request template makes; without one the message passes, if it may.
fn request_body(
    integration: &Integration,
    exchange: &Exchange<'_>,
    shared: &Shared,
) -> Result<String, Failure> {
    let templates = &integration.templates;
    let key = templates.selection.as_ref().and_then(|found| route::select(found, exchange.body));
    match templates.find(key.as_deref()) {
        Ok(Some(template)) => shared.templates.render(template, exchange),
        Ok(None) => Ok(exchange.body.to_owned()),
        Err(_) => Err(Failure::UnsupportedMedia),
    }
}

/// `MOCK`: the rendered template says which status the answer has.
///
/// Source: API Gateway Developer Guide, "Set up a mock integration": `{"statusCode": 200}`.
pub(super) fn mock(
    integration: &Integration,
    exchange: &Exchange<'_>,
    shared: &Shared,
) -> Result<Answered, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Mock {
        status_code: u16,
    }
    let rendered = request_body(integration, exchange, shared)?;
    match serde_json::from_str(&rendered) {
        Ok(Mock { status_code }) => Ok(Answered::new(status_code, Bytes::new())),
        Err(error) => Err(Failure::Template(format!(
            "a MOCK integration's template renders {{\"statusCode\": 200}}, not {rendered:?}: {error}"
        ))),
    }
}
