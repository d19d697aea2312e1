//! Functions of the app that run elsewhere, as `stillwire.toml` says.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use stillwire_drain::Drain;
use stillwire_lambda::{Caller, Elsewhere, There};
use stillwire_listen::system_bundle;
use stillwire_model::{App, FunctionArn, Invoke};
use stillwire_outbound::Outbound;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::report::hinted;
use crate::settings::Settings;

/// Where the functions run that do not run here.
pub(crate) fn find(app: &App, config: &Config) -> Result<BTreeMap<FunctionArn, There>> {
    let mut found = BTreeMap::new();
    for (name, settings) in config.elsewhere() {
        let is_it = |logical_id: &str, own: &str| logical_id == name || own == name;
        let mut functions = app
            .functions()
            .filter(|function| is_it(&function.logical_id, function.name()))
            .peekable();
        if functions.peek().is_none() {
            return Err(hinted(
                format!("stillwire.toml: [lambda.elsewhere.{name}] names no function of this app"),
                "use a function's name or its logical id; `stillwire check` lists both",
            ));
        }
        for function in functions {
            let usual = || format!("https://lambda.{}.amazonaws.com", function.arn.region());
            let endpoint = settings.endpoint.clone().unwrap_or_else(usual);
            let there = There {
                endpoint: endpoint.trim_end_matches('/').to_owned(),
                function: settings.function.clone().unwrap_or_else(|| function.name().to_owned()),
            };
            found.insert(function.arn.clone(), there);
        }
    }
    Ok(found)
}

/// Invokes functions where they run; and what knows where that is, if any run elsewhere.
pub(crate) fn invoker(
    here: Arc<dyn Invoke>,
    there: BTreeMap<FunctionArn, There>,
    settings: &Settings,
    drain: &Drain,
) -> Result<(Arc<dyn Invoke>, Option<Elsewhere>)> {
    if there.is_empty() {
        return Ok((here, None));
    }
    let keys = settings.keys.find().map_err(|problem| {
        hinted(
            format!("functions are to run elsewhere ([lambda.elsewhere]), but {problem}"),
            "set the variables, or AWS_PROFILE",
        )
    })?;
    let outbound = Outbound::new(system_bundle().as_deref());
    let caller = Caller { keys, clock: Arc::new(SystemClock), outbound };
    let elsewhere = Elsewhere::new(here, there, caller, drain.clone());
    Ok((Arc::new(elsewhere.clone()), Some(elsewhere)))
}
