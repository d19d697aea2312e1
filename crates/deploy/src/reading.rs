//! Stacks as those see them who deploy by calls: what a template says about itself, and what it comes to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stillwire_model::{
    DeclaredParameter, NestedStack, StackName, StackOutput, StackParameter, StackProblem,
    StackReading, StackRequest, StackResource, TemplateSummary,
};

use crate::load::{Loaded, Loading};
use crate::node::{BYTES_MAX, Map, Node};
use crate::problem::{Location, Problem};
use crate::report::{Action, ResourceRow};
use crate::template;

/// What the template of a stack says besides what runs.
#[derive(Debug, Clone)]
pub struct LoadedStack {
    /// The stack's ARN, as its template knows it.
    pub id: String,
    /// The stack that it is nested in, and its logical id there.
    pub parent: Option<(String, String)>,
    /// The file of its template.
    pub template: PathBuf,
    /// What it says it is for.
    pub description: Option<String>,
    /// Its parameters, with their values.
    pub parameters: Vec<StackParameter>,
    /// The exports of other stacks that it imports.
    pub imports: Vec<String>,
}

impl Loading<'_> {
    /// What a stack's template says besides.
    pub(crate) fn about(&mut self, index: usize) -> LoadedStack {
        let unit = self.resolver.unit(index);
        let mut parameters = Vec::new();
        for (name, node) in &unit.template.parameters {
            let Ok(Some(value)) = self.resolver.parameter(index, node.at, name) else { continue };
            let found = match value.as_list() {
                Some(items) => items.iter().filter_map(Node::scalar).collect::<Vec<_>>().join(","),
                None => value.scalar().unwrap_or_default(),
            };
            let text = |member: &str| node.get(member).and_then(Node::scalar);
            let is_stored = text("Type").is_some_and(|kind| kind.starts_with("AWS::SSM::"));
            let given = || unit.given.get(name).cloned().or_else(|| text("Default"));
            parameters.push(StackParameter {
                key: name.clone(),
                value: if is_stored { given().unwrap_or_default() } else { found.clone() },
                resolved: is_stored.then_some(found),
                no_echo: text("NoEcho").as_deref() == Some("true"),
            });
        }
        let imports = self.resolver.imports.get(&index);
        LoadedStack {
            id: unit.scope.stack_id(),
            parent: unit
                .parent
                .as_ref()
                .map(|(parent, id)| (self.resolver.unit(*parent).scope.stack.clone(), id.clone())),
            template: unit.template.file.clone(),
            description: unit.template.description.clone(),
            parameters,
            imports: imports.into_iter().flatten().cloned().collect(),
        }
    }
}

impl Loaded {
    /// What a stack comes to; `None` when it is not among these.
    pub fn reading(&self, name: &str) -> Option<StackReading> {
        let index = self.app.stacks.iter().position(|stack| *stack.name == *name)?;
        let (stack, about) = (self.app.stacks.get(index)?, self.stacks.get(index)?);
        let resources = self.resources.iter().filter(|row| row.stack == name);
        Some(StackReading {
            description: about.description.clone(),
            resources: resources.filter_map(resource).collect(),
            outputs: stack
                .outputs
                .iter()
                .map(|output| StackOutput {
                    key: output.key.clone(),
                    value: output.value.clone(),
                    description: output.description.clone(),
                    export: output.export.clone(),
                })
                .collect(),
            parameters: about.parameters.clone(),
            imports: about.imports.clone(),
            nested: self.nested(name),
        })
    }

    /// The stacks that are declared in a stack. They were loaded, so they are nested only as deep as is read.
    fn nested(&self, name: &str) -> BTreeMap<String, NestedStack> {
        let mut nested = BTreeMap::new();
        for (stack, about) in self.app.stacks.iter().zip(&self.stacks) {
            let Some((parent, id)) = &about.parent else { continue };
            if parent != name {
                continue;
            }
            let Some(reading) = self.reading(&stack.name) else { continue };
            let parameters = about.parameters.iter();
            let request = StackRequest {
                name: StackName {
                    account: stack.account.as_str().into(),
                    region: stack.region.as_str().into(),
                    name: Arc::clone(&stack.name),
                },
                id: about.id.as_str().into(),
                // It was there a moment ago; one that has gone since has nothing to show.
                template: fs::read_to_string(&about.template).unwrap_or_default().into(),
                parameters: parameters.map(|one| (one.key.clone(), one.value.clone())).collect(),
                tags: BTreeMap::new(),
            };
            nested.insert(id.clone(), NestedStack { request, reading });
        }
        nested
    }
}

fn resource(row: &ResourceRow) -> Option<StackResource> {
    let properties = row.properties.0.iter();
    let note = (row.action == Action::NotRun).then(|| row.note.clone());
    Some(StackResource {
        logical_id: row.logical_id.clone(),
        physical_id: row.physical_id.clone()?,
        resource_type: row.kind.clone(),
        fingerprints: properties
            .map(|(name, value)| (format!("Properties.{name}"), value.to_string()))
            .chain([("DeletionPolicy".to_owned(), row.is_retained.to_string())])
            .collect(),
        is_retained: row.is_retained,
        note,
    })
}

/// What a template says about itself, before anything of it is resolved.
///
/// # Errors
/// When it is no template.
pub fn summarize(text: &str) -> Result<TemplateSummary, Vec<StackProblem>> {
    let file = Path::new("template");
    let refuse =
        |message: String| vec![StackProblem { logical_id: None, resource_type: None, message }];
    if text.len() > BYTES_MAX {
        return Err(refuse("the template is larger than 64 MB".to_owned()));
    }
    let root = template::parse(file, text)
        .map_err(|problems| problems.iter().map(Problem::for_deployer).collect::<Vec<_>>())?;
    let Some(map) = root.as_map() else {
        return Err(refuse("a template is an object with `Resources`".to_owned()));
    };
    let section =
        |name: &str| map.get(name).and_then(Node::as_map).into_iter().flat_map(|of: &Map| &of.0);
    let parameters = section("Parameters").map(|member| {
        let text = |name: &str| member.node.get(name).and_then(Node::scalar);
        let allowed = member.node.get("AllowedValues").and_then(Node::as_list);
        DeclaredParameter {
            key: member.name.clone(),
            parameter_type: text("Type").unwrap_or_else(|| "String".to_owned()),
            default: text("Default"),
            no_echo: text("NoEcho").as_deref() == Some("true"),
            description: text("Description"),
            allowed_values: allowed.into_iter().flatten().filter_map(Node::scalar).collect(),
        }
    });
    let resources = section("Resources").filter_map(|member| {
        Some((member.name.clone(), member.node.get("Type").and_then(Node::as_text)?.to_owned()))
    });
    let transforms = map.get("Transform").map(|node| match node.as_list() {
        Some(items) => items.iter().filter_map(Node::scalar).collect(),
        None => node.scalar().into_iter().collect(),
    });
    Ok(TemplateSummary {
        description: map.get("Description").and_then(Node::scalar),
        parameters: parameters.collect(),
        resources: resources.collect(),
        transforms: transforms.unwrap_or_default(),
        metadata: map.get("Metadata").map(|node| node.to_json().to_string()),
    })
}

impl Problem {
    /// The same for somebody who deploys by calls.
    pub fn for_deployer(&self) -> StackProblem {
        let Location { position, property, logical_id, .. } = &*self.location;
        let mut message = self.message.clone();
        if let Some(property) = property {
            message = format!("{message} ({property}, line {})", position.line);
        } else if position.line > 1 {
            message = format!("{message} (line {}, column {})", position.line, position.column);
        }
        if let Some(hint) = &self.hint {
            message = format!("{message}; {hint}");
        }
        StackProblem { logical_id: logical_id.clone(), resource_type: None, message }
    }
}
