//! Who calls: signatures of version 4 on handshakes (`AWS_IAM`) and on `@connections`.
//!
//! Every key that is known here is the account's own: there are no users with rights of their own, so a right signature
//! is a yes.

use std::collections::BTreeMap;
use std::fmt;

use stillwire_awswire::{Expected, Payload, RawRequest, Secret, SignatureError, verify};
use stillwire_model::{LOCAL_KEYS, StageName};
use stillwire_websocket::RequestHead;

/// The signing name of APIs. Source: service model `apigatewaymanagementapi`, `signingName`.
const SERVICE: &str = "execute-api";

/// The keys that callers sign with.
#[derive(Clone, Default)]
pub struct Keys {
    /// Secrets by their access keys, beside the keys of our own functions.
    secrets: BTreeMap<String, String>,
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
    /// The keys of our own functions and these, secrets by access keys.
    pub fn new(secrets: BTreeMap<String, String>) -> Self {
        Self { secrets }
    }

    /// Checks that a request was signed with a key that is known; gives the access key.
    pub(crate) fn check(
        &self,
        head: &RequestHead,
        body: &[u8],
        region: &str,
        epoch_millis: u64,
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
        let verified = verify(&request, &expected, &|key| self.secret(key))?;
        Ok(verified.scope.access_key)
    }

    fn secret(&self, access_key: &str) -> Option<Secret> {
        if access_key == LOCAL_KEYS.access_key {
            return Some(Secret::new(LOCAL_KEYS.secret));
        }
        self.secrets.get(access_key).map(|secret| Secret::new(secret.as_str()))
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
