//! `stillwire check`: every resource is listed, and the exit code can be trusted.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]

use std::collections::BTreeSet;
use std::process::Output;

use serde_json::{Value, json};
use stillwire_testkit::{App, Stillwire, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

fn check(arguments: &[&str]) -> Output {
    Stillwire::command(PROGRAM).arg("check").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_resource_of_an_example_is_listed_with_what_becomes_of_it() {
    for (example, template) in [
        ("cdk-chat", "assembly-dev/devChat9CB43BD5.template.json"),
        ("cdk-chat-seed", "assembly-dev/devWebSocketStack5BFE3E9F.template.json"),
    ] {
        let app = tools::workspace().join("examples").join(example);
        let template = std::fs::read_to_string(app.join("cdk.out").join(template)).unwrap();
        let template: Value = serde_json::from_str(&template).unwrap();
        let declared: BTreeSet<&str> =
            template["Resources"].as_object().unwrap().keys().map(String::as_str).collect();

        let output = check(&[app.to_str().unwrap(), "--stage", "dev", "--json"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let listing: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = listing["resources"].as_array().unwrap();
        let listed: BTreeSet<&str> =
            rows.iter().map(|row| row["logical_id"].as_str().unwrap()).collect();
        assert_eq!(listed, declared);
        for row in rows {
            assert!(
                ["runs", "value-only", "skipped", "not-run"]
                    .contains(&row["action"].as_str().unwrap())
            );
            assert!(!row["note"].as_str().unwrap().is_empty(), "{row}");
        }
    }
}

#[test]
fn people_get_a_list_by_stack_and_a_sum() {
    let app = tools::workspace().join("examples/cdk-chat");
    let output = check(&[app.to_str().unwrap()]);
    let listing = text(&output.stdout);
    for line in ["dev-Chat\n", "stage-Chat\n", "prod-Chat\n", "60 resources: 48 run here, 0 do not"]
    {
        assert!(listing.contains(line), "{line:?} in\n{listing}");
    }
}

#[test]
fn unknown_types_are_listed_and_only_strict_fails_on_them() {
    let queue = json!({ "Type": "AWS::Foo::Bar", "Properties": {} });
    let app = App::new().function("echo", "").route("$default", "echo").resource("Queue", queue);
    let template = app.template();
    let template = template.to_str().unwrap();
    let output = check(&[template]);
    assert!(output.status.success());
    let listing = text(&output.stdout);
    assert!(listing.contains("AWS::Foo::Bar") && listing.contains("is NOT run here"), "{listing}");
    assert_eq!(check(&[template, "--strict"]).status.code(), Some(1));
}

#[test]
fn functions_that_cannot_run_here_are_said_not_to() {
    let app = App::new()
        .function_with("chat", "", &json!({ "Runtime": "go1.x" }))
        .route("$default", "chat");
    let output = check(&[app.template().to_str().unwrap(), "--json"]);
    let listing: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = listing["resources"].as_array().unwrap();
    let chat = rows.iter().find(|row| row["logical_id"] == "chat").unwrap();
    assert_eq!(chat["action"], "not-run");
    assert!(chat["note"].as_str().unwrap().contains("go1.x is not run here"), "{chat}");
}
