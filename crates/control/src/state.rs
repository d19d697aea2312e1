//! What has been built: APIs with their parts, stages and deployments; domain names with their mappings.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stillwire_model::{ApiDefinition, ApiId, ApiPart, Serves, StageDefinition, StageName};

use crate::error::Answered;
use crate::kinds::{API, KINDS, Kind, STAGE};
use crate::members::{Resource, from_properties, pascal, to_properties};
use crate::plane::Home;

/// Everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// By their ids.
    pub(crate) apis: BTreeMap<String, Api>,
    /// By their names.
    pub(crate) domains: BTreeMap<String, Domain>,
}

/// An API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Api {
    pub(crate) account: String,
    pub(crate) region: String,
    /// In the form in which it is answered, as everywhere here.
    pub(crate) own: Resource,
    pub(crate) created: String,
    /// It comes from a template, and goes with it.
    #[serde(skip)]
    pub(crate) from_template: bool,
    pub(crate) parts: Parts,
    /// By their names.
    pub(crate) stages: BTreeMap<String, Stage>,
    /// By their ids.
    pub(crate) deployments: BTreeMap<String, Deployment>,
}

/// The parts of an API by kind and id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Parts(BTreeMap<String, BTreeMap<String, Part>>);

/// A part of an API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// The id of the part it belongs to, for kinds that belong to one.
    pub(crate) parent: Option<String>,
    pub(crate) own: Resource,
}

/// A stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stage {
    pub(crate) own: Resource,
    pub(crate) created: String,
    pub(crate) updated: String,
    /// How the last automatic deployment went.
    pub(crate) message: Option<String>,
}

/// A snapshot of an API's parts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Deployment {
    pub(crate) description: Option<String>,
    pub(crate) created: String,
    pub(crate) automatic: bool,
    /// The API itself as it was: its selection expressions are part of a deployment.
    pub(crate) api: Arc<Resource>,
    pub(crate) parts: Arc<Parts>,
}

/// A custom domain name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Domain {
    pub(crate) own: Resource,
    /// By their ids.
    pub(crate) mappings: BTreeMap<String, Resource>,
    /// It comes from a template, and goes with it.
    #[serde(skip)]
    pub(crate) from_template: bool,
}

impl State {
    /// What outlives this run: what templates brought comes with them again.
    pub(crate) fn to_keep(&self) -> Self {
        let apis = self.apis.iter().filter(|(_, api)| !api.from_template);
        let domains = self.domains.iter().filter(|(_, domain)| !domain.from_template);
        Self {
            apis: apis.map(|(id, api)| (id.clone(), api.clone())).collect(),
            domains: domains.map(|(name, domain)| (name.clone(), domain.clone())).collect(),
        }
    }
}

impl Parts {
    /// The parts of a kind, by id.
    pub(crate) fn of(&self, kind: &Kind) -> impl Iterator<Item = (&String, &Part)> {
        self.0.get(kind.segment).into_iter().flatten()
    }

    pub(crate) fn get(&self, kind: &Kind, id: &str) -> Option<&Part> {
        self.0.get(kind.segment)?.get(id)
    }

    pub(crate) fn get_mut(&mut self, kind: &Kind, id: &str) -> Option<&mut Part> {
        self.0.get_mut(kind.segment)?.get_mut(id)
    }

    pub(crate) fn insert(&mut self, kind: &Kind, id: String, part: Part) {
        self.0.entry(kind.segment.to_owned()).or_default().insert(id, part);
    }

    /// Removes a part, with those that belong to it.
    pub(crate) fn remove(&mut self, kind: &Kind, id: &str) -> Option<Part> {
        let removed = self.0.get_mut(kind.segment)?.remove(id)?;
        for child in KINDS
            .iter()
            .filter(|child| child.parent.is_some_and(|(segment, _)| segment == kind.segment))
        {
            if let Some(children) = self.0.get_mut(child.segment) {
                children.retain(|_, part| part.parent.as_deref() != Some(id));
            }
        }
        Some(removed)
    }

    /// Whether any part has this id.
    pub(crate) fn contains_id(&self, id: &str) -> bool {
        self.0.values().any(|parts| parts.contains_key(id))
    }
}

impl Api {
    /// The parts as they are deployed to a stage; none when nothing was deployed to it.
    pub(crate) fn deployment_of(&self, stage: &Stage) -> Option<&Deployment> {
        self.deployments.get(stage.deployment_id()?)
    }

    /// What is served of it.
    pub(crate) fn definition(&self, id: &str) -> Option<ApiDefinition> {
        let stages = self.stages.iter().filter_map(|(name, stage)| {
            let serves = match self.deployment_of(stage) {
                Some(made) if *made.parts == self.parts && *made.api == self.own => Serves::Latest,
                Some(made) => Serves::Snapshot(parts_as_written(id, &made.api, &made.parts)),
                None => Serves::Nothing,
            };
            let properties = to_properties(&stage.own, STAGE);
            Some((StageName::parse(name).ok()?, StageDefinition { properties, serves }))
        });
        Some(ApiDefinition {
            id: ApiId::parse(id).ok()?,
            account: self.account.clone(),
            region: self.region.clone(),
            parts: parts_as_written(id, &self.own, &self.parts),
            stages: stages.collect(),
        })
    }

    /// An API without parts and stages.
    pub(crate) fn new(home: &Home, own: Resource, now: &str) -> Self {
        Self {
            account: home.account.clone(),
            region: home.region.clone(),
            own,
            created: now.to_owned(),
            from_template: false,
            parts: Parts::default(),
            stages: BTreeMap::new(),
            deployments: BTreeMap::new(),
        }
    }

    /// An API that a template writes. What it has there is deployed to all its stages.
    pub(crate) fn of_template(
        definition: &ApiDefinition,
        now: &str,
        fresh_id: &mut dyn FnMut() -> Answered<String>,
    ) -> Answered<Self> {
        let mut own = Resource::new();
        let mut parts = Parts::default();
        let mut deployed = Vec::new();
        for ApiPart { kind, id, properties } in &definition.parts {
            match kind.as_str() {
                "Api" => own = from_properties(properties, API),
                "Deployment" => deployed.push(id.clone()),
                _ => {
                    let Some(kind) = Kind::of_name(kind) else { continue };
                    let named = |(_, member): (_, &'static str)| properties.get(&pascal(member));
                    let parent = kind.parent.and_then(named).and_then(Value::as_str);
                    let own = from_properties(properties, kind.members);
                    parts.insert(kind, id.clone(), Part { parent: parent.map(str::to_owned), own });
                }
            }
        }
        let home = Home { account: definition.account.clone(), region: definition.region.clone() };
        let mut api = Self { from_template: true, parts, ..Self::new(&home, own, now) };
        for id in deployed {
            api.deployments.insert(id, api.snapshot(now, None, false));
        }
        for (name, stage) in &definition.stages {
            let mut own = from_properties(&stage.properties, STAGE);
            let known = own.get("deploymentId").and_then(Value::as_str);
            if !known.is_some_and(|id| api.deployments.contains_key(id)) {
                let id = fresh_id()?;
                own.insert("deploymentId".to_owned(), id.clone().into());
                api.deployments.insert(id, api.snapshot(now, None, true));
            }
            let stage =
                Stage { own, created: now.to_owned(), updated: now.to_owned(), message: None };
            api.stages.insert(name.to_string(), stage);
        }
        Ok(api)
    }

    /// A deployment of what is there now.
    pub(crate) fn snapshot(
        &self,
        now: &str,
        description: Option<String>,
        automatic: bool,
    ) -> Deployment {
        Deployment {
            description,
            created: now.to_owned(),
            automatic,
            api: Arc::new(self.own.clone()),
            parts: Arc::new(self.parts.clone()),
        }
    }
}

impl Stage {
    pub(crate) fn deployment_id(&self) -> Option<&str> {
        self.own.get("deploymentId").and_then(Value::as_str)
    }

    pub(crate) fn deploys_itself(&self) -> bool {
        self.own.get("autoDeploy").and_then(Value::as_bool) == Some(true)
    }
}

/// Parts as templates write them.
fn parts_as_written(api: &str, own: &Resource, parts: &Parts) -> Vec<ApiPart> {
    let itself =
        ApiPart { kind: "Api".to_owned(), id: api.to_owned(), properties: to_properties(own, API) };
    let written = KINDS.iter().flat_map(|kind| {
        parts.of(kind).map(move |(id, part)| {
            let mut properties = to_properties(&part.own, kind.members);
            if let (Some((_, member)), Some(parent)) = (kind.parent, &part.parent) {
                properties.insert(pascal(member), parent.clone().into());
            }
            ApiPart { kind: kind.name.to_owned(), id: id.clone(), properties }
        })
    });
    [itself].into_iter().chain(written).collect()
}
