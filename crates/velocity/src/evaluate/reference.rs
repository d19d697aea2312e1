//! References: what a name leads to, what it prints, and what an assignment changes.

use std::sync::Arc;

use super::Evaluator;
use crate::ast::{Reference, Step, Target};
use crate::error::{Fault, TemplateError};
use crate::value::{Content, Value};

/// The names that API Gateway provides. An undefined reference below one of them prints nothing, as a missing value of
/// theirs does; Velocity prints other undefined references as they are written.
const PROVIDED: [&str; 4] = ["context", "stageVariables", "input", "util"];

impl Evaluator<'_> {
    /// Prints a reference.
    ///
    /// Source: Velocity 1.7: an odd number of backslashes keeps a defined reference from being evaluated, two of them
    /// print one; before an undefined reference all of them are text.
    pub(super) fn print_reference(&mut self, reference: &Reference) -> Result<(), TemplateError> {
        let failed = |fault: Fault| fault.at(reference.place, &reference.literal);
        let value = self.resolve(reference)?;
        let provided = matches!(value, Value::Missing) || self.is_provided(&reference.name);
        let slashes = |count: usize| "\\".repeat(count);
        if value.is_null() && !provided {
            let text = match self.parameter(&reference.name) {
                _ if reference.quiet => Arc::from(""),
                Some(parameter) if reference.steps.is_empty() => Arc::clone(&parameter.literal),
                _ => Arc::clone(&reference.literal),
            };
            self.write(&slashes(reference.escapes)).map_err(failed)?;
            return self.write(&text).map_err(failed);
        }
        self.write(&slashes(reference.escapes / 2)).map_err(failed)?;
        if reference.escapes % 2 == 1 {
            return self.write(&reference.literal).map_err(failed);
        }
        if value.is_null() {
            return Ok(());
        }
        let text = self.show(&value).map_err(failed)?;
        self.write(&text).map_err(failed)
    }

    /// The text of a value.
    pub(crate) fn show(&mut self, value: &Value) -> Result<String, Fault> {
        match value {
            Value::Text(text) => {
                self.heap.spend_text(text.len())?;
                Ok(text.to_string())
            }
            Value::Block(block) => self.rendered(&Arc::clone(block), Target::Define),
            Value::Context(_) | Value::StageVariables => {
                let map = self.materialised(value)?;
                self.heap.print(&map)
            }
            value => self.heap.print(value),
        }
    }

    /// The value of a reference; null when it is undefined.
    pub(super) fn resolve(&mut self, reference: &Reference) -> Result<Value, TemplateError> {
        self.place = reference.place;
        let steps = |evaluator: &mut Self| {
            let value = evaluator.lookup(&reference.name);
            evaluator.follow(value, &reference.steps, reference)
        };
        self.deeper(steps).map_err(|fault| fault.at(reference.place, &reference.literal))
    }

    fn follow(
        &mut self,
        mut value: Value,
        steps: &[Step],
        reference: &Reference,
    ) -> Result<Value, TemplateError> {
        let failed = |fault: Fault| fault.at(reference.place, &reference.literal);
        for step in steps {
            if value.is_null() {
                break;
            }
            self.heap.spend(1).map_err(failed)?;
            value = match step {
                Step::Property(name) => self.property(&value, name).map_err(failed)?,
                Step::Index(index) => {
                    let index = self.expression(index)?;
                    self.index(&value, &index).map_err(failed)?
                }
                Step::Method(name, arguments) => {
                    let arguments = arguments.iter().map(|argument| self.expression(argument));
                    let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
                    // A method that does not exist leaves the reference undefined.
                    let returned = self.call(&value, name, &arguments);
                    returned.map_err(failed)?.unwrap_or(Value::Null)
                }
            };
        }
        Ok(value)
    }

    fn parameter(&self, name: &str) -> Option<&super::Parameter> {
        let mut parameters = self.frames.iter().rev().flatten();
        parameters.find(|parameter| &*parameter.name == name)
    }

    /// Whether a name is API Gateway's own, and the template has not taken it.
    fn is_provided(&self, name: &str) -> bool {
        PROVIDED.contains(&name)
            && self.parameter(name).is_none()
            && !self.variables.contains_key(name)
    }

    fn lookup(&self, name: &str) -> Value {
        if let Some(parameter) = self.parameter(name) {
            return parameter.value.clone();
        }
        if let Some(value) = self.variables.get(name) {
            return value.clone();
        }
        match (name, self.loops.last()) {
            ("context", _) => Value::Context(Arc::from("")),
            ("stageVariables", _) => Value::StageVariables,
            ("input", _) => Value::Input,
            ("util", _) => Value::Util,
            ("foreach", Some(_)) => Value::Loop(self.loops.len() - 1),
            ("velocityCount", Some(state)) => Value::count(state.index + 1),
            ("velocityHasNext", Some(state)) => Value::Boolean(state.index + 1 < state.length),
            _ => Value::Null,
        }
    }

    /// A property, by its own name or its getter's.
    fn property(&mut self, value: &Value, name: &str) -> Result<Value, Fault> {
        Ok(match value {
            Value::Cell(cell) => match (self.heap.get(*cell), name) {
                (Some(Content::Map(entries)), name) => match (entries.get(name), name) {
                    (Some(value), _) => value.clone(),
                    (None, "empty") => Value::Boolean(entries.is_empty()),
                    _ => Value::Null,
                },
                (Some(Content::Entry(key, _)), "key") => Value::Text(Arc::clone(key)),
                (Some(Content::Entry(_, value)), "value") => value.clone(),
                (Some(Content::List { items, .. }), "empty") => Value::Boolean(items.is_empty()),
                _ => Value::Null,
            },
            Value::Text(text) if name == "empty" => Value::Boolean(text.is_empty()),
            Value::Loop(depth) => self.loop_property(*depth, name),
            Value::Context(_) | Value::Override(_) | Value::StageVariables | Value::Input => {
                self.provided_property(value, name)?
            }
            _ => Value::Null,
        })
    }

    pub(crate) fn loop_property(&self, depth: usize, name: &str) -> Value {
        let Some(state) = self.loops.get(depth) else { return Value::Null };
        match name {
            "index" => Value::count(state.index),
            "count" => Value::count(state.index + 1),
            "hasNext" => Value::Boolean(state.index + 1 < state.length),
            "first" => Value::Boolean(state.index == 0),
            "last" => Value::Boolean(state.index + 1 == state.length),
            "parent" if depth > 0 => Value::Loop(depth - 1),
            "topmost" => Value::Loop(0),
            _ => Value::Null,
        }
    }

    /// `value[index]`: an element of a list (negative counts from the end), or a member of a map.
    fn index(&mut self, value: &Value, index: &Value) -> Result<Value, Fault> {
        let Value::Cell(cell) = value else {
            let name = self.show(index)?;
            return self.property(value, &name);
        };
        match (self.heap.get(*cell), index) {
            (Some(Content::List { items, .. }), Value::Integer(position)) => {
                let at = element(*position, items.len());
                let found = at.and_then(|at| items.get(at)).cloned();
                found.ok_or_else(|| out_of_bounds(*position, items.len()))
            }
            (Some(Content::Map(_)), index) => {
                let name = self.show(&index.clone())?;
                let entries = self.heap.get(*cell);
                let Some(Content::Map(entries)) = entries else { return Ok(Value::Null) };
                Ok(entries.get(name.as_str()).cloned().unwrap_or(Value::Null))
            }
            _ => Ok(Value::Null),
        }
    }

    /// `#set`.
    ///
    /// Source: Velocity 1.7: an assignment of null is ignored (`directive.set.null.allowed` is false).
    pub(super) fn assign(&mut self, target: &Reference, value: Value) -> Result<(), TemplateError> {
        let failed = |fault: Fault| fault.at(target.place, &target.literal);
        self.place = target.place;
        if matches!(value, Value::Null) {
            return Ok(());
        }
        let Some((last, path)) = target.steps.split_last() else {
            self.bind(&target.name, value);
            return Ok(());
        };
        let root = self.lookup(&target.name);
        let holder = self.follow(root, path, target)?;
        let name = match last {
            Step::Property(name) => Value::Text(Arc::clone(name)),
            Step::Index(index) => self.expression(index)?,
            Step::Method(..) => return Ok(()),
        };
        self.put(&holder, &name, value).map_err(failed)
    }

    fn put(&mut self, holder: &Value, name: &Value, value: Value) -> Result<(), Fault> {
        if let Value::Override(branch) = holder {
            let name = format!("{branch}.{}", self.show(name)?);
            let text = self.show(&value)?;
            self.heap.spend_text(name.len() + text.len())?;
            self.overrides.push((name, text));
            return Ok(());
        }
        let Value::Cell(cell) = holder else { return Ok(()) };
        let key = self.show(name)?;
        match (self.heap.get_mut(*cell), name) {
            (Some(Content::Map(entries)), _) => {
                entries.insert(Arc::from(key), value);
            }
            (Some(Content::List { items, .. }), Value::Integer(position)) => {
                let length = items.len();
                let at = element(*position, length);
                let slot = at.and_then(|at| items.get_mut(at));
                *slot.ok_or_else(|| out_of_bounds(*position, length))? = value;
            }
            _ => {}
        }
        Ok(())
    }
}

/// The place of an element in a list.
pub(crate) fn element(position: i64, length: usize) -> Option<usize> {
    if position < 0 {
        let back = usize::try_from(position.unsigned_abs()).ok()?;
        return length.checked_sub(back);
    }
    usize::try_from(position).ok()
}

pub(crate) fn out_of_bounds(position: i64, length: usize) -> Fault {
    Fault::failed(format!("there is no element {position}; the list has {length}"))
}
