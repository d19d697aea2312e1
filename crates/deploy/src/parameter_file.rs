//! A file with values for templates' parameters, in each of the shapes that AWS's tools read.
//!
//! Source: AWS CLI, `cloudformation deploy --parameter-overrides file://…` (list of `ParameterKey`, plain map, and
//! `CodePipeline`'s `Parameters`).

use std::collections::BTreeMap;
use std::path::Path;

use crate::assets::read_text;
use crate::node::{Map, Node, Value};
use crate::problem::{Location, Problem};

/// Reads a file of values.
pub(crate) fn read(file: &Path) -> Result<BTreeMap<String, String>, Vec<Problem>> {
    let text = read_text(file).map_err(|problem| vec![problem])?;
    let root = Node::parse(&text)
        .map_err(|error| vec![Problem::new(Location::at(file, error.at), error.problem)])?;
    let mut values = BTreeMap::new();
    let refuse = |node: &Node, message: String| {
        let problem = Problem::new(Location::at(file, node.at), message);
        Err(vec![problem.hint(
            "write {\"Name\": \"value\"}, or [{\"ParameterKey\": \"Name\", \"ParameterValue\": \"value\"}]",
        )])
    };
    match &root.value {
        Value::Map(map) => {
            for member in &wrapped(map).0 {
                let Some(text) = text_of(&member.node) else {
                    let kind = member.node.kind();
                    return refuse(&member.node, format!("{} is {kind}, not a text", member.name));
                };
                values.insert(member.name.clone(), text);
            }
        }
        Value::List(items) => {
            for item in items {
                let name = item.get("ParameterKey").and_then(Node::as_text);
                let value = item.get("ParameterValue").and_then(text_of);
                match (name, value) {
                    (Some(name), Some(value)) => _ = values.insert(name.to_owned(), value),
                    // What the stack has already, says the CLI's `UsePreviousValue`: here that is the default.
                    (Some(_), None) if item.get("UsePreviousValue").is_some() => {}
                    _ => {
                        let message = "an entry has a ParameterKey and a ParameterValue".to_owned();
                        return refuse(item, message);
                    }
                }
            }
        }
        _ => return refuse(&root, "a file of parameters is an object or a list".to_owned()),
    }
    Ok(values)
}

/// The values themselves, where `Parameters` holds them and nothing else could.
fn wrapped(map: &Map) -> &Map {
    map.get("Parameters").and_then(Node::as_map).unwrap_or(map)
}

/// The text of a value; lists are written with commas.
fn text_of(node: &Node) -> Option<String> {
    match node.as_list() {
        Some(items) => {
            let texts: Option<Vec<String>> = items.iter().map(Node::scalar).collect();
            texts.map(|texts| texts.join(","))
        }
        None => node.scalar(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Result<Vec<(String, String)>, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("parameters.json");
        std::fs::write(&file, text).unwrap();
        let read = read(&file).map_err(|problems| problems.first().unwrap().to_string());
        Ok(read?.into_iter().collect())
    }

    #[test]
    fn each_shape_gives_the_same_values() {
        let expected =
            Ok(vec![("A".to_owned(), "1".to_owned()), ("B".to_owned(), "x,y".to_owned())]);
        for text in [
            r#"{"A": "1", "B": "x,y"}"#,
            "A: 1\nB: [x, y]\n",
            r#"{"Parameters": {"A": 1, "B": "x,y"}, "Tags": {"t": "v"}}"#,
            r#"[{"ParameterKey": "A", "ParameterValue": "1"}, {"ParameterKey": "B", "ParameterValue": "x,y"},
                {"ParameterKey": "C", "UsePreviousValue": true}]"#,
        ] {
            assert_eq!(values(text), expected, "{text}");
        }
    }

    #[test]
    fn another_shape_is_refused_with_its_place() {
        let error = values("{\"A\":\n {\"B\": {}}}").unwrap_err();
        assert!(error.contains("parameters.json:2:2") && error.contains("ParameterKey"), "{error}");
        assert!(values(r#"[{"Key": "A"}]"#).is_err());
        assert!(values("7").is_err());
    }
}
