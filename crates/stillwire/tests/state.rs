//! What survives a restart, what does not, and what of an app is run.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]

use stillwire_testkit::{App, Stillwire, example, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// Puts one item into a table and says how many it had before.
const COUNTING: &str = r#"
import os, boto3
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
def handler(event, context):
    before = table.scan()["Count"]
    table.put_item(Item={"id": context.aws_request_id})
    return {"statusCode": 200, "body": str(before)}
"#;

fn counting_app() -> App {
    let table = serde_json::json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }] } });
    let variables =
        serde_json::json!({ "Environment": { "Variables": { "TABLE": { "Ref": "Table" } } } });
    App::new()
        .resource("Table", table)
        .function_with("count", COUNTING, &variables)
        .two_way_route("$default", "count")
}

fn count(stillwire: &Stillwire) -> String {
    let mut client = stillwire.connect();
    client.send("count");
    client.text()
}

#[test]
fn items_survive_a_restart_and_a_kill_in_the_data_folder() {
    let (app, data) = (counting_app(), tempfile::tempdir().unwrap());
    let template = app.template();
    let arguments = ["--data-dir", data.path().to_str().unwrap()];
    let stillwire = Stillwire::dev_with(PROGRAM, &template, &arguments);
    assert_eq!(count(&stillwire), "0");
    let (log, ended_well) = stillwire.stop();
    assert!(ended_well, "{log}");
    let mut stillwire = Stillwire::dev_with(PROGRAM, &template, &arguments);
    assert_eq!(count(&stillwire), "1");
    stillwire.signal(rustix::process::Signal::KILL);
    stillwire.wait();
    let stillwire = Stillwire::dev_with(PROGRAM, &template, &arguments);
    assert_eq!(count(&stillwire), "2");
}

/// Says which items there are, and empties the table.
const EMPTYING: &str = r#"
import os, boto3
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
def handler(event, context):
    items = table.scan()["Items"]
    for item in items:
        table.delete_item(Key={"id": item["id"]})
    return {"statusCode": 200, "body": ",".join(item["id"] for item in items) or "none"}
"#;

/// An app whose custom resource puts an item into its table when it is created.
fn seeded_app(item: &str) -> App {
    let create = format!(
        r#"{{"service":"DynamoDB","action":"putItem","parameters":{{"TableName":"seeded","Item":{{"id":{{"S":"{item}"}}}}}}}}"#
    );
    let properties = |name: &str, value: &str| serde_json::json!({ name: value });
    App::new()
        .resource(
            "Table",
            serde_json::json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
                "TableName": "seeded", "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
                "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }] } }),
        )
        .resource(
            "Seed",
            serde_json::json!({ "Type": "Custom::AWS", "Properties": {
                "ServiceToken": "arn:aws:lambda:us-east-1:000000000000:function:cdk", "Create": create } }),
        )
        .function_with(
            "count",
            EMPTYING,
            &serde_json::json!({ "Environment": { "Variables": properties("TABLE", "seeded") } }),
        )
        .two_way_route("$default", "count")
}

#[test]
fn a_custom_resource_puts_its_item_once_and_another_item_when_it_says_another() {
    let data = tempfile::tempdir().unwrap();
    let arguments = ["--data-dir", data.path().to_str().unwrap()];
    for (item, expected) in [("lobby", "lobby"), ("lobby", "none"), ("garden", "garden")] {
        let app = seeded_app(item);
        let stillwire = Stillwire::dev_with(PROGRAM, &app.template(), &arguments);
        assert_eq!(count(&stillwire), expected);
        let (log, ended_well) = stillwire.stop();
        assert!(ended_well, "{log}");
    }
}

#[test]
fn what_does_not_run_is_listed_at_the_start_and_strict_refuses_to_start() {
    let app = App::new()
        .function("f", "def handler(event, context): return {}")
        .route("$default", "f")
        .resource("Nightly", serde_json::json!({ "Type": "AWS::Events::Rule", "Properties": {} }));
    let template = app.template();
    let stillwire = Stillwire::dev(PROGRAM, &template);
    let log = stillwire.log();
    assert!(log.contains("not run here:"), "{log}");
    let line = log.lines().find(|line| line.contains("AWS::Events::Rule")).unwrap();
    assert!(line.contains("Nightly") && line.contains("no rule or schedule calls"), "{line}");
    drop(stillwire);
    let refused = Stillwire::command(PROGRAM)
        .args(["dev", "--in-memory", "--port", "0", "--strict"])
        .arg(&template)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{errors}");
    assert!(errors.contains("not run here: Nightly"), "{errors}");
}

#[test]
fn in_memory_nothing_is_kept_and_nothing_is_left() {
    let app = counting_app();
    let template = app.template();
    for _ in 0..2 {
        let stillwire = Stillwire::dev(PROGRAM, &template);
        assert_eq!(count(&stillwire), "0");
    }
    assert!(!template.with_file_name(".stillwire").exists());
}

#[test]
fn one_data_folder_is_for_one_stillwire_at_a_time() {
    let (app, data) =
        (App::new().function("f", "").route("$default", "f"), tempfile::tempdir().unwrap());
    let template = app.template();
    let data = data.path().to_str().unwrap();
    let first = Stillwire::dev_with(PROGRAM, &template, &["--data-dir", data]);
    let second = Stillwire::command(PROGRAM)
        .args(["dev", "--port", "0", "--data-dir", data])
        .arg(&template)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1));
    assert!(said.contains(&format!("another Stillwire (process {}) uses", first.pid())), "{said}");
    assert!(said.contains("hint: stop it, or name another folder with --data-dir"), "{said}");
}

#[test]
fn an_api_keeps_its_port_from_one_start_to_the_next() {
    let (app, data) =
        (App::new().function("f", "").route("$default", "f"), tempfile::tempdir().unwrap());
    let template = app.template();
    // Below the ephemeral range, by chance free; the next is tried when it is not.
    let port = (21_000..)
        .step_by(10)
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let port = port.unwrap();
    let mut command = Stillwire::command(PROGRAM);
    command
        .args(["dev", "--port", &port.to_string(), "--data-dir"])
        .arg(data.path())
        .arg(&template);
    let stillwire = Stillwire::start(command);
    assert_eq!(stillwire.url("test", "ws"), format!("ws://localhost:{port}/test"));
    stillwire.stop();
    let record = std::fs::read_to_string(data.path().join("ports.json")).unwrap();
    assert!(record.contains(&port.to_string()), "{record}");
}

#[test]
fn only_the_stage_that_is_asked_for_runs() {
    let app = example("cdk-chat");
    let stillwire = Stillwire::dev_with(
        PROGRAM,
        app.path(),
        &["--in-memory", "--no-synth", "--stage", "stage"],
    );
    let stages: Vec<_> =
        stillwire.ready()["apis"].as_array().unwrap().iter().map(|api| &api["stage"]).collect();
    assert_eq!(stages, ["stage"]);
    assert_eq!(stillwire.ready()["functions"].as_array().unwrap().len(), 2);
}

#[test]
fn a_stage_that_is_not_there_is_an_error_that_lists_what_is() {
    let app = tools::workspace().join("examples/cdk-chat");
    let output = Stillwire::command(PROGRAM)
        .args(["dev", "--in-memory", "--no-synth", "--port", "0", "--stage", "test"])
        .arg(app)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    for name in ["dev", "stage", "prod"] {
        assert!(said.contains(name), "{said}");
    }
}

#[test]
fn a_cdk_out_folder_runs_as_well_as_the_app_beside_it() {
    let app = example("cdk-chat");
    let stillwire = Stillwire::dev(PROGRAM, &app.path().join("cdk.out"));
    assert_eq!(stillwire.ready()["apis"].as_array().unwrap().len(), 3);
    let refused = stillwire.try_connect("prod", &[]).unwrap_err();
    assert_eq!(refused.status, 401);
}

#[test]
fn apps_run_side_by_side_and_keep_their_ports() {
    let app =
        || App::new().function("all", "def handler(event, context): ...").route("$default", "all");
    let apps = [app(), app()];
    let start = |app: &App| {
        let template = app.template();
        let mut command = Stillwire::command(PROGRAM);
        command.arg("dev").arg(&template).arg("--data-dir").arg(template.with_file_name("state"));
        Stillwire::start(command)
    };
    let [one, other] = [start(&apps[0]), start(&apps[1])];
    let urls = [one.url("test", "ws"), other.url("test", "ws")];
    assert_ne!(urls[0], urls[1]);
    // Where the first has been becomes free, and the second stays where it was all the same.
    drop((one, other));
    let other = start(&apps[1]);
    assert_eq!(other.url("test", "ws"), urls[1]);
}
