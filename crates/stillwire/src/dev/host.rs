//! Serves the APIs that the control plane builds: reads their definitions, finds them a port, hands them to the gateway.

use std::collections::BTreeMap;
use std::fmt;
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
    /// The keys that they may ask for: those of the app.
    keys: Arc<ApiKeys>,
    /// The app's own APIs, which know their stacks.
    own: BTreeMap<ApiId, Arc<Api>>,
    /// Where ports are remembered, and the first of them.
    ports: (PathBuf, u16),
    /// What is served.
    served: Mutex<Served>,
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
        let keys = app.apis().next().map(|api| Arc::clone(&api.api_keys)).unwrap_or_default();
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
            keys,
            own: app.apis().map(|api| (api.id.clone(), Arc::clone(api))).collect(),
            ports,
            served: Mutex::new(served),
        }
    }

    fn served(&self) -> MutexGuard<'_, Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, api: Arc<Api>) -> anyhow::Result<()> {
        let id = api.id.clone();
        let (host, door) = self.door(id.as_str())?;
        self.gateway.serve(api, &host, door)?;
        tracing::info!(api = %id, host, "serves an API that the control plane built");
        self.served().apis.insert(id, host);
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
    fn door(&self, name: &str) -> anyhow::Result<(String, Door)> {
        let (record, first) = &self.ports;
        let listener = take_another(name, *first, record)?;
        let host = format!("localhost:{}", listener.local_addr()?.port());
        let tls = Arc::clone(&self.authority.tls);
        Ok((host, Door { listener, tls, capacity: self.capacity.clone() }))
    }
}

impl ApiHost for Host {
    fn publish(&self, definition: &ApiDefinition) -> Result<(), Vec<String>> {
        let mut api = build_api(definition, &self.functions.all(), &self.keys)?;
        if let Some(own) = self.own.get(&api.id) {
            api.stack = Arc::clone(&own.stack);
            api.logical_id = Arc::clone(&own.logical_id);
        }
        let api = Arc::new(api);
        if self.gateway.deploy(Arc::clone(&api)) {
            return Ok(());
        }
        self.open(api).map_err(|error| vec![format!("there is no port for this API: {error:#}")])
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
