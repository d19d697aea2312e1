//! Macros: what `CloudFormation` does to a template before it reads it.
//!
//! `AWS::Include` first, as on AWS; then `AWS::LanguageExtensions`; `AWS::Serverless` last. Each gives the template that
//! it would be written as without it, whose values stand at the places of what they were made from.

mod early;
mod for_each;
mod include;
mod serverless;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use self::early::Early;
use crate::node::{Map, Node, Position, Value};
use crate::problem::{Location, Problem};
use crate::report::Notice;
use crate::store::Store;
use crate::template::Scope;

/// How many bytes the values that macros make may take.
///
/// Choice: `CloudFormation` takes processed templates of 1 MB; values with their places take more than their texts.
const MADE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What is known of a template besides its text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) file: &'a Path,
    pub(crate) scope: &'a Scope,
    /// Values for parameters.
    pub(crate) given: &'a BTreeMap<String, String>,
    pub(crate) store: &'a Rc<Store>,
}

impl Context<'_> {
    fn problem(&self, at: Position, message: impl Into<String>) -> Problem {
        Problem::new(self.location(at), message)
    }

    fn location(&self, at: Position) -> Location {
        let mut location = Location::at(self.file, at);
        location.stack = Some(self.scope.stack.clone());
        location
    }
}

/// A template without macros, and what was noticed meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    pub(crate) root: Map,
    pub(crate) problems: Vec<Problem>,
    pub(crate) notices: Vec<Notice>,
}

/// Runs the macros that a template names.
pub(crate) fn expand(root: Map, context: &Context<'_>) -> Expanded {
    let mut expanded = Expanded { root, ..Expanded::default() };
    include::expand(&mut expanded, context);
    let named = named(&mut expanded, context);
    let extends = named.iter().any(|name| name == "AWS::LanguageExtensions");
    for_each::expand(&mut expanded, context, extends);
    if named.iter().any(|name| name.starts_with("AWS::Serverless")) {
        serverless::expand(&mut expanded, context);
    }
    expanded
}

/// The macros of the `Transform` section that are not includes; what is not known is a problem.
fn named(expanded: &mut Expanded, context: &Context<'_>) -> Vec<String> {
    let Some(node) = expanded.root.get("Transform") else { return Vec::new() };
    let nodes = node.as_list().unwrap_or_else(|| std::slice::from_ref(node));
    let mut names = Vec::new();
    for node in nodes {
        let name = node.as_text().or_else(|| node.get("Name").and_then(Node::as_text));
        let problem = match name {
            Some(name @ ("AWS::LanguageExtensions" | "AWS::Serverless-2016-10-31")) => {
                names.push(name.to_owned());
                continue;
            }
            Some(name) => context
                .problem(node.at, format!("the macro {name} is not known here"))
                .hint("write out what it would produce, or give the processed template"),
            None => context.problem(node.at, format!("a macro has a name, not {}", node.kind())),
        };
        expanded.problems.push(problem);
    }
    names
}

/// Whether one of the values, at any depth, is an object with a member that `found` accepts; gives its place.
fn find_member(node: &Node, found: &dyn Fn(&str) -> bool) -> Option<Position> {
    match &node.value {
        Value::List(items) => items.iter().find_map(|item| find_member(item, found)),
        Value::Map(map) => find_in_map(map, found),
        _ => None,
    }
}

fn find_in_map(map: &Map, found: &dyn Fn(&str) -> bool) -> Option<Position> {
    map.0.iter().find_map(|member| {
        if found(&member.name) { Some(member.at) } else { find_member(&member.node, found) }
    })
}
