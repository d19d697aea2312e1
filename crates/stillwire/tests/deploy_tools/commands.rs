//! `stillwire deploy`, `diff`, `destroy`, `list` and `env`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stillwire_testkit::{Stillwire, example, tools};

use crate::support::{ACCOUNT, Done, House, PROGRAM, run, say};

/// One of our own commands, with the endpoint of this house.
fn own(house: &House, folder: &Path, arguments: &[&str]) -> Done {
    let mut command = Stillwire::command(PROGRAM);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = [tools::cdk("cdk-chat")].into_iter().chain(std::env::split_paths(&path));
    command
        .env("PATH", std::env::join_paths(paths).unwrap())
        .current_dir(folder)
        .args(arguments)
        .args(["--to", &house.endpoint()]);
    run(command)
}

fn lines(done: &Done) -> Vec<Value> {
    done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_app_is_deployed_compared_listed_and_destroyed() {
    let (house, app) = (House::new(), example("cdk-chat"));
    let folder = app.path();
    let chat = ["--stack", "dev/Chat"];
    let own = |arguments: &[&str]| own(&house, folder, arguments);
    // From source: the app is synthesized first.
    let diff = own(&["diff", ".", chat[0], chat[1]]).well();
    assert!(diff.stdout.contains("+ AWS::DynamoDB::Table"), "{}", diff.text);
    let nothing = own(&["list", "--account", ACCOUNT]).well();
    assert!(
        nothing.text.contains("nothing is deployed"),
        "a plan leaves nothing: {}",
        nothing.text
    );
    let first = own(&["deploy", ".", chat[0], chat[1]]).well();
    assert!(first.stdout.contains("dev-Chat.WebSocketURL = wss://localhost:"), "{}", first.text);
    let mut ada = house.chatter("dev");
    assert_eq!(say(&mut ada, "hi")["message"], "hi");

    own(&["deploy", ".", chat[0], chat[1]]).well().wrote("dev/Chat: no changes");
    own(&["diff", ".", chat[0], chat[1], "--fail"]).well().wrote("no differences");

    let code = folder.join("functions/websocket.py");
    let text = fs::read_to_string(&code).unwrap();
    fs::write(&code, text.replace("\"message\": text", "\"message\": text.upper()")).unwrap();
    let diff = own(&["diff", ".", chat[0], chat[1], "--fail"]);
    assert_eq!(diff.code, Some(1), "{}", diff.text);
    assert!(diff.stdout.contains("~ AWS::Lambda::Function  WebsocketFunction"), "{}", diff.text);
    own(&["deploy", ".", chat[0], chat[1]]).well();
    assert_eq!(say(&mut ada, "hi")["message"], "HI");

    let again = own(&["deploy", ".", chat[0], chat[1], "--json"]).well();
    let again = lines(&again).remove(0);
    assert_eq!((&again["stack"], &again["result"]), (&json!("dev-Chat"), &json!("no changes")));
    assert!(again["outputs"]["WebSocketURL"].as_str().unwrap().starts_with("wss://localhost:"));

    let listed = lines(&own(&["list", "--json", "--account", ACCOUNT]).well());
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["name"], &listed[0]["account"]), (&json!("dev-Chat"), &json!(ACCOUNT)));
    let unknown = own(&["destroy", "other", "--account", ACCOUNT]);
    assert_eq!(unknown.code, Some(1));
    unknown.wrote("there is no stack other").wrote("there are dev-Chat");
    own(&["destroy", "dev-Chat", "--account", ACCOUNT]).well().wrote("dev-Chat: destroyed");
    assert_eq!(house.stillwire().ready_now()["apis"], json!([]));
}

#[test]
fn a_template_is_deployed_with_the_code_beside_it() {
    let (house, app) = (House::new(), example("sam-chat"));
    let folder = app.path();
    own(&house, folder, &["deploy", "template.yaml", "--account", ACCOUNT]).well();
    let stacks = house.ask(&["cloudformation", "describe-stacks", "--query", "Stacks[].StackName"]);
    assert_eq!(stacks, json!(["sam-chat"]), "as samconfig.toml says");
    assert!(house.url("Test").ends_with("/Test"));
    // A value that is given stays until another one is.
    let parameter = ["--parameter", "StageName=Prod"];
    let prod = ["deploy", ".", "--account", ACCOUNT, parameter[0], parameter[1]];
    own(&house, folder, &prod).well();
    assert!(house.url("Prod").ends_with("/Prod"));
    let wrong =
        own(&house, folder, &["deploy", ".", "--account", ACCOUNT, "--parameter", "Nope=1"]);
    assert_eq!(wrong.code, Some(1));
    wrong.wrote("has no parameter Nope; it has");

    // What is wrong is told, and what runs runs on.
    let template = folder.join("template.yaml");
    let text = fs::read_to_string(&template).unwrap();
    fs::write(&template, text.replace("!Ref ChatWebSocket", "!Ref NoSuchThing")).unwrap();
    let broken = own(&house, folder, &["deploy", ".", "--account", ACCOUNT]);
    assert_eq!(broken.code, Some(1), "{}", broken.text);
    broken.wrote("NoSuchThing");
    assert!(house.url("Prod").ends_with("/Prod"));
}

#[test]
fn the_environment_is_printed_for_shells_and_programs() {
    let house = House::new();
    let shell = own(&house, house.home(), &["env"]).well();
    let endpoint = house.endpoint();
    assert!(
        shell.stdout.contains(&format!("export AWS_ENDPOINT_URL={endpoint}\n")),
        "{}",
        shell.text
    );
    let all = own(&house, house.home(), &["env", "--json", "--account", ACCOUNT]).well();
    let all: Value = serde_json::from_str(&all.stdout).unwrap();
    assert_eq!(
        all,
        json!({
            "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "stillwire", "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        })
    );
}
