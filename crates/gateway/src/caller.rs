//! Who calls: signatures of version 4 on handshakes (`AWS_IAM`) and on `@connections`.
//!
//! Every key is its own user of the account. One without a policy may do everything, as our own functions may.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use stillwire_awswire::{
    ErrorBody, Expected, Payload, RawRequest, Secret, ServiceError, SignatureError, verify,
};
use stillwire_listen::is_here;
use stillwire_model::{Api, FunctionKeys, LOCAL_KEYS, StageName};
use stillwire_policy::Policy;
use stillwire_websocket::RequestHead;

/// The signing name of APIs. Source: service model `apigatewaymanagementapi`, `signingName`.
const SERVICE: &str = "execute-api";

/// The keys that callers sign with.
#[derive(Clone, Default)]
pub struct Keys {
    /// By their access keys.
    keys: BTreeMap<String, Key>,
    /// Those of our own functions.
    functions: Option<Arc<dyn FunctionKeys>>,
}

/// What belongs to an access key.
#[derive(Clone)]
pub struct Key {
    /// Its secret.
    pub secret: String,
    /// What it may do; everything without.
    pub policy: Option<Policy>,
}

/// Without the secret.
impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Key").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// A caller whose key may not do what it asks for.
///
/// Source: REST APIs, observed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("User: {user} is not authorized to perform: {action} on resource: {resource}")]
pub(crate) struct NotAuthorized {
    user: String,
    action: &'static str,
    resource: String,
}

impl NotAuthorized {
    /// What the caller gets.
    pub(crate) fn answer(&self) -> ServiceError {
        let body = ErrorBody::Refusal(self.to_string());
        ServiceError { status: 403, code: "AccessDeniedException", body }
    }
}

/// Where requests to `@connections` must be signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignedStages {
    /// Whether they must be in stages that say nothing else.
    pub usual: bool,
    /// Stages that say so themselves.
    pub stages: BTreeMap<StageName, bool>,
}

impl SignedStages {
    pub(crate) fn contains(&self, stage: &StageName) -> bool {
        self.stages.get(stage).copied().unwrap_or(self.usual)
    }
}

/// Without the secrets.
impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys of our own functions and these, by their access keys.
    pub fn new(keys: BTreeMap<String, Key>, functions: Arc<dyn FunctionKeys>) -> Self {
        Self { keys, functions: Some(functions) }
    }

    /// Checks that a key may do `action` on `resource` of an API.
    pub(crate) fn authorize(
        &self,
        access_key: &str,
        action: &'static str,
        resource: String,
        api: &Api,
    ) -> Result<(), NotAuthorized> {
        let policy = self.keys.get(access_key).and_then(|key| key.policy.as_ref());
        if policy.is_none_or(|policy| policy.allows(action, &resource)) {
            return Ok(());
        }
        let user = format!("arn:{}:iam::{}:user/{access_key}", api.partition, api.account);
        Err(NotAuthorized { user, action, resource })
    }

    /// Checks that a request was signed with a key that is known, for a region at a time in milliseconds since the Unix epoch;
    /// gives the access key. The keys of functions, whose secret everybody can read, count only for programs of this machine.
    pub(crate) fn check(
        &self,
        head: &RequestHead,
        body: &[u8],
        peer: SocketAddr,
        (region, epoch_millis): (&str, u64),
    ) -> Result<String, SignatureError> {
        let (path, query) = head.path_and_query();
        let request = RawRequest {
            method: &head.method,
            path,
            query: query.unwrap_or_default(),
            headers: head
                .headers
                .iter()
                .map(|header| (header.name.as_str(), header.value.as_str()))
                .collect(),
            payload: Payload::Body(body),
        };
        let now = i64::try_from(epoch_millis / 1000).unwrap_or(i64::MAX);
        let expected = Expected { region: Some(region), ..Expected::new(SERVICE, now) };
        let verified = verify(&request, &expected, &|key| self.secret(key, peer))?;
        Ok(verified.scope.access_key)
    }

    fn secret(&self, access_key: &str, peer: SocketAddr) -> Option<Secret> {
        let of_function =
            || self.functions.as_ref().is_some_and(|keys| keys.function(access_key).is_some());
        if is_here(peer) && (access_key == LOCAL_KEYS.access_key || of_function()) {
            return Some(Secret::new(LOCAL_KEYS.secret));
        }
        self.keys.get(access_key).map(|key| Secret::new(key.secret.as_str()))
    }
}

/// What a caller reads who was not let in.
///
/// Source: REST APIs, observed: `Missing Authentication Token` where nothing is signed; the reason otherwise.
pub(crate) fn message(error: &SignatureError) -> String {
    match error {
        SignatureError::Missing => "Missing Authentication Token".to_owned(),
        other => other.explanation(),
    }
}
