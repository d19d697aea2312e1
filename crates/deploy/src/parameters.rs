//! Parameters: given from outside, passed down by a parent stack, or their defaults; and checked.

mod check;

use crate::node::{Node, Position, Value};
use crate::report::Notice;
use crate::resolver::{Failed, Key, Resolved, Resolver, What};

/// What the CDK's bootstrap version is taken for: high enough for every check.
const BOOTSTRAP_VERSION: &str = "999";

impl Resolver<'_> {
    /// The value of a parameter.
    pub(crate) fn parameter(&mut self, unit: usize, at: Position, name: &str) -> Resolved {
        let Some(declaration) = self.unit(unit).template.parameters.get(name) else {
            return self.fail(at, format!("no parameter is named {name}"));
        };
        let key = Key { unit, what: What::Parameter, name: name.to_owned() };
        self.once(key, at, |this| {
            this.within(unit, name, "", |this| this.parameter_value(unit, name, declaration))
                .map(Some)
        })
    }

    fn parameter_value(
        &mut self,
        unit: usize,
        name: &str,
        declaration: &Node,
    ) -> Result<Node, Failed> {
        let at = declaration.at;
        let described = declaration.get("Description").and_then(Node::as_text).unwrap_or_default();
        if name == "BootstrapVersion" || described.contains("[cdk:skip]") {
            return Ok(Node::text(at, BOOTSTRAP_VERSION));
        }
        let kind = declaration.get("Type").and_then(Node::as_text).unwrap_or("String");
        let passed = self.passed_down(unit, name)?;
        let given = || self.unit(unit).given.get(name).map(|text| Node::text(at, text.clone()));
        let value = passed.or_else(given).or_else(|| declaration.get("Default").cloned());
        let Some(value) = value else {
            // Source: aws-cdk 1, `DefaultStackSynthesizer` and its legacy: assets were parameters.
            let hint = if name.starts_with("AssetParameters") {
                "version 1 of the CDK made this; its assets are not read: move to version 2"
                    .to_owned()
            } else {
                format!("give one: --parameter {name}=VALUE")
            };
            let message = format!("the parameter {name} has no value");
            return self.fail_with(at, message, hint);
        };
        // A parent may pass a list on as a list.
        let text = match &value.value {
            Value::List(items) => {
                items.iter().filter_map(Node::scalar).collect::<Vec<_>>().join(",")
            }
            _ => value.scalar().unwrap_or_default(),
        };
        let inner = kind
            .strip_prefix("AWS::SSM::Parameter::Value<")
            .and_then(|rest| rest.strip_suffix('>'));
        // Source: as `check`: of a parameter of these types it is the name that is checked.
        self.check(name, kind, declaration, &text)?;
        let text = match inner {
            Some(_) => self.stored(at, &text)?,
            None => text,
        };
        let kind = inner.unwrap_or(kind);
        Ok(if kind == "CommaDelimitedList" || kind.starts_with("List<") {
            let items = text.split(',').map(|item| Node::text(at, item.trim())).collect();
            Node { at, value: Value::List(if text.is_empty() { Vec::new() } else { items }) }
        } else {
            self.finished_text(at, &text)
        })
    }

    /// What the parent stack says, resolved there.
    fn passed_down(&mut self, unit: usize, name: &str) -> Resolved {
        let Some((parent, logical_id)) = &self.unit(unit).parent else { return Ok(None) };
        let node = self
            .resource(*parent, logical_id)
            .and_then(|resource| resource.property("Parameters"))
            .and_then(|parameters| parameters.get(name));
        let Some(node) = node else { return Ok(None) };
        self.within(*parent, logical_id, "Properties.Parameters", |this| {
            this.step(name, |this| this.resolve(*parent, node))
        })
    }

    /// The value of the Parameter Store entry that a parameter names.
    fn stored(&mut self, at: Position, wanted: &str) -> Result<String, Failed> {
        if let Some(value) = self.stored_parameter(wanted)? {
            return Ok(value);
        }
        let text = format!("the Parameter Store entry {wanted} has no value here; it is empty");
        let notice = Notice::warning(self.location(at), text);
        self.notice(notice.hint("put it into a file and name that: --secrets FILE"));
        Ok(String::new())
    }
}
