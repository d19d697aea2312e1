//! Who is connected: a client, the API it came to, and what the authorizer said about it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use stillwire_awswire::ConnectionId;
use stillwire_model::{Api, ApiId, ApiKey, StageName};

use crate::throttle::Throttles;
use crate::validation::Schemas;

/// What is known of a client for as long as it is connected.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: ConnectionId,
    pub(crate) api: Arc<LiveApi>,
    pub(crate) stage: StageName,
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

impl Peer {
    /// The host by which functions reach this client's API.
    pub(crate) fn domain_name(&self) -> &str {
        self.api.domain_name()
    }

    /// The version of its API that its stage serves now, for the whole life of a message.
    pub(crate) fn deployed(&self) -> Arc<Api> {
        Arc::clone(self.api.load().at_stage(&self.stage))
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
    domain_name: String,
    current: ArcSwap<Api>,
    throttles: Throttles,
    schemas: Schemas,
}

impl LiveApi {
    pub(crate) fn new(api: Arc<Api>, domain_name: String) -> Self {
        Self {
            id: api.id.clone(),
            domain_name,
            current: ArcSwap::new(api),
            throttles: Throttles::default(),
            schemas: Schemas::default(),
        }
    }

    pub(crate) fn id(&self) -> &ApiId {
        &self.id
    }

    pub(crate) fn domain_name(&self) -> &str {
        &self.domain_name
    }

    /// How many requests pass.
    pub(crate) fn throttles(&self) -> &Throttles {
        &self.throttles
    }

    /// What messages must be.
    pub(crate) fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// Deploys another version of the API, and gives the one before. Messages that were routed keep that.
    pub(crate) fn replace(&self, api: Arc<Api>) -> Arc<Api> {
        self.current.swap(api)
    }

    /// The API as it is now, for a short look.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Api>> {
        self.current.load()
    }
}
