//! Stages: `CreateStage` and its like, and the single settings that can be deleted.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stillwire_model::StageName;

use crate::change::Touches;
use crate::error::{Answered, Refused, bad_request, conflict, not_found, unknown_path};
use crate::kinds::{Kind, STAGE, STAGES_MAX};
use crate::members::{Resource, patch};
use crate::page::page;
use crate::plane::{Done, Plane};
use crate::request::Request;
use crate::state::{Api, Stage, State};
use crate::tags;

pub(crate) fn operate(
    plane: &Plane,
    state: &mut State,
    api: &str,
    (method, rest): (&str, &[&str]),
    request: &Request,
) -> Answered<Done> {
    match (method, rest) {
        ("POST", []) => create(plane, state, api, request),
        ("GET", []) => {
            let stages = &plane.api(state, api)?.stages;
            let items = stages.iter().map(|(name, stage)| (name.clone(), shown(stage).into()));
            Ok(Done::ok(page(request, items.collect::<BTreeMap<_, _>>())?))
        }
        ("GET", [name]) => get(plane, state, api, name),
        ("PATCH", [name]) => update(plane, state, api, name, request),
        ("DELETE", [name]) => delete(plane, state, api, name),
        ("DELETE", [name, "routesettings", key]) => {
            delete_setting(plane, state, (api, name), |own| {
                let settings = own.get_mut("routeSettings")?.as_object_mut()?;
                settings.shift_remove(*key)
            })
        }
        ("DELETE", [name, "accesslogsettings"]) => {
            delete_setting(plane, state, (api, name), |own| own.shift_remove("accessLogSettings"))
        }
        ("DELETE", [name, "cache", "authorizers"]) => {
            // Nothing is cached for WebSocket APIs.
            find(plane.api(state, api)?, name)?;
            Ok(Done::gone())
        }
        _ => Err(unknown_path()),
    }
}

fn create(plane: &Plane, state: &mut State, api: &str, request: &Request) -> Answered<Done> {
    let own = request.create(STAGE)?;
    let name = own.get("stageName").and_then(Value::as_str).unwrap_or_default().to_owned();
    StageName::parse(&name).map_err(|error| bad_request(error.to_string()))?;
    tags::check_new(&own)?;
    let now = plane.now();
    plane.change_api(state, api, Touches::Surroundings, |api| {
        if api.stages.contains_key(&name) {
            return Err(conflict("Stage already exists"));
        }
        if api.stages.len() >= STAGES_MAX {
            return Err(bad_request("Maximum number of Stages for this API has been reached"));
        }
        let stage = Stage { own, created: now.clone(), updated: now.clone(), message: None };
        check(api, &name, &stage)?;
        let deploys_itself = stage.deploys_itself();
        api.stages.insert(name.clone(), stage);
        if deploys_itself { api.deploy_itself(&now) } else { Ok(()) }
    })?;
    let stage = find(plane.api(state, api)?, &name)?;
    Ok(Done::created(shown(stage)))
}

fn get(plane: &Plane, state: &State, api: &str, name: &str) -> Answered<Done> {
    Ok(Done::ok(shown(find(plane.api(state, api)?, name)?)))
}

fn update(
    plane: &Plane,
    state: &mut State,
    api: &str,
    name: &str,
    request: &Request,
) -> Answered<Done> {
    let mut change = request.update(STAGE)?;
    change.remove("stageName");
    change.remove("tags");
    let now = plane.now();
    plane.change_api(state, api, Touches::Surroundings, |api| {
        let mut stage = find(api, name)?.clone();
        let names_deployment = change.contains_key("deploymentId");
        let did_deploy_itself = stage.deploys_itself();
        patch(&mut stage.own, change);
        now.clone_into(&mut stage.updated);
        if names_deployment {
            check(api, name, &stage)?;
        } else {
            check_settings(api, &stage)?;
        }
        let begins = stage.deploys_itself() && !did_deploy_itself;
        api.stages.insert(name.to_owned(), stage);
        if begins { api.deploy_itself(&now) } else { Ok(()) }
    })?;
    get(plane, state, api, name)
}

fn delete(plane: &Plane, state: &mut State, api: &str, name: &str) -> Answered<Done> {
    find(plane.api(state, api)?, name)?;
    if let Some((domain, _)) =
        state.domains.iter().find(|(_, domain)| domain.leads_to(api, Some(name)))
    {
        let text =
            format!("Cannot delete stage {name}: the domain name {domain} has a mapping to it");
        return Err(conflict(text));
    }
    plane.change_api(state, api, Touches::Surroundings, |api| {
        api.stages.remove(name);
        Ok(())
    })?;
    Ok(Done::gone())
}

fn delete_setting(
    plane: &Plane,
    state: &mut State,
    (api, name): (&str, &str),
    remove: impl FnOnce(&mut Resource) -> Option<Value>,
) -> Answered<Done> {
    let now = plane.now();
    plane.change_api(state, api, Touches::Surroundings, |api| {
        find(api, name)?;
        let stage = api.stages.get_mut(name);
        let removed = stage.and_then(|stage| {
            now.clone_into(&mut stage.updated);
            remove(&mut stage.own)
        });
        removed.map(|_| ()).ok_or_else(|| not_found("Unable to find the setting to delete"))
    })?;
    Ok(Done::gone())
}

/// Whether a stage may serve the deployment that it names.
fn check(api: &Api, name: &str, stage: &Stage) -> Answered<()> {
    if let Some(id) = stage.deployment_id() {
        if stage.deploys_itself() {
            let text = format!(
                "Deployment ID cannot be set on stage '{name}' because Auto Deploy is enabled"
            );
            return Err(bad_request(text));
        }
        if !api.deployments.contains_key(id) {
            return Err(not_found(format!("Invalid Deployment identifier specified {id}")));
        }
    }
    check_settings(api, stage)
}

/// Route settings are for routes that exist.
///
/// Source: observed wording of the service.
fn check_settings(api: &Api, stage: &Stage) -> Answered<()> {
    let routes = Kind::of_segment("routes");
    let settings = stage.own.get("routeSettings").and_then(Value::as_object);
    for key in settings.into_iter().flat_map(Resource::keys) {
        let mut parts = routes.into_iter().flat_map(|kind| api.parts.of(kind));
        if !parts.any(|(_, route)| route.own.get("routeKey").and_then(Value::as_str) == Some(key)) {
            let text =
                format!("Unable to find Route by key {key} within the provided RouteSettings");
            return Err(not_found(text));
        }
    }
    Ok(())
}

pub(crate) fn find<'s>(api: &'s Api, name: &str) -> Answered<&'s Stage> {
    api.stages.get(name).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Refused {
    not_found(format!("Invalid stage identifier specified {name}"))
}

/// A stage as it is answered.
fn shown(stage: &Stage) -> Resource {
    let mut shown = stage.own.clone();
    shown.insert("createdDate".to_owned(), stage.created.clone().into());
    shown.insert("lastUpdatedDate".to_owned(), stage.updated.clone().into());
    if let Some(message) = &stage.message {
        shown.insert("lastDeploymentStatusMessage".to_owned(), message.clone().into());
    }
    for name in ["routeSettings", "stageVariables", "tags"] {
        shown.entry(name.to_owned()).or_insert_with(|| json!({}));
    }
    // Source: the answer of `CreateStage` in the AWS CLI's reference. The service adds the throttle of the account,
    // which does not exist here.
    let defaults = json!({ "dataTraceEnabled": false, "detailedMetricsEnabled": false,
        "loggingLevel": "OFF" });
    let settings = shown.entry("defaultRouteSettings".to_owned()).or_insert_with(|| json!({}));
    if let (Some(settings), Value::Object(defaults)) = (settings.as_object_mut(), defaults) {
        for (name, value) in defaults {
            settings.entry(name).or_insert(value);
        }
    }
    shown
}
