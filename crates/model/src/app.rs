//! An app: all that one `dev` brings.

use std::sync::Arc;

use crate::{Api, Domain, EventSourceMapping, Function, Role, Table};

/// Everything that one `dev` or `deploy` brings: the stacks of one assembly.
#[derive(Debug, Clone, Default)]
pub struct App {
    /// The stacks, in the order they are to be created.
    pub stacks: Vec<Stack>,
}

impl App {
    /// The APIs of all stacks.
    pub fn apis(&self) -> impl Iterator<Item = &Arc<Api>> {
        self.stacks.iter().flat_map(|stack| &stack.apis)
    }

    /// The custom domains of all stacks.
    pub fn domains(&self) -> impl Iterator<Item = &Arc<Domain>> {
        self.stacks.iter().flat_map(|stack| &stack.domains)
    }

    /// The functions of all stacks.
    pub fn functions(&self) -> impl Iterator<Item = &Arc<Function>> {
        self.stacks.iter().flat_map(|stack| &stack.functions)
    }

    /// The event source mappings of all stacks.
    pub fn event_sources(&self) -> impl Iterator<Item = &Arc<EventSourceMapping>> {
        self.stacks.iter().flat_map(|stack| &stack.event_sources)
    }

    /// The roles of all stacks.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.stacks.iter().flat_map(|stack| &stack.roles)
    }

    /// The tables of all stacks.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.stacks.iter().flat_map(|stack| &stack.tables)
    }
}

/// One template's resources, as far as they run here.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Its name (`dev-Chat`).
    pub name: Arc<str>,
    /// How the CDK's users name it (`dev/Chat`); the name again where there is no CDK.
    pub display_name: String,
    /// The account its ARNs carry.
    pub account: String,
    /// The region its ARNs carry.
    pub region: String,
    /// Its WebSocket APIs.
    pub apis: Vec<Arc<Api>>,
    /// Its custom domains.
    pub domains: Vec<Arc<Domain>>,
    /// Its functions.
    pub functions: Vec<Arc<Function>>,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Its tables.
    pub tables: Vec<Arc<Table>>,
    /// Its event source mappings.
    pub event_sources: Vec<Arc<EventSourceMapping>>,
    /// What it declares under `Outputs`.
    pub outputs: Vec<Output>,
}

/// One output of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its key in the template.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What it says about itself.
    pub description: Option<String>,
    /// The name by which other stacks of its account and region import it.
    pub export: Option<String>,
}
