//! Mapping templates, parsed once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use stillwire_velocity::{Input, Template};

use crate::rescue::Failure;

/// Templates that are kept. An API has at most a few hundred; after many deployments all are parsed anew.
const TEMPLATES_MAX: usize = 4096;

/// Templates by their text.
#[derive(Debug, Default)]
pub(crate) struct Templates(Mutex<HashMap<String, Arc<Template>>>);

impl Templates {
    /// Renders a template.
    pub(crate) fn render(&self, text: &str, input: &dyn Input) -> Result<String, Failure> {
        let rendered = self.get(text)?.evaluate(input).map_err(|error| failure(&error))?;
        Ok(rendered.text)
    }

    fn get(&self, text: &str) -> Result<Arc<Template>, Failure> {
        let mut templates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(template) = templates.get(text) {
            return Ok(Arc::clone(template));
        }
        let template = Arc::new(Template::parse(text).map_err(|error| failure(&error))?);
        if templates.len() >= TEMPLATES_MAX {
            templates.clear();
        }
        templates.insert(text.to_owned(), Arc::clone(&template));
        Ok(template)
    }
}

fn failure(error: &dyn std::fmt::Display) -> Failure {
    Failure::Template(error.to_string())
}
