//! Templates and short ways to load them, for the tests of this crate.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of this one")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use stillwire_deploy::{Input, LoadOptions, Loaded, Problems, ResourceRow, load};
use stillwire_model::{Code, Route};

/// Loads a template that stands alone in `app.json`.
pub fn try_load(template: &Value, parameters: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("app.json");
    fs::write(&file, serde_json::to_string_pretty(template).expect("JSON")).expect("written");
    let parameters =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&Input::Template(file), &LoadOptions { parameters, ..LoadOptions::default() })
}

/// The same, for a template without problems.
pub fn loaded(template: &Value) -> Loaded {
    try_load(template, &[]).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The problems of a template, as they are printed.
pub fn error(template: &Value) -> String {
    try_load(template, &[]).expect_err("a problem").to_string()
}

/// A template with one function whose environment is `variables`, and `more` resources.
pub fn with_environment(variables: &Value, more: &Value) -> Value {
    let mut resources = serde_json::Map::new();
    resources.insert("Fn".to_owned(), function(variables));
    resources.extend(more.as_object().cloned().unwrap_or_default());
    json!({ "Resources": resources })
}

/// A function with these variables.
pub fn function(variables: &Value) -> Value {
    json!({ "Type": "AWS::Lambda::Function", "Properties": {
        "Runtime": "python3.12", "Handler": "index.handler", "Code": { "ZipFile": "x = 1" },
        "Environment": { "Variables": variables } } })
}

/// A table named `t`.
pub fn table() -> Value {
    json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
        "TableName": "t", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }] } })
}

/// The environment of the only function.
pub fn environment(template: &Value) -> BTreeMap<String, String> {
    environment_of(&loaded(template))
}

/// The environment of the first function.
pub fn environment_of(loaded: &Loaded) -> BTreeMap<String, String> {
    loaded.app.functions().next().expect("a function").environment.clone()
}

/// The row of a resource.
pub fn row<'a>(loaded: &'a Loaded, id: &str) -> &'a ResourceRow {
    loaded.resources.iter().find(|row| row.logical_id == id).expect("a row")
}

/// What an app is, as a text in which nothing depends on where it lies or how its resources are ordered.
pub fn described(loaded: &Loaded) -> Vec<String> {
    let mut lines = Vec::new();
    for api in loaded.app.apis() {
        lines.push(format!("{} {} {:?} {:?}", api.logical_id, api.name, api.stages, api.models));
        let routes = api.routes().map(|route| Route { place: 0, ..(**route).clone() });
        lines.extend(routes.map(|route| format!("{route:?}")));
    }
    for function in loaded.app.functions() {
        let mut function = (**function).clone();
        if let Code::Directory { root, .. } = &mut function.code {
            *root = root.file_name().map(PathBuf::from).unwrap_or_default();
        }
        lines.push(format!("{function:?}"));
    }
    lines.extend(loaded.app.tables().map(|table| format!("{table:?}")));
    for stack in &loaded.app.stacks {
        lines.extend(stack.roles.iter().map(|role| {
            // Policies decide about tables; about others they are not written out.
            let policies =
                role.policies.iter().map(ordered).filter(|text| text.contains("dynamodb"));
            let mut policies: Vec<String> = policies.collect();
            policies.sort_unstable();
            format!("{} {policies:?} {:?}", role.arn, role.unknown_policies)
        }));
        lines.push(format!("{:?}", stack.outputs));
    }
    lines.extend(
        loaded
            .resources
            .iter()
            .map(|row| format!("{} {} {:?} {}", row.logical_id, row.kind, row.action, row.note)),
    );
    lines.sort_unstable();
    lines
}

/// The first line in which two differ is enough to read.
pub fn same(ours: &[String], theirs: &[String]) {
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

/// A document with its members in one order.
fn ordered(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> =
                map.iter().map(|(name, value)| format!("{name}={}", ordered(value))).collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(", "))
        }
        Value::Array(items) => {
            format!("{:?}", items.iter().map(ordered).collect::<Vec<_>>())
        }
        other => other.to_string(),
    }
}
