//! Deployments: snapshots of an API, and which stages serve them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::change::Touches;
use crate::error::{Answered, bad_request, not_found, unknown_path};
use crate::ids;
use crate::kinds::{DEPLOYMENT, DEPLOYMENTS_MAX};
use crate::members::Resource;
use crate::page::page;
use crate::plane::{Done, Plane};
use crate::request::Request;
use crate::stages;
use crate::state::{Api, Deployment, State};

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
            let made = &plane.api(state, api)?.deployments;
            let items = made.iter().map(|(id, made)| (id.clone(), shown(id, made).into()));
            Ok(Done::ok(page(request, items.collect::<BTreeMap<_, _>>())?))
        }
        ("GET", [id]) => Ok(Done::ok(shown(id, find(plane.api(state, api)?, id)?))),
        ("PATCH", [id]) => {
            let description = text(&request.update(DEPLOYMENT)?, "description");
            plane.change_api(state, api, Touches::Surroundings, |api| {
                find(api, id)?;
                if let (Some(made), Some(text)) = (api.deployments.get_mut(*id), description) {
                    made.description = Some(text);
                }
                Ok(())
            })?;
            Ok(Done::ok(shown(id, find(plane.api(state, api)?, id)?)))
        }
        ("DELETE", [id]) => {
            plane.change_api(state, api, Touches::Surroundings, |api| {
                find(api, id)?;
                if api.stages.values().any(|stage| stage.deployment_id() == Some(id)) {
                    // Source: observed wording of the service.
                    let text = "Active stages pointing to this deployment must be moved or deleted";
                    return Err(bad_request(text));
                }
                api.deployments.remove(*id);
                Ok(())
            })?;
            Ok(Done::gone())
        }
        _ => Err(unknown_path()),
    }
}

fn create(plane: &Plane, state: &mut State, api: &str, request: &Request) -> Answered<Done> {
    let members = request.create(DEPLOYMENT)?;
    let (description, stage) = (text(&members, "description"), text(&members, "stageName"));
    let now = plane.now();
    let id = plane.change_api(state, api, Touches::Surroundings, |api| {
        api.check_deployable().map_err(bad_request)?;
        if let Some(name) = &stage {
            stages::find(api, name)?;
        }
        if api.deployments.len() >= DEPLOYMENTS_MAX {
            return Err(bad_request("Maximum number of Deployments for this API has been reached"));
        }
        let id = ids::of_deployment(api)?;
        api.deployments.insert(id.clone(), api.snapshot(&now, description, false));
        if let Some(stage) = stage.and_then(|name| api.stages.get_mut(&name)) {
            stage.own.insert("deploymentId".to_owned(), id.clone().into());
            now.clone_into(&mut stage.updated);
        }
        Ok(id)
    })?;
    Ok(Done::created(shown(&id, find(plane.api(state, api)?, &id)?)))
}

fn text(members: &Resource, name: &str) -> Option<String> {
    members.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn find<'s>(api: &'s Api, id: &str) -> Answered<&'s Deployment> {
    let missing = || not_found(format!("Invalid Deployment identifier specified {id}"));
    api.deployments.get(id).ok_or_else(missing)
}

/// A deployment as it is answered.
fn shown(id: &str, made: &Deployment) -> Resource {
    let mut shown = Resource::from_iter([
        ("autoDeployed".to_owned(), made.automatic.into()),
        ("createdDate".to_owned(), made.created.clone().into()),
        ("deploymentId".to_owned(), id.into()),
        ("deploymentStatus".to_owned(), "DEPLOYED".into()),
    ]);
    if let Some(text) = &made.description {
        shown.insert("description".to_owned(), text.clone().into());
    }
    shown
}
