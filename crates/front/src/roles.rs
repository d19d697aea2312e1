//! The roles of functions, and whether they may do to tables what they ask for.
//!
//! Differs: only policies of roles are evaluated, as `policy` does; neither those of tables nor permissions boundaries.
//! Callers that are no function, and functions whose role the app does not declare, may do everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use stillwire_model::{Function, Role};
use stillwire_policy::{Policy, Verdict, judge};

use crate::table_access::{Access, Place, needed};

/// What roles may do.
#[derive(Debug, Clone)]
pub struct Roles(BTreeMap<Arc<str>, Vec<Policy>>);

/// A role with a policy that is none.
#[derive(Debug, thiserror::Error)]
#[error("a policy of the role {role} is not a policy document: {source}")]
pub struct InvalidRole {
    role: Arc<str>,
    source: serde_json::Error,
}

impl Roles {
    /// Reads the policies of these roles.
    ///
    /// # Errors
    /// When one of them is no policy document.
    pub fn new<'a>(roles: impl IntoIterator<Item = &'a Role>) -> Result<Self, InvalidRole> {
        let read = |role: &Role| {
            let policies = role.policies.iter().cloned().map(serde_json::from_value);
            match policies.collect() {
                Ok(policies) => Ok((Arc::clone(&role.arn), policies)),
                Err(source) => Err(InvalidRole { role: Arc::clone(&role.arn), source }),
            }
        };
        roles.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Checks that a function may carry out a request to tables.
    pub(crate) fn check(
        &self,
        function: &Function,
        (operation, body): (&str, &[u8]),
        (region, account): (&str, &str),
    ) -> Result<(), NotAuthorized> {
        let Some(policies) = self.0.get(&function.role) else { return Ok(()) };
        // What is not JSON is refused by the store.
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return Ok(()) };
        let partition = function.arn.as_str().split(':').nth(1).unwrap_or("aws");
        for access in needed(operation, &body, Place { partition, region, account }) {
            let verdict = judge(policies, &access.action, &access.resource);
            if verdict != Verdict::Allowed {
                let user = user(function, partition);
                return Err(NotAuthorized { user, access, verdict });
            }
        }
        Ok(())
    }
}

/// A function as AWS names it where it is a caller.
///
/// Source: IAM User Guide, "Assumed-role session principals": the session has the function's name.
fn user(function: &Function, partition: &str) -> String {
    let role = function.role.rsplit('/').next().unwrap_or_default();
    let (account, name) = (function.arn.account(), function.name());
    format!("arn:{partition}:sts::{account}:assumed-role/{role}/{name}")
}

/// A function whose role does not allow what it asks for.
#[derive(Debug)]
pub(crate) struct NotAuthorized {
    user: String,
    access: Access,
    verdict: Verdict,
}

impl NotAuthorized {
    /// What the caller reads.
    ///
    /// Source: IAM User Guide, "Troubleshoot access denied error messages".
    pub(crate) fn message(&self) -> String {
        let Self { user, access: Access { action, resource }, verdict } = self;
        let because = match verdict {
            Verdict::Denied => "with an explicit deny in an identity-based policy".to_owned(),
            Verdict::Unsaid | Verdict::Allowed => {
                format!("because no identity-based policy allows the {action} action")
            }
        };
        format!(
            "User: {user} is not authorized to perform: {action} on resource: {resource} {because}"
        )
    }
}
