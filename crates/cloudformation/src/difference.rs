//! What changes between two readings of a stack.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::reading::{Reading, Resource};

/// What becomes of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Action {
    Add,
    Modify,
    Remove,
}

/// A change of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) action: Action,
    pub(crate) logical_id: String,
    /// Of the resource that is there.
    pub(crate) physical_id: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// A new resource takes the place of the old one.
    pub(crate) replaces: bool,
    /// It stays when it is removed.
    pub(crate) is_retained: bool,
    /// The parts that differ, as fingerprints name them.
    pub(crate) parts: Vec<String>,
}

/// All changes: those of the template in its order, then what is removed.
pub(crate) fn changes(before: Option<&Reading>, after: &Reading) -> Vec<Change> {
    let none = Vec::new();
    let before = before.map_or(&none, |reading| &reading.resources);
    let known: BTreeMap<&str, &Resource> = by_id(before);
    let kept: BTreeSet<&str> =
        after.resources.iter().map(|resource| resource.logical_id.as_str()).collect();
    let made = after.resources.iter().filter_map(|resource| {
        match known.get(resource.logical_id.as_str()) {
            None => Some(added(resource)),
            Some(old) => modified(old, resource),
        }
    });
    let removed = before.iter().filter(|resource| !kept.contains(resource.logical_id.as_str()));
    made.chain(removed.map(removed_change)).collect()
}

/// Whether deploying the second in place of the first changes anything that anybody could notice.
pub(crate) fn differ(before: &Reading, after: &Reading) -> bool {
    before.outputs != after.outputs || !changes(Some(before), after).is_empty()
}

fn by_id(resources: &[Resource]) -> BTreeMap<&str, &Resource> {
    resources.iter().map(|resource| (resource.logical_id.as_str(), resource)).collect()
}

fn added(resource: &Resource) -> Change {
    Change {
        action: Action::Add,
        logical_id: resource.logical_id.clone(),
        physical_id: None,
        kind: resource.kind.clone(),
        replaces: false,
        is_retained: false,
        parts: Vec::new(),
    }
}

fn removed_change(resource: &Resource) -> Change {
    Change {
        action: Action::Remove,
        physical_id: Some(resource.physical_id.clone()),
        is_retained: resource.is_retained,
        ..added(resource)
    }
}

fn modified(old: &Resource, new: &Resource) -> Option<Change> {
    let names: BTreeSet<&String> = old.fingerprints.keys().chain(new.fingerprints.keys()).collect();
    let parts =
        names.into_iter().filter(|name| old.fingerprints.get(*name) != new.fingerprints.get(*name));
    let parts: Vec<String> = parts.cloned().collect();
    let replaces = old.kind != new.kind || old.physical_id != new.physical_id;
    (replaces || !parts.is_empty()).then(|| Change {
        action: Action::Modify,
        physical_id: Some(old.physical_id.clone()),
        replaces,
        is_retained: old.is_retained,
        parts,
        ..added(new)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(id: &str, parts: &[(&str, &str)]) -> Resource {
        let part = |(name, sum): &(&str, &str)| ((*name).to_owned(), (*sum).to_owned());
        Resource {
            logical_id: id.to_owned(),
            physical_id: format!("stack-{id}"),
            kind: "AWS::DynamoDB::Table".to_owned(),
            fingerprints: parts.iter().map(part).collect(),
            is_retained: false,
            note: None,
        }
    }

    fn reading(resources: Vec<Resource>) -> Reading {
        Reading { resources, ..Reading::default() }
    }

    #[test]
    fn a_change_is_what_was_added_differs_or_is_gone() {
        let before = reading(vec![
            resource("Same", &[("Properties.A", "1")]),
            resource("Gone", &[]),
            resource("Other", &[("Properties.A", "1"), ("Properties.B", "1"), ("Metadata", "1")]),
        ]);
        let after = reading(vec![
            resource("New", &[]),
            resource("Other", &[("Properties.A", "1"), ("Properties.C", "1"), ("Metadata", "2")]),
            resource("Same", &[("Properties.A", "1")]),
        ]);
        let found = changes(Some(&before), &after);
        let short: Vec<_> =
            found.iter().map(|change| (change.action, change.logical_id.as_str())).collect();
        let expected = [(Action::Add, "New"), (Action::Modify, "Other"), (Action::Remove, "Gone")];
        assert_eq!(short, expected);
        assert_eq!(found[1].parts, ["Metadata", "Properties.B", "Properties.C"]);
        assert!(!found[1].replaces);
        assert!(differ(&before, &after));
        assert!(!differ(&before, &before.clone()));
    }

    #[test]
    fn another_name_or_type_is_another_resource() {
        let before = reading(vec![resource("R", &[])]);
        let mut after = before.clone();
        after.resources[0].physical_id = "other".to_owned();
        assert!(changes(Some(&before), &after)[0].replaces);
        let mut after = before.clone();
        after.resources[0].kind = "AWS::SQS::Queue".to_owned();
        assert!(changes(Some(&before), &after)[0].replaces);
    }
}
