//! Example apps by the tools that deploy them, where no other test here has the pair.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use stillwire_testkit::{Client, example, tools};

use crate::support::{ADA, House, run, say};

#[test]
fn the_chat_of_a_2022_tutorial_by_the_cdk() {
    let (house, app) = (House::new(), example("cdk-chat-seed"));
    let deploy = ["deploy", "-a", "cdk.out", "dev/WebSocketStack", "--require-approval", "never"];
    house.cdk(app.path(), &deploy).well();
    let mut ada = Client::open(&house.url("dev"), &ADA).expect("Ada may come");
    assert_eq!(say(&mut ada, "hi")["message"], "hi");
    house.cdk(app.path(), &deploy).well().wrote("(no changes)");
}

#[test]
fn the_websocket_api_of_sam_in_one_resource_by_sam() {
    let (house, app) = (House::new(), example("sam-websocketapi"));
    house.sam(app.path(), &["build"]).well();
    let deploy = ["deploy", "--stack-name", "echo", "--resolve-s3", "--no-confirm-changeset"];
    let capable = ["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"];
    house.sam(app.path(), &[deploy.as_slice(), &capable].concat()).well();
    let url = house.url("live");
    assert_eq!(Client::open(&format!("{url}?token=no"), &[]).unwrap_err().status, 403);
    let mut client = Client::open(&format!("{url}?token=sesame"), &[]).expect("the token is right");
    client.send("hello");
    assert_eq!(client.text(), "hello");
    let shout = json!({ "action": "shout" }).to_string();
    client.send(&shout);
    assert_eq!(client.text(), shout.to_uppercase());
}

#[test]
fn what_the_serverless_framework_packages_by_the_aws_cli() {
    let (house, app) = (House::new(), example("serverless-chat"));
    let folder = app.path();
    let packaged =
        tools::workspace().join("crates/deploy/tests/fixtures/serverless-chat.packaged.json");
    let packaged: Value = serde_json::from_str(&fs::read_to_string(packaged).unwrap()).unwrap();
    // As the framework does it: a bucket first, then the code in it, then all.
    let bucket = "ServerlessDeploymentBucket";
    let first = json!({ "Resources": { bucket: packaged["Resources"][bucket] } });
    fs::write(folder.join("create.json"), first.to_string()).unwrap();
    fs::write(folder.join("update.json"), packaged.to_string()).unwrap();
    let deploy = |file: &str| {
        let words = ["cloudformation", "deploy", "--stack-name", "chat", "--template-file", file];
        house.aws(folder, &[words.as_slice(), &["--capabilities", "CAPABILITY_NAMED_IAM"]].concat())
    };
    deploy("create.json").well();
    let resource = ["cloudformation", "describe-stack-resource", "--stack-name", "chat"];
    let query =
        ["--logical-resource-id", bucket, "--query", "StackResourceDetail.PhysicalResourceId"];
    let name = house.ask(&[resource.as_slice(), &query].concat());
    let mut zip = Command::new("python3");
    zip.current_dir(folder).args(["-m", "zipfile", "-c", "chat.zip", "src/"]);
    run(zip).well();
    let mut functions = packaged["Resources"].as_object().unwrap().values();
    let key = functions.find_map(|one| one["Properties"]["Code"]["S3Key"].as_str()).unwrap();
    let body = folder.join("chat.zip");
    let put = ["s3api", "put-object", "--bucket", name.as_str().unwrap(), "--key", key, "--body"];
    house.ask(&[put.as_slice(), &[body.to_str().unwrap()]].concat());
    deploy("update.json").well();
    let token = [("Authorization", "Bearer sesame")];
    let mut client = Client::open(&house.url("dev"), &token).expect("the token is right");
    client.send(&json!({ "action": "chat", "message": "hello" }).to_string());
    assert!(client.text().contains("hello"));
    assert_eq!(Client::open(&house.url("dev"), &[]).unwrap_err().status, 401);
}
