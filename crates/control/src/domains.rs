//! Custom domain names and their API mappings.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stillwire_model::{ApiId, DomainDefinition, MappingDefinition, StageName};

use crate::error::{Answered, Refused, bad_request, conflict, not_found, unknown_path};
use crate::ids;
use crate::kinds::{DOMAIN, DOMAINS_MAX, MAPPING, MAPPINGS_MAX};
use crate::members::{Resource, patch};
use crate::page::page;
use crate::plane::{Done, Plane};
use crate::request::Request;
use crate::stages;
use crate::state::{Domain, State};
use crate::tags;

pub(crate) fn operate(
    plane: &Plane,
    state: &mut State,
    (method, rest): (&str, &[&str]),
    request: &Request,
) -> Answered<Done> {
    match (method, rest) {
        ("POST", []) => create(plane, state, request),
        ("GET", []) => {
            let shown = |(name, domain): (&String, &Domain)| {
                (name.clone(), plane.shown_domain(name, domain).into())
            };
            Ok(Done::ok(page(request, state.domains.iter().map(shown).collect())?))
        }
        ("GET", [name]) => Ok(Done::ok(plane.shown_domain(name, find(state, name)?))),
        ("PATCH", [name]) => {
            let mut change = request.update(DOMAIN)?;
            change.remove("domainName");
            change.remove("tags");
            plane.change_domain(state, name, |domain| {
                patch(&mut domain.own, change);
                Ok(())
            })?;
            Ok(Done::ok(plane.shown_domain(name, find(state, name)?)))
        }
        ("DELETE", [name]) => {
            find(state, name)?;
            plane.change_domains(state, |domains| {
                domains.remove(*name);
                Ok(())
            })?;
            Ok(Done::gone())
        }
        (_, [name, "apimappings", rest @ ..]) => {
            mappings(plane, state, name, (method, rest), request)
        }
        _ => Err(unknown_path()),
    }
}

fn create(plane: &Plane, state: &mut State, request: &Request) -> Answered<Done> {
    let own = request.create(DOMAIN)?;
    let name = own.get("domainName").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    tags::check_new(&own)?;
    if state.domains.contains_key(&name) {
        return Err(conflict("The domain name you provided already exists."));
    }
    if state.domains.len() >= DOMAINS_MAX {
        return Err(bad_request("Maximum number of domain names has been reached"));
    }
    plane.change_domains(state, |domains| {
        let domain = Domain { own, mappings: BTreeMap::new(), from_template: false };
        domains.insert(name.clone(), domain);
        Ok(())
    })?;
    Ok(Done::created(plane.shown_domain(&name, find(state, &name)?)))
}

fn mappings(
    plane: &Plane,
    state: &mut State,
    name: &str,
    (method, rest): (&str, &[&str]),
    request: &Request,
) -> Answered<Done> {
    let mapping = |state: &State, id: &str| {
        let found = find(state, name)?.mappings.get(id).cloned();
        found.ok_or_else(|| not_found(format!("Invalid API mapping identifier specified {id}")))
    };
    match (method, rest) {
        ("POST", []) => {
            let own = request.create(MAPPING)?;
            check_mapping(plane, state, name, &own, None)?;
            let id = ids::fresh(6)?;
            plane.change_domain(state, name, |domain| {
                if domain.mappings.len() >= MAPPINGS_MAX {
                    return Err(bad_request("Maximum number of API mappings has been reached"));
                }
                domain.mappings.insert(id.clone(), own);
                Ok(())
            })?;
            Ok(Done::created(shown_mapping(&id, &mapping(state, &id)?)))
        }
        ("GET", []) => {
            let items = find(state, name)?.mappings.iter();
            let items = items.map(|(id, own)| (id.clone(), shown_mapping(id, own)));
            Ok(Done::ok(page(request, items.collect::<BTreeMap<_, _>>())?))
        }
        ("GET", [id]) => Ok(Done::ok(shown_mapping(id, &mapping(state, id)?))),
        ("PATCH", [id]) => {
            let mut own = mapping(state, id)?;
            patch(&mut own, request.update(MAPPING)?);
            check_mapping(plane, state, name, &own, Some(id))?;
            plane.change_domain(state, name, |domain| {
                domain.mappings.insert((*id).to_owned(), own);
                Ok(())
            })?;
            Ok(Done::ok(shown_mapping(id, &mapping(state, id)?)))
        }
        ("DELETE", [id]) => {
            mapping(state, id)?;
            plane.change_domain(state, name, |domain| {
                domain.mappings.remove(*id);
                Ok(())
            })?;
            Ok(Done::gone())
        }
        _ => Err(unknown_path()),
    }
}

/// A mapping leads to a stage that exists, and its key is its own.
fn check_mapping(
    plane: &Plane,
    state: &State,
    name: &str,
    own: &Resource,
    id: Option<&str>,
) -> Answered<()> {
    let text = |own: &Resource, member: &str| {
        own.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    stages::find(plane.api(state, &text(own, "apiId"))?, &text(own, "stage"))?;
    let key = text(own, "apiMappingKey");
    // Source: API Gateway Developer Guide, "Map API stages to a custom domain name".
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || "$-_.+!*'()".contains(letter);
    if !key.chars().all(is_allowed) {
        return Err(bad_request(format!(
            "{key:?} is not an API mapping key: letters, digits and $-_.+!*'() may stand in one"
        )));
    }
    let mut others = find(state, name)?.mappings.iter();
    if others.any(|(other, own)| Some(other.as_str()) != id && text(own, "apiMappingKey") == key) {
        return Err(conflict("ApiMapping key already exists for this domain name"));
    }
    Ok(())
}

fn find<'s>(state: &'s State, name: &str) -> Answered<&'s Domain> {
    state.domains.get(name).ok_or_else(missing)
}

fn missing() -> Refused {
    not_found("Invalid domain name identifier specified")
}

fn shown_mapping(id: &str, own: &Resource) -> Value {
    let mut shown = own.clone();
    shown.insert("apiMappingId".to_owned(), id.into());
    shown.entry("apiMappingKey".to_owned()).or_insert_with(|| "".into());
    shown.into()
}

impl Plane {
    fn change_domain(
        &self,
        state: &mut State,
        name: &str,
        change: impl FnOnce(&mut Domain) -> Answered<()>,
    ) -> Answered<()> {
        self.change_domains(state, |domains| change(domains.get_mut(name).ok_or_else(missing)?))
    }

    /// Changes the domain names, serves them, and keeps them; or does nothing.
    pub(crate) fn change_domains(
        &self,
        state: &mut State,
        change: impl FnOnce(&mut BTreeMap<String, Domain>) -> Answered<()>,
    ) -> Answered<()> {
        let old = state.domains.clone();
        let changed = change(&mut state.domains).and_then(|()| {
            let served = self.host.publish_domains(&state.domain_definitions());
            served.map_err(|problems| bad_request(problems.join("; ")))?;
            self.keep(state)
        });
        if changed.is_err() {
            state.domains = old;
            self.host.publish_domains(&state.domain_definitions()).ok(); // they were served a moment ago
        }
        changed
    }

    /// A domain name as it is answered.
    fn shown_domain(&self, name: &str, domain: &Domain) -> Resource {
        let mut shown = domain.own.clone();
        let region = &self.home.region;
        shown.insert("domainName".to_owned(), name.into());
        shown.insert(
            "domainNameArn".to_owned(),
            format!("arn:aws:apigateway:{region}::/domainnames/{name}").into(),
        );
        shown.insert("apiMappingSelectionExpression".to_owned(), "$request.basepath".into());
        shown.entry("routingMode".to_owned()).or_insert_with(|| "API_MAPPING_ONLY".into());
        shown.entry("tags".to_owned()).or_insert_with(|| json!({}));
        let configurations =
            shown.entry("domainNameConfigurations".to_owned()).or_insert_with(|| json!([{}]));
        for own in
            configurations.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut)
        {
            // What the name has to lead to, which here is a port.
            let target = self.host.domain_endpoint(name).unwrap_or_default();
            own.insert("apiGatewayDomainName".to_owned(), target.into());
            own.insert("domainNameStatus".to_owned(), "AVAILABLE".into());
            own.entry("endpointType".to_owned()).or_insert_with(|| "REGIONAL".into());
            own.entry("securityPolicy".to_owned()).or_insert_with(|| "TLS_1_2".into());
        }
        shown
    }
}

impl State {
    /// The domain names as they are to be served.
    pub(crate) fn domain_definitions(&self) -> Vec<DomainDefinition> {
        self.domains.iter().map(|(name, domain)| domain.definition(name)).collect()
    }
}

impl Domain {
    /// A domain that a template writes.
    pub(crate) fn of_template(definition: &DomainDefinition) -> Self {
        let mapping = |written: &MappingDefinition| {
            let mut own = Resource::new();
            own.insert("apiId".to_owned(), written.api.as_str().into());
            own.insert("stage".to_owned(), written.stage.as_str().into());
            own.insert("apiMappingKey".to_owned(), written.key.as_str().into());
            (written.id.clone(), own)
        };
        let mappings = definition.mappings.iter().map(mapping).collect();
        Self { own: Resource::new(), mappings, from_template: true }
    }

    fn definition(&self, name: &str) -> DomainDefinition {
        let mapping = |(id, own): (&String, &Resource)| {
            let text = |member: &str| own.get(member).and_then(Value::as_str);
            Some(MappingDefinition {
                id: id.clone(),
                key: text("apiMappingKey").unwrap_or_default().to_owned(),
                api: ApiId::parse(text("apiId")?).ok()?,
                stage: StageName::parse(text("stage")?).ok()?,
            })
        };
        let mappings = self.mappings.iter().filter_map(mapping).collect();
        DomainDefinition { name: name.to_owned(), mappings }
    }

    /// Whether a mapping leads to this API, and to this stage where one is named.
    pub(crate) fn leads_to(&self, api: &str, stage: Option<&str>) -> bool {
        self.mappings.values().any(|own| {
            let is =
                |member: &str, value: &str| own.get(member).and_then(Value::as_str) == Some(value);
            is("apiId", api) && stage.is_none_or(|stage| is("stage", stage))
        })
    }
}
