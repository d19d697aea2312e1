//! A value against its schemas.

use serde_json::{Map, Number, Value, json};

use crate::canonical::{self, Decimal};
use crate::{Additional, Dependency, Index, Items, Node, Pattern, Type, limits};

pub(crate) fn validate(nodes: &[Node], value: &Value) -> Result<(), Vec<String>> {
    let mut validation = Validation { nodes, steps: 0, problems: Vec::new(), muted: 0 };
    match validation.apply(0, value, 0) {
        Ok(true) => Ok(()),
        Ok(false) => Err(validation.problems),
        Err(TooMuch(problem)) => {
            validation.problems.push(problem.to_owned());
            Err(validation.problems)
        }
    }
}

/// How many bytes of compiled pattern, times bytes of text, are one step of work.
///
/// Choice: measured, so that a step is about as long as any other.
const WORK_PER_STEP: usize = 640;

struct Validation<'s> {
    nodes: &'s [Node],
    steps: usize,
    problems: Vec<String>,
    /// Inside `anyOf`, `oneOf` and `not`, what fails is no problem by itself.
    muted: usize,
}

/// A bound was reached.
struct TooMuch(&'static str);

type Checked = Result<bool, TooMuch>;

impl Validation<'_> {
    fn spend(&mut self, steps: usize) -> Result<(), TooMuch> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > limits::STEPS_MAX {
            return Err(TooMuch("the validation is too much work"));
        }
        Ok(())
    }

    /// Notes a problem, if it holds.
    fn unless(&mut self, holds: bool, problem: impl FnOnce() -> String) -> bool {
        if !holds && self.muted == 0 && self.problems.len() < limits::PROBLEMS_MAX {
            self.problems.push(problem());
        }
        holds
    }

    fn apply(&mut self, index: Index, value: &Value, depth: usize) -> Checked {
        self.spend(1)?;
        if depth > limits::DEPTH_MAX {
            return Err(TooMuch("the schema refers to itself without end"));
        }
        let Some(node) = self.nodes.get(index) else { return Ok(true) };
        if let Some(reference) = node.reference {
            return self.apply(reference, value, depth + 1);
        }
        // Every part is looked at, so that all problems are told.
        let mut valid = self.shape(node, value)?;
        valid &= match value {
            Value::Object(members) => self.object(node, value, members, depth)?,
            Value::Array(items) => self.array(node, items, depth)?,
            Value::Number(number) => self.number(node, number),
            Value::String(text) => self.text(node, text)?,
            Value::Null | Value::Bool(_) => true,
        };
        Ok(self.combined(node, value, depth)? && valid)
    }

    fn shape(&mut self, node: &Node, value: &Value) -> Checked {
        let found = Type::of(value);
        let mut valid = true;
        if let Some(types) = &node.types {
            let fits = |wanted: &Type| {
                *wanted == found || (*wanted == Type::Number && found == Type::Integer)
            };
            valid &= self.unless(types.iter().any(fits), || {
                let allowed: Vec<&str> = types.iter().map(|wanted| wanted.name()).collect();
                format!(
                    "instance type ({}) does not match any allowed primitive type (allowed: {})",
                    found.name(),
                    json!(allowed)
                )
            });
        }
        if let Some((values, texts)) = &node.allowed {
            let text = canonical::text(value);
            self.spend(text.len() / 32)?;
            valid &= self.unless(texts.contains(&text), || {
                format!(
                    "instance value ({}) not found in enum (possible values: {values})",
                    shown(value)
                )
            });
        }
        Ok(valid)
    }

    fn combined(&mut self, node: &Node, value: &Value, depth: usize) -> Checked {
        let mut valid = true;
        if !node.all_of.is_empty() {
            let (matched, of) = (self.matches(&node.all_of, value, depth)?, node.all_of.len());
            valid &= self.unless(matched == of, || {
                format!("instance failed to match all required schemas (matched only {matched} out of {of})")
            });
        }
        if !node.any_of.is_empty() {
            let (matched, of) = (self.matches(&node.any_of, value, depth)?, node.any_of.len());
            valid &= self.unless(matched > 0, || {
                format!("instance failed to match at least one required schema among {of}")
            });
        }
        if !node.one_of.is_empty() {
            let (matched, of) = (self.matches(&node.one_of, value, depth)?, node.one_of.len());
            valid &= self.unless(matched == 1, || {
                format!(
                    "instance failed to match exactly one schema (matched {matched} out of {of})"
                )
            });
        }
        if let Some(not) = node.not {
            let matched = self.matches(&[not], value, depth)?;
            valid &= self.unless(matched == 0, || {
                "instance matched a schema which it should not have".to_owned()
            });
        }
        Ok(valid)
    }

    /// How many of these schemas a value matches.
    fn matches(
        &mut self,
        schemas: &[Index],
        value: &Value,
        depth: usize,
    ) -> Result<usize, TooMuch> {
        self.muted += 1;
        let mut matched = 0;
        for schema in schemas {
            matched += usize::from(self.apply(*schema, value, depth + 1)?);
        }
        self.muted -= 1;
        Ok(matched)
    }

    fn object(
        &mut self,
        node: &Node,
        value: &Value,
        members: &Map<String, Value>,
        depth: usize,
    ) -> Checked {
        let count = members.len();
        self.spend(node.required.len() + node.properties.len())?;
        let missing: Vec<&String> =
            node.required.iter().filter(|name| !members.contains_key(*name)).collect();
        let mut valid = self.unless(missing.is_empty(), || {
            format!("object has missing required properties ({})", json!(missing))
        });
        valid &= self.unless(at_least(count, node.min_properties), || {
            let wanted = node.min_properties.unwrap_or_default();
            format!("object has too few properties (found {count} but schema requires at least {wanted})")
        });
        valid &= self.unless(at_most(count, node.max_properties), || {
            let wanted = node.max_properties.unwrap_or_default();
            format!("object has too many properties (found {count} but schema requires at most {wanted})")
        });
        let mut refused: Vec<&String> = Vec::new();
        for (name, member) in members {
            self.spend(1 + node.properties.len() / 16)?;
            let mut known = false;
            if let Some((_, schema)) = node.properties.iter().find(|(found, _)| found == name) {
                known = true;
                valid &= self.apply(*schema, member, depth + 1)?;
            }
            for (pattern, schema) in &node.pattern_properties {
                if self.finds(pattern, name)? {
                    known = true;
                    valid &= self.apply(*schema, member, depth + 1)?;
                }
            }
            match node.additional_properties {
                Additional::Refused if !known => refused.push(name),
                Additional::Schema(schema) if !known => {
                    valid &= self.apply(schema, member, depth + 1)?;
                }
                _ => {}
            }
        }
        refused.sort();
        valid &= self.unless(refused.is_empty(), || {
            format!(
                "object instance has properties which are not allowed by the schema: {}",
                shown(&json!(refused))
            )
        });
        for (name, dependency) in &node.dependencies {
            if !members.contains_key(name) {
                continue;
            }
            valid &= match dependency {
                Dependency::Schema(schema) => self.apply(*schema, value, depth + 1)?,
                Dependency::Names(names) => {
                    let missing: Vec<&String> =
                        names.iter().filter(|name| !members.contains_key(*name)).collect();
                    self.unless(missing.is_empty(), || {
                        format!(
                            "property {name:?} of object has missing property dependencies \
                             (schema requires {}; missing: {})",
                            json!(names),
                            json!(missing)
                        )
                    })
                }
            };
        }
        Ok(valid)
    }

    fn array(&mut self, node: &Node, items: &[Value], depth: usize) -> Checked {
        let count = items.len();
        let mut valid = self.unless(at_least(count, node.min_items), || {
            let wanted = node.min_items.unwrap_or_default();
            format!("array is too short: must have at least {wanted} elements but instance has {count} elements")
        });
        valid &= self.unless(at_most(count, node.max_items), || {
            let wanted = node.max_items.unwrap_or_default();
            format!("array is too long: must have at most {wanted} elements but instance has {count} elements")
        });
        if node.unique_items {
            let texts: Vec<String> = items.iter().map(canonical::text).collect();
            self.spend(texts.iter().map(|text| 1 + text.len() / 32).sum())?;
            let different: std::collections::HashSet<&String> = texts.iter().collect();
            valid &= self.unless(different.len() == count, || {
                "array must not contain duplicate elements".to_owned()
            });
        }
        match &node.items {
            Items::Any => {}
            Items::Each(schema) => {
                for item in items {
                    valid &= self.apply(*schema, item, depth + 1)?;
                }
            }
            Items::Places(schemas) => {
                for (item, schema) in items.iter().zip(schemas) {
                    valid &= self.apply(*schema, item, depth + 1)?;
                }
                let most = schemas.len();
                match node.additional_items {
                    Additional::Allowed => {}
                    Additional::Refused => {
                        valid &= self.unless(count <= most, || {
                            format!("array is not allowed to contain more than {most} elements, but it has {count}")
                        });
                    }
                    Additional::Schema(schema) => {
                        for item in items.iter().skip(most) {
                            valid &= self.apply(schema, item, depth + 1)?;
                        }
                    }
                }
            }
        }
        Ok(valid)
    }

    fn number(&mut self, node: &Node, number: &Number) -> bool {
        let mut valid = true;
        if let Some((bound, exclusive)) = &node.minimum {
            let order = Decimal::compare(number, bound);
            valid &= self.unless(order.is_some_and(std::cmp::Ordering::is_ge), || {
                format!("numeric instance is lower than the required minimum (minimum: {bound}, found: {number})")
            });
            valid &= self.unless(!exclusive || order.is_none_or(std::cmp::Ordering::is_ne), || {
                format!(
                    "numeric instance is not strictly greater than the required minimum {bound}"
                )
            });
        }
        if let Some((bound, exclusive)) = &node.maximum {
            let order = Decimal::compare(number, bound);
            valid &= self.unless(order.is_some_and(std::cmp::Ordering::is_le), || {
                format!("numeric instance is greater than the required maximum (maximum: {bound}, found: {number})")
            });
            valid &= self.unless(!exclusive || order.is_none_or(std::cmp::Ordering::is_ne), || {
                format!("numeric instance is not strictly lower than the required maximum {bound}")
            });
        }
        if let Some(of) = &node.multiple_of {
            valid &= self.unless(Decimal::is_multiple(number, of), || {
                format!("remainder of division is not zero ({number} / {of})")
            });
        }
        valid
    }

    fn text(&mut self, node: &Node, text: &str) -> Checked {
        let mut valid = true;
        if node.min_length.is_some() || node.max_length.is_some() {
            self.spend(text.len() / 32)?;
            let length = text.chars().count();
            valid &= self.unless(at_least(length, node.min_length), || {
                let wanted = node.min_length.unwrap_or_default();
                format!(
                    "string {} is too short (length: {length}, required minimum: {wanted})",
                    shown(&json!(text))
                )
            });
            valid &= self.unless(at_most(length, node.max_length), || {
                let wanted = node.max_length.unwrap_or_default();
                format!(
                    "string {} is too long (length: {length}, maximum allowed: {wanted})",
                    shown(&json!(text))
                )
            });
        }
        if let Some(pattern) = &node.pattern {
            let found = self.finds(pattern, text)?;
            valid &= self.unless(found, || {
                format!(
                    "ECMA 262 regex {:?} does not match input string {}",
                    pattern.text,
                    shown(&json!(text))
                )
            });
        }
        Ok(valid)
    }

    fn finds(&mut self, pattern: &Pattern, text: &str) -> Checked {
        self.spend(1 + text.len().saturating_mul(pattern.bytes) / WORK_PER_STEP)?;
        Ok(pattern.regex.is_match(text))
    }
}

fn at_least(count: usize, bound: Option<u64>) -> bool {
    bound.is_none_or(|bound| u64::try_from(count).is_ok_and(|count| count >= bound))
}

fn at_most(count: usize, bound: Option<u64>) -> bool {
    bound.is_none_or(|bound| u64::try_from(count).is_ok_and(|count| count <= bound))
}

/// A value for a message: whole when it is short.
fn shown(value: &Value) -> String {
    const SHOWN: usize = 120;
    let text = value.to_string();
    if text.chars().nth(SHOWN).is_none() {
        return text;
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}
