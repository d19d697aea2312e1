//! What bootstraps are told about names: the hosts that are ours, and where all others of AWS lead.

use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock};

use serde_json::{Value, json};

/// As JSON, for the settings of a bootstrap.
#[derive(Debug)]
pub(crate) struct Names {
    /// A list of `[name, address, port]`.
    hosts: RwLock<Value>,
    /// `[address, port]`.
    pub(crate) aws: Value,
}

impl Names {
    pub(crate) fn new(config: &crate::Config) -> Self {
        let aws = json!([config.aws.ip().to_string(), config.aws.port()]);
        Self { hosts: RwLock::new(list(&config.hosts)), aws }
    }

    /// A list of `[name, address, port]`.
    pub(crate) fn hosts(&self) -> Value {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes these hosts in place of those before.
    pub(crate) fn set_hosts(&self, hosts: &[(String, SocketAddr)]) {
        *self.hosts.write().unwrap_or_else(PoisonError::into_inner) = list(hosts);
    }
}

fn list(hosts: &[(String, SocketAddr)]) -> Value {
    hosts.iter().map(|(name, at)| json!([name, at.ip().to_string(), at.port()])).collect()
}
