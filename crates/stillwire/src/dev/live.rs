//! An app that runs, and changes while it runs.
//!
//! A change is read whole, and refused whole where anything is wrong with it. What can fail comes first: ports, tables. Then
//! functions are there before the routes that lead to them, and go after those. Connections stay, but for those of stages
//! that are gone.

mod difference;
mod functions;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use anyhow::Result;
use stillwire_control::ControlPlane;
use stillwire_deploy::{Loaded, ResourceRow, rewrite_addresses};
use stillwire_drain::Drain;
use stillwire_front::Roles;
use stillwire_functions::Functions;
use stillwire_gateway::Gateway;
use stillwire_lambda::{Elsewhere, Lambda};
use stillwire_listen::{Authority, Door};
use stillwire_model::{Api, ApiHost as _, ApiId, App};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::block_in_place;
use tokio::time::Instant;

use self::difference::{difference, is_same, warn_of_deployments};
use crate::config::Config;
use crate::dev::addresses::Addresses;
use crate::dev::change;
use crate::dev::declared::Declared;
use crate::dev::declared_tables::DeclaredTables;
use crate::dev::deployments::Values;
use crate::dev::functions::{FunctionHouse, as_deployed};
use crate::dev::host::Host;
use crate::dev::screen::Screen;
use crate::dev::tables::Tables;
use crate::dev::{debug, elsewhere, ready, sdk_calls};
use crate::running::Note;
use crate::settings::Settings;

/// The rooms that a change reaches.
pub(crate) struct Rooms {
    pub(crate) gateway: Gateway,
    pub(crate) functions: Functions,
    pub(crate) house: Arc<FunctionHouse>,
    pub(crate) lambda: Lambda,
    pub(crate) control: ControlPlane,
    pub(crate) host: Arc<Host>,
    pub(crate) tables: Tables,
    pub(crate) values: Values,
    pub(crate) roles: Option<Roles>,
    pub(crate) elsewhere: Option<Elsewhere>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) drain: Drain,
}

/// What a change needs to know besides.
pub(crate) struct Circumstances {
    pub(crate) settings: Settings,
    pub(crate) own: Config,
    /// The functions that wait for debuggers, as `--debug` names them.
    pub(crate) debug: Vec<String>,
    pub(crate) ready_file: Option<PathBuf>,
    /// Where it is kept which calls of custom resources were made.
    pub(crate) sdk_calls: Option<PathBuf>,
    pub(crate) declared_tables: DeclaredTables,
    pub(crate) screen: Screen,
}

/// An app that runs.
pub(crate) struct Live {
    rooms: Rooms,
    circumstances: Circumstances,
    /// Held for the whole of a change: they come one after the other.
    current: Mutex<Current>,
    /// What the app exports that is run from its source.
    exported: std::sync::Mutex<BTreeMap<String, String>>,
}

/// What runs now.
pub(crate) struct Current {
    /// The app, as it was read from its source.
    pub(crate) source: Option<Loaded>,
    /// The stacks that were deployed.
    pub(crate) deployed: Option<Loaded>,
    /// Both, with addresses that lead here.
    pub(crate) declared: Declared,
    pub(crate) addresses: Addresses,
    pub(crate) note: Note,
}

/// What is to run next.
struct Next {
    declared: Declared,
    addresses: Addresses,
    /// The doors of APIs that are new.
    doors: Vec<(Arc<Api>, Door)>,
}

impl Live {
    pub(crate) fn new(rooms: Rooms, circumstances: Circumstances, current: Current) -> Self {
        let exported = current.source.as_ref().map(exports).unwrap_or_default();
        let exported = std::sync::Mutex::new(exported);
        Self { rooms, circumstances, current: Mutex::new(current), exported }
    }

    /// What the app exports that is run from its source, for stacks that are deployed.
    pub(crate) fn source_exports(&self) -> BTreeMap<String, String> {
        self.exported.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What deployed stacks export, for the app that is run from its source.
    pub(crate) async fn exports(&self) -> BTreeMap<String, String> {
        self.current.lock().await.deployed.as_ref().map(exports).unwrap_or_default()
    }

    /// The app as it was read last.
    pub(crate) async fn functions(&self) -> Vec<PathBuf> {
        let current = self.current.lock().await;
        current.source.iter().flat_map(|loaded| code_folders(&loaded.app)).collect()
    }

    /// Runs a new version of the app that is run from its source. Tells what differs before that is applied, and how long it
    /// took.
    pub(crate) async fn replace_source(&self, loaded: Loaded) -> Result<()> {
        let screen = self.circumstances.screen;
        let began = Instant::now();
        let mut current = self.current.lock().await;
        let changes = change::between(rows(current.source.as_ref()), &loaded.resources);
        if changes.is_empty() && is_same(current.source.as_ref(), &loaded) {
            screen.progress("nothing differs in what it declares");
            return Ok(());
        }
        screen.changes(&changes);
        let known = current.source.as_ref().map(|of| of.notices.clone()).unwrap_or_default();
        let fresh: Vec<_> =
            loaded.notices.iter().filter(|notice| !known.contains(notice)).cloned().collect();
        screen.notices(&fresh);
        let deployed = current.deployed.clone();
        self.apply(&mut current, Some(loaded), deployed).await?;
        screen.applied(began.elapsed(), self.rooms.gateway.connections());
        Ok(())
    }

    /// Resolves once every function can be started, or is known not to.
    pub(crate) async fn prepare(&self) {
        for problem in self.rooms.functions.prepare().await {
            tracing::info!(?problem, "a function");
        }
    }

    /// `localhost:PORT` of an API that is served.
    pub(crate) fn host_of(&self, id: &ApiId) -> Option<String> {
        let endpoint = self.rooms.host.endpoint(id)?;
        endpoint.split_once("://").map(|(_, host)| host.to_owned())
    }

    /// Waits until no other change is made.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, Current> {
        self.current.lock().await
    }

    /// Runs other deployed stacks; `said` tells in a few words what is begun.
    pub(crate) async fn replace_deployed(
        &self,
        current: &mut Current,
        loaded: Option<Loaded>,
        said: &str,
    ) -> Result<()> {
        let (screen, began) = (self.circumstances.screen, Instant::now());
        let changes = change::between(rows(current.deployed.as_ref()), rows(loaded.as_ref()));
        screen.progress(said);
        screen.changes(&changes);
        let source = current.source.clone();
        let applied = self.apply(current, source, loaded).await;
        match &applied {
            Ok(()) => screen.applied(began.elapsed(), self.rooms.gateway.connections()),
            Err(error) => screen.refused(error),
        }
        applied
    }

    async fn apply(
        &self,
        current: &mut Current,
        source: Option<Loaded>,
        deployed: Option<Loaded>,
    ) -> Result<()> {
        let (rooms, screen) = (&self.rooms, self.circumstances.screen);
        let Next { declared, addresses, doors } =
            self.next(current, source.iter().chain(&deployed))?;
        let there = elsewhere::find(&declared.app, &self.circumstances.own)?;
        if rooms.roles.is_some() {
            Roles::new(declared.app.roles())?;
        }
        rooms.tables.provide(&current.declared.app, &declared.app, screen).await?;
        let record = self.circumstances.sdk_calls.as_deref();
        let calls = declared.sdk_calls.iter();
        let calls: Vec<_> =
            calls.filter(|call| !current.declared.sdk_calls.contains(call)).collect();
        sdk_calls::make(&calls, &rooms.tables, record, screen).await?;
        let opened: Vec<ApiId> = doors.iter().map(|(api, _)| api.id.clone()).collect();
        rooms.values.declare(&declared.values);
        let open = || {
            for (api, door) in doors {
                rooms.host.open(api, door)?;
            }
            // Changes of functions wait for the disk.
            block_in_place(|| self.change_functions(current, &declared, &addresses, there))
        };
        if let Err(error) = open() {
            for id in &opened {
                rooms.host.withdraw(id);
            }
            rooms.values.declare(&current.declared.values);
            return Err(error);
        }
        // From here on nothing is refused.
        if let Some(roles) = &rooms.roles {
            roles.replace(declared.app.roles())?; // they were read before
        }
        let difference = difference(&current.declared, &declared);
        for definition in &difference.changed {
            let api = declared.app.apis().find(|api| api.id == definition.id);
            if let Some(api) = api.filter(|api| !opened.contains(&api.id)) {
                rooms.gateway.deploy(Arc::clone(api));
            }
        }
        for id in &difference.gone {
            rooms.host.withdraw(id);
        }
        rooms.host.declare(&declared.app);
        let domains = declared.domains();
        let changed_domains = (domains != current.declared.domains()).then_some(domains);
        let change = stillwire_control::TemplateChange {
            gone: &difference.gone,
            apis: &difference.changed,
            domains: changed_domains.as_deref(),
        };
        if let Err(problems) = rooms.control.replace_templates(&change) {
            screen.warn(&format!("custom domains are not served: {}", problems.join("; ")));
        }
        rooms.tables.remove_gone(current.declared.app.tables(), &declared.app, screen).await;
        if let Err(error) = self.circumstances.declared_tables.note(&declared.app) {
            screen.warn(&format!("which tables are declared cannot be noted: {error}"));
        }
        warn_of_deployments(&current.declared, &difference, &declared, screen);
        let before = std::mem::replace(&mut current.declared, declared);
        current.addresses = addresses;
        let exported = source.as_ref().map(exports).unwrap_or_default();
        *self.exported.lock().unwrap_or_else(PoisonError::into_inner) = exported;
        (current.source, current.deployed) = (source, deployed);
        self.announce(current, &before)
    }

    /// What is to run, checked, with the ports that it needs.
    fn next<'a>(
        &self,
        current: &Current,
        loaded: impl Iterator<Item = &'a Loaded>,
    ) -> Result<Next> {
        let mut declared = Declared::by(loaded)?;
        let mut addresses = current.addresses.clone();
        let mut taken = Vec::new();
        for api in declared.app.apis() {
            if addresses.port_of(&api.id).is_none() {
                let door = self.rooms.host.door(api.id.as_str())?;
                addresses.add(&api.id, door.port()?);
                taken.push((api.id.clone(), door));
            }
        }
        rewrite_addresses(&mut declared.app, &|id| addresses.host_of(id));
        debug::find(&mut declared.app, &self.circumstances.debug)?;
        declared.functions = as_deployed(declared.functions, &declared.app);
        let with_api = |(id, door)| {
            let api = declared.app.apis().find(|api| api.id == id)?;
            Some((Arc::clone(api), door))
        };
        let doors = taken.into_iter().filter_map(with_api).collect();
        Ok(Next { declared, addresses, doors })
    }

    /// Tells everybody who looks where things are now.
    fn announce(&self, current: &mut Current, before: &Declared) -> Result<()> {
        let rooms = &self.rooms;
        let Current { declared, addresses, note, .. } = current;
        addresses.keep_only(&declared.app, rooms.host.domains());
        for api in declared.app.apis() {
            let old = before.app.apis().find(|old| old.id == api.id);
            if old.is_none_or(|old| api.stages.keys().ne(old.stages.keys())) {
                self.circumstances.screen.address(api, addresses);
            }
        }
        let content = ready::content(&declared.app, addresses, &rooms.authority);
        if let Some(path) = &self.circumstances.ready_file {
            ready::write(path, &content)?;
        }
        note.update(content)
    }
}

/// The resources of what was loaded; none of nothing.
fn rows(loaded: Option<&Loaded>) -> &[ResourceRow] {
    loaded.map_or(&[], |loaded| &loaded.resources)
}

/// What stacks export, by name.
pub(crate) fn exports(loaded: &Loaded) -> BTreeMap<String, String> {
    let outputs = loaded.app.stacks.iter().flat_map(|stack| &stack.outputs);
    outputs.filter_map(|output| Some((output.export.clone()?, output.value.clone()))).collect()
}

/// The folders of code that authors edit.
fn code_folders(app: &App) -> Vec<PathBuf> {
    let folders = app.functions().filter_map(|function| match &function.code {
        stillwire_model::Code::Directory { root, source } => {
            Some(source.clone().unwrap_or_else(|| root.clone()))
        }
        _ => None,
    });
    folders.filter_map(|folder| folder.canonicalize().ok()).collect()
}
