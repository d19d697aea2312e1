//! `AWS_PROXY`: a function, by the Lambda proxy event.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use stillwire_model::{
    FunctionArn, Integration, IntegrationTarget, Invocation, Invoked, Outcome, function_of_uri,
};
use tokio::time::timeout;

use crate::exchange::Exchange;
use crate::rescue::Failure;
use crate::shared::Shared;

type Called = (FunctionArn, Option<String>);

/// The function behind an integration, with the alias or version it names.
pub(crate) fn function_of(
    integration: &Integration,
    exchange: &Exchange<'_>,
) -> Result<Called, Failure> {
    match &integration.target {
        IntegrationTarget::Function { function, qualifier } => {
            Ok((function.clone(), qualifier.clone()))
        }
        IntegrationTarget::FunctionUri(uri) => {
            let missing =
                |name: String| Failure::Unavailable(format!("the stage has no variable {name}"));
            let uri = exchange.with_stage_variables(uri).map_err(missing)?;
            function_of_uri(&uri)
                .ok_or_else(|| Failure::Unavailable(format!("{uri:?} is not a function")))
        }
        IntegrationTarget::Unsupported(reason) => Err(Failure::Unavailable(reason.clone())),
        _ => Err(Failure::Unavailable("it is no function".to_owned())),
    }
}

/// Starts a call of this id and gives the wait for its result.
///
/// The invocation begins before this returns, so that calls begin in the order they are made. When the wait is
/// cut short the function runs on and its result is discarded.
pub(crate) fn call(
    integration: &Integration,
    exchange: &Exchange<'_>,
    payload: Bytes,
    trace: Option<Arc<str>>,
    request_id: Arc<str>,
    shared: &Shared,
) -> impl Future<Output = Result<Bytes, Failure>> + Send + use<> {
    let limit = shared.time_limit(integration.timeout);
    let started = function_of(integration, exchange).map(|(function, qualifier)| {
        let invocation = Invocation::new(request_id, function, qualifier, payload);
        shared.invoke.invoke(Invocation { trace, ..invocation })
    });
    async move {
        match timeout(limit, started?).await {
            Ok(Ok(Invoked { outcome: Outcome::Returned(result), .. })) => Ok(result),
            Ok(Ok(Invoked { outcome: Outcome::Failed(_), .. })) => Err(Failure::FunctionFailed),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Failure::TimedOut),
        }
    }
}
