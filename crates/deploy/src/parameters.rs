//! Parameters: given from outside, passed down by a parent stack, or their defaults; and checked.

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
        let value = match self.passed_down(unit, name)? {
            Some(value) => value,
            None => match self.unit(unit).given.get(name) {
                Some(text) => Node::text(at, text.clone()),
                None => match declaration.get("Default") {
                    Some(default) => default.clone(),
                    None => {
                        return self.fail_with(
                            at,
                            format!("the parameter {name} has no value"),
                            format!("give one: --parameter {name}=VALUE"),
                        );
                    }
                },
            },
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
        let text = match inner {
            Some(_) => self.stored(at, &text)?,
            None => text,
        };
        self.check(name, kind, declaration, &text)?;
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

    /// The value of a Parameter Store entry that one of the stacks declares.
    fn stored(&mut self, at: Position, wanted: &str) -> Result<String, Failed> {
        for (index, other) in self.world.units.iter().enumerate() {
            for (id, resource) in &other.template.resources {
                if resource.kind == "AWS::SSM::Parameter"
                    && self.property_text(index, id, "Name")?.as_deref() == Some(wanted)
                {
                    return Ok(self.property_text(index, id, "Value")?.unwrap_or_default());
                }
            }
        }
        let notice = Notice::warning(
            self.location(at),
            format!("the Parameter Store entry {wanted} has no value here; it is empty"),
        );
        self.notice(notice);
        Ok(String::new())
    }

    fn check(
        &mut self,
        name: &str,
        kind: &str,
        declaration: &Node,
        text: &str,
    ) -> Result<(), Failed> {
        let at = declaration.at;
        let explain = |problem: String| match declaration
            .get("ConstraintDescription")
            .and_then(Node::as_text)
        {
            Some(description) => format!("{problem}: {description}"),
            None => problem,
        };
        // A value that must stay secret does not appear in a message.
        let secret = declaration.get("NoEcho").and_then(Node::scalar).as_deref() == Some("true");
        let shown = if secret { "****" } else { text };
        if let Some(allowed) = declaration.get("AllowedValues").and_then(Node::as_list) {
            let allowed: Vec<String> = allowed.iter().filter_map(Node::scalar).collect();
            let values: Vec<&str> = if kind == "CommaDelimitedList" {
                text.split(',').map(str::trim).collect()
            } else {
                vec![text]
            };
            if let Some(wrong) =
                values.iter().find(|value| !allowed.iter().any(|one| one == **value))
            {
                let wrong = if secret { "****" } else { wrong };
                let allowed = allowed.join(", ");
                let problem = format!("the parameter {name} is {wrong}; it may be {allowed}");
                return self.fail(at, explain(problem));
            }
        }
        let number = text.parse::<f64>();
        if kind == "Number" && number.is_err() {
            return self.fail(
                at,
                explain(format!("the parameter {name} is {shown}, which is not a number")),
            );
        }
        let limit = |limit: &str| {
            declaration.get(limit).and_then(Node::scalar).and_then(|text| text.parse::<f64>().ok())
        };
        #[expect(clippy::cast_precision_loss, reason = "no text is long enough to notice")]
        let length = text.chars().count() as f64;
        let outside = |value: f64, min: &str, max: &str| {
            limit(min).is_some_and(|min| value < min) || limit(max).is_some_and(|max| value > max)
        };
        let number = number.unwrap_or_default();
        if kind == "Number" && outside(number, "MinValue", "MaxValue") {
            return self.fail(
                at,
                explain(format!("the parameter {name} is {shown}, which is out of range")),
            );
        }
        if kind == "String" && outside(length, "MinLength", "MaxLength") {
            return self.fail(at, explain(format!("the parameter {name} has the wrong length")));
        }
        Ok(())
    }
}
