//! What a function may do to itself, its neighbours and us, and what comes of it. Real handlers in the usual isolation; and the
//! two worst of them in a strict sandbox.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and tell numbers"
)]

mod common;

use std::time::Duration;

use common::{House, processes, sleepers};
use serde_json::{Value, json};
use stillwire_functions::Sandbox;
use stillwire_model::{InvokeError, LogSource, Logging, Outcome, Runtime};
use tokio::time::Instant;

/// A function that answers at once, beside the one at fault.
const NEIGHBOUR: &str = "def handler(event, context):\n    return 'fine'\n";

/// A house with a neighbour, which has answered.
async fn house_with(change: impl FnOnce(&mut stillwire_functions::Config)) -> House {
    let house = House::with(change);
    house.write("neighbour.py", NEIGHBOUR);
    house.add(house.function("neighbour", "neighbour.handler")).await;
    assert_eq!(house.returned("neighbour", "{}").await, "\"fine\"");
    house
}

/// How long the neighbour takes for so many answers, the median.
async fn neighbour_takes(house: &House, answers: usize) -> Duration {
    let mut times = Vec::new();
    for _ in 0..answers {
        let start = Instant::now();
        assert_eq!(house.returned("neighbour", "{}").await, "\"fine\"");
        times.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times.sort();
    times[answers / 2]
}

fn ends_with(error: &Value, words: &str) {
    assert_eq!(error["errorType"], "Runtime.ExitError", "{error}");
    assert!(error["errorMessage"].as_str().unwrap().ends_with(words), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_ends_at_once_is_tried_less_and_less_and_its_callers_know_at_once() {
    let house = house_with(|config| config.reload = true).await;
    let starts = house.work.path().join("starts"); // beside its code this would be a change of that
    let code = "import os\nopen(os.environ['STARTS'], 'a').write('x')\nos._exit(1)\n";
    house.write("app.py", code);
    let mut function = house.function("ends", "app.handler");
    function.environment.insert("STARTS".to_owned(), starts.to_str().unwrap().to_owned());
    house.add(function).await;
    let begun = Instant::now();
    let mut quick = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        let start = Instant::now();
        ends_with(&house.failed("ends", "{}").await, "Runtime exited with error: exit status 1");
        quick += usize::from(start.elapsed() < Duration::from_millis(10));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Three at once, then after 100, 200, 400, 800 and 1600 milliseconds.
    let started = std::fs::read_to_string(&starts).unwrap().len();
    println!("{started} starts, {quick} answers at once");
    assert!((4..=10).contains(&started), "{started}");
    assert!(quick > 50, "{quick}");
    let told = house.logs.texts(LogSource::Notice);
    assert!(told.iter().any(|line| line.contains("the next try is in 100ms")), "{told:?}");
    // New code is tried at once.
    house.write("app.py", NEIGHBOUR);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(house.returned("ends", "{}").await, "\"fine\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_hangs_is_killed_when_its_time_is_over() {
    let house = house_with(|_| {}).await;
    // No signal that can be caught would end it.
    let code = "import os, signal, time\nfor number in set(signal.Signals) - {9, 19}: signal.signal(number, signal.SIG_IGN)\ndef handler(event, context):\n    while event['hang']: time.sleep(1)\n    return os.getpid()\n";
    house.write("app.py", code);
    let mut function = house.function("hangs", "app.handler");
    function.timeout = Duration::from_secs(1);
    house.add(function).await;
    let pid: u32 = house.returned("hangs", r#"{"hang": false}"#).await.parse().unwrap();
    let start = Instant::now();
    let error = house.failed("hangs", r#"{"hang": true}"#).await;
    let told = start.elapsed();
    assert_eq!(error["errorType"], "Sandbox.Timedout");
    while common::is_alive(pid) {
        assert!(start.elapsed() < Duration::from_secs(3), "still there");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!("told after {told:?}, gone after {:?}", start.elapsed());
    assert!(told >= Duration::from_secs(1) && told < Duration::from_millis(1500), "{told:?}");
    assert_ne!(house.returned("hangs", r#"{"hang": false}"#).await, pid.to_string());
}

/// Leaves group and session, ignores what can be ignored, sheds its variables, and lets its parents end.
const DAEMON: &str = r#"
import os, signal, time
def handler(event, context):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.setpgid(0, 0)
            for number in (0, 1, 2): os.close(number)
            os.execve("/bin/sleep", ["sleep", event["seconds"]], {})
        os._exit(0)
    os.wait()
    time.sleep(event["rest"])
"#;

/// A daemon of a function ends with its environment; that of another function does not.
async fn daemons(house: House, place: u32) {
    house.write("app.py", DAEMON);
    let mut function = house.function("daemon", "app.handler");
    function.timeout = Duration::from_secs(1);
    house.add(function).await;
    let named = |name: &str| format!("1000.{}{place}{name}", std::process::id());
    let (first, second) = (named("1"), named("2"));
    let event = |seconds: &str, rest: u32| json!({"seconds": seconds, "rest": rest}).to_string();
    house.returned("daemon", &event(&first, 0)).await;
    house.until("it runs beside its function", |_| sleepers(&first).len() == 1).await;
    let error = house.failed("daemon", &event(&second, 100)).await;
    assert_eq!(error["errorType"], "Sandbox.Timedout");
    house
        .until("both are gone", |_| [&first, &second].iter().all(|s| sleepers(s).is_empty()))
        .await;
    assert_eq!(house.returned("neighbour", "{}").await, "\"fine\"");
    house.functions.stop(Duration::ZERO).await;
}

/// One that had shed its variables as well was found by nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_a_function_leaves_behind_ends_with_its_environment() {
    daemons(house_with(|_| {}).await, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_a_function_leaves_behind_ends_with_its_environment_in_a_strict_sandbox() {
    if let Some(house) = strict(|_| {}).await {
        daemons(house, 2).await;
    }
}

/// The same in a strict sandbox, where there is one.
async fn strict(change: impl FnOnce(&mut stillwire_functions::Config)) -> Option<House> {
    let house = House::with(|config| {
        config.sandbox = Sandbox::Strict;
        change(config);
    });
    if let Err(none) = house.functions.isolation().await {
        println!("skipped: {none}");
        return None;
    }
    house.write("neighbour.py", NEIGHBOUR);
    house.add(house.function("neighbour", "neighbour.handler")).await;
    assert_eq!(house.returned("neighbour", "{}").await, "\"fine\"");
    Some(house)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_takes_ten_gigabytes_is_killed_alone_and_that_is_told() {
    let house = house_with(|_| {}).await;
    house.write("app.py", "def handler(event, context):\n    return len(b'x' * (10 << 30))\n");
    house.add(house.function("hog", "app.handler")).await;
    let start = Instant::now();
    let (error, _) = tokio::join!(house.failed("hog", "{}"), neighbour_takes(&house, 20));
    println!("killed after {:?}", start.elapsed());
    ends_with(&error, "signal: killed");
    let told = house.logs.texts(LogSource::Notice);
    let is_told = |line: &String| line.contains("hog takes more than its memory of 128 MB");
    assert!(told.iter().any(is_told), "{told:?}");
}

/// Each process starts another until there are 300; those would stay for a minute.
const BOMB: &str = r#"
import mmap, os, struct, time
def handler(event, context):
    count = mmap.mmap(-1, 8)
    while True:
        number, = struct.unpack("q", count[:8])
        if number >= 300:
            time.sleep(60)
            os._exit(0)
        count[:8] = struct.pack("q", number + 1)
        try:
            os.fork()
        except OSError:
            pass
"#;

async fn fork_bomb(house: House) {
    house.write("app.py", BOMB);
    let mark = format!("BOMB={}", std::process::id());
    let mut function = house.function("bomb", "app.handler");
    function.environment.insert("BOMB".to_owned(), std::process::id().to_string());
    function.memory_mb = 10_240;
    function.timeout = Duration::from_secs(5);
    house.add(function).await;
    let before = neighbour_takes(&house, 20).await;
    let (error, during) = tokio::join!(house.failed("bomb", "{}"), neighbour_takes(&house, 40));
    println!("the neighbour takes {before:?} before and {during:?} during it");
    // With a floor: a machine of few cores has other work as well.
    assert!(during < (before * 2).max(Duration::from_millis(100)), "{before:?} {during:?}");
    let kind = error["errorType"].as_str().unwrap();
    assert!(matches!(kind, "Runtime.ExitError" | "Sandbox.Timedout"), "{error}");
    let of_bomb = || {
        let marked =
            |text: &[u8]| text.split(|byte| *byte == 0).any(|pair| pair == mark.as_bytes());
        processes("environ", marked)
    };
    house.until("nothing of it is left", |_| of_bomb().is_empty()).await;
    house.functions.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_is_put_out_and_harms_no_neighbour() {
    let house = house_with(|config| {
        config.processes_max = 30;
        config.templates = false; // its processes are found by their variables
    });
    fork_bomb(house.await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_does_not_grow_in_a_strict_sandbox() {
    if let Some(house) = strict(|config| config.processes_max = 30).await {
        fork_bomb(house).await;
    }
}

fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_without_a_line_end_blocks_nobody_and_takes_no_memory() {
    let house = house_with(|_| {}).await;
    house.write(
        "app.py",
        "import os\nblock = b'x' * (1 << 20)\ndef handler(event, context):\n    for _ in range(event): os.write(1, block)\n    return 'wrote'\n",
    );
    let mut function = house.function("flood", "app.handler");
    function.timeout = Duration::from_mins(1);
    house.add(function).await;
    house.returned("flood", "1").await;
    let (start, before) = (Instant::now(), resident_mb());
    let (wrote, _) = tokio::join!(house.returned("flood", "1024"), neighbour_takes(&house, 20));
    assert_eq!(wrote, "\"wrote\"");
    let kept: usize = house.logs.texts(LogSource::Function).iter().map(String::len).sum();
    let (took, grown) = (start.elapsed(), resident_mb().saturating_sub(before));
    println!("took {took:?}, {grown} MB more, {kept} bytes logged");
    // 4 MiB at once and 1 MiB a second, of which this test keeps a copy.
    let allowed = (5 << 20) + (usize::try_from(took.as_millis()).unwrap() << 20) / 1000;
    assert!(kept < allowed, "{kept} bytes in {took:?}");
    assert!(grown < 100, "{grown} MB");
    house.returned("flood", "0").await;
    house.functions.stop(Duration::from_secs(1)).await;
    let told = house.logs.texts(LogSource::Notice);
    assert!(told.iter().any(|line| line.ends_with("lines dropped: too much output")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_streams_that_are_closed_or_read_have_no_effect() {
    let house = house_with(|_| {}).await;
    house.write(
        "app.py",
        "import os, sys\ndef handler(event, context):\n    text = sys.stdin.read() if event else ''\n    for number in (0, 1, 2):\n        try: os.close(number)\n        except OSError: pass\n    return [text, os.getpid()]\n",
    );
    house.add(house.function("closes", "app.handler")).await;
    let first: Value = serde_json::from_str(&house.returned("closes", "true").await).unwrap();
    assert_eq!(first[0], "");
    for _ in 0..3 {
        let next: Value = serde_json::from_str(&house.returned("closes", "false").await).unwrap();
        assert_eq!(next, first, "the same process");
    }
}

/// A runtime that answers as its event says.
const RUNTIME: &str = r#"
import http.client, json, os
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
PATH = "/2018-06-01/runtime/invocation/"
def ask(method, path, body=None):
    connection.request(method, PATH + path, body)
    response = connection.getresponse()
    return response.status, response.read(), response.getheader("Lambda-Runtime-Aws-Request-Id")
last, seen = None, []
while True:
    _, event, id = ask("GET", "next")
    event = json.loads(event)
    if event == "large": body = b'"' + b"x" * (6 << 20) + b'x' * 200 + b'"'
    elif event == "broken": body = b'{"statusCode": '
    elif event == "late": body, seen = b"1", [ask("POST", last + "/response", "2")[0]]
    elif event == "seen": body = json.dumps([seen, os.getpid()])
    else: body = json.dumps(event)
    first = ask("POST", id + "/response", body)[0]
    if event == "twice": seen = [first, ask("POST", id + "/response", "2")[0]]
    if event == "other": seen = [ask("POST", "8476a536-e9f4-11e8-9739-2dfe598c3fcd/response", "2")[0]]
    last = id
"#;

async fn raw() -> House {
    let house = house_with(|_| {}).await;
    house.write("bootstrap", &format!("#!/usr/bin/env python3\n{RUNTIME}"));
    let path = house.code.path().join("bootstrap");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, executable).unwrap();
    let mut function = house.function("raw", "none");
    function.runtime = Runtime::Provided("provided.al2023".to_owned());
    house.add(function).await;
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_twice_or_late_or_for_another_is_refused() {
    let house = raw().await;
    assert_eq!(house.returned("raw", "0").await, "0");
    let mut process = None;
    for (event, answers) in
        [("twice", json!([202, 400])), ("other", json!([400])), ("late", json!([400]))]
    {
        let event = format!("\"{event}\"");
        let expected = if event == "\"late\"" { "1" } else { event.as_str() };
        assert_eq!(house.returned("raw", &event).await, expected, "the first answer counts");
        let seen: Value = serde_json::from_str(&house.returned("raw", "\"seen\"").await).unwrap();
        assert_eq!(seen[0], answers, "{event}");
        assert_eq!(*process.get_or_insert_with(|| seen[1].clone()), seen[1], "the same process");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_or_no_json_costs_one_invocation_and_no_process() {
    let house = raw().await;
    let before = house.returned("raw", "\"seen\"").await;
    let error = house.failed("raw", "\"large\"").await;
    assert_eq!(error["errorType"], "Function.ResponseSizeTooLarge");
    // What it means is for the caller to judge.
    assert_eq!(house.returned("raw", "\"broken\"").await, "{\"statusCode\": ");
    assert_eq!(house.returned("raw", "\"seen\"").await, before, "the same process");
}

/// It counted as one that is there, for ever, and took a place of all environments.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_ours_while_an_environment_works_costs_one_invocation() {
    let house = house_with(|config| config.environments_max = 2).await;
    house.write("app.py", NEIGHBOUR);
    let mut function = house.function("f", "app.handler");
    function.reserved_concurrency = Some(1);
    house.add(function).await;
    for line in ["START", "REPORT"] {
        *house.logs.trap.lock().unwrap() = Some(line.to_owned());
        let lost = house.invoke("f", "{}").await;
        *house.logs.trap.lock().unwrap() = None;
        // The outcome is told before the report.
        let expected = match line {
            "START" => matches!(lost, Err(InvokeError::Unavailable { .. })),
            _ => matches!(lost, Ok(Outcome::Returned(_))),
        };
        assert!(expected, "{line}: {lost:?}");
        assert_eq!(house.returned("f", "{}").await, "\"fine\"");
        assert_eq!(house.functions.environments()[&common::arn("f")], 1);
    }
    assert_eq!(house.returned("neighbour", "{}").await, "\"fine\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_json_format_the_platform_writes_json_and_so_it_tells_a_timeout() {
    let house = House::new();
    house.write("app.py", "import time\ndef handler(event, context):\n    time.sleep(event)\n");
    let mut function = house.function("json", "app.handler");
    function.logging = Logging::new(|name| (name == "LogFormat").then(|| "JSON".to_owned()));
    function.timeout = Duration::from_secs(1);
    house.add(function).await;
    house.returned("json", "0").await;
    house.failed("json", "100").await;
    house.until("all is told", |house| house.logs.texts(LogSource::Platform).len() == 5).await;
    let lines = house.logs.texts(LogSource::Platform);
    let events: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<_> = events
        .iter()
        .map(|event| (event["type"].as_str().unwrap(), event["record"]["status"].as_str()))
        .collect();
    let (start, report) = ("platform.start", "platform.report");
    let done = "platform.runtimeDone"; // a warning, unless all went well
    assert_eq!(
        seen,
        [
            (start, None),
            (report, Some("success")),
            (start, None),
            (done, Some("timeout")),
            (report, Some("timeout"))
        ]
    );
    assert_eq!(events[0]["record"]["version"], "$LATEST");
    assert_eq!(events[0]["record"]["functionArn"], common::arn("json").as_str());
    assert_eq!(events[0]["record"]["requestId"], events[1]["record"]["requestId"]);
    assert!(events[1]["record"]["metrics"]["initDurationMs"].is_number(), "{lines:?}");
    for event in &events[3..] {
        assert!(event["record"]["metrics"]["durationMs"].as_f64().unwrap() >= 1000.0);
    }
}
