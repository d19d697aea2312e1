//! The resolver beside the CDK's own: where the CDK resolves an expression, it comes to the same here.

#![allow(clippy::disallowed_methods, reason = "who looks into a failure names its seed")]

use std::process::Command;

use serde_json::{Map, Value, json};
use stillwire_deploy::{Input, LoadOptions, load};
use stillwire_testkit::tools;

/// Expressions of one run.
const COUNT: &str = "400";

#[test]
fn expressions_come_to_what_the_cdk_resolves_them_to() {
    // Another seed at every run; a failure names it.
    let now = std::time::UNIX_EPOCH.elapsed().expect("a time after 1970");
    let seed = std::env::var("STILLWIRE_SEED").unwrap_or_else(|_| now.as_secs().to_string());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cdk_values.py");
    let mut command = Command::new(tools::cdk("cdk-chat").join("python"));
    let done = command.args([script, &seed, COUNT]).output().expect("Python starts");
    assert!(done.status.success(), "seed {seed}: {}", String::from_utf8_lossy(&done.stderr));
    let made: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let pairs = made["pairs"].as_array().expect("a list");
    let resolved = pairs.iter().filter(|pair| pair[1].is_string()).count();
    assert!(resolved * 10 > pairs.len() * 9, "seed {seed}: the CDK resolves nearly all");

    let outputs: Map<String, Value> = pairs
        .iter()
        .enumerate()
        .flat_map(|(at, pair)| {
            let output = |of: &Value| json!({ "Value": of });
            [(format!("Raw{at}"), output(&pair[0])), (format!("Cdk{at}"), output(&pair[1]))]
        })
        .collect();
    let template = json!({ "Mappings": made["mappings"], "Resources": {}, "Outputs": outputs });
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("values.json");
    std::fs::write(&file, template.to_string()).expect("written");
    let input = Input::find(&file).expect("a template");
    let loaded = load(&input, &LoadOptions::default());
    let loaded = loaded.unwrap_or_else(|problems| panic!("seed {seed}: {problems}"));
    let value = |key: String| {
        let mut outputs = loaded.app.stacks.iter().flat_map(|stack| &stack.outputs);
        outputs.find(|output| output.key == key).map(|output| output.value.as_str())
    };
    for (at, pair) in pairs.iter().enumerate() {
        let ours = value(format!("Raw{at}"));
        assert!(ours.is_some(), "seed {seed}: {}", pair[0]);
        assert_eq!(ours, value(format!("Cdk{at}")), "seed {seed}: {}", pair[0]);
        if let Some(text) = pair[1].as_str() {
            assert_eq!(ours, Some(text), "seed {seed}: {}", pair[0]);
        }
    }
}
