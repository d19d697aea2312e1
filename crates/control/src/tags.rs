//! Tags of APIs, stages and domain names, by their ARNs.

use serde_json::{Value, json};

use crate::change::Touches;
use crate::error::{Answered, Refused, bad_request, not_found, unknown_path};
use crate::kinds::{TAGS, TAGS_MAX};
use crate::members::Resource;
use crate::plane::{Done, Plane};
use crate::request::Request;
use crate::stages;
use crate::state::State;

/// What has tags.
enum Tagged<'a> {
    Api(&'a str),
    Stage(&'a str, &'a str),
    Domain(&'a str),
}

pub(crate) fn operate(
    plane: &Plane,
    state: &mut State,
    arn: &str,
    method: &str,
    request: &Request,
) -> Answered<Done> {
    let tagged = Tagged::of(arn)?;
    match method {
        "GET" => {
            let own = tagged.own(plane, state)?;
            Ok(Done::ok(json!({ "tags": own.get("tags").cloned().unwrap_or_else(|| json!({})) })))
        }
        "POST" => {
            let mut members = request.create(TAGS)?;
            let Some(Value::Object(new)) = members.remove("tags") else {
                return Err(unknown_path());
            };
            tagged.change(plane, state, |tags| {
                tags.extend(new);
                check(tags)
            })?;
            Ok(Done::created(json!({})))
        }
        "DELETE" => {
            let keys = request.queried("tagKeys");
            tagged.change(plane, state, |tags| {
                tags.retain(|key, _| !keys.contains(key));
                Ok(())
            })?;
            Ok(Done::gone())
        }
        _ => Err(unknown_path()),
    }
}

/// Whether a new resource has no more tags than it may have.
pub(crate) fn check_new(own: &Resource) -> Answered<()> {
    own.get("tags").and_then(Value::as_object).map_or(Ok(()), check)
}

fn check(tags: &Resource) -> Answered<()> {
    if tags.len() > TAGS_MAX {
        return Err(bad_request(format!("a resource has at most {TAGS_MAX} tags")));
    }
    Ok(())
}

impl<'a> Tagged<'a> {
    /// `arn:aws:apigateway:REGION::/apis/ID`, `…/apis/ID/stages/NAME`, `…/domainnames/NAME`.
    fn of(arn: &'a str) -> Answered<Self> {
        let path = arn.split_once("::/").map(|(_, path)| path.split('/').collect::<Vec<_>>());
        match path.as_deref() {
            Some(["apis", api]) => Ok(Self::Api(api)),
            Some(["apis", api, "stages", stage]) => Ok(Self::Stage(api, stage)),
            Some(["domainnames", name]) => Ok(Self::Domain(name)),
            _ => Err(bad_request(format!("Invalid resource ARN specified {arn}"))),
        }
    }

    fn own<'s>(&self, plane: &Plane, state: &'s State) -> Answered<&'s Resource> {
        Ok(match self {
            Self::Api(api) => &plane.api(state, api)?.own,
            Self::Stage(api, stage) => &stages::find(plane.api(state, api)?, stage)?.own,
            Self::Domain(name) => &state.domains.get(*name).ok_or_else(no_domain)?.own,
        })
    }

    fn change(
        &self,
        plane: &Plane,
        state: &mut State,
        change: impl FnOnce(&mut Resource) -> Answered<()>,
    ) -> Answered<()> {
        self.own(plane, state)?;
        match self {
            Self::Api(api) => plane
                .change_api(state, api, Touches::Surroundings, |api| change(tags_of(&mut api.own))),
            Self::Stage(api, name) => plane.change_api(state, api, Touches::Surroundings, |api| {
                api.stages.get_mut(*name).map_or(Ok(()), |stage| change(tags_of(&mut stage.own)))
            }),
            Self::Domain(name) => plane.change_domains(state, |domains| {
                let domain = domains.get_mut(*name).ok_or_else(no_domain)?;
                change(tags_of(&mut domain.own))
            }),
        }
    }
}

fn no_domain() -> Refused {
    not_found("Invalid domain name identifier specified")
}

/// The tags of a resource, which may have had none.
fn tags_of(own: &mut Resource) -> &mut Resource {
    let tags = own.entry("tags".to_owned()).or_insert_with(|| json!({}));
    if !tags.is_object() {
        *tags = json!({});
    }
    tags.as_object_mut().expect("it was made one")
}
