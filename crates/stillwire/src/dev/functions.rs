//! Deploys the functions of the app, and those that the Lambda API makes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use stillwire_drain::Drain;
use stillwire_functions::Functions;
use stillwire_lambda::{Delays, Home, Kept, Lambda, Ports};
use stillwire_listen::system_bundle;
use stillwire_model::{
    App, Clock, Function, FunctionArn, FunctionDefinition, FunctionHost, FunctionKeys,
    FunctionRelease, Invoke, StackObjects, function_key,
};
use stillwire_outbound::Outbound;

use crate::dev::declared::Declared;
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
    functions: Functions,
    /// Where it is noted which functions there are.
    known: Known,
    state: Mutex<State>,
}

/// What is deployed, and how.
#[derive(Debug)]
struct State {
    variables: Variables,
    /// Functions that run elsewhere: nothing is started for them.
    elsewhere: BTreeSet<FunctionArn>,
    /// As they were deployed last.
    releases: Vec<FunctionRelease>,
    /// Functions that no template declares any more: what was routed to them before still finds them.
    retiring: Vec<FunctionRelease>,
}

impl FunctionHouse {
    pub(crate) fn new(
        functions: Functions,
        known: Known,
        variables: Variables,
        elsewhere: BTreeSet<FunctionArn>,
    ) -> Self {
        let (releases, retiring) = (Vec::new(), Vec::new());
        let state = Mutex::new(State { variables, elsewhere, releases, retiring });
        Self { functions, known, state }
    }

    /// What functions get besides their own settings, and which of them run elsewhere, from the next deployment on.
    pub(crate) fn settle(&self, variables: Variables, elsewhere: BTreeSet<FunctionArn>) {
        let mut state = self.state();
        state.variables = variables;
        state.elsewhere = elsewhere;
    }

    /// Lets these functions go on for now, though the next deployment may not name them.
    pub(crate) fn retire(&self, gone: &[FunctionArn]) {
        let mut state = self.state();
        let of_gone = |release: &&FunctionRelease| gone.contains(&release.latest.arn);
        let leaving: Vec<_> = state.releases.iter().filter(of_gone).cloned().collect();
        state.retiring.extend(leaving);
    }

    /// Those that were let go on end with the next deployment.
    pub(crate) fn retired(&self, gone: &[FunctionArn]) {
        self.state().retiring.retain(|release| !gone.contains(&release.latest.arn));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FunctionHost for FunctionHouse {
    fn deploy(&self, releases: Vec<FunctionRelease>) {
        let mut state = self.state();
        let is_there = |release: &FunctionRelease| {
            releases.iter().any(|other| other.latest.arn == release.latest.arn)
        };
        state.retiring.retain(|release| !is_there(release));
        state.releases.clone_from(&releases);
        let all: Vec<_> = releases.into_iter().chain(state.retiring.iter().cloned()).collect();
        self.known.replace(all.iter().map(|release| Arc::clone(&release.latest)));
        let here = all.into_iter().filter(|one| !state.elsewhere.contains(&one.latest.arn));
        let with_variables = |release: FunctionRelease| {
            let variables = state.variables.of(&release.latest.stack, release.latest.arn.region());
            (release, variables)
        };
        self.functions.deploy(here.map(with_variables).collect());
    }
}

/// What the Lambda API is started with beside the house.
pub(crate) struct Surroundings {
    pub(crate) kept: Kept,
    pub(crate) invoke: Arc<dyn Invoke>,
    pub(crate) objects: Arc<dyn StackObjects>,
    pub(crate) home: Home,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) drain: Drain,
    pub(crate) endpoints: BTreeMap<String, String>,
    pub(crate) delays: Delays,
}

/// Deploys all functions; gives the Lambda API through which they are invoked and others are made.
pub(crate) fn deploy(
    house: Arc<FunctionHouse>,
    declared: &Declared,
    surroundings: Surroundings,
) -> Lambda {
    let Surroundings { kept, invoke, objects, home, clock, drain, endpoints, delays } =
        surroundings;
    let outbound = Outbound::new(system_bundle().as_deref());
    let ports = Ports { invoke, host: house, objects, clock, drain, outbound, endpoints, delays };
    let mappings = declared.app.event_sources().map(Arc::clone).collect();
    Lambda::start(kept, (&declared.functions, mappings), home, ports)
}

/// The app's functions have their addresses rewritten by now; their definitions get them as they are.
pub(crate) fn as_deployed(
    definitions: Vec<FunctionDefinition>,
    app: &App,
) -> Vec<FunctionDefinition> {
    let now = |definition: FunctionDefinition| {
        let same = app.functions().find(|function| function.arn == definition.function.arn);
        let function = same.map_or(definition.function, Arc::clone);
        FunctionDefinition { function, ..definition }
    };
    definitions.into_iter().map(now).collect()
}
