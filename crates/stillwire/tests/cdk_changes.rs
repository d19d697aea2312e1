//! CDK apps are edited while they run: their sources are synthesized beside them, their handlers are not.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use stillwire_testkit::{Client, Stillwire, example, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// A synthesis takes some seconds; that of a machine that installs packages first, a minute.
const SYNTHESIS_MAX: Duration = Duration::from_mins(4);

/// Clients beside the one that talks.
const CROWD: usize = 100;

/// Starts `dev` on an app without an assembly, with these programs first.
fn from_source(app: &Path, programs: Option<PathBuf>) -> Stillwire {
    fs::remove_dir_all(app.join("cdk.out")).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = programs.into_iter().chain(std::env::split_paths(&path));
    let mut command = Stillwire::command(PROGRAM);
    command.env("PATH", std::env::join_paths(paths).unwrap());
    command.args(["dev", "--in-memory", "--port", "0", "--verbose"]).arg(app);
    Stillwire::start(command)
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from} in {}", file.display());
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

/// Waits until the log has this text so many times.
fn wait(stillwire: &Stillwire, text: &str, times: usize) {
    let deadline = Instant::now() + SYNTHESIS_MAX;
    while stillwire.log().matches(text).count() < times {
        assert!(Instant::now() < deadline, "{text:?} in\n{}", stillwire.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn chat(client: &mut Client, message: &str) -> String {
    client.send(&json!({ "action": "chat", "message": message }).to_string());
    client.json()["message"].as_str().unwrap().to_owned()
}

#[test]
fn an_app_in_python_is_synthesized_when_its_infrastructure_changes_and_only_then() {
    let app = example("cdk-chat");
    let stillwire = from_source(app.path(), Some(tools::cdk("cdk-chat")));
    let synthesized = || stillwire.log().matches("synthesizing with").count();
    let headers = [("Authorization", "Bearer ada:sesame")];
    let mut client = stillwire.try_connect("dev", &headers).unwrap();
    assert_eq!(chat(&mut client, "hi"), "hi");

    // A handler is live with the next message, for everybody who was there before, and nothing is synthesized.
    let mut crowd: Vec<Client> =
        (0..CROWD).map(|_| stillwire.try_connect("dev", &headers).unwrap()).collect();
    let handler = app.path().join("functions/websocket.py");
    edit(&handler, "\"message\": text}", "\"message\": text.upper()}");
    wait(&stillwire, "websocket.py changed", 1);
    assert_eq!(chat(&mut client, "new code"), "NEW CODE");
    for one in &mut crowd {
        assert_eq!(one.json()["message"], "NEW CODE");
    }
    drop(crowd);
    assert_eq!(synthesized(), 1);

    // A route of the infrastructure is there after one synthesis.
    assert_eq!(client.ask(r#"{"action":"shout"}"#)["message"], "Forbidden");
    let stack = app.path().join("chat/stack.py");
    let route = "        websocket_api.add_route(";
    let more = format!(
        "        websocket_api.add_route(\n            \"shout\",\n            integration=\
         WebSocketLambdaIntegration(\"ShoutIntegration\", websocket_function),\n        )\n{route}"
    );
    edit(&stack, route, &more);
    wait(&stillwire, "applied in", 1);
    assert_eq!(synthesized(), 2);
    assert!(stillwire.log().contains("+ ApiGatewayV2::Route  dev/Chat/WebsocketAPI/shout-Route"));
    client.send(r#"{"action":"shout"}"#);
    assert_eq!(chat(&mut client, "no word of it"), "NO WORD OF IT", "nothing was forbidden");

    // One that cannot be synthesized is refused, with file and line.
    edit(&stack, "class ChatStack(Stack):", "class ChatStack(Stack:");
    wait(&stillwire, "not applied: what ran before runs on", 1);
    let log = stillwire.log();
    assert!(log.contains("SyntaxError") && log.contains("line "), "{log}");
    assert_eq!(chat(&mut client, "still here"), "STILL HERE");
}

#[test]
fn an_app_in_typescript_needs_nothing_but_its_source_and_is_bundled_again_when_it_changes() {
    let app = example("cdk-chat-ts");
    let stillwire = from_source(app.path(), None);
    assert!(!app.path().join("node_modules").exists(), "the app's folder is left as it is");
    let open = |name: &str| {
        let url = format!("{}?room=lobby&name={name}", stillwire.url("live", "ws"));
        Client::open(&url, &[]).unwrap()
    };
    let (mut ada, mut bob) = (open("ada"), open("bob"));
    let mut say = |text: &str| {
        ada.send(&json!({ "action": "say", "text": text }).to_string());
        (ada.json(), bob.json())
    };
    let expected = json!({ "room": "lobby", "from": "ada", "text": "hi" });
    assert_eq!(say("hi"), (expected.clone(), expected));

    // Its function is bundled from a file that no function runs: the CDK makes it anew.
    let handler = app.path().join("functions/chat/index.ts");
    edit(&handler, "from: from.name, text }", "from: from.name, text: text.toUpperCase() }");
    wait(&stillwire, "applied in", 1);
    assert!(
        stillwire.log().contains("~ Lambda::Function  ChatRooms/Chat  Code"),
        "{}",
        stillwire.log()
    );
    assert_eq!(say("hi").0["text"], "HI");

    edit(
        &app.path().join("lib/chat-stack.ts"),
        "api.addRoute('say'",
        "api.addRoute('whisper', \
         { integration: new WebSocketLambdaIntegration('Whisper', chat), returnResponse: true });\n    api.addRoute('say'",
    );
    wait(&stillwire, "applied in", 2);
    assert_eq!(say("hi").1["text"], "HI");
    let answer = ada.ask(r#"{"action":"whisper"}"#);
    assert_eq!(answer["error"], "no such action", "the function answers, by a route that is new");
}
