//! What a plan or a state holds: the instances of resources, and what the configuration says of them.

use serde_json::{Map, Value};

use super::reader::Reader;

/// Whether a JSON text may be a plan or state of Terraform's (or `OpenTofu`'s).
pub(crate) fn looks_like(text: &str) -> bool {
    let head: String = text.chars().take(4096).collect();
    head.contains("\"terraform_version\"")
        && (head.contains("\"format_version\"")
            || head.contains("\"lineage\"")
            || head.contains("\"serial\""))
}

/// One instance of a resource.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) address: String,
    /// The logical id that it gets.
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) name: String,
    /// The address of its module, empty for the root's.
    pub(super) module: String,
    /// `count` or `for_each`: which of them.
    pub(super) index: Option<String>,
    pub(super) managed: bool,
    pub(super) values: Value,
    /// What is not known before it exists: `true` where a value is not.
    pub(super) unknown: Value,
}

impl Instance {
    /// A value; none where it is not set, or not known yet.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// The first block of a name.
    pub(super) fn block(&self, name: &str) -> Option<&Value> {
        self.get(name)?.as_array()?.first()
    }

    /// Whether a value will be there, and is not known yet.
    pub(super) fn is_unknown(&self, name: &str) -> bool {
        self.unknown.get(name) == Some(&Value::Bool(true))
    }

    /// The names of a map's members, in a block or not, that are not known yet.
    pub(super) fn unknown_members(&self, block: &str, name: &str) -> Vec<String> {
        let blocks = self.unknown.get(block).and_then(Value::as_array);
        let members = blocks.and_then(|blocks| blocks.first()?.get(name)?.as_object());
        let members = members.into_iter().flatten();
        members
            .filter(|(_, unknown)| **unknown == Value::Bool(true))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// A plan or state.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) instances: Vec<Instance>,
    pub(super) outputs: Map<String, Value>,
    configuration: Value,
    variables: Value,
}

impl Document {
    pub(super) fn of(root: Value) -> Result<Self, String> {
        let mut reader = Reader::default();
        let values = root.get("planned_values").or_else(|| root.get("values"));
        let outputs =
            values.and_then(|values| values.get("outputs")).or_else(|| root.get("outputs"));
        let outputs = outputs.and_then(Value::as_object).cloned().unwrap_or_default();
        for change in root.get("resource_changes").and_then(Value::as_array).into_iter().flatten() {
            let address = change.get("address").and_then(Value::as_str);
            let unknown = change.get("change").and_then(|change| change.get("after_unknown"));
            if let (Some(address), Some(unknown)) = (address, unknown) {
                reader.unknown.insert(address.to_owned(), unknown.clone());
            }
        }
        match values.and_then(|values| values.get("root_module")) {
            Some(module) => reader.module(module, "", 0)?,
            None => match root.get("resources").and_then(Value::as_array) {
                Some(resources) => reader.state(resources)?,
                // A state without resources, and nothing planned.
                None if values.is_some() => {}
                None => return Err("this is neither a plan nor a state of Terraform's".to_owned()),
            },
        }
        // Data that was read before planning is in the prior state.
        let prior =
            root.get("prior_state").and_then(|state| state.get("values")?.get("root_module"));
        if let Some(module) = prior {
            reader.data(module, "", 0);
        }
        let take = |name: &str| root.get(name).cloned().unwrap_or_default();
        Ok(Self {
            instances: reader.instances,
            outputs,
            configuration: take("configuration"),
            variables: take("variables"),
        })
    }

    /// The configuration of a module, by its address.
    pub(super) fn module(&self, address: &str) -> Option<&Value> {
        let root = self.configuration.get("root_module")?;
        calls(address)
            .iter()
            .try_fold(root, |module, call| module.get("module_calls")?.get(call)?.get("module"))
    }

    /// How a module is called: the expressions of its variables.
    pub(super) fn call(&self, address: &str) -> Option<&Value> {
        let mut calls = calls(address);
        let last = calls.pop()?;
        let parent = parent(address);
        self.module(parent)?.get("module_calls")?.get(&last)?.get("expressions")
    }

    /// The expressions of a resource.
    pub(super) fn expressions(&self, instance: &Instance) -> Option<&Value> {
        let resources = self.module(&instance.module)?.get("resources")?.as_array()?;
        let mode = if instance.managed { "managed" } else { "data" };
        let found = resources.iter().find(|resource| {
            let text = |name: &str| resource.get(name).and_then(Value::as_str);
            text("type") == Some(&instance.kind)
                && text("name") == Some(&instance.name)
                && text("mode").unwrap_or("managed") == mode
        });
        found?.get("expressions")
    }

    pub(super) fn output_expression(&self, name: &str) -> Option<&Value> {
        self.module("")?.get("outputs")?.get(name)?.get("expression")
    }

    /// The instances of a resource (`type.name`, `data.type.name`) of a module.
    pub(super) fn named<'d>(
        &'d self,
        module: &str,
        kind: &str,
        name: &str,
        managed: bool,
    ) -> Vec<&'d Instance> {
        let fits = |instance: &&Instance| {
            instance.module == module
                && instance.kind == kind
                && instance.name == name
                && instance.managed == managed
        };
        self.instances.iter().filter(fits).collect()
    }

    /// The account that ARNs name, where one is known.
    pub(super) fn account(&self) -> Option<String> {
        let texts = self.instances.iter().filter_map(|instance| instance.text("arn"));
        let accounts = texts.filter_map(|arn| arn.split(':').nth(4));
        accounts.filter(|account| account.len() == 12).map(str::to_owned).next()
    }

    /// The region of the provider: named, or the value of a variable; else the one that ARNs name.
    pub(super) fn region(&self) -> Option<String> {
        let provider = self.configuration.get("provider_config").and_then(|all| all.get("aws"));
        let region = provider.and_then(|provider| provider.get("expressions")?.get("region"));
        let constant = region.and_then(|region| region.get("constant_value")?.as_str());
        let variable = || {
            let name = region?
                .get("references")?
                .as_array()?
                .iter()
                .find_map(|reference| reference.as_str()?.strip_prefix("var."))?;
            self.variables.get(name)?.get("value")?.as_str()
        };
        let of_arn = || {
            let mut arns = self.instances.iter().filter_map(|instance| instance.text("arn"));
            arns.find_map(|arn| arn.split(':').nth(3).filter(|region| !region.is_empty()))
        };
        let own = || self.instances.iter().find_map(|instance| instance.text("region"));
        constant.or_else(variable).or_else(own).or_else(of_arn).map(str::to_owned)
    }
}

/// The names of the calls that lead to a module: `module.a["x"].module.b` is `a`, `b`.
fn calls(address: &str) -> Vec<String> {
    let mut names = Vec::new();
    for part in steps(address) {
        if part != "module" {
            names.push(part.split('[').next().unwrap_or_default().to_owned());
        }
    }
    names
}

/// The parts of an address; dots in the quotes of an index do not divide it.
fn steps(address: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, character) in address.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '.' if !quoted => {
                parts.push(address.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(address.get(start..).unwrap_or_default());
    parts.retain(|part| !part.is_empty());
    parts
}

/// The module around a module.
pub(super) fn parent(address: &str) -> &str {
    let parts = steps(address);
    let kept = parts.len().saturating_sub(2);
    let length: usize = parts.iter().take(kept).map(|part| part.len() + 1).sum();
    address.get(..length.saturating_sub(1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart_where_dots_divide_them() {
        assert_eq!(calls("module.a[\"x.y\"].module.b"), ["a", "b"]);
        assert_eq!(parent("module.a[\"x.y\"].module.b"), "module.a[\"x.y\"]");
        assert_eq!((parent("module.a"), parent("")), ("", ""));
    }
}
