//! Calls what a route calls, under the integration's time limit.
//!
//! Functions behind `AWS_PROXY` get the Lambda proxy event (`proxy`); every other backend gets a request that mappings and
//! templates make (`backend`), and `AWS`, `HTTP` and `MOCK` integrations have their answers made into a message
//! (`answer`). `content` turns base64 into bytes and back.

mod answer;
mod backend;
mod content;
mod http;
mod proxy;
mod service;
mod templates;

use stillwire_model::{Integration, IntegrationTarget};
use tokio::time::timeout;

pub(crate) use backend::Answered;
pub(crate) use proxy::{call, function_of};
pub(crate) use service::Services;
pub(crate) use templates::Templates;

use crate::exchange::Exchange;
use crate::rescue::Failure;
use crate::response::ProxyResponse;
use crate::shared::Shared;

/// Whether an integration gets the Lambda proxy event.
pub(crate) fn is_function(integration: &Integration) -> bool {
    matches!(
        integration.target,
        IntegrationTarget::Function { .. } | IntegrationTarget::FunctionUri(_)
    )
}

/// What the client gets of an integration that has nothing to wait for (`MOCK`); `None` for all others.
pub(crate) fn at_once(
    integration: &Integration,
    exchange: &Exchange<'_>,
    shared: &Shared,
) -> Option<Result<ProxyResponse, Failure>> {
    let answered = match &integration.target {
        IntegrationTarget::Mock => backend::mock(integration, exchange, shared),
        _ => return None,
    };
    Some(answered.and_then(|answered| answer::make(integration, answered, exchange, shared)))
}

/// Calls a backend that is no function behind `AWS_PROXY`; gives what the client gets of its answer.
pub(crate) async fn exchange(
    integration: &Integration,
    exchange: &Exchange<'_>,
    shared: &Shared,
) -> Result<ProxyResponse, Failure> {
    let exchanged = async {
        let answered = backend::ask(integration, exchange, shared).await?;
        answer::make(integration, answered, exchange, shared)
    };
    timeout(shared.time_limit(integration.timeout), exchanged)
        .await
        .unwrap_or(Err(Failure::TimedOut))
}
