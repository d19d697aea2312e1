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
    BoxFuture, PinnedObject, StackHost, StackName, StackObjects, StackProblem, StackReading,
    StackRequest, SystemParameters, TemplateSummary,
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

/// The uploads of an account, as one stack sees them: what it was made of before stays the same, also where another object has
/// come in its place.
#[derive(Debug)]
struct Uploads {
    stack: StackName,
    objects: Arc<dyn StackObjects>,
    /// What it was made of before, by bucket and key.
    before: BTreeMap<(String, String), PathBuf>,
    /// What it is made of.
    found: Mutex<BTreeMap<(String, String), PathBuf>>,
}

impl Uploads {
    fn of(stack: &StackName, objects: &Arc<dyn StackObjects>) -> Self {
        let pinned = objects.pinned(stack).into_iter();
        let before = pinned.map(|object| ((object.bucket, object.key), object.file)).collect();
        let (stack, objects) = (stack.clone(), Arc::clone(objects));
        Self { stack, objects, before, found: Mutex::default() }
    }

    /// Keeps what the stack is made of now.
    fn pin(&self) -> Result<(), String> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        self.keep(&found)
    }

    /// It stays as it was.
    fn pin_before(&self) {
        if let Err(reason) = self.keep(&self.before) {
            tracing::warn!(reason, "after a restart it may be made of other objects");
        }
    }

    fn keep(&self, objects: &BTreeMap<(String, String), PathBuf>) -> Result<(), String> {
        let object = |((bucket, key), file): (&(String, String), &PathBuf)| PinnedObject {
            bucket: bucket.clone(),
            key: key.clone(),
            file: file.clone(),
        };
        self.objects.pin(&self.stack, &objects.iter().map(object).collect::<Vec<_>>())
    }
}

impl Objects for Uploads {
    fn find(&self, bucket: &str, key: &str) -> Option<PathBuf> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let named = (bucket.to_owned(), key.to_owned());
        if let Some(file) = found.get(&named) {
            return Some(file.clone());
        }
        let before = self.before.get(&named).filter(|file| file.exists()).cloned();
        let file = before.or_else(|| self.objects.find(&self.stack.account, bucket, key))?;
        found.insert(named, file.clone());
        Some(file)
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
        let named = |request: &StackRequest| (request.name.clone(), source(request, holdings).0);
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
        all.insert(request.name.clone(), source(request, &self.holdings).0);
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
        let applying = self.drain.spawn("deployment", async move {
            let mut turn = live.turn().await;
            let (new, uploads) = block_in_place(|| source(&stack, &holdings));
            let mut all = sent.lock().clone();
            all.insert(stack.name.clone(), new);
            let loaded = load(&all, &holdings, live.source_exports())
                .map_err(|problems| for_deployer(&problems))?;
            let mut shown = loaded.clone();
            let said = format!("deploying the stack {}", stack.name.name);
            // What it is made of is kept before it runs.
            block_in_place(|| uploads.pin()).map_err(|reason| vec![problem(reason)])?;
            if let Err(error) = live.replace_deployed(&mut turn, Some(loaded), &said).await {
                block_in_place(|| uploads.pin_before());
                return Err(of_stack(error));
            }
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
            if let Err(reason) = block_in_place(|| holdings.objects.pin(&stack, &[])) {
                tracing::warn!(reason, "the contents of a stack that is gone stay");
            }
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

/// A stack as it is read, and its view of what was uploaded.
fn source(request: &StackRequest, holdings: &Holdings) -> (StackSource, Arc<Uploads>) {
    let StackName { account, region, name } = &request.name;
    let uploads = Arc::new(Uploads::of(&request.name, &holdings.objects));
    let source = StackSource {
        name: name.to_string(),
        account: account.to_string(),
        region: region.to_string(),
        template: Arc::clone(&request.template),
        parameters: request.parameters.clone(),
        objects: Arc::clone(&uploads) as _,
    };
    (source, uploads)
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
