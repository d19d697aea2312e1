//! Calls what a route calls, under the integration's time limit.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use stillwire_model::{FunctionArn, Integration, IntegrationTarget, Invocation, Outcome};
use tokio::time::timeout;

use crate::rescue::Failure;
use crate::shared::Shared;

/// The function behind an integration, with the alias or version it names.
pub(crate) fn function_of(integration: &Integration) -> Option<(&FunctionArn, &Option<String>)> {
    match &integration.target {
        IntegrationTarget::Function { function, qualifier } => Some((function, qualifier)),
        IntegrationTarget::Unsupported(_) => None,
    }
}

/// Starts a call and gives the wait for its result.
///
/// The invocation begins before this returns, so that calls begin in the order they are made. When the wait is
/// cut short the function runs on and its result is discarded.
pub(crate) fn call(
    integration: &Arc<Integration>,
    payload: Bytes,
    trace: Option<Arc<str>>,
    shared: &Shared,
) -> impl Future<Output = Result<Bytes, Failure>> + Send + use<> {
    let limit = integration.timeout;
    let started = match &integration.target {
        IntegrationTarget::Function { function, qualifier } => {
            Ok(shared.invoke.invoke(Invocation {
                function: function.clone(),
                qualifier: qualifier.clone(),
                payload,
                trace,
            }))
        }
        IntegrationTarget::Unsupported(reason) => Err(Failure::Unavailable(reason.clone())),
    };
    async move {
        match timeout(limit, started?).await {
            Ok(Ok(Outcome::Returned(result))) => Ok(result),
            Ok(Ok(Outcome::Failed(_))) => Err(Failure::FunctionFailed),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Failure::TimedOut),
        }
    }
}
