//! `${source:address, fallback}`: the framework's variables.
//!
//! Source: as above, "Variables". Differs: what asks AWS (`cf`, `s3`) or git is not known here; `ssm` reads the
//! person's file of values.

use std::path::Path;

use super::Options;
use crate::assets::{read_text, tidy};
use crate::node::{Map, Member, Node, Position, Value};
use crate::problem::{Location, Problem};
use crate::store::Store;

/// How deep variables may lead into others; what needs itself is found by it.
const DEPTH_MAX: usize = 32;

/// How many variables may be looked up for one configuration: two that need each other would double them at each step.
const LOOKUPS_MAX: usize = 100_000;

/// How much memory the values of variables may take together.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Sources of the framework that are not known here.
const ELSEWHERE: [&str; 6] = ["cf", "s3", "git", "output", "state", "terraform"];

/// What a variable has.
enum Found {
    Value(Node),
    /// None of its alternatives has a value.
    Nothing,
    /// It is not one of the framework's.
    Foreign,
}

/// Resolves the variables of one configuration.
pub(super) struct Variables<'a> {
    file: &'a Path,
    root: &'a Node,
    options: Options<'a>,
    store: &'a Store,
    problems: Vec<Problem>,
    bytes_left: usize,
    lookups_left: usize,
}

impl<'a> Variables<'a> {
    pub(super) fn new(
        file: &'a Path,
        root: &'a Node,
        options: Options<'a>,
        store: &'a Store,
    ) -> Self {
        let (problems, bytes_left, lookups_left) = (Vec::new(), BYTES_MAX, LOOKUPS_MAX);
        Self { file, root, options, store, problems, bytes_left, lookups_left }
    }

    /// The configuration without variables.
    pub(super) fn resolve(mut self) -> Result<Node, Vec<Problem>> {
        let node = self.node(self.root, 0);
        if self.problems.is_empty() { Ok(node) } else { Err(self.problems) }
    }

    fn fail(&mut self, at: Position, message: impl Into<String>, hint: &str) {
        let problem = Problem::new(Location::at(self.file, at), message).hint(hint);
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn node(&mut self, node: &Node, depth: usize) -> Node {
        let at = node.at;
        if depth == DEPTH_MAX * 8 {
            self.fail(at, "these variables lead through too many others", "does one need itself?");
            return Node { at, value: Value::Null };
        }
        match &node.value {
            Value::Text(text) => self.text(at, text, depth),
            Value::List(items) => {
                Node::list(at, items.iter().map(|item| self.node(item, depth + 1)).collect())
            }
            Value::Map(map) => {
                let members = map.0.iter().map(|member| Member {
                    name: match self.text(member.at, &member.name, depth).scalar() {
                        Some(name) => name,
                        None => member.name.clone(),
                    },
                    at: member.at,
                    node: self.node(&member.node, depth + 1),
                });
                let members = members.collect();
                Node { at, value: Value::Map(Map(members)) }
            }
            _ => node.clone(),
        }
    }

    /// A text with its variables replaced; one that is nothing but a variable has the value's own kind.
    fn text(&mut self, at: Position, text: &str, depth: usize) -> Node {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, from) = rest.split_at(start);
            let Some((inner, after)) = braced(from) else { break };
            out.push_str(before);
            match self.variable(at, inner, depth) {
                None => out.extend(["${", inner, "}"]), // one of CloudFormation's own
                Some(value) if out.is_empty() && after.is_empty() => return value,
                Some(value) => {
                    if value.scalar().is_none() {
                        let message = format!("${{{inner}}} is {}, not a text", value.kind());
                        self.fail(at, message, "a value of this kind must stand alone");
                    }
                    out.push_str(&value.scalar().unwrap_or_default());
                }
            }
            rest = after;
        }
        out.push_str(rest);
        Node::text(at, out)
    }

    /// The value of a variable. `None` where it is not one of the framework's; one without a value is a problem.
    fn variable(&mut self, at: Position, inner: &str, depth: usize) -> Option<Node> {
        match self.find(at, inner, depth) {
            Found::Foreign => return None,
            Found::Value(value) => return Some(value),
            Found::Nothing => {}
        }
        let last = split(inner).last().copied().unwrap_or_default().trim();
        let message = format!("${{{inner}}} has no value");
        let hint = match last.split([':', '(']).next().unwrap_or_default() {
            "env" => "set the environment variable, or give a fallback: ${env:NAME, 'value'}",
            "opt" => "give a fallback: ${opt:NAME, 'value'}",
            "ssm" => "put it into a file and name that: --secrets FILE",
            source if ELSEWHERE.contains(&source) => {
                "it cannot be known here: give a fallback, or run `serverless package` once"
            }
            _ => "does it name what it should?",
        };
        self.fail(at, message, hint);
        Some(Node { at, value: Value::Null })
    }

    /// The first of a variable's alternatives that has a value.
    fn find(&mut self, at: Position, inner: &str, depth: usize) -> Found {
        let alternatives = split(inner);
        if alternatives.first().is_none_or(|first| !is_source(first)) {
            return Found::Foreign;
        }
        if self.lookups_left == 0 {
            self.fail(at, "these variables need too many others", "does one need itself?");
            return Found::Value(Node { at, value: Value::Null });
        }
        self.lookups_left -= 1;
        if depth >= DEPTH_MAX {
            let message = format!("${{{inner}}} leads through too many others");
            self.fail(at, message, "does it need itself?");
            return Found::Value(Node { at, value: Value::Null });
        }
        let value = alternatives.into_iter().find_map(|text| self.alternative(at, text, depth));
        value.map_or(Found::Nothing, Found::Value)
    }

    fn alternative(&mut self, at: Position, text: &str, depth: usize) -> Option<Node> {
        // A variable that is an alternative may have no value either.
        if let Some((inner, "")) =
            Some(text.trim()).filter(|text| text.starts_with("${")).and_then(braced)
        {
            return match self.find(at, inner, depth + 1) {
                Found::Value(value) => Some(value),
                Found::Foreign | Found::Nothing => None,
            };
        }
        // Variables in the address come first.
        let text = self.text(at, text.trim(), depth + 1).scalar()?;
        let text = text.as_str();
        if let Some(literal) = literal(at, text) {
            return Some(literal);
        }
        if let Some(rest) = text.strip_prefix("file(") {
            return self.file(at, rest, depth);
        }
        if let Some(inner) = text.strip_prefix("strToBool(").and_then(|rest| rest.strip_suffix(')'))
        {
            let value = matches!(inner.trim(), "true" | "1");
            return Some(Node { at, value: Value::Bool(value) });
        }
        let (source, address) = text.split_once(':')?;
        let plain = |text: &str| Some(Node::text(at, text));
        match (source, address) {
            ("self", address) => self.own(address, depth),
            ("sls", "stage") => Some(self.stage(at, depth)),
            ("sls", "instanceId") => plain("local"),
            ("opt", "stage") => self.options.stage.map(|stage| Node::text(at, stage)),
            ("env", name) => self.options.environment.get(name).and_then(|value| plain(value)),
            ("aws", "accountId") => plain(self.options.account),
            ("aws", "region") => {
                self.own("provider.region", depth).or_else(|| plain(super::REGION))
            }
            ("aws", "partition") => plain("aws"),
            ("param", name) => self.parameter(at, name, depth),
            ("ssm", name) => {
                let value = self.store.parameter(name)?;
                plain(value)
            }
            _ => None,
        }
    }

    fn stage(&mut self, at: Position, depth: usize) -> Node {
        match self.options.stage {
            Some(stage) => Node::text(at, stage),
            None => self.own("provider.stage", depth).unwrap_or_else(|| Node::text(at, "dev")),
        }
    }

    /// A value of this configuration, with its own variables resolved.
    fn own(&mut self, address: &str, depth: usize) -> Option<Node> {
        let root = self.root;
        // `self:service` is the name, however it is written.
        if address == "service" && root.get("service").is_some_and(|node| node.as_map().is_some()) {
            return self.own("service.name", depth);
        }
        self.below(root, address, depth)
    }

    fn below(&mut self, node: &Node, address: &str, depth: usize) -> Option<Node> {
        let mut node = node.clone();
        for name in address.split('.').filter(|name| !name.is_empty()) {
            // What leads on may be a variable itself.
            if node.as_text().is_some_and(|text| text.contains("${")) {
                node = self.node(&node, depth + 1);
            }
            node = match &node.value {
                Value::List(items) => items.get(name.parse::<usize>().ok()?)?.clone(),
                _ => node.get(name)?.clone(),
            };
        }
        let value = self.node(&node, depth + 1);
        self.bytes_left = self.bytes_left.saturating_sub(value.bytes());
        if self.bytes_left == 0 {
            self.fail(
                node.at,
                "the values of variables take more than 64 MB",
                "does one need itself?",
            );
            return Some(Node { at: node.at, value: Value::Null });
        }
        (value.value != Value::Null).then_some(value)
    }

    /// What the command line gives, else `params` of the stage, else of all stages.
    fn parameter(&mut self, at: Position, name: &str, depth: usize) -> Option<Node> {
        if let Some(given) = self.options.parameters.get(name) {
            return Some(Node::text(at, given.as_str()));
        }
        let stage = self.stage(at, depth).scalar().unwrap_or_default();
        let places = [
            format!("params.{stage}.{name}"),
            format!("stages.{stage}.params.{name}"),
            format!("params.default.{name}"),
            format!("stages.default.params.{name}"),
        ];
        places.iter().find_map(|place| self.own(place, depth))
    }

    /// `file(PATH):address`.
    fn file(&mut self, at: Position, text: &str, depth: usize) -> Option<Node> {
        let (path, address) = text.split_once(')')?;
        let address = address.strip_prefix(':').unwrap_or_default();
        let path = tidy(&self.file.with_file_name(path.trim()));
        if !path.is_file() {
            return None;
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        let node = match extension {
            Some("yml" | "yaml" | "json") => match Node::parse(&text) {
                Ok(node) => node,
                Err(error) => {
                    self.problems.push(Problem::new(Location::at(&path, error.at), error.problem));
                    return None;
                }
            },
            Some("js" | "cjs" | "mjs" | "ts") => {
                let message = format!("{} is a program, which is not run here", path.display());
                self.fail(at, message, "run `serverless package` once; its result is read");
                return Some(Node { at, value: Value::Null });
            }
            _ => Node::text(at, text.trim_end()),
        };
        self.below(&node, address, depth)
    }
}

/// Whether the first alternative of a variable is one of the framework's: `source:` or `source(`.
fn is_source(text: &str) -> bool {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    let Some((source, rest)) = end.and_then(|end| text.split_at_checked(end)) else { return false };
    !source.is_empty()
        && (rest.starts_with('(') || (rest.starts_with(':') && !rest.starts_with("::")))
}

/// What is between `${` and its `}`, and what follows.
fn braced(text: &str) -> Option<(&str, &str)> {
    let mut open = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '{' => open += 1,
            '}' => {
                open = open.checked_sub(1)?;
                if open == 0 {
                    return Some((text.get(2..at)?, text.get(at + 1..)?));
                }
            }
            _ => {}
        }
    }
    None
}

/// The alternatives of a variable: commas that are neither in quotes nor in variables divide them.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut open, mut quote) = (0, 0_usize, None);
    for (at, character) in text.char_indices() {
        match (character, quote) {
            (c, Some(other)) => quote = Some(other).filter(|other| c != *other),
            ('\'' | '"', None) => quote = Some(character),
            ('{' | '(', None) => open += 1,
            ('}' | ')', None) => open = open.saturating_sub(1),
            (',', None) if open == 0 => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

fn literal(at: Position, text: &str) -> Option<Node> {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return Some(Node::text(at, inner));
        }
    }
    let value = match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        "" => Value::Text(String::new()),
        _ if text.parse::<f64>().is_ok_and(f64::is_finite) => Value::Number(text.to_owned()),
        _ => return None,
    };
    Some(Node { at, value })
}
