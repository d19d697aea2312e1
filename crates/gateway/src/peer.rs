//! Who is connected: a client, the API it came to, and what the authorizer said about it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use stillwire_awswire::ConnectionId;
use stillwire_model::{Api, ApiId, ApiKey, StageName};

use crate::metrics::{ApiMetrics, StageMetrics};
use crate::throttle::{ApiThrottles, Throttles};
use crate::validation::Schemas;

/// What is known of a client for as long as it is connected.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: ConnectionId,
    pub(crate) api: Arc<LiveApi>,
    pub(crate) place: Arc<Place>,
    pub(crate) source_ip: IpAddr,
    pub(crate) user_agent: Option<Box<str>>,
    /// In milliseconds since the epoch.
    pub(crate) connected_at: u64,
    /// What the authorizer said, once it did.
    pub(crate) authorized: Option<Box<Authorized>>,
    /// The key that its handshake was signed with, where that was asked for.
    pub(crate) access_key: Option<Box<str>>,
    /// The API key it came with, where `$connect` requires one.
    pub(crate) api_key: Option<Arc<ApiKey>>,
}

/// The stage and the address that a client came to; what is the same for many clients is kept once.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) stage: StageName,
    /// The host by which functions reach what the client came to.
    pub(crate) domain_name: Arc<str>,
    /// The counters of the stage.
    pub(crate) metrics: Arc<StageMetrics>,
    /// How many requests pass.
    pub(crate) throttles: Arc<Throttles>,
}

impl Peer {
    /// The stage it came to.
    pub(crate) fn stage(&self) -> &StageName {
        &self.place.stage
    }

    /// The host by which functions reach what it came to.
    pub(crate) fn domain_name(&self) -> &str {
        &self.place.domain_name
    }

    /// The version of its API that its stage serves now, for the whole life of a message.
    pub(crate) fn deployed(&self) -> Arc<Api> {
        Arc::clone(self.api.load().at_stage(self.stage()))
    }
}

/// What an authorizer said about whom it let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authorized {
    /// Who it is.
    pub(crate) principal_id: String,
    /// What else it said; numbers and booleans as text.
    pub(crate) context: BTreeMap<String, String>,
    /// The API key it named, until that is checked.
    pub(crate) usage_key: Option<String>,
}

/// An API at its address. Deploying replaces the API; its connections stay.
#[derive(Debug)]
pub(crate) struct LiveApi {
    id: ApiId,
    domain_name: Arc<str>,
    current: ArcSwap<Api>,
    throttles: ApiThrottles,
    schemas: Schemas,
    metrics: ApiMetrics,
    places: ArcSwap<Places>,
}

/// Places by stage and domain name.
type Places = HashMap<(StageName, Arc<str>), Arc<Place>>;

/// Places of an API that are kept: its stages, by each of its names. A wildcard domain has names without end.
const PLACES_MAX: usize = 256;

impl LiveApi {
    pub(crate) fn new(api: Arc<Api>, domain_name: Arc<str>) -> Self {
        let metrics = ApiMetrics::default();
        metrics.deploy(&api);
        Self {
            id: api.id.clone(),
            domain_name,
            current: ArcSwap::new(api),
            throttles: ApiThrottles::default(),
            schemas: Schemas::default(),
            metrics,
            places: ArcSwap::default(),
        }
    }

    pub(crate) fn id(&self) -> &ApiId {
        &self.id
    }

    /// The host of its own address, as functions reach it.
    pub(crate) fn domain_name(&self) -> &Arc<str> {
        &self.domain_name
    }

    /// The place of clients that come to a stage by this name.
    pub(crate) fn place(&self, stage: StageName, domain_name: &Arc<str>) -> Arc<Place> {
        let key = (stage, Arc::clone(domain_name));
        if let Some(place) = self.places.load().get(&key) {
            return Arc::clone(place);
        }
        let (stage, domain_name) = key.clone();
        let (metrics, throttles) = (self.metrics.stage(&stage), self.throttles.stage(&stage));
        let place = Arc::new(Place { stage, domain_name, metrics, throttles });
        self.places.rcu(|places| {
            let mut places = Places::clone(places);
            if places.len() < PLACES_MAX {
                places.insert(key.clone(), Arc::clone(&place));
            }
            places
        });
        place
    }

    /// What messages must be.
    pub(crate) fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// What is counted of its stages.
    pub(crate) fn metrics(&self) -> &ApiMetrics {
        &self.metrics
    }

    /// Deploys another version of the API, and gives the one before. Messages that were routed keep that.
    pub(crate) fn replace(&self, api: Arc<Api>) -> Arc<Api> {
        self.metrics.deploy(&api);
        self.throttles.deploy(&api);
        // Counters and buckets go with their stage: one that comes again begins anew.
        self.places.rcu(|places| {
            let mut places = Places::clone(places);
            places.retain(|(stage, _), _| api.stages.contains_key(stage));
            places
        });
        self.current.swap(api)
    }

    /// The API as it is now, for a short look.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Api>> {
        self.current.load()
    }
}
