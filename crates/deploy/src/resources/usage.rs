//! `AWS::ApiGateway::ApiKey`, `UsagePlan` and `UsagePlanKey`: the keys of an app, and which stages they open.
//!
//! They are of the REST API's family, also for WebSocket APIs. Source: API Gateway Developer Guide, "Usage plans and API
//! keys for REST APIs". A plan for a REST API is built too: it just opens nothing here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stillwire_model::{ApiId, ApiKey, ApiKeys, Quota, StageName, Throttle, UsagePlan, limits};

use super::{Built, Piece, of_kind};
use crate::node::Node;
use crate::physical;
use crate::report::Action;
use crate::resolver::Resolver;

/// Builds all keys with their plans, and says what becomes of the resources.
pub(super) fn build(
    resolver: &mut Resolver<'_>,
    pieces: &[Piece<'_>],
    built: &mut Built,
) -> Arc<ApiKeys> {
    let mut plans = BTreeMap::new();
    for piece in of_kind(pieces, "AWS::ApiGateway::UsagePlan") {
        let plan = plan(resolver, pieces, piece);
        let stages: Vec<_> = plan.stages.iter().map(|(_, stage)| stage.as_str()).collect();
        let note = match stages.as_slice() {
            [] => "usage plan without stages that run here".to_owned(),
            stages => format!("usage plan for {}", stages.join(", ")),
        };
        built.fates.insert(piece.key(), (Action::Runs, note));
        plans.insert(plan.id.to_string(), Arc::new(plan));
    }
    let mut keys: Vec<ApiKey> = Vec::new();
    for piece in of_kind(pieces, "AWS::ApiGateway::ApiKey") {
        let key = key(resolver, piece);
        if keys.iter().any(|other| other.value == key.value) {
            piece.fail(resolver, "Value", "another API key has this value");
        }
        let note = if key.enabled { "API key" } else { "API key, disabled" };
        built.fates.insert(piece.key(), (Action::Runs, note.to_owned()));
        keys.push(key);
    }
    for piece in of_kind(pieces, "AWS::ApiGateway::UsagePlanKey") {
        join(resolver, piece, &mut keys, &plans);
    }
    Arc::new(ApiKeys::new(keys))
}

fn key(resolver: &mut Resolver<'_>, piece: &Piece<'_>) -> ApiKey {
    let scope = &resolver.unit(piece.unit).scope;
    let id = physical::api_key_id(scope, piece.id);
    let value = piece.text("Value").unwrap_or_else(|| {
        let value = physical::api_key_value(&resolver.unit(piece.unit).scope, piece.id);
        // A warning, so that `dev` shows it: clients need it.
        piece.warn(resolver, "Value", format!("AWS makes up this API key; here it is {value}"));
        value
    });
    let length = value.chars().count();
    if !(limits::API_KEY_CHARS_MIN..=limits::API_KEY_CHARS_MAX).contains(&length) {
        let message = format!("the API key has {length} characters; it may have 20 to 128");
        piece.fail(resolver, "Value", message);
    }
    // Choice: without the property a key is disabled. No default is documented; the CDK always writes the property.
    let enabled = piece.text("Enabled");
    if enabled.is_none() {
        let text = "the API key opens nothing: without Enabled it is disabled";
        piece.warn(resolver, "Enabled", text);
    }
    let enabled = enabled.as_deref() == Some("true");
    ApiKey { id: id.into(), value: value.into(), enabled, plans: Vec::new() }
}

fn plan(resolver: &mut Resolver<'_>, pieces: &[Piece<'_>], piece: &Piece<'_>) -> UsagePlan {
    let id = physical::part_id(&resolver.unit(piece.unit).scope, piece.id);
    let mut stages = BTreeSet::new();
    for node in piece.get("ApiStages").and_then(Node::as_list).unwrap_or_default() {
        let text = |name: &str| node.get(name).and_then(Node::scalar).unwrap_or_default();
        let (api, stage) = (text("ApiId"), text("Stage"));
        if node.get("Throttle").is_some() {
            let text = "throttles of single methods are for REST APIs; this one is not applied";
            piece.warn(resolver, "ApiStages", text);
        }
        let is_here = |other: &Piece<'_>| {
            other.text("StageName").as_deref() == Some(&stage)
                && other.text("ApiId").as_deref() == Some(&api)
        };
        let served = of_kind(pieces, "AWS::ApiGatewayV2::Stage").any(is_here);
        match (ApiId::parse(&api), StageName::parse(&stage)) {
            (Ok(api), Ok(stage)) if served => {
                stages.insert((api, stage));
            }
            _ => {
                let text =
                    format!("the stage {stage:?} of the API {api} is no stage that runs here");
                piece.warn(resolver, "ApiStages", text);
            }
        }
    }
    let (throttle, quota) = (throttle(resolver, piece), quota(resolver, piece));
    UsagePlan { id: id.into(), stages, throttle, quota }
}

fn throttle(resolver: &mut Resolver<'_>, piece: &Piece<'_>) -> Option<Throttle> {
    let node = piece.get("Throttle")?;
    match super::api::throttle(node, "RateLimit", "BurstLimit") {
        Ok(throttle) => throttle,
        Err(message) => {
            piece.fail(resolver, "Throttle", message);
            None
        }
    }
}

fn quota(resolver: &mut Resolver<'_>, piece: &Piece<'_>) -> Option<Quota> {
    let node = piece.get("Quota")?;
    let text = |name: &str| node.get(name).and_then(Node::scalar);
    let (limit, period) = (text("Limit"), text("Period").unwrap_or_default());
    let offset = text("Offset").unwrap_or_else(|| "0".to_owned());
    let (Some(Ok(limit)), Ok(offset)) = (limit.map(|limit| limit.parse()), offset.parse()) else {
        let message = "a Quota has a Limit and may have an Offset: whole numbers, not below 0";
        piece.fail(resolver, "Quota", message);
        return None;
    };
    let quota = Quota::new(limit, &period, offset);
    quota.inspect_err(|error| piece.fail(resolver, "Quota", error.to_string())).ok()
}

/// Puts a key into a plan.
fn join(
    resolver: &mut Resolver<'_>,
    piece: &Piece<'_>,
    keys: &mut [ApiKey],
    plans: &BTreeMap<String, Arc<UsagePlan>>,
) {
    let named = |property: &str| piece.text(property).unwrap_or_default();
    let (key_id, plan_id) = (named("KeyId"), named("UsagePlanId"));
    let Some(key) = keys.iter_mut().find(|key| *key.id == key_id) else {
        let text = format!("the API key {key_id:?} is not in these stacks; it opens nothing here");
        return piece.warn(resolver, "KeyId", text);
    };
    let Some(plan) = plans.get(&plan_id) else {
        let text = format!("the usage plan {plan_id:?} is not in these stacks");
        return piece.warn(resolver, "UsagePlanId", text);
    };
    // Source: as above: "a given API key can only be associated with one usage plan for each stage of your API".
    let mut others = key.plans.iter().flat_map(|other| &other.stages);
    if let Some((_, stage)) = others.find(|stage| plan.stages.contains(stage)) {
        let message = format!("the API key is already in another usage plan of the stage {stage}");
        return piece.fail(resolver, "UsagePlanId", message);
    }
    key.plans.push(Arc::clone(plan));
}
