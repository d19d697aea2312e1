//! The parts of APIs: routes, integrations, authorizers, models and responses. One set of operations serves all.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::change::Touches;
use crate::error::{Answered, Refused, bad_request, conflict, not_found, unknown_path};
use crate::ids;
use crate::kinds::Kind;
use crate::members::{Resource, patch};
use crate::page::page;
use crate::plane::{Done, Plane};
use crate::request::Request;
use crate::state::{Api, Part, State};

/// Where parts are: of which API and kind, and what they belong to.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) api: &'a str,
    pub(crate) kind: &'static Kind,
    pub(crate) parent: Option<&'a str>,
}

pub(crate) fn operate(
    plane: &Plane,
    state: &mut State,
    place: &Place<'_>,
    (method, rest): (&str, &[&str]),
    request: &Request,
) -> Answered<Done> {
    place.check_parent(plane.api(state, place.api)?)?;
    match (method, rest) {
        ("POST", []) => create(plane, state, place, request),
        ("GET", []) => {
            let api = plane.api(state, place.api)?;
            let items = place.parts(api).map(|(id, part)| (id.clone(), place.shown(id, part)));
            Ok(Done::ok(page(request, items.collect::<BTreeMap<_, _>>())?))
        }
        ("GET", [id]) => {
            let part = place.find(plane.api(state, place.api)?, id)?;
            Ok(Done::ok(place.shown(id, part)))
        }
        ("PATCH", [id]) => update(plane, state, place, id, request),
        ("DELETE", [id]) => {
            plane.change_api(state, place.api, Touches::Parts, |api| {
                place.find(api, id)?;
                check_unused(api, place.kind, id)?;
                api.parts.remove(place.kind, id);
                Ok(())
            })?;
            Ok(Done::gone())
        }
        _ => Err(unknown_path()),
    }
}

fn create(
    plane: &Plane,
    state: &mut State,
    place: &Place<'_>,
    request: &Request,
) -> Answered<Done> {
    let own = request.create(place.kind.members)?;
    let id = plane.change_api(state, place.api, Touches::Parts, |api| {
        if place.parts(api).count() >= place.kind.count_max {
            let text = format!("Maximum number of {}s has been reached", place.kind.name);
            return Err(bad_request(text));
        }
        place.check_unique(api, &own, None)?;
        let id = ids::of_part(api)?;
        let parent = place.parent.map(str::to_owned);
        api.parts.insert(place.kind, id.clone(), Part { parent, own });
        Ok(id)
    })?;
    let part = place.find(plane.api(state, place.api)?, &id)?;
    Ok(Done::created(place.shown(&id, part)))
}

fn update(
    plane: &Plane,
    state: &mut State,
    place: &Place<'_>,
    id: &str,
    request: &Request,
) -> Answered<Done> {
    let change = request.update(place.kind.members)?;
    plane.change_api(state, place.api, Touches::Parts, |api| {
        let mut own = place.find(api, id)?.own.clone();
        patch(&mut own, change);
        place.check_unique(api, &own, Some(id))?;
        if let Some(part) = api.parts.get_mut(place.kind, id) {
            part.own = own;
        }
        Ok(())
    })?;
    let part = place.find(plane.api(state, place.api)?, id)?;
    Ok(Done::ok(place.shown(id, part)))
}

/// `DeleteRouteRequestParameter`.
pub(crate) fn delete_request_parameter(
    plane: &Plane,
    state: &mut State,
    (api, route, key): (&str, &str, &str),
) -> Answered<Done> {
    let kind = Kind::of_segment("routes").ok_or_else(unknown_path)?;
    plane.change_api(state, api, Touches::Parts, |api| {
        let part = api.parts.get_mut(kind, route).ok_or_else(|| missing(kind, route))?;
        let parameters = part.own.get_mut("requestParameters").and_then(Value::as_object_mut);
        let removed = parameters.and_then(|parameters| parameters.shift_remove(key));
        let text = format!("Invalid request parameter specified {key}");
        removed.map(|_| ()).ok_or_else(|| not_found(text))
    })?;
    Ok(Done::gone())
}

/// `GetModelTemplate`: a mapping template that writes an example of the model.
pub(crate) fn model_template(state: &State, api: &str, model: &str) -> Answered<Done> {
    let kind = Kind::of_segment("models").ok_or_else(unknown_path)?;
    let part = state.apis.get(api).and_then(|api| api.parts.get(kind, model));
    let part = part.ok_or_else(|| missing(kind, model))?;
    let schema = part.own.get("schema").and_then(Value::as_str).unwrap_or_default();
    let schema = serde_json::from_str(schema).unwrap_or_default();
    let example = serde_json::to_string_pretty(&example(&schema)).unwrap_or_default();
    Ok(Done::ok(json!({ "value": format!("#set($inputRoot = $input.path('$'))\n{example}") })))
}

/// An example of what a schema describes. It goes as deep as the schema itself, which was bounded when it was read.
fn example(schema: &Value) -> Value {
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let properties = properties.into_iter().flatten();
            properties.map(|(name, schema)| (name.clone(), example(schema))).collect()
        }
        Some("array") => {
            schema.get("items").map_or_else(|| json!([]), |item| json!([example(item)]))
        }
        Some("integer" | "number") => 42.into(),
        Some("boolean") => true.into(),
        Some("null") => Value::Null,
        _ => "foo".into(),
    }
}

/// What others refer to stays.
///
/// Source: observed wording of the service.
fn check_unused(api: &Api, kind: &Kind, id: &str) -> Answered<()> {
    let routes = Kind::of_segment("routes");
    let named_by = |member: &'static str, value: String| {
        let routes = routes.into_iter().flat_map(|kind| api.parts.of(kind));
        routes.filter(move |(_, part)| part.own.get(member).and_then(Value::as_str) == Some(&value))
    };
    match kind.name {
        "Integration" => {
            let routes: Vec<&str> = named_by("target", format!("integrations/{id}"))
                .map(|(id, _)| id.as_str())
                .collect();
            if !routes.is_empty() {
                let text = format!(
                    "Cannot delete Integration because it is referenced by the following Routes with Ids: [{}]",
                    routes.join(", ")
                );
                return Err(conflict(text));
            }
        }
        "Authorizer" => {
            if let Some((_, route)) = named_by("authorizerId", id.to_owned()).next() {
                let key = route.own.get("routeKey").and_then(Value::as_str).unwrap_or_default();
                let text =
                    format!("Cannot delete authorizer '{id}', is referenced in route: '{key}'");
                return Err(conflict(text));
            }
        }
        _ => {}
    }
    Ok(())
}

fn missing(kind: &Kind, id: &str) -> Refused {
    not_found(format!("Invalid {} identifier specified {id}", kind.name))
}

impl Place<'_> {
    fn check_parent(&self, api: &Api) -> Answered<()> {
        let (Some((segment, _)), Some(id)) = (self.kind.parent, self.parent) else { return Ok(()) };
        let kind = Kind::of_segment(segment).ok_or_else(unknown_path)?;
        api.parts.get(kind, id).map(|_| ()).ok_or_else(|| missing(kind, id))
    }

    /// The parts that are here.
    fn parts<'s>(&'s self, api: &'s Api) -> impl Iterator<Item = (&'s String, &'s Part)> {
        api.parts.of(self.kind).filter(|(_, part)| part.parent.as_deref() == self.parent)
    }

    fn find<'s>(&self, api: &'s Api, id: &str) -> Answered<&'s Part> {
        let part =
            api.parts.get(self.kind, id).filter(|part| part.parent.as_deref() == self.parent);
        part.ok_or_else(|| missing(self.kind, id))
    }

    fn check_unique(&self, api: &Api, own: &Resource, id: Option<&str>) -> Answered<()> {
        let key =
            |own: &Resource| own.get(self.kind.unique).and_then(Value::as_str).map(str::to_owned);
        let Some(wanted) = key(own) else { return Ok(()) };
        let taken = self.parts(api).any(|(other, part)| {
            Some(other.as_str()) != id && key(&part.own).as_ref() == Some(&wanted)
        });
        if !taken {
            return Ok(());
        }
        // Source: observed wording of the service, for routes.
        let what = if self.kind.unique == "name" { "name" } else { "key" };
        let kind = self.kind.name;
        Err(conflict(format!("{kind} with {what} {wanted} already exists for this API")))
    }

    /// A part as it is answered.
    fn shown(&self, id: &str, part: &Part) -> Value {
        let mut shown = self.kind.with_defaults(&part.own);
        shown.insert(self.kind.id.to_owned(), id.into());
        shown.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_has_something_of_every_type() {
        let schema = json!({ "type": "object", "properties": {
            "name": { "type": "string" }, "age": { "type": "integer" },
            "tags": { "type": "array", "items": { "type": "boolean" } } } });
        assert_eq!(example(&schema), json!({ "name": "foo", "age": 42, "tags": [true] }));
    }
}
