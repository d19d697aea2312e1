//! The whole story of both example apps, from their assemblies and from source, with independent clients.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]

use std::time::Duration;

use serde_json::{Value, json};
use stillwire_testkit::{Client, Stillwire, eventually, example, tools};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const ADA: [(&str, &str); 1] = [("Authorization", "Bearer ada:sesame")];
const BOB: [(&str, &str); 1] = [("Authorization", "Bearer bob:sesame")];

/// An example from the `cdk.out` beside it, on a machine that has no CDK for it.
fn from_assembly(name: &str) -> (TempDir, Stillwire) {
    let app = example(name);
    let stillwire = Stillwire::dev(PROGRAM, app.path());
    assert!(stillwire.log().contains("the CDK is not installed here"), "{}", stillwire.log());
    (app, stillwire)
}

/// An example synthesized from its source, without the `cdk.out` beside it.
fn from_source(name: &str) -> (TempDir, Stillwire) {
    let app = example(name);
    std::fs::remove_dir_all(app.path().join("cdk.out")).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = [tools::cdk(name)].into_iter().chain(std::env::split_paths(&path));
    let mut command = Stillwire::command(PROGRAM);
    command.env("PATH", std::env::join_paths(paths).unwrap());
    command.args(["dev", "--in-memory", "--port", "0", "--verbose"]).arg(app.path());
    let stillwire = Stillwire::start(command);
    assert!(stillwire.log().contains("synthesized from source"), "{}", stillwire.log());
    (app, stillwire)
}

fn items(stillwire: &Stillwire, stage: &str) -> Vec<Value> {
    let table = of_stage(stillwire, "tables", stage)["name"].as_str().unwrap().to_owned();
    let endpoint = stillwire.ready()["aws_endpoint"].as_str().unwrap();
    serde_json::from_str(&tools::python("scan.py", &[endpoint, &table])).unwrap()
}

/// The first resource of this kind in the stack of a stage.
fn of_stage<'a>(stillwire: &'a Stillwire, kind: &str, stage: &str) -> &'a Value {
    let stack = &stillwire.api(stage)["stack"];
    let resources = stillwire.ready()[kind].as_array().unwrap();
    resources.iter().find(|resource| resource["stack"] == *stack).unwrap()
}

fn hi(client: &mut Client, message: &str) {
    client.send(&json!({ "action": "chat", "message": message }).to_string());
}

/// What the app promises, from the knock to the goodbye.
fn tell_the_story(stillwire: &Stillwire) {
    // Nobody gets in without an identity, and no function is bothered.
    let refused = stillwire.try_connect("dev", &[]).unwrap_err();
    assert_eq!((refused.status, refused.body.as_str()), (401, r#"{"message":"Unauthorized"}"#));
    assert!(!stillwire.log().contains("START RequestId"), "{}", stillwire.log());
    // A wrong secret is the authorizer's to judge.
    let wrong = stillwire.try_connect("dev", &[("Authorization", "Bearer ada:wrong")]).unwrap_err();
    assert_eq!((wrong.status, wrong.body.as_str()), (403, r#"{"message":"Forbidden"}"#));

    // Whoever is in is in the table, with the name the authorizer found.
    let mut ada = stillwire.try_connect("dev", &ADA).unwrap();
    let mut bob = stillwire.try_connect("dev", &BOB).unwrap();
    let mut elsewhere = stillwire.try_connect("prod", &BOB).unwrap();
    let mut users: Vec<_> =
        items(stillwire, "dev").iter().map(|item| item["user"].clone()).collect();
    users.sort_by_key(ToString::to_string);
    assert_eq!(users, ["ada", "bob"]);

    // A message reaches everyone of the stage, and nobody of another.
    hi(&mut ada, "hi");
    let expected = json!({ "from": "ada", "message": "hi" });
    assert_eq!((ada.json(), bob.json()), (expected.clone(), expected));
    assert_eq!(elsewhere.receive_within(Duration::from_millis(300)), None);

    // What has no route is answered, and the connection stays.
    let forbidden = ada.ask("not json");
    assert_eq!(forbidden["message"], "Forbidden");

    // Whoever leaves is gone from the table, and the others talk on.
    bob.close(Some((1000, "")));
    eventually("bob's row to go", || (items(stillwire, "dev").len() == 1).then_some(()));
    hi(&mut ada, "still here");
    assert_eq!(ada.json()["message"], "still here");
    ada.close(None);
    eventually("ada's row to go", || items(stillwire, "dev").is_empty().then_some(()));
    assert_eq!(items(stillwire, "prod").len(), 1);
}

#[test]
fn the_chat_runs_from_its_assembly() {
    let (_app, stillwire) = from_assembly("cdk-chat");
    tell_the_story(&stillwire);
}

#[test]
fn the_chat_runs_from_source() {
    let (_app, stillwire) = from_source("cdk-chat");
    tell_the_story(&stillwire);
}

#[test]
fn the_chat_of_a_2022_tutorial_runs_from_its_assembly() {
    let (_app, stillwire) = from_assembly("cdk-chat-seed");
    tell_the_story(&stillwire);
}

#[test]
fn the_chat_of_a_2022_tutorial_runs_from_source_without_docker() {
    let (_app, stillwire) = from_source("cdk-chat-seed");
    tell_the_story(&stillwire);
}

#[test]
fn the_ready_file_names_every_address_function_and_table() {
    let (_app, stillwire) = from_assembly("cdk-chat");
    let ready = stillwire.ready();
    assert_eq!(ready["pid"], stillwire.pid());
    assert!(std::path::Path::new(ready["ca"].as_str().unwrap()).exists());
    let members: Vec<_> = ready.as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["pid", "aws_endpoint", "ca", "apis", "domains", "functions", "tables", "outputs"];
    assert_eq!(members, expected);
    // Outputs keep their keys, and name addresses that lead here.
    let outputs = &ready["outputs"]["dev-Chat"];
    assert_eq!(outputs["WebSocketURL"], stillwire.url("dev", "wss"));
    assert_eq!(outputs["CallbackURL"], stillwire.url("dev", "https"));
    assert!(stillwire.log().contains(&format!("  {}", stillwire.url("dev", "wss"))));
    let stacks = |kind: &str| {
        let list = ready[kind].as_array().unwrap();
        list.iter().map(|entry| entry["stack"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(stacks("apis"), ["dev-Chat", "stage-Chat", "prod-Chat"]);
    assert_eq!(stacks("tables"), ["dev-Chat", "stage-Chat", "prod-Chat"]);
    assert_eq!(ready["domains"], json!([]));
    assert_eq!(stacks("functions").len(), 6);
    for stage in ["dev", "stage", "prod"] {
        let api = stillwire.api(stage);
        assert_eq!(api["name"], "WebsocketAPI");
        assert_eq!(api["logical_id"], "WebsocketAPI6F215259");
        assert_eq!(api["id"].as_str().unwrap().len(), 10);
        let port = api["ws"].as_str().unwrap().strip_prefix("ws://localhost:").unwrap();
        for (scheme, url) in [("wss", "wss"), ("http", "http"), ("https", "https")] {
            assert_eq!(api[scheme], format!("{url}://localhost:{port}"));
        }
        assert!(port.ends_with(&format!("/{stage}")));
    }
    let function = of_stage(&stillwire, "functions", "dev");
    let (name, arn) = (function["name"].as_str().unwrap(), function["arn"].as_str().unwrap());
    assert_eq!(arn, format!("arn:aws:lambda:us-east-1:999999999999:function:{name}"));
    let table = of_stage(&stillwire, "tables", "dev");
    let (name, arn) = (table["name"].as_str().unwrap(), table["arn"].as_str().unwrap());
    assert_eq!(arn, format!("arn:aws:dynamodb:us-east-1:999999999999:table/{name}"));
}

#[test]
fn independent_clients_chat_over_plain_and_tls() {
    let (_app, stillwire) = from_assembly("cdk-chat");
    let ca = stillwire.ready()["ca"].as_str().unwrap();
    for scheme in ["ws", "wss"] {
        let url = stillwire.url("dev", scheme);
        for printed in [
            tools::python("chat.py", &[&url, ca, "python"]),
            tools::node("chat.js", &[&url, ca, "node"]),
        ] {
            let seen: Value = serde_json::from_str(&printed).unwrap();
            assert_eq!(seen["message"], "hi", "{printed}");
            assert_eq!(seen["closed"], 1000, "{printed}");
        }
        let own = Stillwire::command(PROGRAM)
            .args(["connect", &url, "-H", "Authorization: Bearer own:sesame", "--json"])
            .args(["-x", r#"{"action":"chat","message":"hi"}"#, "-w", "1"])
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&own.stdout).into_owned();
        assert!(printed.contains(r#"{\"from\": \"own\", \"message\": \"hi\"}"#), "{printed}");
    }
    eventually("the table to be empty", || items(&stillwire, "dev").is_empty().then_some(()));
}
