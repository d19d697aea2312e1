//! `stillwire invoke` and `stillwire logs`, as a person and a script use them.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use serde_json::{Value, json};
use stillwire_testkit::{App, Stillwire, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const SAY: &str = r#"
def handler(event, context):
    print("asked for", event)
    if event == "fail":
        raise ValueError("boom")
    return [event, context.function_version]
"#;

/// The folder of the app, and the program that runs it.
static RUNNING: LazyLock<(PathBuf, Stillwire)> = LazyLock::new(|| {
    let version = json!({ "Type": "AWS::Lambda::Version", "Properties": { "FunctionName": { "Ref": "say" } } });
    let app = App::new()
        .function("say", SAY)
        .function("Other12345678", SAY)
        .resource("One", version)
        .route("$default", "say");
    let template = app.template();
    let mut stillwire = Stillwire::dev(PROGRAM, &template);
    stillwire.keep_until_the_end(&app.keep());
    (template.parent().unwrap().to_owned(), stillwire)
});

fn command(arguments: &[&str]) -> std::process::Command {
    let (folder, _) = &*RUNNING;
    let mut command = Stillwire::command(PROGRAM);
    command.args(arguments).current_dir(folder);
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_function_is_called_by_its_logical_id_from_the_folder_of_its_app() {
    let output = run(&["invoke", "say", r#"{"a": 1}"#]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "[{\"a\": 1}, \"$LATEST\"]\n");
    assert_eq!(stdout(&run(&["invoke", "Other", "1"])), "[1, \"$LATEST\"]\n");
    assert_eq!(stdout(&run(&["invoke", "say", "--qualifier", "1"])), "[{}, \"1\"]\n");
    let endpoint = RUNNING.1.ready()["aws_endpoint"].as_str().unwrap().to_owned();
    let name = RUNNING.1.ready()["functions"][0]["name"].as_str().unwrap().to_owned();
    let there = run(&["invoke", &name, "2", "--endpoint", &endpoint]);
    assert_eq!(stdout(&there), "[2, \"$LATEST\"]\n", "{}", stderr(&there));
}

#[test]
fn an_event_comes_from_a_file_or_from_standard_input() {
    let file = RUNNING.0.join("event.json");
    std::fs::write(&file, "\"from a file\"").unwrap();
    assert_eq!(stdout(&run(&["invoke", "say", "@event.json"])), "[\"from a file\", \"$LATEST\"]\n");
    let mut piped = command(&["invoke", "say", "-"]);
    let mut piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(b"[1,\n2]").unwrap();
    assert_eq!(stdout(&piped.wait_with_output().unwrap()), "[[1, 2], \"$LATEST\"]\n");
}

#[test]
fn a_failure_of_the_function_is_printed_and_fails_the_command() {
    let output = run(&["invoke", "say", "\"fail\"", "--tail"]);
    assert_eq!(output.status.code(), Some(1));
    let error: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        (&error["errorType"], &error["errorMessage"]),
        (&"ValueError".into(), &"boom".into())
    );
    let log = stderr(&output);
    assert!(log.contains("asked for fail\n") && log.contains("REPORT RequestId: "), "{log}");
    let output = run(&["invoke", "say", "\"fail\"", "--json"]);
    let line: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&line["status"], &line["error"]), (&200.into(), &"Unhandled".into()));
    assert_eq!(line["payload"]["errorMessage"], "boom");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_cannot_be_called_is_told_with_what_to_do() {
    for (arguments, expected) in [
        (&["invoke", "nobody"][..], "the app's functions are Other12345678, say"),
        (&["invoke", "say", "{"], "the event is not JSON"),
        (&["invoke", "say", "hello"], "a text is JSON in quotes"),
        (
            &["invoke", "say", "--qualifier", "9"],
            "--qualifier names a published version or an alias",
        ),
        (&["invoke", "say", "--app", "/usr"], "the app at /usr is not running"),
        (&["invoke", "say", "--endpoint", "http://localhost:1"], "no answer of http://localhost:1"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn an_event_is_accepted_and_its_log_is_followed() {
    let mut follow = command(&["logs", "--follow", "say", "--since", "1m"]);
    let mut follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(follow.stdout.take().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        output.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
    });
    let line_with = |text: &str| loop {
        let line = told.recv_timeout(Duration::from_secs(30)).expect("a line in time");
        if line.contains(text) {
            return line;
        }
    };
    // What was written before it looked is shown too: after this it surely follows.
    run(&["invoke", "say", "\"before\""]);
    line_with("asked for before");
    let output = run(&["invoke", "--async", "say", "\"followed\""]);
    assert!(output.status.success() && stdout(&output).is_empty(), "{}", stderr(&output));
    assert!(stderr(&output).starts_with("accepted as "), "{}", stderr(&output));
    let line = line_with("asked for followed");
    assert!(line.starts_with("20") && line.contains("Z app-say-"), "{line}");
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[test]
fn logs_are_kept_and_shown_by_function_and_as_data() {
    run(&["invoke", "Other", "\"kept\""]);
    let lines = eventually("the line in the log", || {
        let output = run(&["logs", "Other", "--json"]);
        let lines = stdout(&output);
        lines.contains("asked for kept").then_some(lines)
    });
    let entries: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = entries.iter().find(|entry| entry["text"] == "asked for kept").unwrap();
    assert_eq!(line["source"], "function");
    assert!(line["request_id"].is_string() && line["time"].as_str().unwrap().ends_with('Z'));
    assert!(entries.iter().all(|entry| entry["function"].as_str().unwrap().contains("Other")));
    assert!(entries.iter().any(|entry| entry["source"] == "platform"));
    assert_eq!(stdout(&run(&["logs", "nobody"])), "");
}
