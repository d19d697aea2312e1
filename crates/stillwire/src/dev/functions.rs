//! Deploys the functions of the app, and those that the Lambda API makes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use stillwire_drain::Drain;
use stillwire_functions::Functions;
use stillwire_lambda::{Delays, Home, Kept, Lambda, Ports};
use stillwire_listen::system_bundle;
use stillwire_model::{
    App, Clock, Function, FunctionArn, FunctionDefinition, FunctionHost, FunctionKeys,
    FunctionRelease, Invoke, function_key,
};
use stillwire_outbound::Outbound;

use crate::dev::variables::Variables;

/// The functions that there are, as they were deployed last, by their access keys. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(Arc<RwLock<BTreeMap<String, Arc<Function>>>>);

impl Known {
    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Function>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn replace(&self, functions: impl Iterator<Item = Arc<Function>>) {
        let by_key = functions.map(|function| (function_key(&function.arn), function)).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = by_key;
    }
}

impl FunctionKeys for Known {
    fn function(&self, access_key: &str) -> Option<Arc<Function>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(access_key).cloned()
    }
}

/// Gives functions their variables and deploys them.
#[derive(Debug)]
pub(crate) struct FunctionHouse {
    pub(crate) functions: Functions,
    pub(crate) variables: Variables,
    /// Where it is noted which functions there are.
    pub(crate) known: Known,
    /// Functions that run elsewhere: nothing is started for them.
    pub(crate) elsewhere: BTreeSet<FunctionArn>,
}

impl FunctionHost for FunctionHouse {
    fn deploy(&self, releases: Vec<FunctionRelease>) {
        self.known.replace(releases.iter().map(|release| Arc::clone(&release.latest)));
        let with_variables = |release: FunctionRelease| {
            let variables = self.variables.of(&release.latest.stack, release.latest.arn.region());
            (release, variables)
        };
        let here =
            releases.into_iter().filter(|release| !self.elsewhere.contains(&release.latest.arn));
        self.functions.deploy(here.map(with_variables).collect());
    }
}

/// What the Lambda API is started with beside the house.
pub(crate) struct Surroundings {
    pub(crate) kept: Kept,
    pub(crate) invoke: Arc<dyn Invoke>,
    pub(crate) home: Home,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) drain: Drain,
    pub(crate) endpoints: BTreeMap<String, String>,
    pub(crate) delays: Delays,
}

/// Deploys all functions; gives the Lambda API through which they are invoked and others are made.
pub(crate) fn deploy(
    house: FunctionHouse,
    definitions: Vec<FunctionDefinition>,
    app: &App,
    surroundings: Surroundings,
) -> Lambda {
    let Surroundings { kept, invoke, home, clock, drain, endpoints, delays } = surroundings;
    let outbound = Outbound::new(system_bundle().as_deref());
    let ports = Ports { invoke, host: Arc::new(house), clock, drain, outbound, endpoints, delays };
    let definitions = as_deployed(definitions, app);
    let mappings = app.event_sources().map(Arc::clone).collect();
    Lambda::start(kept, (&definitions, mappings), home, ports)
}

/// The app's functions have their addresses rewritten by now; their definitions get them as they are.
fn as_deployed(definitions: Vec<FunctionDefinition>, app: &App) -> Vec<FunctionDefinition> {
    let now = |definition: FunctionDefinition| {
        let same = app.functions().find(|function| function.arn == definition.function.arn);
        let function = same.map_or(definition.function, Arc::clone);
        FunctionDefinition { function, ..definition }
    };
    definitions.into_iter().map(now).collect()
}
