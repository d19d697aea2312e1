//! `AWS::Serverless-2016-10-31`: SAM's resources, written out as the plain ones they stand for.
//!
//! Generated logical ids are AWS's, so that what refers to them finds them. What the plain resources mean is none of
//! this module's business: what SAM makes and Stillwire does not run becomes a resource that is listed so.
//!
//! Source: the SAM specification (2016-10-31), and what the published transform makes of templates. Differs: a layer
//! keeps its logical id, which has a hash at its end on AWS; versions have a hash of their own.

mod connector;
mod events;
mod function;
mod globals;
mod implicit;
mod policies;
mod policy_templates;
mod references;
mod simple;
mod websocket;

use std::collections::{BTreeMap, BTreeSet};

use self::globals::Globals;
use super::{Context, Early, Expanded};
use crate::node::{Map, Member, Node, Position, Value};
use crate::problem::Problem;
use crate::report::Notice;

/// The types of SAM begin so.
const PREFIX: &str = "AWS::Serverless::";

/// Attributes of a resource that what is made of it has too. Source: SAM, "generated resources".
const PASSED_ON: [&str; 3] = ["Condition", "DeletionPolicy", "UpdateReplacePolicy"];

/// Writes out SAM's resources.
pub(super) fn expand(expanded: &mut Expanded, context: &Context<'_>) {
    let early = Early::new(&expanded.root, context);
    let globals = Globals::read(&mut expanded.root, context, &mut expanded.problems);
    let Some(section) = expanded.root.get("Resources").and_then(Node::as_map).cloned() else {
        return;
    };
    let kinds = section.0.iter().map(|member| {
        let kind = member.node.get("Type").and_then(Node::as_text).unwrap_or_default();
        (member.name.clone(), kind.to_owned())
    });
    let mut transform = Transform {
        context,
        early,
        kinds: kinds.collect(),
        declared: &section,
        made: Vec::new(),
        renamed: BTreeMap::new(),
        roles: BTreeMap::new(),
        connectors: Vec::new(),
        problems: Vec::new(),
        notices: Vec::new(),
    };
    for member in section.0.clone() {
        transform.resource(member, &globals);
    }
    transform.connect();
    transform.finish(&mut expanded.root);
    expanded.problems.append(&mut transform.problems);
    expanded.notices.append(&mut transform.notices);
}

/// A resource of SAM's, with its share of the `Globals`.
#[derive(Debug)]
struct Sam<'r> {
    id: &'r str,
    at: Position,
    node: &'r Node,
    properties: Map,
}

impl Sam<'_> {
    fn get(&self, name: &str) -> Option<&Node> {
        self.properties.get(name)
    }

    /// These properties, as far as it has them.
    fn take(&self, names: &[&str]) -> Vec<(String, Node)> {
        let members =
            self.properties.0.iter().filter(|member| names.contains(&member.name.as_str()));
        members.map(|member| (member.name.clone(), member.node.clone())).collect()
    }

    fn json(&self, value: &serde_json::Value) -> Node {
        Node::from_json(self.at, value)
    }
}

/// What is made so far.
struct Transform<'a> {
    context: &'a Context<'a>,
    early: Early,
    /// The types of the template's own resources.
    kinds: BTreeMap<String, String>,
    /// The template's own resources.
    declared: &'a Map,
    made: Vec<Member>,
    /// What references to a part of a resource (`Api.Stage`) mean: the logical id of what was made for it.
    renamed: BTreeMap<String, String>,
    /// The roles of the functions, by the functions' logical ids, where SAM makes them.
    roles: BTreeMap<String, String>,
    connectors: Vec<connector::Declared>,
    problems: Vec<Problem>,
    notices: Vec<Notice>,
}

impl Transform<'_> {
    fn fail(&mut self, sam: &Sam<'_>, property: &str, at: Position, message: impl Into<String>) {
        let mut problem = self.context.problem(at, message);
        problem.location.logical_id = Some(sam.id.to_owned());
        if !property.is_empty() {
            problem.location.property = Some(format!("Properties.{property}"));
        }
        self.problems.push(problem);
    }

    fn warn(&mut self, sam: &Sam<'_>, property: &str, at: Position, text: impl Into<String>) {
        let mut location = self.context.location(at);
        location.logical_id = Some(sam.id.to_owned());
        if !property.is_empty() {
            location.property = Some(format!("Properties.{property}"));
        }
        self.notices.push(Notice::warning(location, text));
    }

    fn resource(&mut self, member: Member, globals: &Globals) {
        let kind = self.kinds.get(&member.name).cloned().unwrap_or_default();
        let Some(kind) = kind.strip_prefix(PREFIX) else {
            self.connectors_of(&member.name, &member.node);
            return self.made.push(member);
        };
        let (properties, problems) = globals.merged(kind, &member.node);
        let sam = Sam { id: &member.name, at: member.at, node: &member.node, properties };
        for (at, message) in problems {
            self.fail(&sam, "", at, message);
        }
        match kind {
            "Function" => self.function(&sam),
            "WebSocketApi" => self.websocket_api(&sam),
            "SimpleTable" => self.simple_table(&sam),
            "LayerVersion" => self.layer(&sam),
            "Application" => self.application(&sam),
            "Connector" => self.connector(sam.id, &sam.properties, None),
            "Api" => self.rest_api(&sam),
            "HttpApi" => self.http_api(&sam),
            "StateMachine" => self.state_machine(&sam),
            "GraphQLApi" => self.make(&sam, sam.id, "AWS::AppSync::GraphQLApi", Vec::new()),
            "CapacityProvider" => {
                let properties = sam.take(&["CapacityProviderName", "Tags"]);
                self.make(&sam, sam.id, "AWS::Lambda::CapacityProvider", properties);
            }
            other => {
                let message = format!("{PREFIX}{other} is not a resource of SAM");
                self.fail(&sam, "", sam.at, message);
            }
        }
        self.connectors_of(sam.id, sam.node);
    }

    /// Refuses properties that a resource does not have.
    fn check_properties(&mut self, sam: &Sam<'_>, known: &[&str]) {
        for member in &sam.properties.0 {
            if !known.contains(&member.name.as_str()) && !member.name.starts_with("Fn::") {
                let kind = sam.node.get("Type").and_then(Node::as_text).unwrap_or_default();
                let message = format!("{kind} has no property {}", member.name);
                self.fail(sam, &member.name, member.at, message);
            }
        }
    }

    /// Adds a plain resource that is made for `sam`.
    fn make(&mut self, sam: &Sam<'_>, id: &str, kind: &str, properties: Vec<(String, Node)>) {
        let mut members = vec![("Type".to_owned(), Node::text(sam.at, kind))];
        let own = ["Metadata", "DependsOn"].iter().filter(|_| id == sam.id);
        for name in PASSED_ON.iter().chain(own) {
            members.extend(sam.node.get(name).map(|node| ((*name).to_owned(), node.clone())));
        }
        members.push(("Properties".to_owned(), Node::map(sam.at, properties)));
        let node = Node::map(sam.at, members);
        self.made.push(Member { name: id.to_owned(), at: sam.at, node });
    }

    /// The value of a parameter, where a node is a reference to one; else the node.
    fn parameter_or(&self, sam: &Sam<'_>, node: &Node) -> Node {
        match node.as_call() {
            Some(member) if member.name == "Ref" => {
                self.early.resolve(sam.id, node).ok().flatten().unwrap_or_else(|| node.clone())
            }
            _ => node.clone(),
        }
    }

    /// Puts the resources into the template: no two of one name, references led to what was made.
    fn finish(&mut self, root: &mut Map) {
        let mut names = BTreeSet::new();
        for member in &self.made {
            if !names.insert(member.name.as_str()) {
                let message = format!("{} is in the template, and SAM makes it too", member.name);
                let mut problem = self.context.problem(member.at, message);
                problem.location.logical_id = Some(member.name.clone());
                self.problems.push(problem);
            }
        }
        let resources = Value::Map(Map(std::mem::take(&mut self.made)));
        for member in &mut root.0 {
            if member.name == "Resources" {
                member.node.value = resources.clone();
            }
            references::rename(&mut member.node, &self.renamed);
        }
    }
}

/// The properties with one more.
fn with(mut properties: Vec<(String, Node)>, name: &str, node: Node) -> Vec<(String, Node)> {
    properties.push((name.to_owned(), node));
    properties
}

/// `{"Ref": …}`
fn reference(at: Position, name: &str) -> Node {
    Node::map(at, vec![("Ref".to_owned(), Node::text(at, name))])
}

/// The document that lets a service take a role.
fn trust(sam: &Sam<'_>, service: &str) -> Node {
    let service = format!("{service}.amazonaws.com");
    sam.json(
        &serde_json::json!({ "Version": "2012-10-17", "Statement": [{ "Action": ["sts:AssumeRole"],
        "Effect": "Allow", "Principal": { "Service": [service] } }] }),
    )
}

/// `{"Fn::Sub": [text, {name: value}]}`
fn substituted(at: Position, text: &str, name: &str, value: Node) -> Node {
    let variables = Node::map(at, vec![(name.to_owned(), value)]);
    Node::map(
        at,
        vec![("Fn::Sub".to_owned(), Node::list(at, vec![Node::text(at, text), variables]))],
    )
}

/// Tags as a list, with the one that SAM adds.
fn tags(at: Position, node: Option<&Node>) -> Node {
    let own = [("lambda:createdBy".to_owned(), Node::text(at, "SAM"))];
    let given = node.and_then(Node::as_map).into_iter().flat_map(|map| &map.0);
    let given = given.map(|member| (member.name.clone(), member.node.clone()));
    let all = own.into_iter().chain(given);
    let entry = |(key, value)| {
        Node::map(at, vec![("Key".to_owned(), Node::text(at, key)), ("Value".to_owned(), value)])
    };
    Node::list(at, all.map(entry).collect())
}
