//! The Java methods that templates call.
//!
//! A method that does not exist here leaves its reference undefined, as in Velocity; one that would throw in Java fails
//! the template. A method without a result gives the empty text.

mod list;
mod map;
mod text;

use std::sync::Arc;

use crate::error::Fault;
use crate::evaluate::Evaluator;
use crate::value::{Content, Value};

/// What a method gives; `None` when there is no such method.
type Returned = Result<Option<Value>, Fault>;

impl Evaluator<'_> {
    pub(crate) fn call(&mut self, target: &Value, name: &str, arguments: &[Value]) -> Returned {
        match (name, arguments) {
            ("toString", []) => {
                let text = self.show(target)?;
                return self.heap.text(text).map(Some);
            }
            ("equals", [other]) => {
                let same = same_type(target, other) && self.equal(target, other)?;
                return Ok(Some(Value::Boolean(same)));
            }
            _ => {}
        }
        match target {
            Value::Text(text) => self.call_text(text, name, arguments),
            Value::Cell(cell) => match self.heap.get(*cell) {
                Some(Content::List { .. }) => self.call_list(*cell, name, arguments),
                Some(Content::Map(_)) => self.call_map(*cell, name, arguments),
                Some(Content::Entry(key, value)) => Ok(match (name, arguments) {
                    ("getKey", []) => Some(Value::Text(Arc::clone(key))),
                    ("getValue", []) => Some(value.clone()),
                    _ => None,
                }),
                None => Ok(None),
            },
            Value::Integer(_) | Value::Decimal(_) => Ok(call_number(target, name, arguments)),
            Value::Boolean(value) => Ok(match (name, arguments) {
                ("booleanValue", []) => Some(Value::Boolean(*value)),
                ("compareTo", [Value::Boolean(other)]) => Some(order(value.cmp(other))),
                _ => None,
            }),
            Value::Context(_) | Value::Override(_) | Value::StageVariables => {
                self.call_provided(target, name, arguments)
            }
            Value::Input => self.call_input(name, arguments),
            Value::Util => self.call_util(name, arguments),
            Value::Loop(depth) => Ok(self.call_loop(*depth, name, arguments)),
            Value::Block(_) | Value::Null | Value::Missing => Ok(None),
        }
    }

    /// `get` and `containsKey` ask for one name; everything else needs the whole map.
    fn call_provided(&mut self, target: &Value, name: &str, arguments: &[Value]) -> Returned {
        match (name, arguments) {
            ("get" | "getOrDefault" | "containsKey", [key, default @ ..]) => {
                let key = self.show(key)?;
                let found = self.provided_property(target, &key)?;
                Ok(match (name, default) {
                    ("get", []) => Some(found),
                    ("containsKey", []) => Some(Value::Boolean(!found.is_null())),
                    ("getOrDefault", [default]) => {
                        Some(if found.is_null() { default.clone() } else { found })
                    }
                    _ => None,
                })
            }
            _ => match self.materialised(target)? {
                Value::Cell(cell) => self.call_map(cell, name, arguments),
                _ => Ok(None),
            },
        }
    }

    fn call_loop(&self, depth: usize, name: &str, arguments: &[Value]) -> Option<Value> {
        let property = match (name, arguments) {
            ("hasNext", []) => "hasNext",
            ("getIndex", []) => "index",
            ("getCount", []) => "count",
            ("isFirst", []) => "first",
            ("isLast", []) => "last",
            ("getParent", []) => "parent",
            ("getTopmost", []) => "topmost",
            _ => return None,
        };
        Some(self.loop_property(depth, property))
    }
}

/// Java's `equals` is false for another type, where `==` of a template compares texts.
fn same_type(left: &Value, right: &Value) -> bool {
    std::mem::discriminant(left) == std::mem::discriminant(right)
}

fn order(order: std::cmp::Ordering) -> Value {
    Value::Integer(i64::from(order as i8))
}

/// What a method without a result gives.
fn nothing() -> Value {
    Value::text("")
}

fn call_number(target: &Value, name: &str, arguments: &[Value]) -> Option<Value> {
    let number = target.as_number()?;
    Some(match (name, arguments, target) {
        ("intValue", [], Value::Integer(integer)) => Value::Integer(i64::from(low_bits(*integer))),
        ("longValue", [], Value::Integer(integer)) => Value::Integer(*integer),
        ("hashCode", [], Value::Integer(integer)) => {
            Value::Integer(i64::from(low_bits(*integer ^ (*integer >> 32))))
        }
        #[expect(clippy::cast_possible_truncation, reason = "saturates, as in Java")]
        ("intValue", [], _) => Value::Integer(i64::from(number as i32)),
        #[expect(clippy::cast_possible_truncation, reason = "saturates, as in Java")]
        ("longValue", [], _) => Value::Integer(number as i64),
        ("doubleValue" | "floatValue", [], _) => Value::Decimal(number),
        ("compareTo", [other], _) => order(number.partial_cmp(&other.as_number()?)?),
        _ => return None,
    })
}

/// The lower 32 bits, as Java narrows a long to an int.
fn low_bits(number: i64) -> i32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}
