//! Expressions to values.
//!
//! Source: Velocity 1.7, `MathUtils` and the nodes of its operators: integers stay integers (`7 / 2` is 3), `+` with a
//! text on either side joins texts, what cannot be computed (a division by zero, a comparison of texts with `<`) is
//! null, and values of different types are equal when their texts are.

use std::sync::Arc;

use super::Evaluator;
use crate::ast::{Chain, Expression, Operator};
use crate::error::{Fault, TemplateError};
use crate::limits;
use crate::value::{Content, Entries, Heap, Value};

impl Evaluator<'_> {
    pub(super) fn expression(&mut self, expression: &Expression) -> Result<Value, TemplateError> {
        self.heap.spend(1).map_err(|fault| self.placed(fault))?;
        Ok(match expression {
            Expression::Null => Value::Null,
            Expression::Boolean(value) => Value::Boolean(*value),
            Expression::Integer(number) => Value::Integer(*number),
            Expression::Decimal(number) => Value::Decimal(*number),
            Expression::Text(text) => Value::Text(Arc::clone(text)),
            Expression::Reference(reference) => return self.resolve(reference),
            nested => {
                let value = self.deeper(|evaluator| evaluator.nested(nested));
                return value.map_err(|fault| self.placed(fault));
            }
        })
    }

    fn nested(&mut self, expression: &Expression) -> Result<Value, TemplateError> {
        let made = match expression {
            Expression::Interpolated(block) => {
                let text = self.interpolated(block);
                text.and_then(|text| self.heap.text(text))
            }
            Expression::List(items) => {
                let items = items.iter().map(|item| self.expression(item));
                let items = items.collect::<Result<Vec<_>, _>>()?;
                self.heap.list(items)
            }
            Expression::Map(members) => {
                let mut entries = Entries::with_capacity(members.len());
                for (key, value) in members {
                    let key = self.expression(key)?;
                    let key = self.show(&key).map_err(|fault| self.placed(fault))?;
                    entries.insert(Arc::from(key), self.expression(value)?);
                }
                self.heap.map(entries)
            }
            Expression::Range(ends) => {
                let (first, last) = ends.as_ref();
                let (first, last) = (self.expression(first)?, self.expression(last)?);
                range(&mut self.heap, &first, &last)
            }
            Expression::Not(value) => Ok(Value::Boolean(!self.expression(value)?.is_true())),
            Expression::Chain(chain) => return self.chain(chain),
            simple => return self.expression(simple),
        };
        made.map_err(|fault| self.placed(fault))
    }

    fn chain(&mut self, chain: &Chain) -> Result<Value, TemplateError> {
        let mut left = self.expression(&chain.first)?;
        let mut left_source = &chain.first;
        for (operator, source) in &chain.rest {
            left = match operator {
                Operator::And if !left.is_true() => Value::Boolean(false),
                Operator::Or if left.is_true() => Value::Boolean(true),
                Operator::And | Operator::Or => Value::Boolean(self.expression(source)?.is_true()),
                operator => {
                    let right = self.expression(source)?;
                    let sources = (left_source, source);
                    self.operate(*operator, &left, &right, sources)
                        .map_err(|fault| fault.at(chain.place, "this expression"))?
                }
            };
            left_source = source;
        }
        Ok(left)
    }

    fn operate(
        &mut self,
        operator: Operator,
        left: &Value,
        right: &Value,
        sources: (&Expression, &Expression),
    ) -> Result<Value, Fault> {
        let (Value::Integer(_) | Value::Decimal(_), Value::Integer(_) | Value::Decimal(_)) =
            (left, right)
        else {
            return match operator {
                Operator::Equal => self.equal(left, right).map(Value::Boolean),
                Operator::NotEqual => self.equal(left, right).map(|same| Value::Boolean(!same)),
                Operator::Add if is_text(left) || is_text(right) => {
                    let mut joined = self.operand(left, sources.0)?;
                    joined.push_str(&self.operand(right, sources.1)?);
                    self.heap.text(joined)
                }
                Operator::Less
                | Operator::Greater
                | Operator::LessOrEqual
                | Operator::GreaterOrEqual => Ok(Value::Boolean(false)),
                _ => Ok(Value::Null),
            };
        };
        Ok(compute(operator, left, right))
    }

    /// What an operand adds to a text: an undefined reference adds itself.
    fn operand(&mut self, value: &Value, source: &Expression) -> Result<String, Fault> {
        match (value, source) {
            (Value::Null, Expression::Reference(reference)) => Ok(reference.literal.to_string()),
            _ => self.show(value),
        }
    }

    /// Whether two values are equal, as `==` and `equals` see it.
    pub(crate) fn equal(&mut self, left: &Value, right: &Value) -> Result<bool, Fault> {
        let (left, right) = (self.materialised(left)?, self.materialised(right)?);
        self.heap.equal(&left, &right, 0)
    }
}

fn is_text(value: &Value) -> bool {
    matches!(value, Value::Text(_))
}

fn range(heap: &mut Heap, first: &Value, last: &Value) -> Result<Value, Fault> {
    let (Value::Integer(first), Value::Integer(last)) = (first, last) else {
        return Ok(Value::Null);
    };
    let count = usize::try_from(first.abs_diff(*last)).unwrap_or(usize::MAX);
    heap.spend(count.saturating_add(1))?;
    let items = if first <= last {
        (*first..=*last).map(Value::Integer).collect()
    } else {
        (*last..=*first).rev().map(Value::Integer).collect()
    };
    heap.list(items)
}

/// Computes with two numbers. Beyond 64 bits an integer becomes a decimal.
///
/// Differs: Java would go on with a big integer.
fn compute(operator: Operator, left: &Value, right: &Value) -> Value {
    if let (Value::Integer(left), Value::Integer(right)) = (left, right) {
        let exact = match operator {
            Operator::Add => left.checked_add(*right),
            Operator::Subtract => left.checked_sub(*right),
            Operator::Multiply => left.checked_mul(*right),
            Operator::Divide | Operator::Modulo if *right == 0 => return Value::Null,
            Operator::Divide => left.checked_div(*right),
            Operator::Modulo => left.checked_rem(*right),
            _ => return Value::Boolean(holds(operator, left.cmp(right))),
        };
        if let Some(exact) = exact {
            return Value::Integer(exact);
        }
    }
    let (Some(left), Some(right)) = (left.as_number(), right.as_number()) else {
        return Value::Null;
    };
    Value::Decimal(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide | Operator::Modulo if right == 0.0 => return Value::Null,
        Operator::Divide => left / right,
        Operator::Modulo => left % right,
        _ => {
            let order = left.partial_cmp(&right);
            return Value::Boolean(order.is_some_and(|order| holds(operator, order)));
        }
    })
}

fn holds(operator: Operator, order: std::cmp::Ordering) -> bool {
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::Greater => order.is_gt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::GreaterOrEqual => order.is_ge(),
        _ => false,
    }
}

impl Heap {
    pub(crate) fn equal(
        &mut self,
        left: &Value,
        right: &Value,
        depth: usize,
    ) -> Result<bool, Fault> {
        if depth > limits::VALUE_DEPTH_MAX {
            return Err(Fault::Limit("nesting of a value", limits::VALUE_DEPTH_MAX));
        }
        self.spend(1)?;
        Ok(match (left, right) {
            (Value::Null | Value::Missing, Value::Null | Value::Missing)
            | (Value::Input, Value::Input)
            | (Value::Util, Value::Util) => true,
            (Value::Missing, Value::Text(text)) | (Value::Text(text), Value::Missing) => {
                text.is_empty()
            }
            (Value::Null | Value::Missing, _) | (_, Value::Null | Value::Missing) => false,
            (Value::Boolean(left), Value::Boolean(right)) => left == right,
            (Value::Text(left), Value::Text(right)) => {
                self.spend_text(left.len())?;
                left == right
            }
            (Value::Cell(left), Value::Cell(right)) if left == right => true,
            (Value::Cell(left), Value::Cell(right)) => {
                let pairs = match (self.get(*left), self.get(*right)) {
                    (
                        Some(Content::List { items: left, .. }),
                        Some(Content::List { items: right, .. }),
                    ) if left.len() == right.len() => {
                        left.iter().cloned().zip(right.iter().cloned()).collect::<Vec<_>>()
                    }
                    (Some(Content::Map(left)), Some(Content::Map(right)))
                        if left.len() == right.len() =>
                    {
                        let pair = |(key, value): (&Arc<str>, &Value)| {
                            (value.clone(), right.get(key).cloned().unwrap_or(Value::Null))
                        };
                        left.iter().map(pair).collect()
                    }
                    (
                        Some(Content::Entry(left, left_value)),
                        Some(Content::Entry(right, right_value)),
                    ) if left == right => vec![(left_value.clone(), right_value.clone())],
                    _ => return Ok(false),
                };
                for (left, right) in pairs {
                    if !self.equal(&left, &right, depth + 1)? {
                        return Ok(false);
                    }
                }
                true
            }
            (left, right) => match (left.as_number(), right.as_number()) {
                #[expect(clippy::float_cmp, reason = "equality of numbers is exact in Java, too")]
                (Some(left), Some(right)) => left == right,
                _ => self.print(left)? == self.print(right)?,
            },
        })
    }
}
