//! Stacks that deploy tools send: read beside everything else that runs, applied, and removed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use stillwire_deploy::{
    LoadOptions, Loaded, Objects, Problems, StackSource, load_stacks, rewrite_addresses, summarize,
};
use stillwire_drain::Drain;
use stillwire_model::{
    BoxFuture, StackHost, StackName, StackObjects, StackProblem, StackReading, StackRequest,
    SystemParameters, TemplateSummary,
};

use tokio::time::timeout;

use tokio::task::block_in_place;

use crate::dev::live::Live;
use crate::dev::screen::Screen;

/// How long a deployment waits for its functions: what they lack is installed meanwhile.
const PREPARE_TIMEOUT: Duration = Duration::from_mins(3);

/// The stacks that were deployed, as they were sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent(Arc<Mutex<BTreeMap<StackName, StackSource>>>);

/// Where they are read, applied and removed.
pub(crate) struct Stacks {
    sent: Sent,
    live: Arc<Live>,
    holdings: Holdings,
    drain: Drain,
}

/// What the templates of stacks lead to.
#[derive(Debug, Clone)]
pub(crate) struct Holdings {
    /// What was uploaded.
    pub(crate) objects: Arc<dyn StackObjects>,
    /// What was put into Parameter Store.
    pub(crate) parameters: Arc<dyn SystemParameters>,
}

/// The uploads of an account.
#[derive(Debug)]
struct Uploads {
    account: Arc<str>,
    objects: Arc<dyn StackObjects>,
}

impl Objects for Uploads {
    fn find(&self, bucket: &str, key: &str) -> Option<PathBuf> {
        self.objects.find(&self.account, bucket, key)
    }
}

impl Sent {
    /// The stacks that earlier runs were sent, and what they come to, with what the app exports. One that cannot be read any
    /// more is told and left out.
    pub(crate) fn restore(
        requests: &[StackRequest],
        holdings: &Holdings,
        exports: &BTreeMap<String, String>,
        screen: Screen,
    ) -> (Self, Option<Loaded>) {
        let named = |request: &StackRequest| (request.name.clone(), source(request, holdings));
        let mut all: BTreeMap<_, _> = requests.iter().map(named).collect();
        while !all.is_empty() {
            match load(&all, holdings, exports.clone()) {
                Ok(loaded) => return (Self(Arc::new(Mutex::new(all))), Some(loaded)),
                Err(problems) => {
                    let broken: BTreeSet<String> =
                        problems.iter().filter_map(|one| one.location.stack.clone()).collect();
                    screen.warn(&format!(
                        "stacks that were deployed before are left out:\n{problems}"
                    ));
                    let known = all.len();
                    all.retain(|name, _| !broken.contains(&*name.name));
                    if all.len() == known {
                        break; // whose problem it is cannot be told
                    }
                }
            }
        }
        (Self(Arc::default()), None)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<StackName, StackSource>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stacks {
    pub(crate) fn new(sent: Sent, live: Arc<Live>, holdings: Holdings, drain: Drain) -> Self {
        Self { sent, live, holdings, drain }
    }

    /// All stacks with `request` among them.
    fn with(&self, request: &StackRequest) -> BTreeMap<StackName, StackSource> {
        let mut all = self.sent.lock().clone();
        all.insert(request.name.clone(), source(request, &self.holdings));
        all
    }
}

impl StackHost for Stacks {
    fn summarize(&self, template: &str) -> Result<TemplateSummary, Vec<StackProblem>> {
        summarize(template)
    }

    fn read(&self, stack: &StackRequest) -> Result<StackReading, Vec<StackProblem>> {
        let mut loaded = load(&self.with(stack), &self.holdings, self.live.source_exports())
            .map_err(|problems| for_deployer(&problems))?;
        reading(&mut loaded, stack, &self.live)
    }

    fn apply(
        &self,
        stack: &StackRequest,
    ) -> BoxFuture<'static, Result<StackReading, Vec<StackProblem>>> {
        let (sent, live, stack) = (self.sent.clone(), Arc::clone(&self.live), stack.clone());
        let holdings = self.holdings.clone();
        let new = source(&stack, &self.holdings);
        let applying = self.drain.spawn("deployment", async move {
            let mut turn = live.turn().await;
            let mut all = sent.lock().clone();
            all.insert(stack.name.clone(), new);
            let loaded = load(&all, &holdings, live.source_exports())
                .map_err(|problems| for_deployer(&problems))?;
            let mut shown = loaded.clone();
            let said = format!("deploying the stack {}", stack.name.name);
            live.replace_deployed(&mut turn, Some(loaded), &said).await.map_err(of_stack)?;
            *sent.lock() = all;
            drop(turn);
            // Who is told that it is deployed finds functions that can start.
            if timeout(PREPARE_TIMEOUT, live.prepare()).await.is_err() {
                tracing::warn!(stack = %stack.name, "its functions still wait for what they lack");
            }
            // Only now all addresses are known.
            reading(&mut shown, &stack, &live)
        });
        Box::pin(
            async move { applying.await.unwrap_or_else(|error| Err(of_stack(anyhow!(error)))) },
        )
    }

    fn remove(&self, stack: &StackName) -> BoxFuture<'static, Result<(), Vec<StackProblem>>> {
        let (sent, live, stack) = (self.sent.clone(), Arc::clone(&self.live), stack.clone());
        let holdings = self.holdings.clone();
        let removing = self.drain.spawn("removal", async move {
            let mut turn = live.turn().await;
            let mut all = sent.lock().clone();
            if all.remove(&stack).is_none() {
                return Ok(());
            }
            let load = || {
                load(&all, &holdings, live.source_exports())
                    .map_err(|problems| for_deployer(&problems))
            };
            let loaded = if all.is_empty() { None } else { Some(load()?) };
            let said = format!("deleting the stack {}", stack.name);
            live.replace_deployed(&mut turn, loaded, &said).await.map_err(of_stack)?;
            *sent.lock() = all;
            Ok(())
        });
        Box::pin(
            async move { removing.await.unwrap_or_else(|error| Err(of_stack(anyhow!(error)))) },
        )
    }
}

impl std::fmt::Debug for Stacks {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Stacks").field("sent", &self.sent).finish_non_exhaustive()
    }
}

fn source(request: &StackRequest, holdings: &Holdings) -> StackSource {
    let StackName { account, region, name } = &request.name;
    StackSource {
        name: name.to_string(),
        account: account.to_string(),
        region: region.to_string(),
        template: Arc::clone(&request.template),
        parameters: request.parameters.clone(),
        objects: Arc::new(Uploads {
            account: Arc::clone(account),
            objects: Arc::clone(&holdings.objects),
        }),
    }
}

fn load(
    stacks: &BTreeMap<StackName, StackSource>,
    holdings: &Holdings,
    exports: BTreeMap<String, String>,
) -> Result<Loaded, Problems> {
    let stacks: Vec<StackSource> = stacks.values().cloned().collect();
    let system_parameters = Some(Arc::clone(&holdings.parameters));
    let options = LoadOptions { exports, system_parameters, ..LoadOptions::default() };
    block_in_place(|| load_stacks(&stacks, &options))
}

/// What a stack comes to. Its outputs name the addresses at which its APIs are served here.
fn reading(
    loaded: &mut Loaded,
    stack: &StackRequest,
    live: &Live,
) -> Result<StackReading, Vec<StackProblem>> {
    rewrite_addresses(&mut loaded.app, &|id| live.host_of(id));
    let missing = || vec![problem(format!("the stack {} is not there", stack.name))];
    loaded.reading(&stack.name.name).ok_or_else(missing)
}

fn for_deployer(problems: &Problems) -> Vec<StackProblem> {
    problems.iter().map(stillwire_deploy::Problem::for_deployer).collect()
}

fn of_stack(error: anyhow::Error) -> Vec<StackProblem> {
    vec![problem(format!("{error:#}"))]
}

fn problem(message: String) -> StackProblem {
    StackProblem { logical_id: None, resource_type: None, message }
}
