//! Values that templates and operators give to the services that keep values: Parameter Store and Secrets Manager.

use std::fmt;
use std::sync::Arc;

/// Which service keeps a value, and what it knows of it besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeper {
    /// Parameter Store.
    ParameterStore {
        /// `String`, `StringList` or `SecureString`.
        kind: String,
    },
    /// Secrets Manager.
    SecretsManager,
}

/// A value that functions read by its name.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredValue {
    /// Which service keeps it.
    pub keeper: Keeper,
    /// The account, in digits.
    pub account: Arc<str>,
    /// The region (`eu-west-1`).
    pub region: Arc<str>,
    /// Its name there (`/chat/motd`).
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The value. It appears in no log.
    pub value: String,
}

/// Without the value.
impl fmt::Debug for StoredValue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("StoredValue").field(&self.keeper).field(&self.name).finish()
    }
}
