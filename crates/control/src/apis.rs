//! `CreateApi`, `GetApi`, `GetApis`, `UpdateApi`, `DeleteApi`.

use std::collections::BTreeMap;

use serde_json::Value;
use stillwire_model::{ApiId, SelectionExpression};

use crate::change::Touches;
use crate::error::{Answered, bad_request, conflict};
use crate::ids;
use crate::kinds::{API, APIS_MAX};
use crate::members::{Resource, patch};
use crate::page::page;
use crate::plane::{Done, Plane};
use crate::request::Request;
use crate::state::{Api, State};
use crate::tags;

pub(crate) fn create(plane: &Plane, state: &mut State, request: &Request) -> Answered<Done> {
    let own = request.create(API)?;
    check(&own)?;
    tags::check_new(&own)?;
    if state.apis.len() >= APIS_MAX {
        return Err(bad_request("Maximum number of APIs has been reached"));
    }
    let id = ids::of_api(state)?;
    let api = Api::new(&plane.home, own, &plane.now());
    plane.put(state, &id, api)?;
    Ok(Done::created(shown(plane, &id, plane.api(state, &id)?)))
}

pub(crate) fn get(plane: &Plane, state: &State, id: &str) -> Answered<Done> {
    Ok(Done::ok(shown(plane, id, plane.api(state, id)?)))
}

pub(crate) fn list(plane: &Plane, state: &State, request: &Request) -> Answered<Done> {
    let items: BTreeMap<String, Value> =
        state.apis.iter().map(|(id, api)| (id.clone(), shown(plane, id, api).into())).collect();
    Ok(Done::ok(page(request, items)?))
}

pub(crate) fn update(
    plane: &Plane,
    state: &mut State,
    id: &str,
    request: &Request,
) -> Answered<Done> {
    let mut change = request.update(API)?;
    change.remove("protocolType");
    change.remove("tags");
    plane.change_api(state, id, Touches::Parts, |api| {
        patch(&mut api.own, change);
        check(&api.own)
    })?;
    get(plane, state, id)
}

pub(crate) fn delete(plane: &Plane, state: &mut State, id: &str) -> Answered<Done> {
    plane.api(state, id)?;
    let mapped = state.domains.iter().find(|(_, domain)| domain.leads_to(id, None));
    if let Some((name, _)) = mapped {
        let text = format!("Cannot delete API {id}: the domain name {name} has mappings to it");
        return Err(conflict(text));
    }
    let removed = state.apis.remove(id);
    if let Err(refused) = plane.keep(state) {
        state.apis.extend(removed.map(|api| (id.to_owned(), api)));
        return Err(refused);
    }
    if let Ok(id) = ApiId::parse(id) {
        plane.host.withdraw(&id);
    }
    Ok(Done::gone())
}

/// What the definition's reader does not see, because templates have defaults for it.
fn check(own: &Resource) -> Answered<()> {
    if own.get("protocolType").and_then(Value::as_str) != Some("WEBSOCKET") {
        return Err(bad_request("HTTP APIs are not served here: protocolType must be WEBSOCKET"));
    }
    let expression = own.get("routeSelectionExpression").and_then(Value::as_str);
    let Some(expression) = expression else {
        return Err(bad_request("routeSelectionExpression is required for WEBSOCKET APIs"));
    };
    match SelectionExpression::parse(expression) {
        Ok(_) => Ok(()),
        Err(error) => Err(bad_request(error.to_string())),
    }
}

/// An API as it is answered.
fn shown(plane: &Plane, id: &str, api: &Api) -> Resource {
    let mut shown = api.own.clone();
    let endpoint = ApiId::parse(id).ok().and_then(|id| plane.host.endpoint(&id));
    shown.insert("apiId".to_owned(), id.into());
    shown.insert("apiEndpoint".to_owned(), endpoint.unwrap_or_default().into());
    shown.insert("createdDate".to_owned(), api.created.clone().into());
    for (name, value) in [
        ("apiKeySelectionExpression", Value::from("$request.header.x-api-key")),
        ("disableExecuteApiEndpoint", false.into()),
        ("disableSchemaValidation", false.into()),
        ("ipAddressType", "ipv4".into()),
        ("tags", Resource::new().into()),
    ] {
        shown.entry(name.to_owned()).or_insert(value);
    }
    shown
}
