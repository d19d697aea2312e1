//! `java.util.Map`.

use std::sync::Arc;

use super::{Returned, nothing};
use crate::error::Fault;
use crate::evaluate::Evaluator;
use crate::value::{Cell, Content, Entries, Value};

impl Evaluator<'_> {
    pub(super) fn call_map(&mut self, cell: Cell, name: &str, arguments: &[Value]) -> Returned {
        let length = self.entries(cell)?.len();
        Ok(Some(match (name, arguments) {
            ("size" | "count", []) => Value::count(length),
            ("isEmpty", []) => Value::Boolean(length == 0),
            ("clear", []) => {
                self.entries_mut(cell)?.clear();
                nothing()
            }
            ("keySet", []) => {
                let keys = self.entries(cell)?.keys().map(|key| Value::Text(Arc::clone(key)));
                let keys = keys.collect();
                self.heap.list(keys)?
            }
            ("values", []) => {
                let values = self.entries(cell)?.values().cloned().collect();
                self.heap.list(values)?
            }
            ("entrySet", []) => {
                self.heap.spend(length)?;
                let entries: Vec<(Arc<str>, Value)> = self
                    .entries(cell)?
                    .iter()
                    .map(|(key, value)| (Arc::clone(key), value.clone()))
                    .collect();
                let mut items = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    items.push(self.heap.put(Content::Entry(key, value))?);
                }
                self.heap.list(items)?
            }
            ("get", [key]) => {
                let key = self.show(key)?;
                self.entries(cell)?.get(key.as_str()).cloned().unwrap_or(Value::Null)
            }
            ("getOrDefault", [key, default]) => {
                let key = self.show(key)?;
                let found = self.entries(cell)?.get(key.as_str()).cloned();
                found.unwrap_or_else(|| default.clone())
            }
            ("containsKey", [key]) => {
                let key = self.show(key)?;
                Value::Boolean(self.entries(cell)?.contains_key(key.as_str()))
            }
            ("containsValue", [value]) => {
                let values: Vec<Value> = self.entries(cell)?.values().cloned().collect();
                self.heap.spend(values.len())?;
                let mut found = false;
                for held in values {
                    found = found
                        || (super::same_type(&held, value) && self.heap.equal(&held, value, 0)?);
                }
                Value::Boolean(found)
            }
            ("put" | "putIfAbsent", [key, value]) => {
                let key = self.show(key)?;
                self.heap.spend_text(key.len())?;
                let entries = self.entries_mut(cell)?;
                match (name, entries.get(key.as_str())) {
                    ("putIfAbsent", Some(held)) => held.clone(),
                    _ => entries.insert(Arc::from(key), value.clone()).unwrap_or(Value::Null),
                }
            }
            ("putAll", [other]) => {
                let other = self.materialised(other)?;
                let Value::Cell(other) = other else { return Ok(None) };
                let more: Vec<(Arc<str>, Value)> = self
                    .entries(other)?
                    .iter()
                    .map(|(key, value)| (Arc::clone(key), value.clone()))
                    .collect();
                self.heap.spend(more.len())?;
                self.entries_mut(cell)?.extend(more);
                nothing()
            }
            ("remove", [key]) => {
                let key = self.show(key)?;
                self.heap.spend(1 + length / 16)?;
                self.entries_mut(cell)?.shift_remove(key.as_str()).unwrap_or(Value::Null)
            }
            _ => return Ok(None),
        }))
    }

    fn entries(&self, cell: Cell) -> Result<&Entries, Fault> {
        match self.heap.get(cell) {
            Some(Content::Map(entries)) => Ok(entries),
            _ => Err(Fault::failed("this is not a map")),
        }
    }

    fn entries_mut(&mut self, cell: Cell) -> Result<&mut Entries, Fault> {
        match self.heap.get_mut(cell) {
            Some(Content::Map(entries)) => Ok(entries),
            _ => Err(Fault::failed("this is not a map")),
        }
    }
}
