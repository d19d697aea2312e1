//! The CDK.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use stillwire_testkit::{Client, eventually, example, tools};

use crate::support::{ADA, House, say};

const DEPLOY: [&str; 4] = ["--require-approval", "never", "--progress", "events"];

fn deploy(house: &House, folder: &Path, arguments: &[&str]) -> crate::support::Done {
    let all: Vec<&str> = ["deploy"].iter().chain(arguments).chain(&DEPLOY).copied().collect();
    house.cdk(folder, &all)
}

/// Replaces a text in a file of the app.
fn edit(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_stack_is_deployed_changed_and_destroyed() {
    let (mut house, app) = (House::new(), example("cdk-chat"));
    let folder = app.path();
    let first = deploy(&house, folder, &["-a", "cdk.out", "dev/Chat"]).well();
    let first = first.wrote("AWS::DynamoDB::Table").wrote("WebSocketURL = wss://localhost:");
    assert!(first.text.contains("CREATE_COMPLETE"), "{}", first.text);
    let mut ada = house.chatter("dev");
    assert_eq!(say(&mut ada, "hi"), json!({ "from": "ada", "message": "hi" }));

    // The same once more changes nothing: no change set is executed.
    let known = events(&house, "dev-Chat");
    deploy(&house, folder, &["-a", "cdk.out", "dev/Chat"]).well().wrote("(no changes)");
    assert_eq!(events(&house, "dev-Chat"), known);
    house.cdk(folder, &["diff", "-a", "cdk.out", "dev/Chat"]).well().wrote("no differences");

    // What was deployed survives a restart, and is still the same to the CDK.
    let url = house.url("dev");
    drop(ada);
    house.restart();
    let mut ada = house.chatter("dev");
    assert_eq!(say(&mut ada, "again")["message"], "again");
    deploy(&house, folder, &["-a", "cdk.out", "dev/Chat"]).well().wrote("(no changes)");

    // Two stages are two of everything.
    deploy(&house, folder, &["-a", "cdk.out", "prod/Chat"]).well();
    assert_ne!(house.url("dev"), house.url("prod"));
    let mut other = house.chatter("prod");
    assert_eq!(say(&mut other, "to prod")["message"], "to prod");
    assert_eq!(say(&mut ada, "to dev")["message"], "to dev", "{url}");
    let tables = house.ask(&["dynamodb", "list-tables"]);
    assert_eq!(tables["TableNames"].as_array().unwrap().len(), 2, "{tables}");

    // Destroyed, one is gone and the other is not.
    house
        .cdk(folder, &["destroy", "-a", "cdk.out", "dev/Chat", "--force"])
        .well()
        .wrote("destroyed");
    let gone =
        house.aws(house.home(), &["cloudformation", "describe-stacks", "--stack-name", "dev-Chat"]);
    assert!(gone.text.contains("Stack with id dev-Chat does not exist"), "{}", gone.text);
    let ready = house.stillwire().ready_now();
    assert_eq!(ready["apis"].as_array().unwrap().len(), 1, "{ready}");
    assert_eq!(say(&mut other, "still here")["message"], "still here");
}

/// The ids of the events of a stack.
fn events(house: &House, stack: &str) -> Value {
    let ids = "StackEvents[].EventId";
    house.ask(&["cloudformation", "describe-stack-events", "--stack-name", stack, "--query", ids])
}

#[test]
fn an_edit_is_shown_and_swapped_in_while_clients_stay() {
    let (house, app) = (House::new(), example("cdk-chat"));
    let folder = app.path();
    // From source: the CDK itself runs the app.
    deploy(&house, folder, &["dev/Chat"]).well();
    let mut ada = house.chatter("dev");
    assert_eq!(say(&mut ada, "hi")["from"], "ada");

    edit(folder, "functions/websocket.py", "\"message\": text", "\"message\": text.upper()");
    let diff = house.cdk(folder, &["diff", "dev/Chat"]).well();
    assert!(diff.text.contains("[~] AWS::Lambda::Function"), "{}", diff.text);
    deploy(&house, folder, &["dev/Chat", "--hotswap"]).well().wrote("hotswapped!");
    assert_eq!(say(&mut ada, "hi")["message"], "HI");

    // A change of infrastructure is no matter of swapping code: it goes by a change set, and clients stay too.
    edit(
        folder,
        "chat/stack.py",
        "\"CHAT_SECRET\": \"sesame\"",
        "\"CHAT_SECRET\": \"abracadabra\"",
    );
    deploy(&house, folder, &["dev/Chat"]).well().wrote("UPDATE_COMPLETE");
    assert_eq!(say(&mut ada, "still here")["message"], "STILL HERE");
    let url = house.url("dev");
    assert!(Client::open(&url, &ADA).is_err(), "the old secret opens nothing any more");
    Client::open(&url, &[("Authorization", "Bearer ada:abracadabra")]).expect("the new one does");
}

#[test]
fn watching_swaps_every_edit_in_and_shows_logs() {
    let (house, app) = (House::new(), example("cdk-chat"));
    let folder = app.path();
    deploy(&house, folder, &["dev/Chat"]).well();
    let mut ada = house.chatter("dev");
    let log = house.home().join("watch.log");
    let output = fs::File::create(&log).unwrap();
    let mut command = house.tool(tools::cdk_command(), folder);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = [tools::cdk("cdk-chat")].into_iter().chain(std::env::split_paths(&path));
    command
        .env("PATH", std::env::join_paths(paths).unwrap())
        .args(["watch", "dev/Chat"])
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output);
    let mut watch = Watch(command.spawn().unwrap());
    let seen = || fs::read_to_string(&log).unwrap_or_default();
    wait_for(&seen, "initial");
    edit(folder, "functions/websocket.py", "\"message\": text", "\"message\": text.upper()");
    wait_for(&seen, "hotswapped!");
    assert_eq!(say(&mut ada, "hi")["message"], "HI");
    assert!(watch.0.try_wait().unwrap().is_none(), "{}", seen());
}

/// A watch that ends with the test.
struct Watch(std::process::Child);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Waits longer than for anything of our own: a synthesis takes ten seconds and more.
fn wait_for(seen: &dyn Fn() -> String, text: &str) {
    for _ in 0..3 {
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(text, || seen().contains(text).then_some(()));
        }));
        if found.is_ok() {
            return;
        }
    }
    panic!("no {text:?} in:\n{}", seen());
}

#[test]
fn a_broken_template_is_a_failed_event_that_names_the_resource() {
    let (house, app) = (House::new(), example("cdk-chat"));
    let folder = app.path();
    let assembly = folder.join("cdk.out/assembly-dev");
    let template = fs::read_dir(&assembly).unwrap().flatten().map(|entry| entry.path());
    let template = template
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(".template.json"))
        .unwrap();
    let mut content: Value = serde_json::from_str(&fs::read_to_string(&template).unwrap()).unwrap();
    let resources = content["Resources"].as_object_mut().unwrap();
    let stage =
        resources.values_mut().find(|one| one["Type"] == "AWS::ApiGatewayV2::Stage").unwrap();
    stage["Properties"]["ApiId"] = json!({ "Ref": "NoSuchThing" });
    fs::write(&template, content.to_string()).unwrap();
    for method in ["change-set", "direct"] {
        let failed = deploy(&house, folder, &["-a", "cdk.out", "dev/Chat", "--method", method]);
        assert_eq!(failed.code, Some(1), "{}", failed.text);
        failed.wrote("no resource or parameter is named NoSuchThing");
        let query = "StackEvents[?ResourceStatus=='CREATE_FAILED'].[LogicalResourceId,ResourceStatusReason]|[0]";
        let event = house.ask(&[
            "cloudformation",
            "describe-stack-events",
            "--stack-name",
            "dev-Chat",
            "--query",
            query,
        ]);
        assert!(event[0].as_str().unwrap().starts_with("WebsocketStage"), "{event}");
        assert!(event[1].as_str().unwrap().contains("NoSuchThing"), "{event}");
        let ready = house.stillwire().ready_now();
        assert_eq!(ready["apis"], json!([]), "nothing of it runs");
        house.ask(&["cloudformation", "delete-stack", "--stack-name", "dev-Chat"]);
        let wait = ["cloudformation", "wait", "stack-delete-complete", "--stack-name", "dev-Chat"];
        house.ask(&wait);
    }
}

#[test]
fn bootstrapping_has_nothing_to_do() {
    let house = House::new();
    let place = "aws://999999999999/us-east-1";
    house.cdk(house.home(), &["bootstrap", place]).well().wrote("bootstrapped (no changes)");
    // Not even where somebody insists.
    house
        .cdk(house.home(), &["bootstrap", place, "--force"])
        .well()
        .wrote("bootstrapped (no changes)");
    let stacks = house.ask(&["cloudformation", "list-stacks", "--query", "StackSummaries"]);
    assert_eq!(stacks, json!([]));
    let buckets = house.ask(&["s3api", "list-buckets", "--query", "Buckets[].Name"]);
    assert!(buckets.is_null() || buckets == json!([]), "{buckets}");
}

#[test]
fn a_nested_stack_is_deployed_with_its_parent() {
    let (house, app) = (House::new(), example("cdk-chat-ts"));
    let folder = app.path();
    let all = ["-a", "cdk.out", "--all"];
    deploy(&house, folder, &all).well().wrote("Url = wss://localhost:");
    // Each comes into its room, and the parent's function finds the nested stack's table and its index.
    let url = house.url("live");
    let enter = |name: &str| Client::open(&format!("{url}?room=lobby&name={name}"), &[]).unwrap();
    let (mut ada, mut bob) = (enter("ada"), enter("bob"));
    bob.send(&json!({ "action": "say", "text": "hi" }).to_string());
    for client in [&mut ada, &mut bob] {
        assert_eq!(client.json(), json!({ "room": "lobby", "from": "bob", "text": "hi" }));
    }
    assert!(Client::open(&format!("{url}?room=cellar&name=eve"), &[]).is_err(), "no such room");

    let query = "Stacks[].[StackName,StackStatus,ParentId!=null]";
    let stacks = house.ask(&["cloudformation", "describe-stacks", "--query", query]);
    let nested = stacks.as_array().unwrap().iter().filter(|stack| stack[2] == true).count();
    assert_eq!((stacks.as_array().unwrap().len(), nested), (2, 1), "{stacks}");
    deploy(&house, folder, &all).well().wrote("(no changes)");
    house.cdk(folder, &["diff", "-a", "cdk.out"]).well().wrote("no differences");

    house.cdk(folder, &["destroy", "-a", "cdk.out", "--all", "--force"]).well();
    let left = house.ask(&["cloudformation", "describe-stacks", "--query", "Stacks[].StackName"]);
    assert_eq!(left, json!([]));
    assert_eq!(house.ask(&["dynamodb", "list-tables"])["TableNames"], json!([]));
}

/// The fixture of the template reader: stacks that export to each other, custom resources, and much that is not run here.
#[test]
fn one_of_everything_is_deployed() {
    let house = House::new();
    let assembly = tools::workspace().join("crates/deploy/tests/fixtures/cdk-kitchen-sink/cdk.out");
    let assembly = assembly.to_str().unwrap();
    // What the app reads without declaring it has to be there, here as on AWS.
    let put = ["ssm", "put-parameter", "--name", "/sink/motd", "--type", "String"];
    house.ask(&[put.as_slice(), &["--value", "be kind"]].concat());
    let arguments = ["-a", assembly, "--all"];
    let done =
        deploy(&house, house.home(), &arguments).well().wrote("Sink.Endpoint = wss://localhost:");
    assert!(!done.text.contains("OnlyVerbose"), "{}", done.text);

    let function =
        house.ask(&["lambda", "get-function-configuration", "--function-name", "sink-echo"]);
    let variables = &function["Environment"]["Variables"];
    let has = |name: &str, value: &str| assert_eq!(variables[name], value, "{variables}");
    has("MOTD", "be kind");
    has("FROM_STORE", "be kind");
    has("LEVEL", "info");
    has("FIRST_PART", "us");
    assert!(
        variables["GLOBAL_TABLE"].as_str().unwrap().starts_with("Shared-Global"),
        "{variables}"
    );
    // The custom resource that seeds a table has run; those that only AWS needs have not.
    let key = r#"{"room":{"S":"lobby"},"id":{"N":"0"}}"#;
    let item = ["dynamodb", "get-item", "--table-name", "sink-table", "--key", key];
    assert_eq!(house.ask(&item)["Item"]["room"]["S"], "lobby");
    let secret = variables["SECRET_ARN"].as_str().unwrap();
    let secret = house.ask(&["secretsmanager", "get-secret-value", "--secret-id", secret]);
    assert_eq!(secret["SecretString"].as_str().unwrap().len(), 32);

    let imports = ["cloudformation", "list-exports", "--query", "length(Exports)"];
    assert_eq!(house.ask(&imports), 2);
    deploy(&house, house.home(), &arguments).well().wrote("(no changes)");
    // Who is imported from stays as long as its importer.
    let refused =
        house.cdk(house.home(), &["destroy", "-a", assembly, "Shared", "--exclusively", "--force"]);
    assert_eq!(refused.code, Some(1), "{}", refused.text);
    house.cdk(house.home(), &["destroy", "-a", assembly, "--all", "--force"]).well();
}
