//! Terraform: a plan or a state (`terraform show -json`), written out as a template.
//!
//! A plan says what every resource will be, but not what is only known once it exists: ids and ARNs. Those come from
//! what the configuration refers to. What the configuration computes of them (a text around an id) is not in a plan;
//! where nothing else tells it, a state does, which knows everything.
//!
//! Source: Terraform documentation, "JSON Output Format" (format versions 1.x); the AWS provider's documentation of
//! each resource.

mod document;
mod function;
mod kinds;
mod policy;
mod reader;
mod references;
mod special;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map as JsonMap, Value as Json, json};

use self::document::{Document, Instance};
use crate::assets::read_text;
use crate::macros::Context;
use crate::node::{Map, Member, Node, Position, Value};
use crate::problem::{Location, Problem};
use crate::report::Notice;

pub(crate) use self::document::looks_like;

/// The region of a provider that names none.
const REGION: &str = "us-east-1";

/// A plan or state, read.
#[derive(Debug)]
pub(crate) struct Infrastructure {
    file: std::path::PathBuf,
    document: Document,
    pub(crate) account: Option<String>,
    pub(crate) region: String,
}

impl Infrastructure {
    /// Reads the output of `terraform show -json`, or a state file.
    pub(crate) fn read(file: &Path) -> Result<Self, Vec<Problem>> {
        let text = read_text(file).map_err(|problem| vec![problem])?;
        let root = Node::parse_json(&text).map_err(|error| {
            let problem = Problem::new(
                Location::at(file, error.at),
                format!("this is not JSON: {}", error.problem),
            );
            vec![problem.hint("make it with `terraform show -json PLAN > plan.json`")]
        })?;
        let document = Document::of(root.to_json()).map_err(|message| {
            let problem = Problem::new(Location::file(file), message);
            vec![problem.hint("make it with `terraform show -json PLAN > plan.json`")]
        })?;
        let account = document.account();
        let region = document.region().unwrap_or_else(|| REGION.to_owned());
        Ok(Self { file: file.to_owned(), document, account, region })
    }

    /// The template that its resources are.
    pub(crate) fn template(&self, context: &Context<'_>) -> (Map, Vec<Notice>) {
        let mut writer = Writer {
            document: &self.document,
            file: &self.file,
            stack: &context.scope.stack,
            made: BTreeMap::new(),
            order: Vec::new(),
            notices: Vec::new(),
        };
        for instance in &self.document.instances {
            writer.write(instance);
        }
        writer.attach();
        let outputs = writer.outputs();
        let section = |name: &str, members: Vec<Member>| Member {
            name: name.to_owned(),
            at: Position::START,
            node: Node { at: Position::START, value: Value::Map(Map(members)) },
        };
        let resources = writer.order.iter().filter_map(|id| {
            let node = Node::from_json(Position::START, writer.made.get(id)?);
            Some(Member { name: id.clone(), at: Position::START, node })
        });
        let resources = section("Resources", resources.collect());
        (Map(vec![resources, section("Outputs", outputs)]), writer.notices)
    }
}

/// Writes a template.
struct Writer<'a> {
    document: &'a Document,
    file: &'a Path,
    stack: &'a str,
    made: BTreeMap<String, Json>,
    order: Vec<String>,
    notices: Vec<Notice>,
}

impl Writer<'_> {
    fn warn(&mut self, instance: &Instance, property: &str, text: impl Into<String>) {
        let mut location = Location::file(self.file);
        location.stack = Some(self.stack.to_owned());
        location.logical_id = Some(instance.address.clone());
        location.property = Some(property.to_owned());
        let notice = Notice::warning(location, text);
        self.notices.push(notice.hint(
            "apply it once, and give the state: `terraform show -json > state.json`; or write the value out",
        ));
    }

    fn write(&mut self, instance: &Instance) {
        if !instance.managed {
            return;
        }
        let (kind, properties) = match kinds::find(&instance.kind) {
            Some(kind) => {
                let mut properties = JsonMap::new();
                for (ours, theirs) in kind.fields {
                    if let Some(value) = self.value(instance, ours) {
                        properties.insert((*theirs).to_owned(), value);
                    }
                }
                self.special(instance, &mut properties);
                (kind.name.to_owned(), properties)
            }
            None if special::is_silent(&instance.kind) => return,
            None => (format!("Terraform::{}", instance.kind), JsonMap::new()),
        };
        let resource = json!({ "Type": kind, "Properties": properties,
            "Metadata": { "aws:cdk:path": instance.address } });
        self.order.push(instance.id.clone());
        self.made.insert(instance.id.clone(), resource);
    }

    fn outputs(&mut self) -> Vec<Member> {
        let document = self.document;
        let mut members = Vec::new();
        for (name, output) in &document.outputs {
            let value = match output.get("value") {
                Some(Json::Null) | None => {
                    let expression = document.output_expression(name);
                    expression.and_then(|expression| document.referenced(expression, "", None))
                }
                Some(value) => Some(document.literal(value)),
            };
            let Some(value) = value else { continue };
            let key: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            let node = Node::from_json(Position::START, &json!({ "Value": value }));
            members.push(Member { name: key, at: Position::START, node });
        }
        members
    }
}
