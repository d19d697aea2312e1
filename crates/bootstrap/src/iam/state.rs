//! What accounts have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Answered, Refused};

/// Roles and policies of an account, each. Source: IAM quotas (1000 roles, 1500 managed policies).
const ENTITIES_MAX: usize = 1500;

/// Accounts that have anything. Choice.
const ACCOUNTS_MAX: usize = 1000;

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// By their digits.
    pub(super) accounts: BTreeMap<String, Account>,
}

/// An account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Account {
    /// By their names.
    pub(super) roles: BTreeMap<String, Role>,
    /// By their ARNs.
    pub(super) policies: BTreeMap<String, Policy>,
}

/// A role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) assume_role_policy: String,
    pub(super) description: Option<String>,
    /// In seconds.
    pub(super) session_max: u32,
    pub(super) boundary: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    /// Inline policies: documents by their names.
    pub(super) inline: BTreeMap<String, String>,
    /// The ARNs of managed policies.
    pub(super) attached: Vec<String>,
}

/// A managed policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) description: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    /// Documents by their numbers.
    pub(super) versions: BTreeMap<u32, PolicyVersion>,
    pub(super) default: u32,
}

/// A version of a managed policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct PolicyVersion {
    pub(super) document: String,
    pub(super) created: u64,
}

impl State {
    pub(super) fn check_room(&self) -> Answered<()> {
        let is_full = |account: &Account| {
            account.roles.len() > ENTITIES_MAX || account.policies.len() > ENTITIES_MAX
        };
        if self.accounts.len() > ACCOUNTS_MAX || self.accounts.values().any(is_full) {
            let message = format!("Cannot exceed quota: {ENTITIES_MAX} for each account");
            return Err(Refused::new(409, "LimitExceeded", message));
        }
        Ok(())
    }
}

impl Role {
    pub(super) fn arn(&self, account: &str) -> String {
        format!("arn:aws:iam::{account}:role{}{}", self.path, self.name)
    }
}

impl Policy {
    pub(super) fn arn(&self, account: &str) -> String {
        format!("arn:aws:iam::{account}:policy{}{}", self.path, self.name)
    }
}
