//! Serves the APIs that the control plane builds: reads their definitions, finds them a port, hands them to the gateway.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stillwire_deploy::build_api;
use stillwire_functions::Functions;
use stillwire_gateway::Gateway;
use stillwire_listen::{Authority, Capacity, Door};
use stillwire_model::{
    Api, ApiDefinition, ApiHost, ApiId, ApiKeys, App, Domain, DomainDefinition, DomainName,
};

use crate::dev::addresses::{Addresses, aws_name, give_up, take_another};
use crate::dev::functions::Known;
use crate::dev::reach::Reach;

/// What it takes to serve an API.
pub(crate) struct Host {
    gateway: Gateway,
    authority: Arc<Authority>,
    capacity: Capacity,
    /// They are told which names lead here.
    functions: Functions,
    /// The functions that APIs may call.
    known: Known,
    /// What the app declares.
    declared: Mutex<Declared>,
    ports: Ports,
    /// What is served.
    served: Mutex<Served>,
}

/// How more ports are taken.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) reach: Reach,
    /// The first of them.
    pub(crate) first: u16,
    /// Where they are remembered.
    pub(crate) record: PathBuf,
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

/// The ports of what is served; those of APIs with the names that they have on AWS.
#[derive(Debug)]
struct Served {
    apis: BTreeMap<ApiId, (String, u16)>,
    domains: BTreeMap<DomainName, u16>,
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
        app: &App,
        (functions, known): (Functions, Known),
        addresses: &Addresses,
        (authority, capacity): (Arc<Authority>, Capacity),
        ports: Ports,
    ) -> Self {
        let at = |api: &Api| Some((aws_name(api), addresses.port_of(&api.id)?));
        let apis = app.apis().filter_map(|api| Some((api.id.clone(), at(api)?)));
        let served = Served { apis: apis.collect(), domains: addresses.domains().clone() };
        Self {
            gateway,
            authority,
            capacity,
            functions,
            known,
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
    pub(crate) fn open(&self, api: Arc<Api>, door: Door) -> io::Result<()> {
        let (id, name, port) = (api.id.clone(), aws_name(&api), door.port()?);
        let host = self.ports.reach.at(port);
        self.gateway.serve(api, &host, door)?;
        tracing::info!(api = %id, host, "serves an API");
        self.served().apis.insert(id, (name, port));
        self.tell_names();
        Ok(())
    }

    fn open_domain(&self, domain: Arc<Domain>) -> anyhow::Result<()> {
        let (name, door) = (domain.name.clone(), self.door(domain.name.as_str())?);
        let port = door.port()?;
        let host = self.ports.reach.at(port);
        self.gateway.serve_domain(domain, &host, door)?;
        tracing::info!(domain = %name, host, "serves a custom domain");
        self.served().domains.insert(name, port);
        Ok(())
    }

    /// A port for what has this name.
    pub(crate) fn door(&self, name: &str) -> anyhow::Result<Door> {
        let Ports { reach, first, record } = &self.ports;
        let listeners = take_another(name, reach, *first, record)?;
        let tls = Arc::clone(&self.authority.tls);
        Ok(Door { listeners, tls, capacity: self.capacity.clone() })
    }

    /// The ports of custom domains that are served.
    pub(crate) fn domains(&self) -> BTreeMap<DomainName, u16> {
        self.served().domains.clone()
    }

    /// Tells functions that start from now on which names lead here.
    fn tell_names(&self) {
        let served = self.served();
        let apis = served.apis.values().map(|(name, port)| (name.clone(), *port));
        let domains = served.domains.iter().map(|(name, port)| (name.to_string(), *port));
        self.functions.set_hosts(&self.ports.reach.hosts(apis.chain(domains)));
    }
}

impl ApiHost for Host {
    fn publish(&self, definition: &ApiDefinition) -> Result<(), Vec<String>> {
        let keys = Arc::clone(&self.declared().keys);
        let mut api = build_api(definition, &self.known.all(), &keys)?;
        if let Some(own) = self.declared().apis.get(&api.id) {
            api.stack = Arc::clone(&own.stack);
            api.logical_id = Arc::clone(&own.logical_id);
        }
        let api = Arc::new(api);
        if self.gateway.deploy(Arc::clone(&api)) {
            return Ok(());
        }
        let opened =
            self.door(api.id.as_str()).and_then(|door| Ok(self.open(Arc::clone(&api), door)?));
        opened.map_err(|error| vec![format!("there is no port for this API: {error:#}")])
    }

    fn withdraw(&self, id: &ApiId) {
        self.gateway.withdraw(id);
        self.served().apis.remove(id);
        // One that a template declares may come back, and then where it was.
        if !self.declared().apis.contains_key(id)
            && let Err(error) = give_up(id.as_str(), &self.ports.record)
        {
            tracing::warn!(%error, api = %id, "its port is still remembered");
        }
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
        // First what can fail. Functions that are told of a domain are to trust it already.
        let names = domains.iter().map(|domain| domain.name.to_string());
        let names: Vec<_> = names.chain(self.ports.reach.name().map(str::to_owned)).collect();
        if let Err(error) = self.authority.vouch_for(&names) {
            return Err(vec![format!("nobody can vouch for these domains: {error}")]);
        }
        for domain in &domains {
            if !self.gateway.deploy_domain(domain) {
                self.open_domain(Arc::clone(domain)).map_err(|error| {
                    vec![format!("there is no port for the domain {}: {error:#}", domain.name)]
                })?;
            }
        }
        let is_wanted = |name: &DomainName| domains.iter().any(|domain| domain.name == *name);
        let gone: Vec<_> =
            self.served().domains.extract_if(.., |name, _| !is_wanted(name)).collect();
        for (name, _) in gone {
            self.gateway.withdraw_domain(&name);
        }
        self.tell_names();
        Ok(())
    }

    fn domain_endpoint(&self, name: &str) -> Option<String> {
        self.served().domains.get(name).map(|port| self.ports.reach.at(*port))
    }

    fn endpoint(&self, id: &ApiId) -> Option<String> {
        self.served().apis.get(id).map(|(_, port)| format!("ws://{}", self.ports.reach.at(*port)))
    }
}
