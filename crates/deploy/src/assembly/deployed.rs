//! Stacks that deploy tools have sent: their templates are texts, and their assets are what was uploaded.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::Reading;
use crate::assets::{Assets, Objects};
use crate::node::BYTES_MAX;
use crate::problem::{Location, Problem};
use crate::resolver::Unit;
use crate::template::{Scope, Template};

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
    /// Reads stacks that were sent.
    pub(crate) fn stacks(stacks: &[StackSource]) -> Self {
        let mut reading = Self::new(&BTreeMap::new());
        for stack in stacks {
            match read(stack) {
                Ok(unit) => _ = reading.add(unit, 0),
                Err(problems) => reading.problems.extend(problems),
            }
        }
        reading
    }
}

fn read(stack: &StackSource) -> Result<Unit, Vec<Problem>> {
    let named = |problem: Problem| problem.of_stack(&stack.name);
    // Where there is no file, messages name the stack.
    let file = Path::new(&stack.name);
    if stack.template.len() > BYTES_MAX {
        return Err(vec![named(Problem::new(Location::file(file), "it is larger than 64 MB"))]);
    }
    let template = Template::parse(file, &stack.template)
        .map_err(|problems| problems.into_iter().map(named).collect::<Vec<_>>())?;
    if let Some(name) =
        stack.parameters.keys().find(|name| !template.parameters.contains_key(*name))
    {
        // Source: observed wording of the service.
        let message = format!("Parameters: [{name}] do not exist in the template");
        return Err(vec![named(Problem::new(Location::file(file), message))]);
    }
    let scope = Scope::new(&stack.name, &stack.account, &stack.region);
    let assets = Rc::new(Assets::uploaded(Arc::clone(&stack.objects)));
    Ok(Unit::root(scope, stack.name.clone(), template, assets, stack.parameters.clone()))
}
