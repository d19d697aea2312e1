//! The SAM CLI.

use std::time::Duration;

use serde_json::{Value, json};
use stillwire_testkit::{Client, Got, example};

use crate::support::House;

#[test]
fn a_sam_app_is_built_deployed_and_deleted() {
    let (house, app) = (House::new(), example("sam-chat"));
    let folder = app.path();
    house.ask(&["s3api", "create-bucket", "--bucket", "code"]);
    house.sam(folder, &["build"]).well();
    // Without the capability nothing is begun.
    let refused = house.sam(
        folder,
        &[
            "deploy",
            "--stack-name",
            "chat",
            "--s3-bucket",
            "code",
            "--capabilities",
            "CAPABILITY_AUTO_EXPAND",
            "--no-confirm-changeset",
        ],
    );
    assert_eq!(refused.code, Some(1), "{}", refused.text);
    assert!(refused.text.contains("CAPABILITY_IAM"), "{}", refused.text);

    let deploy = [
        "deploy",
        "--stack-name",
        "chat",
        "--s3-bucket",
        "code",
        "--capabilities",
        "CAPABILITY_IAM",
        "--no-confirm-changeset",
    ];
    house.sam(folder, &deploy).well().wrote("Successfully created/updated stack");
    let outputs = house.ask(&[
        "cloudformation",
        "describe-stacks",
        "--stack-name",
        "chat",
        "--query",
        "Stacks[0].Outputs",
    ]);
    let url = outputs[0]["OutputValue"].as_str().unwrap();
    assert!(url.starts_with("wss://localhost:"), "{outputs}");
    let url = url.replace("wss://", "ws://");
    let mut one = Client::open(&url, &[]).expect("anybody may come");
    let mut other = Client::open(&url, &[]).expect("anybody may come");
    one.send(&json!({ "message": "sendmessage", "data": "hello" }).to_string());
    let heard = other.receive_within(Duration::from_secs(20));
    assert_eq!(heard, Some(Got::Text("hello".to_owned())));

    // Again there is nothing to do, which is an error to SAM unless it is told otherwise.
    let again: Vec<&str> =
        deploy.iter().chain(&["--no-fail-on-empty-changeset"]).copied().collect();
    house.sam(folder, &again).well().wrote("No changes to deploy");
    house.sam(folder, &["delete", "--stack-name", "chat", "--no-prompts"]).well();
    let stacks = house.ask(&["cloudformation", "describe-stacks", "--query", "Stacks[].StackName"]);
    assert_eq!(stacks, json!([]));
    assert_eq!(house.ask(&["dynamodb", "list-tables"])["TableNames"], json!([]));
}

#[test]
fn a_bucket_of_its_own_is_made_by_sam_itself() {
    let (house, app) = (House::new(), example("sam-chat"));
    let deploy = [
        "deploy",
        "--stack-name",
        "chat",
        "--resolve-s3",
        "--capabilities",
        "CAPABILITY_IAM",
        "--no-confirm-changeset",
    ];
    house.sam(app.path(), &deploy).well().wrote("Successfully created/updated stack - chat");
    let stacks: Value =
        house.ask(&["cloudformation", "describe-stacks", "--query", "Stacks[].StackName"]);
    assert_eq!(stacks, json!(["chat", "aws-sam-cli-managed-default"]));
}
