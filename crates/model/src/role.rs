//! Roles: what functions may do, as a template says it.

use std::sync::Arc;

use serde_json::Value;

/// A role that a template declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its ARN.
    pub arn: Arc<str>,
    /// The documents of its policies, its own and those attached to it.
    pub policies: Vec<Value>,
    /// The ARNs of managed policies attached to it of which nobody here knows what they say.
    pub unknown_policies: Vec<String>,
}
