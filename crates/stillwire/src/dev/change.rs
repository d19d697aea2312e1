//! What differs between two versions of an app, resource by resource.

use std::collections::BTreeMap;

use stillwire_deploy::ResourceRow;

/// Resources whose properties differ from synthesis to synthesis and mean nothing.
const SILENT: &str = "AWS::CDK::Metadata";

/// One resource that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Its stack.
    pub(crate) stack: String,
    /// Its path in the CDK's tree, else its logical id.
    pub(crate) name: String,
    /// Its type, without `AWS::`.
    pub(crate) kind: String,
    /// How it differs.
    pub(crate) how: How,
}

/// How a resource differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum How {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// These of its properties differ.
    Changed(Vec<String>),
}

/// What differs, in the order of the templates; what is gone comes last.
pub(crate) fn between(old: &[ResourceRow], new: &[ResourceRow]) -> Vec<Change> {
    let (before, after) = (created(old), created(new));
    let shown = |row: &ResourceRow, how| Change {
        stack: row.stack.clone(),
        name: shown(row).to_owned(),
        kind: row.kind.strip_prefix("AWS::").unwrap_or(&row.kind).to_owned(),
        how,
    };
    let mut changes = Vec::new();
    for row in new.iter().filter(|row| after.contains_key(&key(row))) {
        match before.get(&key(row)) {
            None => changes.push(shown(row, How::Added)),
            Some(old) => {
                let differing = differing(old, row);
                if !differing.is_empty() {
                    changes.push(shown(row, How::Changed(differing)));
                }
            }
        }
    }
    let gone =
        old.iter().filter(|row| before.contains_key(&key(row)) && !after.contains_key(&key(row)));
    changes.extend(gone.map(|row| shown(row, How::Removed)));
    changes
}

/// A resource by its path in the CDK's tree, else by its logical id.
pub(crate) fn shown(row: &ResourceRow) -> &str {
    let path = row.construct_path.as_deref().unwrap_or(&row.logical_id);
    path.strip_suffix("/Resource").unwrap_or(path)
}

/// What tells resources apart.
fn key(row: &ResourceRow) -> (&str, &str) {
    (&row.stack, &row.logical_id)
}

/// The resources that are made, and mean something.
fn created(rows: &[ResourceRow]) -> BTreeMap<(&str, &str), &ResourceRow> {
    let made = rows.iter().filter(|row| row.physical_id.is_some() && row.kind != SILENT);
    made.map(|row| (key(row), row)).collect()
}

/// The names of the properties that differ.
fn differing(old: &ResourceRow, new: &ResourceRow) -> Vec<String> {
    let mut names = Vec::new();
    if old.kind != new.kind {
        names.push("Type".to_owned());
    }
    let (before, after) = (&old.properties.0, &new.properties.0);
    for name in before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))) {
        if before.get(name) != after.get(name) {
            names.push(name.clone());
        }
    }
    if old.is_retained != new.is_retained {
        names.push("DeletionPolicy".to_owned());
    }
    names
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};
    use stillwire_deploy::{Input, LoadOptions, load};

    use super::*;

    fn rows(resources: &Value) -> Vec<ResourceRow> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.json");
        fs::write(&file, json!({ "Resources": resources }).to_string()).unwrap();
        load(&Input::Template(file), &LoadOptions::default()).unwrap().resources
    }

    fn table(attribute: &str) -> Value {
        json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
            "AttributeDefinitions": [{ "AttributeName": attribute, "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": attribute, "KeyType": "HASH" }] } })
    }

    #[test]
    fn resources_come_go_and_change_by_their_properties() {
        let metadata = |text: &str| json!({ "Type": SILENT, "Properties": { "Analytics": text } });
        let old = rows(&json!({ "A": table("id"), "B": table("id"), "M": metadata("x") }));
        let new = rows(&json!({ "A": table("pk"), "C": table("id"), "M": metadata("y") }));
        let change = |name: &str, how| Change {
            stack: "app".to_owned(),
            name: name.to_owned(),
            kind: "DynamoDB::Table".to_owned(),
            how,
        };
        let differing = vec!["AttributeDefinitions".to_owned(), "KeySchema".to_owned()];
        assert_eq!(
            between(&old, &new),
            [
                change("A", How::Changed(differing)),
                change("C", How::Added),
                change("B", How::Removed)
            ]
        );
        assert_eq!(between(&new, &new), []);
    }
}
