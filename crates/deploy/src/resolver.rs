//! Resolves a template's functions: a lazy evaluator with a memory.
//!
//! Nothing is resolved before someone asks for it, and physical ids need no property of their resource. That
//! dissolves the famous circle of function -> API -> route -> integration -> function; what still is a circle
//! is one on AWS too, and is reported with its path.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use crate::assets::Assets;
use crate::node::{Map, Member, Node, Position, Value};
use crate::problem::{Location, Problem};
use crate::report::Notice;
use crate::store::Store;
use crate::template::{Resource, Scope, Template};

/// How deep one value may lead into others; keeps a hostile template from using up the thread's stack.
const DEPTH_MAX: usize = 512;

/// All stacks of a load.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) units: Vec<Unit>,
    /// What stacks export that are none of these, by name.
    pub(crate) exports: BTreeMap<String, String>,
    /// The values of other services that a person's file gives.
    pub(crate) store: Rc<Store>,
}

/// One stack: a template and where it is deployed.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) scope: Scope,
    pub(crate) display_name: String,
    pub(crate) template: Template,
    pub(crate) assets: Rc<Assets>,
    /// For a nested stack: its parent and the logical id it has there.
    pub(crate) parent: Option<(usize, String)>,
    /// Its nested stacks, by logical id.
    pub(crate) children: BTreeMap<String, usize>,
    /// Parameter values given from outside.
    pub(crate) given: BTreeMap<String, String>,
    /// The stacks that come first, by index.
    pub(crate) after: Vec<usize>,
}

impl Unit {
    /// A stack that is not nested.
    pub(crate) fn root(
        scope: Scope,
        display_name: String,
        template: Template,
        assets: Rc<Assets>,
        given: BTreeMap<String, String>,
    ) -> Self {
        let (children, after) = (BTreeMap::new(), Vec::new());
        Self { scope, display_name, template, assets, parent: None, children, given, after }
    }
}

/// A value could not be resolved; the problem is already in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed;

/// A value, or its absence (`AWS::NoValue`).
pub(crate) type Resolved = Result<Option<Node>, Failed>;

/// What is remembered, and what is being worked on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) unit: usize,
    pub(crate) what: What,
    pub(crate) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum What {
    Parameter,
    Condition,
    Output,
    Export,
    Property(String),
}

impl Key {
    fn describe(&self) -> String {
        match &self.what {
            What::Parameter | What::Condition => self.name.clone(),
            What::Output => format!("Outputs.{}", self.name),
            What::Export => format!("Outputs.{}.Export", self.name),
            What::Property(property) => format!("{}.{property}", self.name),
        }
    }
}

/// Where the evaluator is, for messages.
#[derive(Debug, Clone, Default)]
struct Place {
    unit: usize,
    logical_id: Option<String>,
    path: Vec<String>,
}

/// Resolves values of the stacks in a [`World`].
#[derive(Debug)]
pub(crate) struct Resolver<'w> {
    pub(crate) world: &'w World,
    pub(crate) problems: Vec<Problem>,
    pub(crate) notices: Vec<Notice>,
    /// What each stack imports from others, by its index.
    pub(crate) imports: BTreeMap<usize, BTreeSet<String>>,
    memory: HashMap<Key, Resolved>,
    working: Vec<Key>,
    place: Place,
    depth: usize,
}

impl<'w> Resolver<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        Self {
            world,
            problems: Vec::new(),
            notices: Vec::new(),
            imports: BTreeMap::new(),
            memory: HashMap::new(),
            working: Vec::new(),
            place: Place::default(),
            depth: 0,
        }
    }

    /// The stack at `index`; the world is built so that every index in it is valid.
    pub(crate) fn unit(&self, index: usize) -> &'w Unit {
        self.world.units.get(index).expect("indices come from the same world")
    }

    pub(crate) fn resource(&self, unit: usize, logical_id: &str) -> Option<&'w Resource> {
        self.unit(unit).template.resources.get(logical_id)
    }

    /// Runs `work` with messages naming `logical_id` and `section` of `unit`.
    pub(crate) fn within<T>(
        &mut self,
        unit: usize,
        logical_id: &str,
        section: &str,
        work: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let path = if section.is_empty() { Vec::new() } else { vec![section.to_owned()] };
        let place = Place { unit, logical_id: Some(logical_id.to_owned()), path };
        let before = std::mem::replace(&mut self.place, place);
        let result = work(self);
        self.place = before;
        result
    }

    /// Runs `work` one step further into the value.
    pub(crate) fn step<T>(&mut self, name: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        self.place.path.push(name.to_owned());
        let result = work(self);
        self.place.path.pop();
        result
    }

    /// Where the stack is that is worked on.
    pub(crate) fn here(&self) -> &'w Scope {
        &self.unit(self.place.unit).scope
    }

    /// The stack, and the logical id in it, that is worked on.
    pub(crate) fn worked_on(&self) -> (usize, Option<&str>) {
        (self.place.unit, self.place.logical_id.as_deref())
    }

    pub(crate) fn location(&self, at: Position) -> Location {
        let unit = self.unit(self.place.unit);
        Location {
            file: unit.template.file.clone(),
            position: at,
            stack: Some(unit.scope.stack.clone()),
            logical_id: self.place.logical_id.clone(),
            property: (!self.place.path.is_empty()).then(|| self.place.path.join(".")),
        }
    }

    pub(crate) fn fail<T>(
        &mut self,
        at: Position,
        message: impl Into<String>,
    ) -> Result<T, Failed> {
        let problem = Problem::new(self.location(at), message);
        self.problems.push(problem);
        Err(Failed)
    }

    pub(crate) fn fail_with<T>(
        &mut self,
        at: Position,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Result<T, Failed> {
        let problem = Problem::new(self.location(at), message).hint(hint);
        self.problems.push(problem);
        Err(Failed)
    }

    /// Adds a notice, once.
    pub(crate) fn notice(&mut self, notice: Notice) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// Does `work` once per key; asking for a key while it is worked on is a circle.
    pub(crate) fn once(
        &mut self,
        key: Key,
        at: Position,
        work: impl FnOnce(&mut Self) -> Resolved,
    ) -> Resolved {
        if let Some(known) = self.memory.get(&key) {
            return known.clone();
        }
        if let Some(start) = self.working.iter().position(|other| *other == key) {
            let circle: Vec<&Key> = self.working.iter().skip(start).chain([&key]).collect();
            let in_one = circle.iter().all(|other| other.unit == key.unit);
            let path: Vec<String> = circle
                .into_iter()
                .map(|other| {
                    let stack = &self.unit(other.unit).display_name;
                    let described = other.describe();
                    if in_one { described } else { format!("{stack}: {described}") }
                })
                .collect();
            return self.fail(at, format!("these values need each other: {}", path.join(" -> ")));
        }
        self.working.push(key.clone());
        let result = work(self);
        self.working.pop();
        self.memory.insert(key, result.clone());
        result
    }

    /// Resolves `node` in `unit`. `None` is `AWS::NoValue`.
    pub(crate) fn resolve(&mut self, unit: usize, node: &Node) -> Resolved {
        if self.depth == DEPTH_MAX {
            return self.fail(node.at, "this value leads through too many others");
        }
        self.depth += 1;
        let result = self.resolve_one(unit, node);
        self.depth -= 1;
        result
    }

    fn resolve_one(&mut self, unit: usize, node: &Node) -> Resolved {
        match &node.value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(Some(node.clone())),
            Value::Text(text) => Ok(Some(self.finished_text(node.at, text))),
            Value::List(items) => self.resolve_list(unit, node.at, items),
            Value::Map(map) => match function(map) {
                Some(member) => self.call(unit, node.at, member),
                None => self.resolve_map(unit, node.at, map),
            },
        }
    }

    fn resolve_list(&mut self, unit: usize, at: Position, items: &[Node]) -> Resolved {
        let mut kept = Vec::with_capacity(items.len());
        let mut failed = false;
        for (index, item) in items.iter().enumerate() {
            match self.step(&index.to_string(), |this| this.resolve(unit, item)) {
                Ok(Some(value)) => kept.push(value),
                Ok(None) => {}
                Err(Failed) => failed = true,
            }
        }
        if failed { Err(Failed) } else { Ok(Some(Node { at, value: Value::List(kept) })) }
    }

    fn resolve_map(&mut self, unit: usize, at: Position, map: &Map) -> Resolved {
        let mut kept = Vec::with_capacity(map.0.len());
        let mut failed = false;
        for member in &map.0 {
            if member.name.starts_with("Fn::") {
                failed = true;
                let message = format!("{} must be the only member of its object", member.name);
                self.fail::<()>(member.at, message).unwrap_or_default();
                continue;
            }
            match self.step(&member.name, |this| this.resolve(unit, &member.node)) {
                Ok(Some(node)) => {
                    kept.push(Member { name: member.name.clone(), at: member.at, node });
                }
                Ok(None) => {}
                Err(Failed) => failed = true,
            }
        }
        if failed { Err(Failed) } else { Ok(Some(Node { at, value: Value::Map(Map(kept)) })) }
    }

    /// Resolves to a text; `CloudFormation` takes numbers and booleans for their text.
    pub(crate) fn resolve_text(&mut self, unit: usize, node: &Node) -> Result<String, Failed> {
        match self.resolve(unit, node)? {
            Some(value) => match value.scalar() {
                Some(text) => Ok(text),
                None => {
                    self.fail(node.at, format!("a text is expected here, not {}", value.kind()))
                }
            },
            None => self.fail(node.at, "a text is expected here, not AWS::NoValue"),
        }
    }

    /// One property of a resource, resolved and remembered.
    pub(crate) fn property(&mut self, unit: usize, logical_id: &str, name: &str) -> Resolved {
        let Some(node) = self.resource(unit, logical_id).and_then(|found| found.property(name))
        else {
            return Ok(None);
        };
        let key = Key { unit, what: What::Property(name.to_owned()), name: logical_id.to_owned() };
        self.once(key, node.at, |this| {
            this.within(unit, logical_id, "Properties", |this| {
                this.step(name, |this| this.resolve(unit, node))
            })
        })
    }

    /// One property of a resource, if it is there and has a text.
    pub(crate) fn property_text(
        &mut self,
        unit: usize,
        logical_id: &str,
        name: &str,
    ) -> Result<Option<String>, Failed> {
        Ok(self.property(unit, logical_id, name)?.and_then(|node| node.scalar()))
    }
}

/// The only member of an object that is a function call.
fn function(map: &Map) -> Option<&Member> {
    match map.0.as_slice() {
        [member] if member.name == "Ref" || is_function(&member.name) => Some(member),
        _ => None,
    }
}

fn is_function(name: &str) -> bool {
    name.starts_with("Fn::")
}
