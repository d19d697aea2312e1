//! What can be resolved of a template before its macros run: parameters, mappings and conditions, no resources.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Context;
use crate::node::{Map, Node};
use crate::problem::Problem;
use crate::resolver::{Resolver, Unit, World};
use crate::template::{Template, named};

/// A template without its resources.
#[derive(Debug)]
pub(super) struct Early {
    world: World,
}

impl Early {
    pub(super) fn new(root: &Map, context: &Context<'_>) -> Self {
        let section =
            |name: &str| named(root.get(name).and_then(Node::as_map).cloned().unwrap_or_default());
        let template = Template {
            description: None,
            file: context.file.to_owned(),
            parameters: section("Parameters"),
            mappings: section("Mappings"),
            conditions: section("Conditions"),
            resources: BTreeMap::new(),
            outputs: BTreeMap::new(),
            output_order: Vec::new(),
        };
        let unit = Unit {
            scope: context.scope.clone(),
            display_name: context.scope.stack.clone(),
            template,
            assets: Rc::default(),
            parent: None,
            children: BTreeMap::new(),
            given: context.given.clone(),
            after: Vec::new(),
        };
        let store = Rc::clone(context.store);
        Self { world: World { units: vec![unit], exports: BTreeMap::new(), store } }
    }

    /// The value of a node; `None` is `AWS::NoValue`.
    pub(super) fn resolve(&self, owner: &str, node: &Node) -> Result<Option<Node>, Vec<Problem>> {
        let mut resolver = Resolver::new(&self.world);
        let value = resolver.within(0, owner, "", |resolver| resolver.resolve(0, node));
        value.map_err(|_| resolver.problems)
    }
}
