//! Asks an authorizer whether a client may connect. Whatever is not a clear yes is a no.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};
use stillwire_model::{Api, Authorizer, IdentitySource, Invocation, Outcome, StageName, limits};
use stillwire_policy::Policy;
use tokio::time::{Instant, timeout};

use crate::actions::INVOKE;
use crate::event::{self, Moment};
use crate::peer::{Authorized, Peer};
use crate::request::Request;
use crate::shared::Shared;

/// Why a client may not connect.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    /// An identity source is missing or empty; the authorizer was not called.
    #[error("identity source {0:?} is missing or empty")]
    NoIdentity(IdentitySource),
    /// The authorizer failed with the text `Unauthorized`.
    #[error("the authorizer answered Unauthorized")]
    Unauthorized,
    /// The policy denies, or does not allow.
    #[error("the authorizer's policy does not allow {resource}")]
    Forbidden {
        /// What the policy was asked about.
        resource: String,
    },
    /// The authorizer failed, took too long, or gave a result that is none.
    #[error("the authorizer gave no usable result: {0}")]
    Failed(String),
}

impl Denied {
    /// The status that the handshake is refused with.
    ///
    /// Source: API Gateway Developer Guide, "Create a Lambda REQUEST authorizer function" (401, 403); observed
    /// for REST APIs: 500 where the authorizer itself is at fault.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::NoIdentity(_) | Self::Unauthorized => 401,
            Self::Forbidden { .. } => 403,
            Self::Failed(_) => 500,
        }
    }
}

/// Calls the authorizer, by this id; gives its answer and how long it took, in milliseconds.
pub(crate) async fn authorize(
    authorizer: &Authorizer,
    peer: &Peer,
    api: &Api,
    request: &Request,
    moment: Moment<'_>,
    request_id: &Arc<str>,
    shared: &Shared,
) -> Result<(Authorized, u64), Denied> {
    if let Some(missing) =
        authorizer.identity_sources.iter().find(|source| !is_present(source, api, peer, request))
    {
        return Err(Denied::NoIdentity(missing.clone()));
    }
    let began = Instant::now();
    let payload = event::authorizer(peer, api, request, moment);
    let (function, qualifier) = (authorizer.function.clone(), authorizer.qualifier.clone());
    let (request_id, trace) = (Arc::clone(request_id), Some(request.trace.clone()));
    let invocation =
        Invocation { trace, ..Invocation::new(request_id, function, qualifier, payload) };
    let limit = shared.time_limit(limits::AUTHORIZER_TIMEOUT);
    let invoked = match timeout(limit, shared.invoke.invoke(invocation)).await {
        Ok(Ok(invoked)) => invoked,
        Ok(Err(error)) => return Err(Denied::Failed(error.to_string())),
        Err(_) => return Err(Denied::Failed("it took longer than 10 s".to_owned())),
    };
    let result = match invoked.outcome {
        Outcome::Returned(result) => result,
        Outcome::Failed(error) => return Err(failure(&error)),
    };
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    judge(&result, &event::connect_arn(api, peer.stage())).map(|authorized| (authorized, millis))
}

fn is_present(source: &IdentitySource, api: &Api, peer: &Peer, request: &Request) -> bool {
    let value = match source {
        IdentitySource::Header(name) => request.header(name),
        IdentitySource::QueryString(name) => request.query(name),
        IdentitySource::StageVariable(name) => stage_variable(api, peer.stage(), name),
        // What a handshake always has counts as present; anything else is absent.
        IdentitySource::Context(name) => match name.as_str() {
            "identity.sourceIp" | "apiId" | "stage" | "connectionId" | "domainName"
            | "routeKey" | "eventType" | "requestId" | "extendedRequestId" => Some("present"),
            "identity.userAgent" => peer.user_agent.as_deref(),
            _ => None,
        },
    };
    value.is_some_and(|value| !value.is_empty())
}

fn stage_variable<'a>(api: &'a Api, stage: &StageName, name: &str) -> Option<&'a str> {
    api.stages.get(stage)?.variables.get(name).map(String::as_str)
}

/// An authorizer says "who are you?" by failing with exactly this text.
fn failure(error: &[u8]) -> Denied {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Error {
        #[serde(default)]
        error_message: String,
    }
    match serde_json::from_slice::<Error>(error) {
        Ok(error) if error.error_message == "Unauthorized" => Denied::Unauthorized,
        Ok(error) => Denied::Failed(format!("it failed: {}", error.error_message)),
        Err(_) => Denied::Failed("it failed".to_owned()),
    }
}

/// Reads an authorizer's result and asks its policy about `resource`.
fn judge(result: &[u8], resource: &str) -> Result<Authorized, Denied> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Judgement {
        principal_id: Value,
        policy_document: Policy,
        #[serde(default)]
        context: Option<Map<String, Value>>,
        #[serde(default)]
        usage_identifier_key: Option<Value>,
    }
    if result.len() > limits::AUTHORIZER_RESULT_BYTES_MAX {
        return Err(Denied::Failed("its result is larger than 8 KB".to_owned()));
    }
    let judgement: Judgement =
        serde_json::from_slice(result).map_err(|error| Denied::Failed(error.to_string()))?;
    let principal_id = scalar(&judgement.principal_id)
        .filter(|principal| !principal.is_empty())
        .ok_or_else(|| Denied::Failed("principalId is not a text".to_owned()))?;
    let context = judgement
        .context
        .unwrap_or_default()
        .into_iter()
        // The gateway's own members cannot be replaced.
        .filter(|(name, _)| name != "principalId" && name != "integrationLatency")
        .map(|(name, value)| match scalar(&value) {
            Some(text) => Ok((name, text)),
            None => {
                Err(Denied::Failed(format!("context.{name} is not a string, number or boolean")))
            }
        })
        .collect::<Result<_, _>>()?;
    if !judgement.policy_document.is_understood() {
        let reason = "NotAction and NotResource are not evaluated in its policy";
        return Err(Denied::Failed(reason.to_owned()));
    }
    if !judgement.policy_document.allows(INVOKE, resource) {
        return Err(Denied::Forbidden { resource: resource.to_owned() });
    }
    let usage_key = judgement.usage_identifier_key.as_ref().and_then(scalar);
    Ok(Authorized { principal_id, context, usage_key })
}

/// A value as events carry it. Choice: numbers and booleans as text, as documented for templates.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judgement(principal: Value, effect: &str, context: Value) -> Result<Authorized, Denied> {
        let result = json!({
            "principalId": principal,
            "policyDocument": {
                "Version": "2012-10-17",
                "Statement": [{ "Action": "execute-api:Invoke", "Effect": effect, "Resource": "*" }],
            },
            "context": context,
        });
        judge(result.to_string().as_bytes(), "arn")
    }

    #[test]
    fn an_allow_carries_its_context_as_text() {
        let authorized = judgement(json!("ada"), "Allow", json!({ "n": 3, "b": true, "s": "x" }));
        let authorized = authorized.unwrap();
        assert_eq!(authorized.principal_id, "ada");
        let context: Vec<_> = authorized.context.values().map(String::as_str).collect();
        assert_eq!(context, ["true", "3", "x"]);
        assert!(judgement(json!("ada"), "Allow", Value::Null).is_ok());
    }

    #[test]
    fn an_allow_may_name_an_api_key() {
        let statement = json!([{ "Action": "*", "Effect": "Allow", "Resource": "*" }]);
        for (key, expected) in [
            (json!("key-of-ada"), Some("key-of-ada")),
            (Value::Null, None),
            (json!({ "no": "key" }), None),
        ] {
            let result = json!({ "principalId": "ada", "usageIdentifierKey": key,
                "policyDocument": { "Statement": statement } });
            let authorized = judge(result.to_string().as_bytes(), "arn").unwrap();
            assert_eq!(authorized.usage_key.as_deref(), expected);
        }
    }

    #[test]
    fn a_deny_is_403() {
        assert_eq!(judgement(json!("ada"), "Deny", json!({})).unwrap_err().status(), 403);
    }

    #[test]
    fn what_is_no_judgement_is_500() {
        let long = json!({ "s": "x".repeat(9000) });
        for (principal, effect, context) in [
            (json!("ada"), "Allow", json!({ "list": [] })),
            (json!("ada"), "Allow", json!({ "object": {} })),
            (json!("ada"), "Allow", json!({ "null": null })),
            (json!("ada"), "Allow", long),
            (json!("ada"), "Perhaps", json!({})),
            (json!(""), "Allow", json!({})),
            (json!(null), "Allow", json!({})),
        ] {
            assert_eq!(judgement(principal, effect, context).unwrap_err().status(), 500);
        }
        for result in ["", "null", "{}", "\"x\"", r#"{"isAuthorized":true}"#] {
            assert_eq!(judge(result.as_bytes(), "arn").unwrap_err().status(), 500, "{result}");
        }
    }

    #[test]
    fn a_policy_that_is_not_understood_lets_nobody_in() {
        for exclusion in ["NotResource", "NotAction"] {
            let mut deny = json!({ "Effect": "Deny", "Action": "*", "Resource": "x" });
            deny[exclusion] = json!("arn:other");
            let allow = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
            let result =
                json!({ "principalId": "a", "policyDocument": { "Statement": [allow, deny] } });
            assert_eq!(judge(result.to_string().as_bytes(), "arn").unwrap_err().status(), 500);
        }
    }

    #[test]
    fn only_the_exact_text_unauthorized_is_401() {
        assert_eq!(failure(br#"{"errorMessage":"Unauthorized"}"#).status(), 401);
        assert_eq!(failure(br#"{"errorMessage":"unauthorized"}"#).status(), 500);
        assert_eq!(failure(b"nonsense").status(), 500);
    }
}
