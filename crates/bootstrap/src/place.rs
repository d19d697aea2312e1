//! Where something is: services keep what they have by account and region.

use stillwire_model::ServiceCaller;

/// An account's region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl Place {
    /// Where a caller is.
    pub(crate) fn of(caller: &ServiceCaller) -> Self {
        Self { account: caller.account.to_string(), region: caller.region.to_string() }
    }

    /// The ARN of something of a service there.
    pub(crate) fn arn(&self, service: &str, what: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{what}", self.region, self.account)
    }

    /// Its name in files.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.account, self.region)
    }
}
