//! Whether a message is what its route's model says.
//!
//! Source: API Gateway Developer Guide, "Request validation for WebSocket APIs".

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use stillwire_model::{Api, Route};
use stillwire_schema::Schema;

use crate::rescue::Failure;
use crate::route;

/// The versions of an API whose models are kept: what each of its stages may serve, and one before.
///
/// Source: API Gateway quotas, "Stages per API" (10).
const VERSIONS_MAX: usize = 11;

/// The models of an API's versions, parsed when a message first needs them.
#[derive(Debug, Default)]
pub(crate) struct Schemas(Mutex<VecDeque<Version>>);

#[derive(Debug)]
struct Version {
    api: Arc<Api>,
    schemas: HashMap<String, Arc<Schema>>,
}

impl Schemas {
    /// Validates a message of a route.
    pub(crate) fn validate(
        &self,
        api: &Arc<Api>,
        route: &Route,
        text: &str,
    ) -> Result<(), Failure> {
        let Some(validation) = &route.validation else { return Ok(()) };
        let key = route::select(&validation.selection, text);
        let invalid = |problems: String| Err(Failure::BadRequestBody(problems));
        let Some(model) = validation.model(key.as_deref()) else {
            let key = key.unwrap_or_default();
            return invalid(format!("no model is for {key:?}, and there is none for $default"));
        };
        let schema = self.get(api, model)?;
        match serde_json::from_str(text) {
            Ok(value) => schema.validate(&value).or_else(|problems| invalid(problems.join("; "))),
            Err(error) => invalid(format!("it is not JSON: {error}")),
        }
    }

    fn get(&self, api: &Arc<Api>, model: &str) -> Result<Arc<Schema>, Failure> {
        let mut versions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = versions.iter().position(|version| Arc::ptr_eq(&version.api, api));
        let version = known.and_then(|place| versions.remove(place));
        let version =
            version.unwrap_or_else(|| Version { api: Arc::clone(api), schemas: HashMap::new() });
        versions.truncate(VERSIONS_MAX - 1);
        let current = versions.push_front_mut(version);
        if let Some(schema) = current.schemas.get(model) {
            return Ok(Arc::clone(schema));
        }
        let text = |name: &str| api.models.get(name).map(ToString::to_string);
        let parsed = Schema::parse_with_models(&text(model).unwrap_or_default(), &text);
        let schema = parsed.map(Arc::new).map_err(|error| {
            Failure::Unavailable(format!("the model {model} cannot be used: {error}"))
        })?;
        current.schemas.insert(model.to_owned(), Arc::clone(&schema));
        Ok(schema)
    }
}
