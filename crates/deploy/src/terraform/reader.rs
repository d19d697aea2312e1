//! Reads the instances out of a plan, out of what a plan was made from, and out of a state.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::document::Instance;

/// How many instances are read; a plan of more is not an app.
const INSTANCES_MAX: usize = 20_000;

/// How deep modules may be in modules.
const MODULES_MAX: usize = 32;

/// Gathers the instances of a document.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) instances: Vec<Instance>,
    /// What is not known yet, by address.
    pub(super) unknown: BTreeMap<String, Value>,
    ids: BTreeSet<String>,
}

impl Reader {
    /// The planned or known values of a module and of those in it.
    pub(super) fn module(
        &mut self,
        module: &Value,
        address: &str,
        depth: usize,
    ) -> Result<(), String> {
        if depth > MODULES_MAX {
            return Err(format!("modules are nested deeper than {MODULES_MAX} levels"));
        }
        for resource in module.get("resources").and_then(Value::as_array).into_iter().flatten() {
            let index = resource.get("index").map(plain);
            self.add(
                resource,
                address,
                index,
                resource.get("values").cloned().unwrap_or_default(),
            )?;
        }
        for child in module.get("child_modules").and_then(Value::as_array).into_iter().flatten() {
            let address =
                child.get("address").and_then(Value::as_str).unwrap_or_default().to_owned();
            self.module(child, &address, depth + 1)?;
        }
        Ok(())
    }

    /// Data of a prior state that is not planned anew.
    pub(super) fn data(&mut self, module: &Value, address: &str, depth: usize) {
        for resource in module.get("resources").and_then(Value::as_array).into_iter().flatten() {
            let text = |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or_default();
            let known = self.instances.iter().any(|instance| instance.address == text("address"));
            if text("mode") == "data" && !known {
                let index = resource.get("index").map(plain);
                let values = resource.get("values").cloned().unwrap_or_default();
                // Beyond the bound, data is left out: resources are what counts.
                self.add(resource, address, index, values).ok();
            }
        }
        for child in module.get("child_modules").and_then(Value::as_array).into_iter().flatten() {
            if depth < MODULES_MAX {
                let address =
                    child.get("address").and_then(Value::as_str).unwrap_or_default().to_owned();
                self.data(child, &address, depth + 1);
            }
        }
    }

    /// The resources of a state file, which has another form.
    pub(super) fn state(&mut self, resources: &[Value]) -> Result<(), String> {
        for resource in resources {
            let text = |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or_default();
            let module = text("module").to_owned();
            for instance in
                resource.get("instances").and_then(Value::as_array).into_iter().flatten()
            {
                let index = instance.get("index_key").map(plain);
                let mut address = format!("{}.{}", text("type"), text("name"));
                if text("mode") == "data" {
                    address = format!("data.{address}");
                }
                if !module.is_empty() {
                    address = format!("{module}.{address}");
                }
                match instance.get("index_key") {
                    Some(Value::String(key)) => address = format!("{address}[{key:?}]"),
                    Some(number) => address = format!("{address}[{number}]"),
                    None => {}
                }
                let described = json!({ "address": address, "mode": text("mode"), "type": text("type"),
                    "name": text("name") });
                let values = instance.get("attributes").cloned().unwrap_or_default();
                self.add(&described, &module, index, values)?;
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        resource: &Value,
        module: &str,
        index: Option<String>,
        values: Value,
    ) -> Result<(), String> {
        if self.instances.len() == INSTANCES_MAX {
            return Err(format!("there are more than {INSTANCES_MAX} resources"));
        }
        let text =
            |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let address = text("address");
        let unknown = self.unknown.get(&address).cloned().unwrap_or_default();
        let id = self.id(&address);
        self.instances.push(Instance {
            id,
            kind: text("type"),
            name: text("name"),
            module: module.to_owned(),
            index,
            managed: text("mode") != "data",
            values,
            unknown,
            address,
        });
        Ok(())
    }

    /// A logical id for an address: its words, with capitals; a number where that is another's.
    fn id(&mut self, address: &str) -> String {
        let words =
            address.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let words = words.filter(|word| *word != "aws").map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        });
        let base: String = words.collect::<String>().chars().take(200).collect();
        let mut id = base.clone();
        let mut number = 1;
        while !self.ids.insert(id.clone()) {
            number += 1;
            id = format!("{base}{number}");
        }
        id
    }
}

fn plain(index: &Value) -> String {
    index.as_str().map_or_else(|| index.to_string(), str::to_owned)
}
