//! IAM: roles and managed policies that are made by calls, as Terraform and others make them beside functions.
//!
//! They are kept and answered. What they say means nothing yet: who calls is a key, and what functions may do is said by the
//! roles of their own template.

mod policies;
mod roles;
mod state;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use stillwire_awswire::{Parameters, Query, Xml};
use stillwire_keep::StateFile;
use stillwire_model::{BoxFuture, Clock, ServiceApi, ServiceCaller, ServiceReply, ServiceRequest};

use crate::error::{Answered, Refused};
use crate::query;
use state::{Account, State};

/// Source: service model `iam`.
const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// The version of the file's form.
const VERSION: u32 = 1;

/// The service. Clones share everything.
#[derive(Debug, Clone)]
pub struct Iam(Arc<Room>);

#[derive(Debug)]
struct Room {
    state: Mutex<State>,
    store: StateFile,
    clock: Arc<dyn Clock>,
}

/// An operation on what an account has.
struct Call<'a> {
    account: &'a mut Account,
    /// The account's digits.
    digits: &'a str,
    query: &'a Parameters,
    now: u64,
}

impl Iam {
    /// What is kept in `file`; without one, nothing was kept and nothing will be.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(file: Option<PathBuf>, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let store = StateFile::new(file, VERSION);
        let state = Mutex::new(store.read()?);
        Ok(Self(Arc::new(Room { state, store, clock })))
    }
}

impl ServiceApi for Iam {
    fn call(&self, request: ServiceRequest) -> BoxFuture<'static, ServiceReply> {
        let room = Arc::clone(&self.0);
        Box::pin(async move {
            // Keeping waits for the disk.
            let answering = move || {
                query::answer(&request, NAMESPACE, |query| room.operate(&request.caller, query))
            };
            let answered = tokio::task::spawn_blocking(answering).await;
            answered.unwrap_or_else(|error| crate::json::failed(&error))
        })
    }
}

impl Room {
    fn operate(&self, caller: &ServiceCaller, query: &Query) -> Answered<Xml> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = state.clone();
        let account = next.accounts.entry(caller.account.to_string()).or_default();
        let mut call =
            Call { account, digits: &caller.account, query, now: self.clock.epoch_millis() };
        let answer = call.answer(query.action(), caller)?;
        if next != *state {
            next.check_room()?;
            self.store.write(&next).map_err(|error| Refused::not_kept(&error))?;
            *state = next;
        }
        Ok(answer)
    }
}

impl Call<'_> {
    fn answer(&mut self, operation: &str, caller: &ServiceCaller) -> Answered<Xml> {
        match operation {
            "CreateRole" => self.create_role(),
            "GetRole" => self.get_role(),
            "ListRoles" => Ok(self.list_roles()),
            "UpdateRole" | "UpdateRoleDescription" => self.update_role(),
            "UpdateAssumeRolePolicy" => self.update_assume_role_policy(),
            "DeleteRole" => self.delete_role(),
            "PutRolePolicy" => self.put_role_policy(),
            "GetRolePolicy" => self.get_role_policy(),
            "DeleteRolePolicy" => self.delete_role_policy(),
            "ListRolePolicies" => self.list_role_policies(),
            "AttachRolePolicy" => self.attach_role_policy(),
            "DetachRolePolicy" => self.detach_role_policy(),
            "ListAttachedRolePolicies" => self.list_attached_role_policies(),
            "TagRole" => self.tag_role(),
            "UntagRole" => self.untag_role(),
            "ListRoleTags" => self.list_role_tags(),
            "PutRolePermissionsBoundary" => self.set_boundary(true),
            "DeleteRolePermissionsBoundary" => self.set_boundary(false),
            "ListInstanceProfilesForRole" => self.list_instance_profiles(),
            "CreatePolicy" => self.create_policy(),
            "GetPolicy" => self.get_policy(),
            "GetPolicyVersion" => self.get_policy_version(),
            "ListPolicyVersions" => self.list_policy_versions(),
            "CreatePolicyVersion" => self.create_policy_version(),
            "DeletePolicyVersion" => self.delete_policy_version(),
            "ListPolicies" => Ok(self.list_policies()),
            "DeletePolicy" => self.delete_policy(),
            "ListEntitiesForPolicy" => Ok(self.list_entities_for_policy()),
            "GetUser" => Ok(user(self.digits, caller)),
            "ListAccountAliases" => {
                let mut xml = Xml::new();
                xml.texts("AccountAliases", [""; 0]).flag("IsTruncated", false);
                Ok(xml)
            }
            other => Err(Refused::unserved("IAM", other)),
        }
    }

    fn needed(&self, name: &str) -> Answered<&str> {
        self.query.get(name).ok_or_else(|| {
            invalid(format!("1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"))
        })
    }
}

/// The account itself.
fn user(digits: &str, caller: &ServiceCaller) -> Xml {
    let name: String = caller.access_key.chars().filter(char::is_ascii_alphanumeric).collect();
    let mut xml = Xml::new();
    xml.node("User", |xml| {
        xml.text("Path", "/").text("UserName", &name).text("UserId", &name);
        xml.text("Arn", format!("arn:aws:iam::{digits}:root"));
        xml.text("CreateDate", stillwire_awswire::iso_millis(0));
    });
    xml
}

fn invalid(message: impl Into<String>) -> Refused {
    Refused::new(400, "ValidationError", message)
}

fn no_entity(message: impl Into<String>) -> Refused {
    Refused::new(404, "NoSuchEntity", message)
}

fn exists(message: impl Into<String>) -> Refused {
    Refused::new(409, "EntityAlreadyExists", message)
}

/// Documents are answered percent-encoded. Source: IAM API reference, `GetRolePolicy`.
fn encoded(document: &str) -> String {
    utf8_percent_encode(document, NON_ALPHANUMERIC).to_string()
}

/// Checks a policy document as far as it has to be JSON.
fn document(text: &str) -> Answered<String> {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(_)) => Ok(text.to_owned()),
        _ => Err(Refused::new(
            400,
            "MalformedPolicyDocument",
            "The policy is not in the valid JSON format.",
        )),
    }
}

/// Checks a name.
fn name(text: &str) -> Answered<String> {
    let is_name = (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte));
    if is_name {
        return Ok(text.to_owned());
    }
    Err(invalid("a name has up to 128 letters, digits, and +=,.@_-"))
}

/// An id as IAM makes them: letters and digits behind four that say what it is of.
fn unique_id(prefix: &str) -> String {
    let mut text = uuid::Uuid::new_v4().simple().to_string();
    text.make_ascii_uppercase();
    text.truncate(17);
    format!("{prefix}{text}")
}
