//! Functions that run elsewhere: a second Stillwire, whose Lambda API stands for that of AWS.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]

use std::path::Path;

use serde_json::json;
use stillwire_testkit::{App, Stillwire};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const THERE: &str = r#"
def handler(event, context):
    if event["body"] == "fail":
        raise ValueError("there")
    print("called for", event["requestContext"]["connectionId"])
    return {"statusCode": 200, "body": "there: " + event["body"]}
"#;

const HERE: &str = "def handler(event, context):\n    return {'statusCode': 200, 'body': 'here'}\n";

fn start(template: &Path, config: &Path, keys: &[(&str, &str)]) -> Stillwire {
    let mut command = Stillwire::command(PROGRAM);
    command
        .args(["dev", "--port", "0", "--verbose", "--in-memory"])
        .arg(template)
        .arg("--config")
        .arg(config)
        .env_remove("AWS_ACCESS_KEY_ID")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .envs(keys.iter().copied());
    Stillwire::start(command)
}

#[test]
fn messages_reach_functions_that_stay_where_they_are() {
    let app = App::new()
        .function_with("far", THERE, &json!({ "FunctionName": "far" }))
        .function("near", HERE)
        .two_way_route("$default", "far")
        .two_way_route("near", "near");
    let template = app.template();
    let there = Stillwire::dev(PROGRAM, &template);
    let config = template.with_file_name("elsewhere.toml");
    let endpoint = there.ready()["aws_endpoint"].as_str().expect("an endpoint").to_owned();
    let text = format!("[lambda.elsewhere.far]\nendpoint = \"{endpoint}/\"\n");
    std::fs::write(&config, text).expect("written");
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDELSEWHERE"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let here = start(&template, &config, &keys);

    let mut client = here.connect();
    client.send("hello");
    assert_eq!(client.text(), "there: hello");
    client.send(r#"{"action":"near"}"#);
    assert_eq!(client.text(), "here");
    client.send("fail");
    assert!(client.text().starts_with(r#"{"message": "Internal server error""#));
    there.wait_for_log("called for");
    assert!(!here.log().contains("called for"), "it does not run here");

    let (log, ended_well) = there.stop();
    assert!(ended_well, "{log}");
    client.send("anybody?");
    assert!(client.text().starts_with(r#"{"message": "Internal server error""#));
    here.wait_for_log("it runs elsewhere, and");
}

#[test]
fn what_is_missing_is_said_at_the_start() {
    let app = App::new().function("far", THERE).two_way_route("$default", "far");
    let template = app.template();
    let config = template.with_file_name("elsewhere.toml");
    for (name, said) in [
        ("nope", "[lambda.elsewhere.nope] names no function of this app"),
        ("far", "there are no keys for AWS"),
    ] {
        std::fs::write(&config, format!("[lambda.elsewhere.{name}]\n")).expect("written");
        let output = Stillwire::command(PROGRAM)
            .args(["dev", "--port", "0", "--in-memory"])
            .arg(&template)
            .arg("--config")
            .arg(&config)
            .env_remove("AWS_ACCESS_KEY_ID")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .output()
            .expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(said), "{error}");
    }
}
