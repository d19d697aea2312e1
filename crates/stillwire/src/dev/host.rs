//! Serves the APIs that the control plane builds: reads their definitions, finds them a port, hands them to the gateway.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stillwire_deploy::build_api;
use stillwire_gateway::Gateway;
use stillwire_listen::{Authority, Capacity, Door};
use stillwire_model::{
    Api, ApiDefinition, ApiHost, ApiId, ApiKeys, App, DomainDefinition, Function,
};

use crate::dev::addresses::{Addresses, take_another};

/// What it takes to serve an API.
pub(crate) struct Host {
    gateway: Gateway,
    authority: Arc<Authority>,
    capacity: Capacity,
    /// The functions that APIs may call, and the keys that they may ask for: those of the app.
    functions: Vec<Arc<Function>>,
    keys: Arc<ApiKeys>,
    /// The app's own APIs, which know their stacks.
    own: BTreeMap<ApiId, Arc<Api>>,
    /// Where ports are remembered, and the first of them.
    ports: (PathBuf, u16),
    /// `localhost:PORT` of what is served.
    served: Mutex<BTreeMap<ApiId, String>>,
}

impl fmt::Debug for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Host").field("served", &self.served).finish_non_exhaustive()
    }
}

impl Host {
    /// Serves beside the APIs of `app`, which are served already.
    pub(crate) fn new(
        gateway: Gateway,
        app: &App,
        addresses: &Addresses,
        (authority, capacity): (Arc<Authority>, Capacity),
        ports: (PathBuf, u16),
    ) -> Self {
        let keys = app.apis().next().map(|api| Arc::clone(&api.api_keys)).unwrap_or_default();
        let served =
            app.apis().filter_map(|api| Some((api.id.clone(), addresses.host_of(&api.id)?)));
        Self {
            gateway,
            authority,
            capacity,
            functions: app.functions().cloned().collect(),
            keys,
            own: app.apis().map(|api| (api.id.clone(), Arc::clone(api))).collect(),
            ports,
            served: Mutex::new(served.collect()),
        }
    }

    fn served(&self) -> MutexGuard<'_, BTreeMap<ApiId, String>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, api: Arc<Api>) -> anyhow::Result<()> {
        let id = api.id.clone();
        let (record, first) = &self.ports;
        let listener = take_another(&id, *first, record)?;
        let host = format!("localhost:{}", listener.local_addr()?.port());
        let tls = Arc::clone(&self.authority.tls);
        let door = Door { listener, tls, capacity: self.capacity.clone() };
        self.gateway.serve(api, host.clone(), door)?;
        tracing::info!(api = %id, host, "serves an API that the control plane built");
        self.served().insert(id, host);
        Ok(())
    }
}

impl ApiHost for Host {
    fn publish(&self, definition: &ApiDefinition) -> Result<(), Vec<String>> {
        let mut api = build_api(definition, &self.functions, &self.keys)?;
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
        self.served().remove(id);
    }

    fn publish_domains(&self, _: &[DomainDefinition]) -> Result<(), Vec<String>> {
        Ok(())
    }

    fn endpoint(&self, id: &ApiId) -> Option<String> {
        self.served().get(id).map(|host| format!("ws://{host}"))
    }
}
