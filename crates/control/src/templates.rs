//! What templates declare, put in place of what they declared before.

use std::sync::PoisonError;

use stillwire_model::{ApiDefinition, ApiId, DomainDefinition};

use crate::ids;
use crate::plane::{ControlPlane, Plane};
use crate::state::{Api, Domain, State};

/// How the templates differ from those before.
#[derive(Debug, Clone, Copy)]
pub struct TemplateChange<'a> {
    /// The APIs that they declare no more. They are served no more already.
    pub gone: &'a [ApiId],
    /// The APIs that are new or declared otherwise. They are served already.
    pub apis: &'a [ApiDefinition],
    /// All custom domains that they declare, where anything about those differs.
    pub domains: Option<&'a [DomainDefinition]>,
}

impl ControlPlane {
    /// Takes what templates declare now in place of what they declared. What calls have changed of the rest stays.
    ///
    /// # Errors
    /// Why custom domains are not served. Everything else is in place then.
    pub fn replace_templates(&self, change: &TemplateChange<'_>) -> Result<(), Vec<String>> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        for id in change.gone {
            state.apis.remove(id.as_str());
        }
        self.0.put_templates(&mut state, change.apis);
        let Some(domains) = change.domains else { return Ok(()) };
        state.domains.retain(|_, domain| !domain.from_template);
        state.put_domains(domains);
        self.0.host.publish_domains(&state.domain_definitions())
    }
}

impl Plane {
    /// Puts the APIs of templates into the state: they are served already.
    pub(crate) fn put_templates(&self, state: &mut State, definitions: &[ApiDefinition]) {
        let now = self.now();
        for definition in definitions {
            match Api::of_template(definition, &now, &mut || ids::fresh(6)) {
                Ok(api) => _ = state.apis.insert(definition.id.to_string(), api),
                Err(error) => tracing::error!(?error, "an API of a template cannot be changed"),
            }
        }
    }
}

impl State {
    /// Puts the custom domains of templates into the state.
    pub(crate) fn put_domains(&mut self, definitions: &[DomainDefinition]) {
        let read = |definition: &DomainDefinition| {
            (definition.name.clone(), Domain::of_template(definition))
        };
        self.domains.extend(definitions.iter().map(read));
    }
}
