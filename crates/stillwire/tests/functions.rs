//! Functions as an app's author meets them: side by side, killed in time, fresh after a save, and gone at the end.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]
#![allow(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use stillwire_testkit::{App, Client, Events, Stillwire, eventually, example, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const HANDLER: &str = r#"
import subprocess, sys
count = 0
def handler(event, context):
    global count
    count += 1
    ask = json.loads(event["body"])
    do = ask["do"]
    answer = {}
    if do == "sleep":
        time.sleep(ask["seconds"])
    if do == "count":
        answer = {"count": count, "pid": os.getpid()}
    if do == "environment":
        answer = dict(os.environ)
    if do == "log":
        print("to stdout: " + ask["text"])
        print("to stderr: " + ask["text"], file=sys.stderr)
        answer = {"request": context.aws_request_id, "name": context.function_name}
    if do == "children":
        plain = subprocess.Popen(["sleep", "1000"])
        away = subprocess.Popen(["sh", "-c", "sleep 1000 & echo $!; wait"], start_new_session=True, stdout=subprocess.PIPE)
        answer = {"pids": [os.getpid(), plain.pid, away.pid, int(away.stdout.readline())]}
        if ask.get("hang"):
            record({"mark": ask["mark"], **answer})
            time.sleep(60)
    return {"statusCode": 200, "body": json.dumps(answer)}
"#;

struct World {
    stillwire: Stillwire,
    events: Events,
}

fn app(events: &Events) -> App {
    let code = format!("{}{HANDLER}", Events::CODE);
    let mut brief = events.properties();
    brief["Timeout"] = 1.into();
    App::new()
        .function_with("main", &code, &events.properties())
        .function_with("alone", &code, &events.properties())
        .function_with("brief", &code, &brief)
        .two_way_route("main", "main")
        .two_way_route("alone", "alone")
        .two_way_route("brief", "brief")
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let events = Events::new();
    let mut stillwire = app(&events).share(PROGRAM);
    stillwire.keep_until_the_end(events.folder());
    World { stillwire, events }
});

fn ask(client: &mut Client, route: &str, mut what: Value) -> Value {
    what["action"] = route.into();
    client.ask(&what.to_string())
}

/// Whether a process runs; one that waits for its parent to notice its end does not.
fn is_alive(pid: u64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').expect("a name").1.trim_start().starts_with('Z'))
}

fn pids(answer: &Value) -> Vec<u64> {
    let pids = answer["pids"].as_array().expect("process ids");
    pids.iter().map(|pid| pid.as_u64().expect("a number")).collect()
}

fn wait_for_the_end_of(pids: &[u64]) {
    assert_eq!(pids.len(), 4);
    eventually(&format!("the end of {pids:?}"), || {
        pids.iter().all(|pid| !is_alive(*pid)).then_some(())
    });
}

#[test]
fn five_slow_invocations_run_side_by_side_and_delay_nobody() {
    let mut slow = WORLD.stillwire.connect();
    let mut quick = WORLD.stillwire.connect();
    ask(&mut quick, "alone", json!({ "do": "count" }));
    let began = Instant::now();
    for _ in 0..5 {
        slow.send(&json!({ "action": "main", "do": "sleep", "seconds": 2 }).to_string());
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let asked = Instant::now();
        ask(&mut quick, "alone", json!({ "do": "count" }));
        slowest = slowest.max(asked.elapsed());
    }
    for _ in 0..5 {
        assert_eq!(slow.json(), json!({}));
    }
    let took = began.elapsed();
    // One after the other they would take ten seconds.
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(6), "{took:?}");
    // Behind the others it would be two seconds.
    assert!(slowest < Duration::from_millis(1500), "{slowest:?}");
}

#[test]
fn an_environment_is_used_again() {
    let app = App::new()
        .function("main", &format!("{}{HANDLER}", Events::CODE))
        .two_way_route("main", "main");
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let mut client = stillwire.connect();
    let first = ask(&mut client, "main", json!({ "do": "count" }));
    for count in 2..5 {
        let answer = ask(&mut client, "main", json!({ "do": "count" }));
        assert_eq!(answer, json!({ "count": count, "pid": first["pid"] }));
    }
}

#[test]
fn a_function_over_its_time_is_killed_with_all_that_it_started() {
    let mut client = WORLD.stillwire.connect();
    let mark = "over its time";
    let answer = ask(&mut client, "brief", json!({ "do": "children", "hang": true, "mark": mark }));
    assert_eq!(answer["message"], "Internal server error");
    let event = WORLD.events.wait("the children", |event| event["mark"] == mark);
    wait_for_the_end_of(&pids(&event));
    assert_eq!(ask(&mut client, "brief", json!({ "do": "count" }))["count"], 1);
}

#[test]
fn the_environment_of_the_program_is_invisible_to_functions() {
    let app = app(&WORLD.events);
    let mut command = Stillwire::command(PROGRAM);
    command
        .args(["dev", "--port", "0", "--in-memory"])
        .arg(app.template())
        .env("SECRET_OF_MINE", "secret")
        .env("AWS_PROFILE", "production")
        .env("AWS_ACCESS_KEY_ID", "AKIAREAL")
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("https_proxy", "http://127.0.0.1:9")
        .env("PYTHONPATH", "/nowhere");
    let stillwire = Stillwire::start(command);
    let seen = ask(&mut stillwire.connect(), "main", json!({ "do": "environment" }));
    assert!(!seen.to_string().contains("SECRET_OF_MINE"), "{seen}");
    assert!(!seen.to_string().contains("AKIAREAL"), "{seen}");
    assert!(!seen.to_string().contains("/nowhere"), "{seen}");
    for name in ["AWS_PROFILE", "HTTP_PROXY", "https_proxy"] {
        assert!(seen.get(name).is_none(), "{name}");
    }
    assert_eq!(seen["HOME"], seen["TMPDIR"], "not the home of who started it");
    assert_eq!(seen["AWS_REGION"], seen["AWS_DEFAULT_REGION"]);
    assert_eq!(seen["_HANDLER"], "main.handler");
    assert_eq!(seen["AWS_ENDPOINT_URL"], stillwire.ready()["aws_endpoint"]);
    assert_eq!(seen["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "128");
}

#[test]
fn what_a_function_writes_is_in_the_log_with_its_name_and_request() {
    let mut client = WORLD.stillwire.connect();
    let answer = ask(&mut client, "main", json!({ "do": "log", "text": "hello\u{1b}[2J" }));
    let name = answer["name"].as_str().expect("a name");
    let request = answer["request"].as_str().expect("a request id");
    for output in ["stdout", "stderr"] {
        WORLD.stillwire.wait_for_log(&format!("{name} {request} to {output}: hello\\u{{1b}}[2J\n"));
    }
    for kind in ["START", "END", "REPORT"] {
        WORLD.stillwire.wait_for_log(&format!("{name} {request} {kind} RequestId: {request}"));
    }
    let functions = WORLD.stillwire.ready()["functions"].as_array().expect("functions").clone();
    assert!(functions.iter().any(|function| function["name"] == name));
}

fn answering(text: &str) -> String {
    format!("def handler(event, context):\n    return {{'statusCode': 200, 'body': '{text}'}}\n")
}

#[test]
fn a_saved_handler_runs_for_the_next_message_and_a_broken_one_replaces_nothing() {
    let app = App::new().function("main", &answering("1")).two_way_route("$default", "main");
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let mut client = stillwire.connect();
    let mut say = |code: &str| {
        std::fs::write(app.file("main", "main.py"), code).expect("saved");
        client.send("?");
        client.text()
    };
    for round in 2..6 {
        assert_eq!(say(&answering(&round.to_string())), round.to_string());
    }
    for _ in 0..2 {
        assert_eq!(say("def handler(event, context)\n    return 1\n"), "5");
    }
    stillwire.wait_for_log("Runtime.UserCodeSyntaxError");
    stillwire.wait_for_log("main.py");
    assert_eq!(say(&answering("mended")), "mended");
    assert_eq!(say("import nothing_of_this_name\n"), "mended");
    stillwire.wait_for_log("No module named 'nothing_of_this_name'");
    assert_eq!(say(&answering("again")), "again");
}

#[test]
fn the_chat_is_edited_in_its_source_while_its_clients_stay() {
    let app = example("cdk-chat");
    let arguments = ["--in-memory", "--no-synth", "--stage", "dev"];
    let stillwire = Stillwire::dev_with(PROGRAM, app.path(), &arguments);
    let headers = [("Authorization", "Bearer ada:sesame")];
    let mut client = stillwire.try_connect("dev", &headers).expect("accepted");
    let chat = r#"{"action":"chat","message":"hi"}"#;
    assert_eq!(client.ask(chat), json!({ "from": "ada", "message": "hi" }));
    let file = app.path().join("functions/websocket.py");
    let code = std::fs::read_to_string(&file).expect("the handler");
    let edited = code.replace(r#""message": text"#, r#""message": text.upper()"#);
    assert_ne!(edited, code);
    std::fs::write(&file, edited).expect("saved");
    assert_eq!(client.ask(chat), json!({ "from": "ada", "message": "HI" }));
}

#[test]
fn the_requirements_of_a_function_are_installed() {
    let code = "import iniconfig\ndef handler(event, context):\n    return {'statusCode': 200, 'body': iniconfig.__name__}\n";
    let app = App::new().function("main", code).two_way_route("$default", "main");
    std::fs::write(app.file("main", "requirements.txt"), "iniconfig==2.0.0\n").expect("written");
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let mut client = stillwire.connect();
    client.send("?");
    assert_eq!(client.text(), "iniconfig");
    let cache = tools::folder().join("cache");
    assert!(cache.is_dir(), "installed into {}", cache.display());
    assert!(!app.file("main", "iniconfig").exists(), "the source stays as it is");
}

/// What an end leaves behind: the processes of functions and theirs, and the program's own.
fn after(end: impl FnOnce(&mut Stillwire)) {
    let events = Events::new();
    let app = app(&events);
    let mut stillwire = Stillwire::dev(PROGRAM, &app.template());
    let mut client = stillwire.connect();
    let idle = pids(&ask(&mut client, "main", json!({ "do": "children" })));
    let ask = json!({ "action": "alone", "do": "children", "hang": true, "mark": "busy" });
    client.send(&ask.to_string());
    let busy = pids(&events.wait("the children", |event| event["mark"] == "busy"));
    let own = children_of(u64::from(stillwire.pid()));
    // All functions are the supervisor's: to fork what holds many connections would stop it for a moment each time.
    assert_eq!(own.len(), 1, "the supervisor");
    assert!([&idle, &busy, &own].into_iter().flatten().all(|pid| is_alive(*pid)));
    end(&mut stillwire);
    wait_for_the_end_of(&idle);
    wait_for_the_end_of(&busy);
    eventually("the end of the supervisor", || own.iter().all(|pid| !is_alive(*pid)).then_some(()));
    std::fs::remove_dir_all(events.folder()).expect("removed");
}

fn children_of(pid: u64) -> Vec<u64> {
    let tasks = PathBuf::from(format!("/proc/{pid}/task"));
    let mut children = Vec::new();
    for task in std::fs::read_dir(tasks).expect("the program's tasks").flatten() {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u64>().ok()));
    }
    children
}

#[test]
fn an_interrupt_leaves_no_process_behind() {
    after(|stillwire| {
        stillwire.signal(Signal::INT);
        // A second one does not wait for the function that hangs.
        stillwire.wait_for_log("stopping: 1 client");
        stillwire.signal(Signal::INT);
        assert!(stillwire.wait(), "the exit status is 0");
    });
}

#[test]
fn a_kill_leaves_no_process_behind() {
    after(|stillwire| {
        stillwire.signal(Signal::KILL);
        assert!(!stillwire.wait());
    });
}

/// The client gets the error of the service, and the process goes on.
#[test]
fn a_result_that_is_no_json_or_too_large_is_an_internal_error_and_costs_no_process() {
    let code = r#"
import os
def handler(event, context):
    if event["body"] == "nan": return {"statusCode": 200, "body": "x", "more": float("nan")}
    if event["body"] == "large": return {"statusCode": 200, "body": "x" * (7 << 20)}
    return {"statusCode": 200, "body": str(os.getpid())}
"#;
    let app = App::new().function("all", code).two_way_route("$default", "all");
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let mut client = stillwire.connect();
    client.send("pid");
    let pid = client.text();
    for message in ["nan", "large"] {
        client.send(message);
        let said = client.text();
        assert!(said.starts_with(r#"{"message": "Internal server error""#), "{message}: {said}");
        client.send("pid");
        assert_eq!(client.text(), pid, "{message}");
    }
}
