//! Templates: environments that are forked, what each has of its own, and where forking is not sound.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and tell"
)]

mod common;

use std::collections::HashSet;

use common::{House, is_alive, join_all};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use stillwire_model::LogSource;

/// What an environment is: all that must be its own.
const WHO: &str = r#"
import os, random, ssl, tempfile, time, uuid
loads = []
loads.append(os.getpid())
def handler(event, context):
    time.sleep(event.get("seconds", 0))
    stat = open("/proc/self/stat").read().rpartition(")")[2].split()
    environ = open("/proc/self/environ").read().split("\0")
    return {
        "pid": os.getpid(), "parent": os.getppid(), "group": os.getpgid(0), "loads": loads,
        "random": random.random(), "uuid": str(uuid.uuid4()), "tls": ssl.RAND_bytes(8).hex(),
        "stream": context.log_stream_name, "tmp": tempfile.gettempdir(), "home": os.environ["HOME"],
        "mark": [os.environ["STILLWIRE_ENVIRONMENT"]] + [v.split("=")[1] for v in environ if v.startswith("STILLWIRE_ENVIRONMENT=")],
        "sockets": sum(map(is_socket, os.listdir("/proc/self/fd"))),
    }
def is_socket(name):
    try:
        return os.readlink("/proc/self/fd/" + name).startswith("socket:")
    except OSError:
        return False
"#;

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn notices(house: &House) -> Vec<String> {
    let notices = house.logs.texts(LogSource::Notice);
    notices.into_iter().filter(|line| line.contains("template")).collect()
}

/// The process from which all others were forked: a child of the supervisor that serves nothing.
fn template(house: &House, environments: &HashSet<u32>) -> Option<u32> {
    children(house.supervisor_pid).into_iter().find(|pid| !environments.contains(pid))
}

async fn many(house: &House, count: usize) -> Vec<Value> {
    let asked = (0..count).map(|_| house.returned("who", r#"{"seconds": 0.5}"#));
    let answers = join_all(asked).await;
    answers.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn forked_environments_share_libraries_and_nothing_else() {
    let house = House::new();
    house.write("app.py", WHO);
    house.add(house.function("who", "app.handler")).await;
    let seen = many(&house, 12).await;
    assert_eq!(notices(&house), Vec::<String>::new());
    for name in ["pid", "random", "uuid", "tls", "stream", "tmp", "mark"] {
        let values: HashSet<String> = seen.iter().map(|one| one[name].to_string()).collect();
        assert_eq!(values.len(), 12, "{name}: {values:?}");
    }
    for one in &seen {
        assert_eq!(one["parent"], house.supervisor_pid);
        assert_eq!(one["group"], one["pid"]);
        assert_eq!(one["loads"], json!([one["pid"]]), "its own code is loaded by itself");
        assert_eq!(one["tmp"], one["home"]);
        assert_eq!(one["mark"][0], one["mark"][1], "the kernel sees the same variable");
        assert_eq!(one["sockets"], 1, "its own runtime socket");
    }
    let pids = seen.iter().map(|one| u32::try_from(one["pid"].as_u64().unwrap()).unwrap());
    assert!(template(&house, &pids.collect()).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_ends_takes_no_other_with_it() {
    let house = House::new();
    house.write(
        "app.py",
        "import os, time\ndef handler(event, context):\n    time.sleep(event.get('sleep', 0))\n    \
         if event.get('die'): os._exit(7)\n    return os.getpid()\n",
    );
    house.add(house.function("who", "app.handler")).await;
    let long = house.returned("who", r#"{"sleep": 1}"#);
    let dying = house.failed("who", r#"{"die": true, "sleep": 0.3}"#);
    let (long, error) = tokio::join!(long, dying);
    assert_eq!(error["errorType"], "Runtime.ExitError");
    assert!(error["errorMessage"].as_str().unwrap().ends_with("exit status 7"), "{error}");
    assert_eq!(house.returned("who", "{}").await, long);
}

#[tokio::test(flavor = "multi_thread")]
async fn strays_of_a_forked_environment_are_found() {
    let house = House::new();
    // It forks without a new program, leaves its group, and its parent ends.
    house.write(
        "app.py",
        "import os, time\ndef handler(event, context):\n    child = os.fork()\n    if child == 0:\n        \
         os.setsid()\n        if os.fork() != 0: os._exit(0)\n        \
         open(os.path.join(os.environ['LAMBDA_TASK_ROOT'], 'stray'), 'w').write(str(os.getpid()))\n        \
         time.sleep(1000)\n    os.waitpid(child, 0)\n    time.sleep(1000)\n",
    );
    let mut function = house.function("who", "app.handler");
    function.timeout = std::time::Duration::from_secs(1);
    house.add(function).await;
    assert_eq!(house.failed("who", "{}").await["errorType"], "Sandbox.Timedout");
    let stray = std::fs::read_to_string(house.code.path().join("stray")).unwrap();
    let stray: u32 = stray.parse().unwrap();
    house.until("the stray is gone", |_| !is_alive(stray)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_template_a_function_runs_in_processes_of_its_own() {
    let house = House::new();
    house.write("app.py", WHO);
    house.add(house.function("who", "app.handler")).await;
    let first: Value = serde_json::from_str(&house.returned("who", "{}").await).unwrap();
    let known = HashSet::from([u32::try_from(first["pid"].as_u64().unwrap()).unwrap()]);
    let template = template(&house, &known).unwrap();
    let pid = Pid::from_raw(template.cast_signed()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    house.until("it is gone", |_| !is_alive(template)).await;
    let seen = many(&house, 3).await;
    let pids: HashSet<String> = seen.iter().map(|one| one["pid"].to_string()).collect();
    assert_eq!(pids.len(), 3);
}

/// A function that wants to be snapshot; `more` runs when it is loaded.
async fn snapshot(house: &House, more: &str) {
    let code = format!(
        r#"
import os, time
from snapshot_restore_py import register_before_snapshot, register_after_restore
told = []
loaded_by = os.getpid()
{more}
@register_before_snapshot
def first():
    told.append("before 1")
register_before_snapshot(lambda text: told.append(text), "before 2")
register_after_restore(lambda: told.append("after 1"))
@register_after_restore
def second():
    told.append("after 2")
def handler(event, context):
    time.sleep(event.get("seconds", 0))
    return {{"told": told, "shared": loaded_by != os.getpid(), "how": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]}}
"#
    );
    house.write("app.py", &code);
    let mut function = house.function("who", "app.handler");
    function.snap_start = true;
    house.add(function).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_loaded_once_and_its_hooks_run() {
    let house = House::new();
    snapshot(&house, "").await;
    for one in many(&house, 3).await {
        let told = ["before 2", "before 1", "after 1", "after 2"];
        assert_eq!(one, json!({ "told": told, "shared": true, "how": "snap-start" }));
    }
    assert_eq!(notices(&house), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_forked_soundly_is_not_forked() {
    for (code, reason) in [
        (
            "import threading; threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
            "a thread",
        ),
        ("import socket; kept = socket.socket()", "a socket"),
        ("import subprocess; kept = subprocess.Popen(['sleep', '1000'])", "a process"),
    ] {
        let house = House::new();
        snapshot(&house, code).await;
        let seen: Value = serde_json::from_str(&house.returned("who", "{}").await).unwrap();
        assert_eq!(seen["shared"], false, "{code}");
        assert_eq!(seen["told"], json!([]), "there is no snapshot");
        let notices = notices(&house);
        assert!(notices.iter().any(|line| line.contains(reason)), "{code}: {notices:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_a_hook_is_told_as_lambda_tells_it() {
    for (moment, kind) in [
        ("before_snapshot", "Runtime.BeforeSnapshotError"),
        ("after_restore", "Runtime.AfterRestoreError"),
    ] {
        let house = House::new();
        snapshot(&house, &format!("register_{moment}(lambda: 1 / 0)")).await;
        for _ in 0..2 {
            let error = house.failed("who", "{}").await;
            assert_eq!(error["errorType"], kind);
            assert_eq!(error["errorMessage"], "ZeroDivisionError: division by zero");
        }
    }
}

/// The order was never answered: the invocation waited for ten seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_fork_that_fails_half_way_is_told_at_once() {
    let house = House::new();
    let code = r#"
loader, fork = os.getpid(), os.fork
def only_here():
    if os.getpid() != loader:
        raise OSError("no more processes")
    return fork()
os.fork = only_here
"#;
    let began = tokio::time::Instant::now();
    snapshot(&house, code).await;
    let seen: Value = serde_json::from_str(&house.returned("who", "{}").await).unwrap();
    assert_eq!(seen["shared"], false);
    let notices = notices(&house);
    assert!(notices.iter().any(|line| line.contains("no more processes")), "{notices:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(8), "{:?}", began.elapsed());
}
