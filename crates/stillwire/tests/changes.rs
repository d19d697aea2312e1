//! A template changes while its app runs: what differs is applied, what does not goes on, and nobody is disconnected.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stillwire_testkit::{App, Client, Events, Got, Stillwire, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const CODE: &str = "
import json, os
def handler(event, context):
    return {'statusCode': 200, 'body': json.dumps({'pid': os.getpid(), 'word': os.environ.get('WORD')})}
";

const RECORD: &str = "
def handler(event, context):
    record(event)
    return {'statusCode': 200}
";

/// An app whose template is edited.
struct Edited {
    file: PathBuf,
    stillwire: Stillwire,
}

impl Edited {
    fn new(app: &App) -> Self {
        let file = app.template();
        let stillwire = Stillwire::dev(PROGRAM, &file);
        Self { file, stillwire }
    }

    fn template(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(&self.file).unwrap()).unwrap()
    }

    /// Saves the template with another text, and waits until it was dealt with.
    fn save(&self, text: &str) {
        let dealt_with =
            |log: &str| log.matches("applied").count() + log.matches("nothing differs").count();
        let before = dealt_with(&self.stillwire.log());
        std::fs::write(&self.file, text).unwrap();
        eventually("the change", || (dealt_with(&self.stillwire.log()) > before).then_some(()));
    }

    /// Changes the resources.
    fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut template = self.template();
        change(&mut template["Resources"]);
        self.save(&template.to_string());
    }

    /// The ready file as it is now.
    fn ready(&self) -> Value {
        self.stillwire.ready_now()
    }

    fn tables(&self, arguments: &[&str]) -> Output {
        let endpoint = self.stillwire.ready()["aws_endpoint"].as_str().unwrap();
        let mut command = Stillwire::command(PROGRAM);
        command.arg("tables").args(arguments).args(["--endpoint", endpoint]);
        command.output().unwrap()
    }
}

fn two_functions() -> App {
    App::new()
        .function("one", CODE)
        .function("other", CODE)
        .two_way_route("one", "one")
        .two_way_route("other", "other")
}

fn ask(client: &mut Client, route: &str) -> Value {
    client.ask(&json!({ "action": route }).to_string())
}

/// The resources of one more route, which leads where another does.
fn add_route(resources: &mut Value, key: &str, like: &str) {
    for part in ["Route", "Response"] {
        let mut copy = resources[format!("{part}{like}")].clone();
        if part == "Route" {
            copy["Properties"]["RouteKey"] = key.into();
        } else {
            copy["Properties"]["RouteId"] = json!({ "Ref": format!("Route{key}") });
        }
        resources[format!("{part}{key}")] = copy;
    }
}

#[test]
fn a_route_comes_and_goes_while_clients_stay_and_functions_run_on() {
    let app = two_functions();
    let edited = Edited::new(&app);
    let mut client = edited.stillwire.connect();
    let before = ask(&mut client, "one");
    edited.edit(|resources| add_route(resources, "more", "one"));
    assert_eq!(ask(&mut client, "more"), before, "the same process, by the same connection");
    assert!(edited.stillwire.log().contains("+ ApiGatewayV2::Route  Routemore"));
    edited.edit(|resources| {
        for id in ["Routemore", "Responsemore"] {
            resources.as_object_mut().unwrap().remove(id);
        }
    });
    assert_eq!(ask(&mut client, "more")["message"], "Forbidden");
    assert_eq!(ask(&mut client, "one"), before);
    assert!(edited.stillwire.log().contains("- ApiGatewayV2::Route  Routemore"));
}

#[test]
fn a_function_that_changes_is_the_only_one_that_starts_anew() {
    let app = two_functions();
    let edited = Edited::new(&app);
    let mut client = edited.stillwire.connect();
    let (one, other) = (ask(&mut client, "one"), ask(&mut client, "other"));
    edited.edit(|resources| {
        resources["one"]["Properties"]["Environment"] = json!({ "Variables": { "WORD": "new" } });
    });
    let now = ask(&mut client, "one");
    assert_eq!(now["word"], "new");
    assert_ne!(now["pid"], one["pid"]);
    assert_eq!(ask(&mut client, "other"), other);
    assert!(edited.stillwire.log().contains("~ Lambda::Function  one  Environment"));
}

#[test]
fn a_stage_that_goes_closes_its_connections_after_their_disconnects() {
    let events = Events::new();
    let code = format!("{}{RECORD}", Events::CODE);
    let app = App::new()
        .function_with("main", &code, &events.properties())
        .route("$connect", "main")
        .route("$disconnect", "main")
        .route("hello", "main")
        .resource(
            "Second",
            json!({ "Type": "AWS::ApiGatewayV2::Stage", "Properties": {
            "ApiId": { "Ref": "Api" }, "StageName": "second", "AutoDeploy": true } }),
        );
    let edited = Edited::new(&app);
    let mut stays = edited.stillwire.connect();
    let mut goes = edited.stillwire.try_connect("second", &[]).unwrap();
    edited.edit(|resources| _ = resources.as_object_mut().unwrap().remove("Second"));
    assert!(matches!(goes.receive(), Got::Close(1001, _)));
    let of_second = |event: &Value| {
        event["requestContext"]["stage"] == "second"
            && event["requestContext"]["eventType"] == "DISCONNECT"
    };
    events.wait("$disconnect", of_second);
    stays.send(r#"{"action":"hello"}"#);
    events.wait("the message", |event| event["requestContext"]["routeKey"] == "hello");
    assert_eq!(edited.ready()["apis"].as_array().unwrap().len(), 1);
}

/// An API of its own, which calls the function `second`.
fn second_api() -> Value {
    let part = |kind: &str, more: Value| {
        let mut properties = json!({ "ApiId": { "Ref": "SecondApi" } });
        properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "Type": format!("AWS::ApiGatewayV2::{kind}"), "Properties": properties })
    };
    let target = json!({ "Fn::Sub": "integrations/${SecondIntegration}" });
    json!({
        "SecondApi": { "Type": "AWS::ApiGatewayV2::Api", "Properties": { "Name": "Second",
            "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action" } },
        "SecondStage": part("Stage", json!({ "StageName": "test", "AutoDeploy": true })),
        "SecondIntegration": part("Integration", json!({ "IntegrationType": "AWS_PROXY",
            "IntegrationUri": { "Fn::GetAtt": ["second", "Arn"] } })),
        "SecondIn": part("Route", json!({ "RouteKey": "$connect", "Target": target })),
        "SecondOut": part("Route", json!({ "RouteKey": "$disconnect", "Target": target })),
    })
}

#[test]
fn an_api_comes_with_an_address_and_goes_with_its_connections_and_functions() {
    let events = Events::new();
    let code = format!("{}{RECORD}", Events::CODE);
    let app = two_functions().function_with("second", &code, &events.properties());
    let edited = Edited::new(&app);
    let mut stays = edited.stillwire.connect();
    let mut both = edited.template();
    both["Resources"].as_object_mut().unwrap().extend(second_api().as_object().unwrap().clone());
    let mut first = edited.template();
    first["Resources"].as_object_mut().unwrap().remove("second");
    edited.save(&both.to_string());
    let apis = edited.ready()["apis"].clone();
    let is_second = |api: &&Value| api["logical_id"] == "SecondApi";
    let second = apis.as_array().unwrap().iter().find(is_second).unwrap();
    let url = second["ws"].as_str().unwrap();
    let mut goes = Client::open(url, &[]).unwrap();
    edited.save(&first.to_string());
    assert!(matches!(goes.receive(), Got::Close(1001, _)));
    events.wait("its $disconnect, by a function that is gone", |event| {
        event["requestContext"]["eventType"] == "DISCONNECT"
    });
    assert!(TcpStream::connect(url.trim_start_matches("ws://").trim_end_matches("/test")).is_err());
    assert!(ask(&mut stays, "one")["pid"].is_u64());
    edited.save(&both.to_string());
    let apis = edited.ready()["apis"].clone();
    let again = apis.as_array().unwrap().iter().find(is_second).unwrap();
    assert!(Client::open(again["ws"].as_str().unwrap(), &[]).is_ok());
}

fn table(attribute: &str, policy: &str) -> Value {
    json!({ "Type": "AWS::DynamoDB::Table", "DeletionPolicy": policy, "Properties": {
        "TableName": format!("t-{policy}"), "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": attribute, "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": attribute, "KeyType": "HASH" }] } })
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn tables_change_without_losing_what_is_to_stay() {
    let app = two_functions()
        .resource("Kept", table("id", "Retain"))
        .resource("Dropped", table("id", "Delete"));
    let edited = Edited::new(&app);
    for name in ["t-Retain", "t-Delete"] {
        let put = edited.tables(&["put", name, r#"{"id": "a", "room": "lobby"}"#]);
        assert!(put.status.success(), "{}", text(&put));
    }
    // An index is made from the items that are there.
    edited.edit(|resources| {
        let properties = &mut resources["Kept"]["Properties"];
        properties["AttributeDefinitions"] = json!([
            { "AttributeName": "id", "AttributeType": "S" }, { "AttributeName": "room", "AttributeType": "S" }]);
        properties["GlobalSecondaryIndexes"] = json!([{ "IndexName": "by-room",
            "KeySchema": [{ "AttributeName": "room", "KeyType": "HASH" }], "Projection": { "ProjectionType": "ALL" } }]);
    });
    assert!(edited.stillwire.log().contains("index by-room made from the items that are there"));
    // Both go from the template and come back: one with its items.
    let whole = edited.template();
    edited.edit(|resources| {
        for id in ["Kept", "Dropped"] {
            resources.as_object_mut().unwrap().remove(id);
        }
    });
    assert!(text(&edited.tables(&["scan", "t-Retain"])).contains("lobby"));
    assert!(!edited.tables(&["scan", "t-Delete"]).status.success());
    edited.save(&whole.to_string());
    assert!(text(&edited.tables(&["scan", "t-Retain"])).contains("lobby"));
    assert_eq!(text(&edited.tables(&["scan", "t-Delete"])), "");
    // Other keys make another table; the items until then are kept aside.
    edited.edit(|resources| resources["Kept"] = table("pk", "Retain"));
    assert_eq!(text(&edited.tables(&["scan", "t-Retain"])), "");
    let log = edited.stillwire.log();
    let aside = log.split("are in the table ").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(text(&edited.tables(&["scan", aside])).contains("lobby"), "{aside}");
}

#[test]
fn tables_that_a_template_gives_up_while_nothing_runs_are_given_up_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let app = two_functions()
        .resource("Kept", table("id", "Retain"))
        .resource("Dropped", table("id", "Delete"));
    let file = app.template();
    let state = folder.path().join("state");
    let start = || {
        let stillwire =
            Stillwire::dev_with(PROGRAM, &file, &["--data-dir", state.to_str().unwrap()]);
        Edited { file: file.clone(), stillwire }
    };
    let whole = std::fs::read_to_string(&file).unwrap();
    let edited = start();
    for name in ["t-Retain", "t-Delete"] {
        let put = edited.tables(&["put", name, r#"{"id": "a", "room": "lobby"}"#]);
        assert!(put.status.success(), "{}", text(&put));
    }
    drop(edited);
    let mut less: Value = serde_json::from_str(&whole).unwrap();
    for id in ["Kept", "Dropped"] {
        less["Resources"].as_object_mut().unwrap().remove(id);
    }
    std::fs::write(&file, less.to_string()).unwrap();
    let edited = start();
    assert!(!edited.tables(&["scan", "t-Delete"]).status.success());
    assert!(edited.stillwire.log().contains("table t-Delete is removed with its data"));
    drop(edited);
    std::fs::write(&file, &whole).unwrap();
    let edited = start();
    assert!(text(&edited.tables(&["scan", "t-Retain"])).contains("lobby"));
    assert_eq!(text(&edited.tables(&["scan", "t-Delete"])), "");
}

#[test]
fn a_broken_template_is_refused_whole_until_it_is_mended() {
    let app = two_functions();
    let edited = Edited::new(&app);
    let mut client = edited.stillwire.connect();
    let before = ask(&mut client, "one");
    let good = edited.template();
    let mut broken = good.clone();
    add_route(&mut broken["Resources"], "more", "one");
    broken["Resources"]["Routeother"]["Properties"]["Target"] = json!({ "Ref": "Nothing" });
    std::fs::write(&edited.file, serde_json::to_string_pretty(&broken).unwrap()).unwrap();
    edited.stillwire.wait_for_log("not applied: what ran before runs on");
    assert!(edited.stillwire.log().contains("Nothing"), "{}", edited.stillwire.log());
    assert_eq!(ask(&mut client, "one"), before);
    assert_eq!(ask(&mut client, "more")["message"], "Forbidden", "no part of it");
    std::fs::write(&edited.file, "{").unwrap();
    edited.stillwire.wait_for_log("this is not JSON");
    add_route(&mut broken["Resources"], "mended", "one");
    broken["Resources"]["Routeother"] = good["Resources"]["Routeother"].clone();
    edited.save(&broken.to_string());
    assert_eq!(ask(&mut client, "mended"), before);
}

#[test]
fn a_change_that_awaits_a_deployment_on_aws_is_told() {
    let app = two_functions()
        .resource("Deployed", json!({ "Type": "AWS::ApiGatewayV2::Deployment", "Properties": { "ApiId": { "Ref": "Api" } } }))
        .resource("Second", json!({ "Type": "AWS::ApiGatewayV2::Stage", "Properties": {
            "ApiId": { "Ref": "Api" }, "StageName": "second", "DeploymentId": { "Ref": "Deployed" } } }));
    let edited = Edited::new(&app);
    edited.edit(|resources| add_route(resources, "more", "one"));
    let log = edited.stillwire.log();
    assert_eq!(log.matches("only when its deployment is replaced").count(), 1, "{log}");
    assert!(log.contains("stage second of Api"), "{log}");
}

#[test]
fn a_client_that_never_stops_talking_sees_nothing_of_fifty_changes() {
    const CHANGES: usize = 50;
    let app = two_functions();
    let edited = Edited::new(&app);
    let mut client = edited.stillwire.connect();
    let before = ask(&mut client, "other")["pid"].clone();
    let done = AtomicBool::new(false);
    let word = Mutex::new(Value::Null);
    // A message every 10 ms: by turns for the function that changes and for the one that does not.
    let talk = || {
        let mut answers = 0;
        while !done.load(Ordering::Relaxed) {
            let began = Instant::now();
            let route = if answers % 2 == 0 { "one" } else { "other" };
            let answer = ask(&mut client, route);
            assert!(answer["pid"].is_u64(), "refused: {answer}");
            match route {
                "one" => *word.lock().unwrap() = answer["word"].clone(),
                _ => assert_eq!(answer["pid"], before, "it never changed"),
            }
            answers += 1;
            std::thread::sleep(Duration::from_millis(10).saturating_sub(began.elapsed()));
        }
        answers
    };
    let answers = std::thread::scope(|scope| {
        let talking = scope.spawn(talk);
        for change in 0..CHANGES {
            let next = change.to_string();
            edited.edit(|resources| {
                let variables = json!({ "Variables": { "WORD": next } });
                resources["one"]["Properties"]["Environment"] = variables;
                if change % 2 == 0 {
                    add_route(resources, "more", "one");
                } else {
                    resources.as_object_mut().unwrap().remove("Routemore");
                    resources.as_object_mut().unwrap().remove("Responsemore");
                }
            });
            eventually("the new version", || {
                let seen = *word.lock().unwrap() == *next || talking.is_finished();
                seen.then_some(())
            });
        }
        done.store(true, Ordering::Relaxed);
        talking.join().expect("nothing was refused, and nothing was closed")
    });
    assert!(answers > 2 * CHANGES, "{answers} answers");
}

#[test]
fn a_save_that_changes_nothing_changes_nothing() {
    let app = two_functions();
    let edited = Edited::new(&app);
    let mut client = edited.stillwire.connect();
    let before = ask(&mut client, "one");
    edited.save(&serde_json::to_string_pretty(&edited.template()).unwrap());
    assert_eq!(ask(&mut client, "one"), before);
    assert!(edited.stillwire.log().contains("nothing differs in what it declares"));
}

#[test]
fn a_saved_handler_is_no_change_of_the_template() {
    let app = two_functions();
    let edited = Edited::new(&app);
    let mut client = edited.stillwire.connect();
    let before = ask(&mut client, "one");
    let file = app.file("one", "one.py");
    std::fs::write(&file, CODE.replace("'word': os.environ.get('WORD')", "'word': 'saved'"))
        .unwrap();
    assert_eq!(ask(&mut client, "one")["word"], "saved");
    assert_ne!(ask(&mut client, "one")["pid"], before["pid"]);
    assert!(!edited.stillwire.log().contains("nothing differs"), "{}", edited.stillwire.log());
    assert!(Path::new(&edited.file).exists());
}
