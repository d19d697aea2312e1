//! Secrets Manager, as far as functions read secrets: those that templates declare, and those of the operator's file.
//!
//! Source: service model `secretsmanager` 2017-10-17.

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Value, json};
use stillwire_model::{BoxFuture, Keeper, ServiceApi, ServiceReply, ServiceRequest, StoredValue};

use crate::error::{Answered, Refused};
use crate::json::{self, Members};
use crate::place::Place;

/// The one version that a secret has here. Source: `GetSecretValue`, `VersionStage`.
const STAGE: &str = "AWSCURRENT";

/// Secrets that one `BatchGetSecretValue` answers. Source: `BatchGetSecretValue`, `SecretIdList` (20).
const BATCH_MAX: usize = 20;

/// The service. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Arc<RwLock<Arc<[StoredValue]>>>);

impl Secrets {
    /// These are all secrets there are, from now on.
    pub fn declare(&self, values: &[StoredValue]) {
        let secrets = values.iter().filter(|value| value.keeper == Keeper::SecretsManager);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = secrets.cloned().collect();
    }
}

impl ServiceApi for Secrets {
    fn call(&self, request: ServiceRequest) -> BoxFuture<'static, ServiceReply> {
        let secrets = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        Box::pin(async move {
            let place = Place::of(&request.caller);
            json::answer(&request, |operation, members| {
                operate(&secrets, &place, operation, members)
            })
        })
    }
}

fn operate(
    secrets: &[StoredValue],
    place: &Place,
    operation: &str,
    members: &Members,
) -> Answered<Value> {
    match operation {
        "GetSecretValue" => {
            let secret = find(secrets, place, members.needed("SecretId")?)?;
            let stage = members.text("VersionStage")?.unwrap_or(STAGE);
            let version = members.text("VersionId")?.unwrap_or(&version_of(secret)).to_owned();
            if stage != STAGE || version != version_of(secret) {
                return Err(no_value(stage));
            }
            Ok(value(place, secret))
        }
        "BatchGetSecretValue" => {
            let ids = members.texts("SecretIdList");
            if ids.is_empty() || ids.len() > BATCH_MAX {
                let message = format!("SecretIdList has from 1 to {BATCH_MAX} secrets");
                return Err(Refused::new(400, "InvalidParameterException", message));
            }
            let (mut values, mut errors) = (Vec::new(), Vec::new());
            for id in ids {
                match find(secrets, place, id) {
                    Ok(secret) => values.push(value(place, secret)),
                    Err(Refused { code, message, .. }) => errors
                        .push(json!({ "SecretId": id, "ErrorCode": code, "Message": message })),
                }
            }
            Ok(json!({ "SecretValues": values, "Errors": errors }))
        }
        "DescribeSecret" => {
            Ok(description(place, find(secrets, place, members.needed("SecretId")?)?))
        }
        "ListSecrets" => {
            let list = secrets.iter().filter(|secret| is_at(secret, place));
            let list = list.map(|secret| description(place, secret));
            Ok(json!({ "SecretList": list.collect::<Vec<_>>() }))
        }
        other => {
            let shown: String = other.chars().take(100).collect();
            let message = format!(
                "{shown} is not served: secrets are what templates and the file of values say. Another Secrets \
                 Manager can be named: AWS_ENDPOINT_URL_SECRETS_MANAGER"
            );
            Err(Refused::new(400, "UnknownOperationException", message))
        }
    }
}

/// The secret of a name, of its ARN here, or of one with six characters more, as AWS makes them.
fn find<'s>(secrets: &'s [StoredValue], place: &Place, id: &str) -> Answered<&'s StoredValue> {
    let is_it = |secret: &&StoredValue| {
        let after = id.strip_prefix(&arn(place, secret));
        let has_end = after.is_some_and(|end| end.len() == 7 && end.starts_with('-'));
        is_at(secret, place) && (secret.name == id || after == Some("") || has_end)
    };
    secrets.iter().find(is_it).ok_or_else(|| {
        let message = "Secrets Manager can't find the specified secret.";
        Refused::new(400, "ResourceNotFoundException", message)
    })
}

/// Source: `GetSecretValue`, observed.
fn no_value(stage: &str) -> Refused {
    let message =
        format!("Secrets Manager can't find the specified secret value for staging label: {stage}");
    Refused::new(400, "ResourceNotFoundException", message)
}

fn is_at(secret: &StoredValue, place: &Place) -> bool {
    *secret.account == place.account && *secret.region == place.region
}

/// The ARN that templates give it too: without a random end, so that it is the same at every start.
fn arn(place: &Place, secret: &StoredValue) -> String {
    place.arn("secretsmanager", &format!("secret:{}", secret.name))
}

/// A version is named by what it holds.
fn version_of(secret: &StoredValue) -> String {
    let hash = secret.value.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("00000000-0000-4000-8000-{:012x}", hash & 0xffff_ffff_ffff)
}

fn value(place: &Place, secret: &StoredValue) -> Value {
    json!({
        "ARN": arn(place, secret), "Name": secret.name, "SecretString": secret.value,
        "VersionId": version_of(secret), "VersionStages": [STAGE],
    })
}

fn description(place: &Place, secret: &StoredValue) -> Value {
    json!({
        "ARN": arn(place, secret), "Name": secret.name, "Description": secret.description,
        "VersionIdsToStages": { version_of(secret): [STAGE] },
    })
}
