//! `AWS::Include`: a part of a template that is a file of its own.
//!
//! Source: CloudFormation Template Reference, the transform `AWS::Include`. Choice: a `Location` in S3 is looked for
//! beside the template, by its path and by its name, as `aws cloudformation package` uploads from there.

use std::path::PathBuf;

use super::{Context, Early, Expanded, MADE_BYTES_MAX, find_in_map};
use crate::assets::{read_text, tidy};
use crate::node::{Map, Member, Node, Position, Value};
use crate::problem::Problem;

const NAME: &str = "AWS::Include";
const CALL: &str = "Fn::Transform";

/// How many includes one template may have; each reads a file.
const INCLUDES_MAX: usize = 200;

/// Puts in what the template includes, at its top and anywhere below.
pub(super) fn expand(expanded: &mut Expanded, context: &Context<'_>) {
    let at_top = expanded.root.get("Transform").is_some_and(is_include);
    if !at_top && find_in_map(&expanded.root, &|name| name == CALL).is_none() {
        return;
    }
    let early = Early::new(&expanded.root, context);
    let mut includes =
        Includes { early, context, problems: Vec::new(), count: 0, bytes_left: MADE_BYTES_MAX };
    let mut root = Map::default();
    for member in std::mem::take(&mut expanded.root).0 {
        let node = if member.name == "Transform" {
            match includes.at_top(&mut root, member.node) {
                Some(node) => node,
                None => continue,
            }
        } else {
            includes.node(member.node)
        };
        includes.merge(&mut root, Member { node, ..member });
    }
    expanded.root = root;
    expanded.problems.append(&mut includes.problems);
}

/// Whether a macro, or one of several, is an include.
fn is_include(node: &Node) -> bool {
    let one = |node: &Node| node.get("Name").and_then(Node::as_text) == Some(NAME);
    one(node) || node.as_list().is_some_and(|items| items.iter().any(one))
}

struct Includes<'a> {
    early: Early,
    context: &'a Context<'a>,
    problems: Vec<Problem>,
    count: usize,
    bytes_left: usize,
}

impl Includes<'_> {
    /// Adds what the `Transform` section includes, and gives the macros that are left in it.
    fn at_top(&mut self, root: &mut Map, node: Node) -> Option<Node> {
        let at = node.at;
        let (is_list, items) = match node.value {
            Value::List(items) => (true, items),
            value => (false, vec![Node { at, value }]),
        };
        let mut left = Vec::new();
        for item in items {
            if is_include(&item) {
                for member in self.included(&item).0 {
                    self.merge(root, member);
                }
            } else {
                left.push(item);
            }
        }
        if is_list { Some(Node { at, value: Value::List(left) }) } else { left.pop() }
    }

    /// Adds a section; where it is there already, adds its members.
    fn merge(&mut self, root: &mut Map, member: Member) {
        let Some(there) = root.0.iter_mut().find(|other| other.name == member.name) else {
            return root.0.push(member);
        };
        match (&mut there.node.value, member.node.value) {
            (Value::Map(there), Value::Map(more)) => {
                for member in more.0 {
                    if there.get(&member.name).is_some() {
                        let message =
                            format!("{} is in the template and in what it includes", member.name);
                        self.problems.push(self.context.problem(member.at, message));
                    } else {
                        there.0.push(member);
                    }
                }
            }
            _ => self
                .problems
                .push(self.context.problem(member.at, format!("{} is there twice", member.name))),
        }
    }

    fn node(&mut self, node: Node) -> Node {
        let value = match node.value {
            Value::List(items) => {
                Value::List(items.into_iter().map(|item| self.node(item)).collect())
            }
            Value::Map(map) => Value::Map(self.map(map)),
            other => other,
        };
        Node { value, ..node }
    }

    fn map(&mut self, map: Map) -> Map {
        let mut out = Map::default();
        for member in map.0 {
            if member.name == CALL && is_include(&member.node) {
                for member in self.included(&member.node).0 {
                    self.merge(&mut out, member);
                }
            } else {
                let node = self.node(member.node);
                self.merge(&mut out, Member { node, ..member });
            }
        }
        out
    }

    /// What one include names; every value of it stands at the place of the include.
    fn included(&mut self, call: &Node) -> Map {
        match self.read(call) {
            Ok(map) => map,
            Err(problems) => {
                self.problems.extend(problems);
                Map::default()
            }
        }
    }

    fn read(&mut self, call: &Node) -> Result<Map, Vec<Problem>> {
        let fail = |message: String| Err(vec![self.context.problem(call.at, message)]);
        self.count += 1;
        if self.count > INCLUDES_MAX {
            return fail(format!("this template includes more than {INCLUDES_MAX} times"));
        }
        let Some(node) = call.get("Parameters").and_then(|node| node.get("Location")) else {
            return fail(format!("{NAME} needs a Location among its Parameters"));
        };
        let location = self.early.resolve(NAME, node)?.and_then(|node| node.scalar());
        let location = location.unwrap_or_default();
        let Some(file) = self.find(&location) else {
            return fail(format!(
                "{location}, which is included here, does not exist beside the template"
            ));
        };
        let text = read_text(&file).map_err(|problem| vec![problem])?;
        let node = Node::parse(&text).map_err(|error| {
            vec![Problem::new(crate::problem::Location::at(&file, error.at), error.problem)]
        })?;
        self.bytes_left = self.bytes_left.saturating_sub(node.bytes());
        if self.bytes_left == 0 {
            return fail("this template grows too large: it includes too much".to_owned());
        }
        match moved(node, call.at).value {
            Value::Map(map) => Ok(map),
            _ => fail(format!("{} is included here, and is not an object", file.display())),
        }
    }

    fn find(&self, location: &str) -> Option<PathBuf> {
        let folder = self.context.file.parent()?;
        let path = match location.split_once("://") {
            Some((_, path)) => path.split_once('/').map_or("", |(_, key)| key),
            None => location,
        };
        let name = path.rsplit('/').next().unwrap_or_default();
        [path, name]
            .into_iter()
            .filter(|path| !path.is_empty())
            .map(|path| tidy(&folder.join(path)))
            .find(|path| path.is_file())
    }
}

fn moved(node: Node, at: Position) -> Node {
    let value = match node.value {
        Value::List(items) => Value::List(items.into_iter().map(|item| moved(item, at)).collect()),
        Value::Map(map) => Value::Map(Map(map
            .0
            .into_iter()
            .map(|member| Member { name: member.name, at, node: moved(member.node, at) })
            .collect())),
        other => other,
    };
    Node { at, value }
}
