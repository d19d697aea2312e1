//! STS: who a caller is, and temporary keys that lead to the account of a role.
//!
//! Every role may be assumed by whoever may call: it says which account is meant, and grants nothing that the caller had not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use stillwire_awswire::{Query, Xml, iso_millis};
use stillwire_model::{
    BoxFuture, Clock, IssuedKey, IssuedKeys, ServiceApi, ServiceCaller, ServiceReply,
    ServiceRequest, account_key, account_of_key,
};

use crate::error::{Answered, Refused};
use crate::query;

/// Source: service model `sts`.
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// How long temporary keys are good for, in seconds, unless the caller says. Source: `AssumeRole`, `DurationSeconds`.
const DURATION: u64 = 3600;

/// Keys that are remembered: the oldest are forgotten for new ones. Choice: a deployment assumes a handful.
const KEYS_MAX: usize = 10_000;

/// The service. Clones share the keys that were given out.
#[derive(Debug, Clone)]
pub struct Sts {
    keys: Arc<Mutex<BTreeMap<String, IssuedKey>>>,
    clock: Arc<dyn Clock>,
}

impl Sts {
    /// Nobody has a key yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { keys: Arc::default(), clock }
    }
}

impl IssuedKeys for Sts {
    fn find(&self, access_key: &str) -> Option<IssuedKey> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.epoch_millis() / 1000;
        keys.get(access_key).filter(|key| key.expires > now).cloned()
    }
}

impl ServiceApi for Sts {
    fn call(&self, request: ServiceRequest) -> BoxFuture<'static, ServiceReply> {
        let reply = query::answer(&request, NAMESPACE, |query| match query.action() {
            "GetCallerIdentity" => Ok(identity(&request.caller)),
            "AssumeRole" | "AssumeRoleWithWebIdentity" | "AssumeRoleWithSAML" => {
                self.assume_role(query)
            }
            "GetSessionToken" => self.session(query, &request.caller.account),
            "GetAccessKeyInfo" => {
                let key = query.get("AccessKeyId").unwrap_or_default();
                let mut xml = Xml::new();
                xml.text("Account", account_of_key(key).unwrap_or(&request.caller.account));
                Ok(xml)
            }
            other => Err(Refused::unserved("STS", other)),
        });
        Box::pin(async move { reply })
    }
}

/// Who a caller is: a function its role's session, everybody else a session of a role of our own.
///
/// Source: AWS STS API reference, `GetCallerIdentity`.
fn identity(caller: &ServiceCaller) -> Xml {
    // Others' text: only what an ARN may have is repeated.
    let user: String = caller.access_key.chars().filter(char::is_ascii_alphanumeric).collect();
    let account = &caller.account;
    let ours = || format!("arn:aws:sts::{account}:assumed-role/stillwire/{user}");
    let mut xml = Xml::new();
    xml.text("Arn", caller.function.clone().unwrap_or_else(ours));
    xml.text("UserId", &user).text("Account", &**account);
    xml
}

impl Sts {
    fn assume_role(&self, query: &Query) -> Answered<Xml> {
        let arn = query.get("RoleArn").unwrap_or_default();
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, _, "iam", _, account, role] = parts.as_slice() else {
            return Err(invalid(format!("{} is invalid", shown(arn))));
        };
        let is_account =
            (1..=12).contains(&account.len()) && account.bytes().all(|byte| byte.is_ascii_digit());
        let role = role.strip_prefix("role/").filter(|role| !role.is_empty() && is_account);
        let role = role.ok_or_else(|| invalid(format!("{} is invalid", shown(arn))))?;
        let session = query.get("RoleSessionName").ok_or_else(|| {
            invalid("1 validation error detected: Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null")
        })?;
        let name = role.rsplit('/').next().unwrap_or(role);
        let (id, mut xml) = self.issue(query, account)?;
        xml.node("AssumedRoleUser", |xml| {
            xml.text("AssumedRoleId", format!("{id}:{session}"));
            xml.text("Arn", format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"));
        });
        xml.text("PackedPolicySize", "0");
        Ok(xml)
    }

    fn session(&self, query: &Query, account: &str) -> Answered<Xml> {
        self.issue(query, account).map(|(_, xml)| xml)
    }

    /// Gives out a key; gives its id, and the `Credentials` of an answer.
    fn issue(&self, query: &Query, account: &str) -> Answered<(String, Xml)> {
        let duration = match query.get("DurationSeconds").map(str::parse) {
            None => DURATION,
            Some(Ok(seconds)) if (900..=129_600).contains(&seconds) => seconds,
            Some(_) => {
                return Err(invalid("DurationSeconds must be from 900 to 129600 seconds"));
            }
        };
        let mut random = [0; 68];
        rand::fill(&mut random).map_err(|_| {
            Refused::new(500, "InternalFailure", "this machine has no random source")
        })?;
        let (salt, rest) = random.split_at(4);
        let (secret, token) = rest.split_at(30);
        let salt = salt.iter().fold(0, |salt, byte| salt << 8 | u32::from(*byte));
        let key = IssuedKey {
            secret: BASE64_STANDARD.encode(secret),
            session_token: BASE64_STANDARD.encode(token),
            expires: self.clock.epoch_millis() / 1000 + duration,
        };
        let id = account_key(account, salt);
        let mut xml = Xml::new();
        xml.node("Credentials", |xml| {
            xml.text("AccessKeyId", &id).text("SecretAccessKey", &key.secret);
            xml.text("SessionToken", &key.session_token);
            xml.text("Expiration", iso_millis(key.expires * 1000));
        });
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            let oldest = keys.iter().min_by_key(|(_, key)| key.expires).map(|(id, _)| id.clone());
            oldest.map(|id| keys.remove(&id));
        }
        keys.insert(id.clone(), key);
        Ok((id, xml))
    }
}

fn invalid(message: impl Into<String>) -> Refused {
    Refused::new(400, "ValidationError", message)
}

fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}
