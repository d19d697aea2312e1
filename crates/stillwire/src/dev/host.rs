//! Serves the APIs that the control plane builds: reads their definitions, finds them a port, hands them to the gateway.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stillwire_deploy::build_api;
use stillwire_gateway::Gateway;
use stillwire_listen::{Authority, Capacity, Door};
use stillwire_model::{
    Api, ApiDefinition, ApiHost, ApiId, ApiKeys, App, Domain, DomainDefinition, DomainName,
};

use crate::dev::addresses::{Addresses, take_another};
use crate::dev::functions::Known;

/// What it takes to serve an API.
pub(crate) struct Host {
    gateway: Gateway,
    authority: Arc<Authority>,
    capacity: Capacity,
    /// The functions that APIs may call.
    functions: Known,
    /// What the app declares.
    declared: Mutex<Declared>,
    /// Where ports are remembered, and the first of them.
    ports: (PathBuf, u16),
    /// What is served.
    served: Mutex<Served>,
}

/// What an app declares, as far as APIs that are built by calls meet it.
#[derive(Debug)]
struct Declared {
    /// The keys that APIs may ask for.
    keys: Arc<ApiKeys>,
    /// Its own APIs, which know their stacks.
    apis: BTreeMap<ApiId, Arc<Api>>,
}

impl Declared {
    fn by(app: &App) -> Self {
        Self {
            keys: app.apis().next().map(|api| Arc::clone(&api.api_keys)).unwrap_or_default(),
            apis: app.apis().map(|api| (api.id.clone(), Arc::clone(api))).collect(),
        }
    }
}

/// `localhost:PORT` of what is served.
#[derive(Debug)]
struct Served {
    apis: BTreeMap<ApiId, String>,
    domains: BTreeMap<DomainName, String>,
}

impl fmt::Debug for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Host").field("served", &self.served).finish_non_exhaustive()
    }
}

impl Host {
    /// Serves beside the APIs and custom domains of `app`, which are served already.
    pub(crate) fn new(
        gateway: Gateway,
        (app, functions): (&App, Known),
        addresses: &Addresses,
        (authority, capacity): (Arc<Authority>, Capacity),
        ports: (PathBuf, u16),
    ) -> Self {
        let apis = app.apis().filter_map(|api| Some((api.id.clone(), addresses.host_of(&api.id)?)));
        let domains = app.domains().map(|domain| &domain.name);
        let domains =
            domains.filter_map(|name| Some((name.clone(), addresses.host_of_domain(name)?)));
        let served = Served { apis: apis.collect(), domains: domains.collect() };
        Self {
            gateway,
            authority,
            capacity,
            functions,
            declared: Mutex::new(Declared::by(app)),
            ports,
            served: Mutex::new(served),
        }
    }

    fn served(&self) -> MutexGuard<'_, Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn declared(&self) -> MutexGuard<'_, Declared> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the app declares from now on.
    pub(crate) fn declare(&self, app: &App) {
        *self.declared() = Declared::by(app);
    }

    /// Serves an API at a door that was taken for it.
    pub(crate) fn open(&self, api: Arc<Api>, host: &str, door: Door) -> io::Result<()> {
        let id = api.id.clone();
        self.gateway.serve(api, host, door)?;
        tracing::info!(api = %id, host, "serves an API");
        self.served().apis.insert(id, host.to_owned());
        Ok(())
    }

    fn open_domain(&self, domain: Arc<Domain>) -> anyhow::Result<()> {
        let name = domain.name.clone();
        let (host, door) = self.door(name.as_str())?;
        self.gateway.serve_domain(domain, &host, door)?;
        tracing::info!(domain = %name, host, "serves a custom domain that the control plane built");
        self.served().domains.insert(name, host);
        Ok(())
    }

    /// A port for what has this name, and the host by which it is reached there.
    pub(crate) fn door(&self, name: &str) -> anyhow::Result<(String, Door)> {
        let (record, first) = &self.ports;
        let listener = take_another(name, *first, record)?;
        let host = format!("localhost:{}", listener.local_addr()?.port());
        let tls = Arc::clone(&self.authority.tls);
        Ok((host, Door { listener, tls, capacity: self.capacity.clone() }))
    }
}

impl ApiHost for Host {
    fn publish(&self, definition: &ApiDefinition) -> Result<(), Vec<String>> {
        let keys = Arc::clone(&self.declared().keys);
        let mut api = build_api(definition, &self.functions.all(), &keys)?;
        if let Some(own) = self.declared().apis.get(&api.id) {
            api.stack = Arc::clone(&own.stack);
            api.logical_id = Arc::clone(&own.logical_id);
        }
        let api = Arc::new(api);
        if self.gateway.deploy(Arc::clone(&api)) {
            return Ok(());
        }
        let opened = self
            .door(api.id.as_str())
            .and_then(|(host, door)| Ok(self.open(Arc::clone(&api), &host, door)?));
        opened.map_err(|error| vec![format!("there is no port for this API: {error:#}")])
    }

    fn withdraw(&self, id: &ApiId) {
        self.gateway.withdraw(id);
        self.served().apis.remove(id);
    }

    fn publish_domains(&self, definitions: &[DomainDefinition]) -> Result<(), Vec<String>> {
        let (mut domains, mut problems) = (Vec::new(), Vec::new());
        for definition in definitions {
            match Domain::read(definition) {
                Ok(domain) => domains.push(Arc::new(domain)),
                Err(error) => problems.push(error.to_string()),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        // First what can fail.
        for domain in &domains {
            if !self.gateway.deploy_domain(domain) {
                self.open_domain(Arc::clone(domain)).map_err(|error| {
                    vec![format!("there is no port for the domain {}: {error:#}", domain.name)]
                })?;
            }
        }
        let is_wanted = |name: &DomainName| domains.iter().any(|domain| domain.name == *name);
        for (name, _) in self.served().domains.extract_if(.., |name, _| !is_wanted(name)) {
            self.gateway.withdraw_domain(&name);
        }
        Ok(())
    }

    fn domain_endpoint(&self, name: &str) -> Option<String> {
        self.served().domains.get(name).cloned()
    }

    fn endpoint(&self, id: &ApiId) -> Option<String> {
        self.served().apis.get(id).map(|host| format!("ws://{host}"))
    }
}
