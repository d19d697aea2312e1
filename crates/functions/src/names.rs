//! What bootstraps are told about names: the hosts that are ours, and where all others of AWS lead.

use serde_json::{Value, json};

/// As JSON, for the settings of a bootstrap.
#[derive(Debug)]
pub(crate) struct Names {
    /// A list of `[name, address, port]`.
    pub(crate) hosts: Value,
    /// `[address, port]`.
    pub(crate) aws: Value,
}

impl Names {
    pub(crate) fn new(config: &crate::Config) -> Self {
        let hosts = config.hosts.iter();
        let hosts = hosts.map(|(name, at)| json!([name, at.ip().to_string(), at.port()])).collect();
        Self { hosts, aws: json!([config.aws.ip().to_string(), config.aws.port()]) }
    }
}
