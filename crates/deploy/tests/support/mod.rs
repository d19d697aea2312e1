//! Templates and short ways to load them, for the tests of this crate.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of this one")]

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use stillwire_deploy::{Input, LoadOptions, Loaded, Problems, ResourceRow, load};

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
