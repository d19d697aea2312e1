//! The gateway as the program holds it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use stillwire_awswire::RequestIds;
use stillwire_drain::Drain;
use stillwire_listen::Door;
use stillwire_model::{
    AccessLogs, Api, ApiId, Clock, Domain, DomainName, EventQueue, Invoke, Metrics, TableStores,
};
use stillwire_outbound::Outbound;
use tokio::sync::mpsc;

use crate::api_keys::Usage;
use crate::engine::{Addresses, Ending, Engine};
use crate::integration::{Services, Templates};
use crate::peer::LiveApi;
use crate::registry::Registry;
use crate::service::ApiService;
use crate::shared::{Config, Shared, StageLimits};
use crate::site::{LiveDomain, Site, Table};
use crate::{delivery, metrics};

/// What the gateway needs of the other rooms.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Runs functions.
    pub invoke: Arc<dyn Invoke>,
    /// Takes events for functions that nobody waits for.
    pub events: Arc<dyn EventQueue>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Serves integrations that call `DynamoDB`.
    pub tables: Arc<dyn TableStores>,
    /// Takes the lines of access logs.
    pub access_logs: Arc<dyn AccessLogs>,
}

/// How long plain requests under way may take once no function is left that could have sent them.
const DOORS_GRACE: Duration = Duration::from_secs(1);

/// Holds connections and serves APIs. Clones share everything.
#[derive(Debug, Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
    /// Where the doors lead that are open.
    sites: Arc<Mutex<Vec<Arc<Site>>>>,
    engine: Engine<ApiService>,
    stop_spread: Duration,
    /// Shards, which stay until the functions that may need `@connections` have ended.
    doors: Drain,
}

impl Gateway {
    /// A gateway without APIs.
    ///
    /// # Errors
    /// When the system has no random source, or no descriptor left.
    pub fn new(config: &Config, ports: Ports) -> io::Result<Self> {
        let no_random = || io::Error::other("the system has no random source");
        let addresses = Addresses::new().ok_or_else(no_random)?;
        let (departures, arriving) = mpsc::channel(config.connections_max.max(1));
        let drain = Drain::new();
        let shared = Arc::new(Shared {
            limits: StageLimits::new(config),
            patient: config.patient,
            invoke: ports.invoke,
            events: ports.events,
            clock: ports.clock,
            access_logs: ports.access_logs,
            ids: RequestIds::new().ok_or_else(no_random)?,
            table: ArcSwap::default(),
            registry: Registry::new(addresses.clone(), config.shards.max(1)),
            departures: Mutex::new(Some(departures)),
            keys: config.keys.clone(),
            signed: config.signed.clone(),
            services: Services { tables: ports.tables, endpoints: config.endpoints.clone() },
            templates: Templates::default(),
            outbound: Outbound::new(stillwire_listen::system_bundle().as_deref()),
            usage: Usage::default(),
            drain: drain.clone(),
        });
        let deliveries = delivery::deliver_all(arriving, Arc::clone(&shared), drain.clone());
        drain.spawn("departures", deliveries);
        let service = Arc::new(ApiService(Arc::clone(&shared)));
        let doors = Drain::new();
        let engine = Engine::start(service, addresses, config.shards, &doors)?;
        Ok(Self { shared, sites: Arc::default(), engine, stop_spread: config.stop_spread, doors })
    }

    /// Serves `api` at `door`. Functions reach it as `domain_name` (`localhost:7800`).
    ///
    /// # Errors
    /// When the kernel refuses the port's settings.
    pub fn serve(&self, api: Arc<Api>, domain_name: &str, door: Door) -> io::Result<()> {
        let live = Arc::new(LiveApi::new(api, domain_name.into()));
        self.open(Site::Api(Arc::clone(&live)), door)?;
        self.change(|table| _ = table.apis.insert(live.id().clone(), Arc::clone(&live)));
        Ok(())
    }

    /// Serves a custom domain at `door`, whatever name requests there ask for, and by its name at all doors. Functions
    /// reach it as `domain_name` (`localhost:7803`).
    ///
    /// # Errors
    /// When the kernel refuses the port's settings.
    pub fn serve_domain(
        &self,
        domain: Arc<Domain>,
        domain_name: &str,
        door: Door,
    ) -> io::Result<()> {
        let name = domain.name.clone();
        let live = LiveDomain { domain, domain_name: domain_name.into() };
        self.open(Site::Domain(name.clone()), door)?;
        self.change(|table| _ = table.domains.insert(name.clone(), live.clone()));
        Ok(())
    }

    /// Replaces a custom domain that is being served; false when it is not. Connections stay, whatever becomes of the
    /// mapping that they came by.
    pub fn deploy_domain(&self, domain: &Arc<Domain>) -> bool {
        let mut is_served = false;
        self.change(|table| {
            let live = table.domains.get_mut(&domain.name);
            is_served = live.is_some();
            if let Some(live) = live {
                live.domain = Arc::clone(domain);
            }
        });
        is_served
    }

    /// Serves a custom domain no more; false when it was not served. Connections stay.
    pub fn withdraw_domain(&self, name: &DomainName) -> bool {
        let was_served = self.shared.table.load().domains.contains_key(name);
        self.change(|table| _ = table.domains.remove(name));
        self.shut(|site| matches!(site, Site::Domain(served) if served == name));
        was_served
    }

    /// Replaces an API that is being served; false when it is not. Messages that were routed keep the old one, and
    /// connections stay, but those of stages that are gone end.
    pub fn deploy(&self, api: Arc<Api>) -> bool {
        let Some(live) = self.live(&api.id) else { return false };
        let old = live.replace(Arc::clone(&api));
        if old.stages.keys().any(|stage| !api.stages.contains_key(stage)) {
            self.shared.registry.end(&Ending::going_away(), |peer| {
                peer.api.id() == &api.id && !api.stages.contains_key(peer.stage())
            });
        }
        true
    }

    /// Serves an API no more; false when it was not served. Its connections end, and their `$disconnect`s are delivered.
    pub fn withdraw(&self, id: &ApiId) -> bool {
        let Some(live) = self.live(id) else { return false };
        self.change(|table| _ = table.apis.remove(id));
        self.shut(|site| matches!(site, Site::Api(served) if served.id() == id));
        // Without a stage it lets nobody in, and still knows its `$disconnect` route.
        let mut api = live.load().as_ref().clone();
        api.stages.clear();
        live.replace(Arc::new(api));
        self.shared.registry.end(&Ending::going_away(), |peer| peer.api.id() == id);
        true
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.engine.connections()
    }

    /// Stops: no new connection, close 1001 for every client, invocations finish, `$disconnect`s are delivered.
    ///
    /// `@connections` answers until all that is done: functions under way may still post, and learn who is gone.
    ///
    /// Returns what was still running after `grace`.
    pub async fn stop(&self, grace: Duration) -> Vec<(&'static str, usize)> {
        self.shared.drain.begin();
        self.shared.departures.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.engine.leave(&Ending::going_away(), self.stop_spread);
        let mut late = self.shared.drain.finish(grace).await;
        self.engine.close();
        late.extend(self.doors.finish(DOORS_GRACE).await);
        match self.connections() {
            0 => {}
            open => late.push(("connection", open)),
        }
        late
    }

    fn live(&self, id: &ApiId) -> Option<Arc<LiveApi>> {
        self.shared.table.load().apis.get(id).cloned()
    }

    /// Replaces the table of what is served. `change` runs again where another change came first.
    fn change(&self, mut change: impl FnMut(&mut Table)) {
        self.shared.table.rcu(|table| {
            let mut table = Table::clone(table);
            change(&mut table);
            table
        });
    }

    fn open(&self, site: Site, door: Door) -> io::Result<()> {
        let site = Arc::new(site);
        self.engine.open(door, Arc::clone(&site))?;
        self.sites.lock().unwrap_or_else(PoisonError::into_inner).push(site);
        Ok(())
    }

    fn shut(&self, is_meant: impl Fn(&Site) -> bool) {
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        for site in sites.extract_if(.., |site| is_meant(site)) {
            self.engine.shut(&site);
        }
    }
}

impl Metrics for Gateway {
    fn text(&self) -> String {
        let table = self.shared.table.load();
        let mut apis: Vec<_> = table.apis.iter().collect();
        apis.sort_unstable_by_key(|(id, _)| *id);
        metrics::text(apis.into_iter().map(|(id, live)| (id.as_str(), live.metrics())))
    }
}
