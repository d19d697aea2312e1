//! `Fn::ForEach`: what a template repeats, written out.
//!
//! Source: CloudFormation Template Reference, `Fn::ForEach` and the transform `AWS::LanguageExtensions`.

use std::collections::HashSet;

use super::{Context, Early, Expanded, MADE_BYTES_MAX, find_in_map};
use crate::node::{Map, Member, Node, Position, Value};
use crate::problem::Problem;
use crate::report::Notice;

const PREFIX: &str = "Fn::ForEach::";

/// Writes out every loop. Where `extends` is false, the template does not name the macro that does so on AWS.
pub(super) fn expand(expanded: &mut Expanded, context: &Context<'_>, extends: bool) {
    let is_extension =
        |name: &str| name.starts_with(PREFIX) || matches!(name, "Fn::ToJsonString" | "Fn::Length");
    let Some(first) = find_in_map(&expanded.root, &is_extension) else { return };
    if !extends {
        let text = "on AWS, Fn::ForEach, Fn::ToJsonString and Fn::Length need a macro that this template does not name";
        let notice = Notice::warning(context.location(first), text);
        expanded
            .notices
            .push(notice.hint("add to the template: Transform: AWS::LanguageExtensions"));
    }
    if find_in_map(&expanded.root, &|name| name.starts_with(PREFIX)).is_none() {
        return;
    }
    let early = Early::new(&expanded.root, context);
    let mut loops = Loops {
        early,
        context,
        problems: Vec::new(),
        owner: String::new(),
        bytes_left: MADE_BYTES_MAX,
    };
    let root = loops.map(&expanded.root, &mut Vec::new(), 0);
    expanded.problems.append(&mut loops.problems);
    expanded.root = root;
}

/// The identifiers of the loops around a place, with their values.
type Bound = Vec<(String, String)>;

struct Loops<'a> {
    early: Early,
    context: &'a Context<'a>,
    problems: Vec<Problem>,
    /// The section, or the resource in it, for messages.
    owner: String,
    bytes_left: usize,
}

impl Loops<'_> {
    fn fail(&mut self, at: Position, message: impl Into<String>) {
        let mut problem = self.context.problem(at, message);
        problem.location.logical_id = Some(self.owner.clone());
        self.problems.push(problem);
    }

    /// Takes the room that a value needs; `false` when there is none left, which is told once.
    fn take(&mut self, bytes: usize, at: Position) -> bool {
        let had = self.bytes_left;
        self.bytes_left = had.saturating_sub(bytes);
        if self.bytes_left == 0 && had > 0 {
            self.fail(at, "this template grows too large: its loops repeat too much");
        }
        self.bytes_left > 0
    }

    fn map(&mut self, map: &Map, bound: &mut Bound, depth: usize) -> Map {
        let mut members = Vec::new();
        let mut names = HashSet::new();
        for member in &map.0 {
            if depth < 2 && !member.name.starts_with(PREFIX) {
                self.owner.clone_from(&member.name);
            }
            if let Some(name) = member.name.strip_prefix(PREFIX) {
                let at = member.at;
                for made in self.repeat(name, at, &member.node, bound, depth) {
                    self.add(made, &mut members, &mut names);
                }
                continue;
            }
            let name = substitute(&member.name, bound);
            let node = self.node(&member.node, bound, depth + 1);
            self.add(Member { name, at: member.at, node }, &mut members, &mut names);
        }
        Map(members)
    }

    fn add(&mut self, member: Member, members: &mut Vec<Member>, names: &mut HashSet<String>) {
        if names.insert(member.name.clone()) {
            members.push(member);
        } else {
            self.fail(member.at, format!("the loop makes the name {} twice", member.name));
        }
    }

    fn node(&mut self, node: &Node, bound: &mut Bound, depth: usize) -> Node {
        let value = match &node.value {
            Value::Text(text) => Value::Text(substitute(text, bound)),
            Value::List(items) => {
                Value::List(items.iter().map(|item| self.node(item, bound, depth + 1)).collect())
            }
            Value::Map(map) => match reference(map, bound) {
                Some(value) => Value::Text(value),
                None => Value::Map(self.map(map, bound, depth)),
            },
            other => other.clone(),
        };
        Node { at: node.at, value }
    }

    /// The members that one loop makes.
    fn repeat(
        &mut self,
        name: &str,
        at: Position,
        node: &Node,
        bound: &mut Bound,
        depth: usize,
    ) -> Vec<Member> {
        if bound.is_empty() {
            self.owner = format!("{PREFIX}{name}");
        }
        let Some([identifier, collection, body]) = node.as_list() else {
            self.fail(node.at, "Fn::ForEach::NAME [identifier, collection, body] is expected here");
            return Vec::new();
        };
        let (Some(identifier), Some(body)) = (identifier.as_text(), body.as_map()) else {
            self.fail(node.at, "the identifier of a loop is a text, and its body is an object");
            return Vec::new();
        };
        if bound.iter().any(|(other, _)| other == identifier) {
            self.fail(at, format!("the loop {name} has the identifier of a loop around it"));
            return Vec::new();
        }
        let mut members = Vec::new();
        for value in self.collection(collection, bound, depth) {
            if !self.take(body_bytes(body), at) {
                break;
            }
            bound.push((identifier.to_owned(), value));
            members.extend(self.map(body, bound, depth).0);
            bound.pop();
        }
        members
    }

    fn collection(&mut self, node: &Node, bound: &mut Bound, depth: usize) -> Vec<String> {
        let written = self.node(node, bound, depth);
        let items = match self.early.resolve(&self.owner, &written) {
            Ok(Some(Node { value: Value::List(items), .. })) => items,
            Ok(_) => {
                self.fail(node.at, "a loop goes over a list");
                return Vec::new();
            }
            Err(problems) => {
                let hint = "what a loop goes over must be known before there are resources";
                self.problems.extend(problems.into_iter().map(|problem| match &problem.hint {
                    Some(_) => problem,
                    None => problem.hint(hint),
                }));
                return Vec::new();
            }
        };
        let mut texts = Vec::new();
        for item in items {
            match item.scalar() {
                Some(text) => texts.push(text),
                None => self.fail(item.at, format!("a loop goes over texts, not {}", item.kind())),
            }
        }
        texts
    }
}

fn body_bytes(body: &Map) -> usize {
    body.0.iter().map(|member| member.name.len() + member.node.bytes()).sum::<usize>().max(64)
}

/// `{"Ref": "Identifier"}` of a loop around it.
fn reference(map: &Map, bound: &Bound) -> Option<String> {
    let [Member { name, node, .. }] = map.0.as_slice() else { return None };
    let identifier = node.as_text().filter(|_| name == "Ref")?;
    bound.iter().find(|(other, _)| other == identifier).map(|(_, value)| value.clone())
}

/// `${Identifier}` is the value; `&{Identifier}` its letters and digits, which logical ids may have.
fn substitute(text: &str, bound: &Bound) -> String {
    let mut out = text.to_owned();
    if !text.contains('{') {
        return out;
    }
    for (identifier, value) in bound {
        let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
        out = out.replace(&format!("&{{{identifier}}}"), &plain);
        out = out.replace(&format!("${{{identifier}}}"), value);
    }
    out
}
