//! An input that holds everything in plain maps: for tests, and for callers without anything better.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::input::{ContextValue, Input, ParamPlace};

/// A message with what surrounds it.
#[derive(Debug, Clone, Default)]
pub struct Message {
    body: String,
    context: BTreeMap<String, String>,
    stage_variables: BTreeMap<String, String>,
    params: Vec<(ParamPlace, String, String)>,
}

impl Message {
    /// A message with this text.
    pub fn new(body: impl Into<String>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// Adds a variable of `$context` by its dotted name.
    #[must_use]
    pub fn with_context(mut self, name: &str, value: &str) -> Self {
        self.context.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds a variable of the stage.
    #[must_use]
    pub fn with_stage_variable(mut self, name: &str, value: &str) -> Self {
        self.stage_variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with_param(mut self, place: ParamPlace, name: &str, value: &str) -> Self {
        self.params.push((place, name.to_owned(), value.to_owned()));
        self
    }
}

impl Input for Message {
    fn body(&self) -> &str {
        &self.body
    }

    fn context(&self, name: &str) -> ContextValue<'_> {
        if let Some(text) = self.context.get(name) {
            return ContextValue::Text(Cow::Borrowed(text));
        }
        if self.context_names(name).is_empty() {
            ContextValue::Missing
        } else {
            ContextValue::Branch
        }
    }

    fn context_names(&self, branch: &str) -> Vec<String> {
        let below = |name: &String| {
            let rest = if branch.is_empty() {
                name.as_str()
            } else {
                name.strip_prefix(branch)?.strip_prefix('.')?
            };
            Some(rest.split('.').next().unwrap_or_default().to_owned())
        };
        let mut names: Vec<String> = self.context.keys().filter_map(below).collect();
        names.dedup();
        names
    }

    fn stage_variable(&self, name: &str) -> Option<&str> {
        self.stage_variables.get(name).map(String::as_str)
    }

    fn stage_variable_names(&self) -> Vec<String> {
        self.stage_variables.keys().cloned().collect()
    }

    fn params(&self, place: ParamPlace) -> Vec<(String, String)> {
        let here = self.params.iter().filter(|(found, ..)| *found == place);
        here.map(|(_, name, value)| (name.clone(), value.clone())).collect()
    }
}
