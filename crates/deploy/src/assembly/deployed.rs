//! Stacks that deploy tools have sent: their templates are texts, and their assets are what was uploaded.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::{Given, Reading};
use crate::assets::{Assets, Objects};
use crate::node::BYTES_MAX;
use crate::problem::{Location, Problem};
use crate::resolver::Unit;
use crate::template::Scope;

/// A stack as a deploy tool sends it.
#[derive(Debug, Clone)]
pub struct StackSource {
    /// Its name.
    pub name: String,
    /// The account it is in.
    pub account: String,
    /// The region it is in.
    pub region: String,
    /// Its template.
    pub template: Arc<str>,
    /// Values for its parameters.
    pub parameters: BTreeMap<String, String>,
    /// Where its code and the templates of its nested stacks are.
    pub objects: Arc<dyn Objects>,
}

impl Reading {
    /// Reads stacks that were sent. Parameters are given with each of them.
    pub(crate) fn stacks(stacks: &[StackSource], given: &Given) -> Self {
        let mut reading = Self::new(given);
        for stack in stacks {
            let before = reading.problems.len();
            reading.sent(stack);
            // Where there is no file, messages name the stack.
            for problem in reading.problems.iter_mut().skip(before) {
                problem.location.stack.get_or_insert_with(|| stack.name.clone());
            }
        }
        reading
    }

    fn sent(&mut self, stack: &StackSource) {
        let file = Path::new(&stack.name);
        let problem = |message: String| Problem::new(Location::file(file), message);
        if stack.template.len() > BYTES_MAX {
            return self.problems.push(problem("it is larger than 64 MB".to_owned()));
        }
        let scope = Scope::new(&stack.name, &stack.account, &stack.region);
        let Some(template) = self.parse(file, &stack.template, &scope, &stack.parameters) else {
            return;
        };
        let is_unknown = |name: &&String| !template.parameters.contains_key(*name);
        if let Some(name) = stack.parameters.keys().find(is_unknown) {
            // Source: observed wording of the service.
            let message = format!("Parameters: [{name}] do not exist in the template");
            return self.problems.push(problem(message));
        }
        let assets = Rc::new(Assets::uploaded(Arc::clone(&stack.objects)));
        let parameters = stack.parameters.clone();
        self.add(Unit::root(scope, stack.name.clone(), template, assets, parameters), 0);
    }
}
