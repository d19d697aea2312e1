//! `java.util.List`.

use std::sync::Arc;

use super::{Returned, nothing};
use crate::error::Fault;
use crate::evaluate::{Evaluator, out_of_bounds};
use crate::value::{Cell, Content, Value};

impl Evaluator<'_> {
    pub(super) fn call_list(&mut self, cell: Cell, name: &str, arguments: &[Value]) -> Returned {
        let length = self.list_items(cell).len();
        Ok(Some(match (name, arguments) {
            ("size" | "count" | "length", []) => Value::count(length),
            ("isEmpty", []) => Value::Boolean(length == 0),
            ("iterator" | "listIterator", []) => Value::Cell(cell),
            ("get", [Value::Integer(at)]) => {
                let place = place(*at, length)?;
                self.list_items(cell).get(place).cloned().unwrap_or(Value::Null)
            }
            ("set", [Value::Integer(at), value]) => {
                let place = place(*at, length)?;
                let slot = self.list_items_mut(cell)?.get_mut(place);
                slot.map_or(Value::Null, |slot| std::mem::replace(slot, value.clone()))
            }
            ("add", [value]) => {
                self.heap.spend(1)?;
                self.list_items_mut(cell)?.push(value.clone());
                Value::Boolean(true)
            }
            ("add", [Value::Integer(at), value]) => {
                let place = place(*at, length + 1)?;
                self.heap.spend(1 + length / 16)?;
                self.list_items_mut(cell)?.insert(place, value.clone());
                nothing()
            }
            ("remove", [Value::Integer(at)]) => {
                let place = place(*at, length)?;
                self.heap.spend(1 + length / 16)?;
                self.list_items_mut(cell)?.remove(place)
            }
            ("clear", []) => {
                self.list_items_mut(cell)?.clear();
                nothing()
            }
            ("addAll", [Value::Cell(other)]) => {
                let more = self.list_items(*other).to_vec();
                self.heap.spend(more.len())?;
                let changed = !more.is_empty();
                self.list_items_mut(cell)?.extend(more);
                Value::Boolean(changed)
            }
            ("containsAll", [Value::Cell(other)]) => {
                let sought = self.list_items(*other).to_vec();
                let mut all = true;
                for value in sought {
                    all = all && self.find(cell, &value, false)?.is_some();
                }
                Value::Boolean(all)
            }
            ("contains", [value]) => Value::Boolean(self.find(cell, value, false)?.is_some()),
            ("indexOf", [value]) => found(self.find(cell, value, false)?),
            ("lastIndexOf", [value]) => found(self.find(cell, value, true)?),
            ("remove", [value]) => match self.find(cell, value, false)? {
                Some(at) => {
                    self.list_items_mut(cell)?.remove(at);
                    Value::Boolean(true)
                }
                None => Value::Boolean(false),
            },
            ("subList", [Value::Integer(from), Value::Integer(to)]) => {
                let range = place(*from, length + 1)?..place(*to, length + 1)?;
                let items = self.list_items(cell).get(range).map(<[Value]>::to_vec);
                let items = items.ok_or_else(|| out_of_bounds(*to, length))?;
                self.heap.list(items)?
            }
            ("toArray", []) => {
                let items = self.list_items(cell).to_vec();
                self.heap.list(items)?
            }
            _ => return Ok(None),
        }))
    }

    /// The items of a list; of anything else, none.
    fn list_items(&self, cell: Cell) -> &[Value] {
        match self.heap.get(cell) {
            Some(Content::List { items, .. }) => items,
            _ => &[],
        }
    }

    fn list_items_mut(&mut self, cell: Cell) -> Result<&mut Vec<Value>, Fault> {
        match self.heap.get_mut(cell) {
            Some(Content::List { items, .. }) => Ok(items),
            _ => Err(Fault::failed("this is not a list")),
        }
    }

    fn find(&mut self, cell: Cell, value: &Value, last: bool) -> Result<Option<usize>, Fault> {
        let items: Arc<[Value]> = Arc::from(self.list_items(cell));
        self.heap.spend(1 + items.len() / 16)?;
        let mut result = None;
        for (position, item) in items.iter().enumerate() {
            if super::same_type(item, value) && self.heap.equal(item, value, 0)? {
                result = Some(position);
                if !last {
                    break;
                }
            }
        }
        Ok(result)
    }
}

fn found(position: Option<usize>) -> Value {
    position.map_or(Value::Integer(-1), Value::count)
}

/// Unlike `$list[-1]`, a method of Java's counts from the beginning only.
fn place(at: i64, length: usize) -> Result<usize, Fault> {
    let place = usize::try_from(at).ok().filter(|place| *place < length);
    place.ok_or_else(|| out_of_bounds(at, length))
}
