//! Conditions: `Fn::And`, `Fn::Or`, `Fn::Not`, `Fn::Equals`, and what they switch off.

use crate::node::{Member, Node, Position, Value};
use crate::resolver::{Failed, Key, Resolver, What};

impl Resolver<'_> {
    /// Whether a named condition holds.
    pub(crate) fn condition(
        &mut self,
        unit: usize,
        at: Position,
        name: &str,
    ) -> Result<bool, Failed> {
        let Some(node) = self.unit(unit).template.conditions.get(name) else {
            return self.fail(at, format!("no condition is named {name}"));
        };
        let key = Key { unit, what: What::Condition, name: name.to_owned() };
        let result = self.once(key, at, |this| {
            let holds = this.within(unit, name, "", |this| this.test(unit, node))?;
            Ok(Some(Node { at: node.at, value: Value::Bool(holds) }))
        })?;
        Ok(matches!(result, Some(Node { value: Value::Bool(true), .. })))
    }

    /// Whether a resource or output is wanted: its `Condition`, if it has one, holds.
    pub(crate) fn is_active(&mut self, unit: usize, node: &Node) -> Result<bool, Failed> {
        match node.get("Condition") {
            None => Ok(true),
            Some(condition) => match condition.as_text() {
                Some(name) => self.condition(unit, condition.at, name),
                None => self.fail(condition.at, "`Condition` is the name of a condition"),
            },
        }
    }

    /// Whether a condition as it is written holds.
    pub(crate) fn test(&mut self, unit: usize, node: &Node) -> Result<bool, Failed> {
        if let Value::Map(map) = &node.value
            && let [member] = map.0.as_slice()
        {
            match member.name.as_str() {
                "Condition" => {
                    return match member.node.as_text() {
                        Some(name) => self.condition(unit, member.node.at, name),
                        None => self.fail(member.node.at, "`Condition` is the name of a condition"),
                    };
                }
                "Fn::And" | "Fn::Or" | "Fn::Not" | "Fn::Equals" => {
                    return self.test_call(unit, member);
                }
                _ => {}
            }
        }
        match self.resolve(unit, node)?.and_then(|value| value.scalar()).as_deref() {
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            _ => self.fail(node.at, "a condition is expected here"),
        }
    }

    /// One of the four functions.
    pub(crate) fn test_call(&mut self, unit: usize, member: &Member) -> Result<bool, Failed> {
        let node = &member.node;
        if member.name == "Fn::Equals" {
            let [left, right] = self.arguments::<2>(node, "Fn::Equals [a, b]")?;
            // Compared as text: `1` equals `"1"`, as parameters are always texts.
            let left = self.resolve(unit, left)?;
            let right = self.resolve(unit, right)?;
            let plain = |side: &Option<Node>| {
                side.as_ref().map(|node| node.scalar().map_or_else(|| node.to_json(), Into::into))
            };
            return Ok(plain(&left) == plain(&right));
        }
        if member.name == "Fn::Not" {
            let [one] = self.arguments::<1>(node, "Fn::Not [condition]")?;
            return Ok(!self.test(unit, one)?);
        }
        let Some(items) = node.as_list().filter(|items| !items.is_empty()) else {
            return self.fail(node.at, format!("{} takes a list of conditions", member.name));
        };
        let mut results = Vec::new();
        for item in items {
            results.push(self.test(unit, item)?);
        }
        Ok(if member.name == "Fn::And" {
            results.iter().all(|r| *r)
        } else {
            results.contains(&true)
        })
    }
}
