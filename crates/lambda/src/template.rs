//! Functions of templates, as the service shows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use stillwire_model::{FunctionDefinition, LATEST};

use crate::policy::{self, Grant};
use crate::room::revision;
use crate::settings;
use crate::state::{Alias, Configuration, Function, Policy, StoredCode};

/// Properties that are read by themselves, and those that are no members of a configuration.
const READ: [&str; 9] = [
    "FunctionName",
    "Runtime",
    "Handler",
    "MemorySize",
    "Timeout",
    "Environment",
    "Code",
    "Tags",
    "ReservedConcurrentExecutions",
];

/// What a template says about a function.
pub(crate) fn function(definition: &FunctionDefinition, now: &str, epoch_millis: u64) -> Function {
    let FunctionDefinition { function, properties, parts } = definition;
    let members = properties.iter().filter(|(name, _)| !READ.contains(&name.as_str()));
    let latest = Configuration {
        version: LATEST.to_owned(),
        runtime: function.runtime.to_string(),
        handler: function.handler.clone(),
        memory_mb: function.memory_mb,
        timeout_seconds: u32::try_from(function.timeout.as_secs()).unwrap_or(u32::MAX),
        environment: function.environment.clone(),
        members: members.map(|(name, value)| (name.clone(), as_shown(name, value))).collect(),
        code: StoredCode::Template(function.code.clone()),
        layers: function.layers.clone(),
        modified: now.to_owned(),
        revision: revision(),
    };
    let mut read = Function {
        arn: function.arn.clone(),
        latest,
        versions: BTreeMap::new(),
        last_version: 0,
        aliases: BTreeMap::new(),
        policies: BTreeMap::new(),
        event_settings: BTreeMap::new(),
        reserved: function.reserved_concurrency,
        tags: tags(properties.get("Tags")),
        origin: Some((Arc::clone(&function.stack), Arc::clone(&function.logical_id))),
    };
    for part in parts {
        let text = |name: &str| text(&part.properties, name);
        match part.kind.as_str() {
            "Version" => read.publish(text("Description"), now),
            "Alias" => {
                let Some(name) = text("Name") else { continue };
                let alias = Alias {
                    version: text("FunctionVersion").unwrap_or_else(|| LATEST.to_owned()),
                    description: text("Description").unwrap_or_default(),
                    second: second(&part.properties),
                    revision: revision(),
                };
                read.aliases.insert(name, alias);
            }
            "Permission" => {
                let qualifier = qualifier_of(&text("FunctionName").unwrap_or_default());
                let statement = policy::statement(&Grant {
                    id: &part.id,
                    resource: &crate::name::qualified(function.arn.as_str(), qualifier.as_deref()),
                    action: &text("Action").unwrap_or_default(),
                    principal: &text("Principal").unwrap_or_default(),
                    source_arn: text("SourceArn").as_deref(),
                    source_account: text("SourceAccount").as_deref(),
                });
                let of = read.policies.entry(qualifier.unwrap_or_default());
                let of = of.or_insert_with(|| Policy { revision: revision(), ..Policy::default() });
                of.statements.push(statement);
            }
            "EventInvokeConfig" => {
                let qualifier = text("Qualifier").unwrap_or_else(|| LATEST.to_owned());
                match settings::event_settings(&part.properties, epoch_millis / 1000) {
                    Ok(settings) => _ = read.event_settings.insert(qualifier, settings),
                    Err(refused) => tracing::warn!(
                        function = %function.arn, ?refused, "how its events are repeated is not right"
                    ),
                }
            }
            _ => {}
        }
    }
    read
}

/// A property as answers have it: mostly as the template does.
///
/// Source: service model `lambda`, `LayersList`: a layer is a structure, in templates its ARN.
fn as_shown(name: &str, value: &Value) -> Value {
    match (name, value) {
        ("Layers", Value::Array(layers)) => {
            layers.iter().map(|arn| json!({ "Arn": arn, "CodeSize": 0 })).collect()
        }
        _ => value.clone(),
    }
}

impl Function {
    /// Makes what the function is now a version.
    pub(crate) fn publish(&mut self, description: Option<String>, now: &str) {
        self.last_version += 1;
        let mut version = Configuration {
            version: self.last_version.to_string(),
            modified: now.to_owned(),
            revision: revision(),
            ..self.latest.clone()
        };
        if let Some(description) = description {
            version.members.insert("Description".to_owned(), description.into());
        }
        self.versions.insert(self.last_version, version);
    }
}

/// What is after a function's name or ARN.
fn qualifier_of(text: &str) -> Option<String> {
    crate::name::Named::parse(text, None).ok()?.qualifier
}

fn text(properties: &Map<String, Value>, name: &str) -> Option<String> {
    match properties.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A template has tags as a list of keys and values.
fn tags(list: Option<&Value>) -> BTreeMap<String, String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_object)
        .filter_map(|tag| Some((text(tag, "Key")?, text(tag, "Value")?)))
        .collect()
}

fn second(properties: &Map<String, Value>) -> Option<(String, f64)> {
    let routing = properties.get("RoutingConfig")?.get("AdditionalVersionWeights")?;
    let first = routing.as_array()?.first()?.as_object()?;
    let share = text(first, "FunctionWeight")?.parse().ok()?;
    Some((text(first, "FunctionVersion")?, share))
}

/// The same as a request has it: by version.
pub(crate) fn weights(second: Option<&(String, f64)>) -> Value {
    second.map_or_else(
        || json!({}),
        |(version, share)| {
            let weights: Map<String, Value> =
                [(version.clone(), json!(share))].into_iter().collect();
            json!({ "AdditionalVersionWeights": weights })
        },
    )
}
