//! What becomes of processes, what they see, and what is logged about them.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail, and tell numbers")]

mod common;

use std::io::Write as _;
use std::time::Duration;

use common::{House, is_alive};
use serde_json::{Value, json};
use stillwire_model::{LogSource, Outcome};
use tokio::time::Instant;

const TREE: &str = r#"
import os, subprocess, time
print("loading")

def handler(event, context):
    child = subprocess.Popen(["sleep", "1000"])
    # The other one leaves the group, and its parent ends at once.
    out = os.path.join(os.environ["LAMBDA_TASK_ROOT"], "pids")
    subprocess.Popen(["sh", "-c", "setsid sh -c 'echo $$ > %s.orphan; exec sleep 1000' &" % out]).wait()
    while not os.path.exists(out + ".orphan") or not open(out + ".orphan").read().strip():
        time.sleep(0.01)
    with open(out + ".new", "w") as file:
        file.write("%d %d %s" % (os.getpid(), child.pid, open(out + ".orphan").read()))
    os.rename(out + ".new", out)
    print("waiting", flush=True)
    time.sleep(1000)
"#;

fn pids(house: &House) -> Option<Vec<u32>> {
    let text = std::fs::read_to_string(house.code.path().join("pids")).ok()?;
    Some(text.split_whitespace().map(|pid| pid.parse().unwrap()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_kills_the_whole_tree_and_the_next_invocation_gets_a_fresh_one() {
    let house = House::new();
    house.write("app.py", TREE);
    let mut function = house.function("tree", "app.handler");
    function.timeout = Duration::from_secs(1);
    house.add(function).await;
    let (mut told, mut gone) = (Duration::MAX, Duration::MAX);
    for _ in 0..2 {
        let start = Instant::now();
        let error = house.failed("tree", "{}").await;
        let after = start.elapsed();
        told = told.min(after);
        assert_eq!(error["errorType"], "Sandbox.Timedout");
        let message = error["errorMessage"].as_str().unwrap();
        assert!(message.ends_with("Error: Task timed out after 1.00 seconds"), "{message}");
        let pids = pids(&house).unwrap();
        assert_eq!(pids.len(), 3);
        house.until("the tree is gone", |_| !pids.iter().any(|pid| is_alive(*pid))).await;
        gone = gone.min(start.elapsed().saturating_sub(after));
        std::fs::remove_file(house.code.path().join("pids")).unwrap();
        std::fs::remove_file(house.code.path().join("pids.orphan")).unwrap();
    }
    println!("timed out after {told:?}, gone {gone:?} later");
    // The init phase does not count. The better of two: this machine has other work as well.
    assert!(told >= Duration::from_secs(1) && told < Duration::from_millis(1150), "{told:?}");
    assert!(gone < Duration::from_millis(500), "{gone:?}");
    let lines = house.logs.texts(LogSource::Platform);
    assert!(lines.iter().any(|line| line.ends_with("Task timed out after 1.00 seconds")));
    assert!(lines.iter().any(|line| line.ends_with("Status: timeout")), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_what_is_still_running() {
    let house = House::new();
    house.write("app.py", TREE);
    let mut function = house.function("tree", "app.handler");
    function.timeout = Duration::from_secs(100);
    house.add(function).await;
    let supervisor = house.supervisor_pid;
    let invocation = house.functions.clone();
    let running = house.drain.spawn("invocation", async move {
        use stillwire_model::Invoke;
        invocation.invoke(common::invocation("tree", "{}")).await
    });
    house.until("the tree has grown", |house| pids(house).is_some()).await;
    let tree = pids(&house).unwrap();
    assert!(tree.iter().all(|pid| is_alive(*pid)));
    running.abort();
    house.functions.stop(Duration::from_millis(10)).await;
    house.until("the tree is gone", |_| !tree.iter().any(|pid| is_alive(*pid))).await;
    house.until("the supervisor is gone", |_| !is_alive(supervisor)).await;
}

/// Not a test of its own: the daemon that the next test kills.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_for_the_next_test() {
    let Some(folder) = std::env::var_os("TEST_DAEMON_FOLDER") else { return };
    let house = House::new();
    house.write("app.py", TREE);
    let mut function = house.function("tree", "app.handler");
    function.timeout = Duration::from_secs(100);
    house.add(function).await;
    let functions = house.functions.clone();
    house.drain.spawn("invocation", async move {
        use stillwire_model::Invoke;
        functions.invoke(common::invocation("tree", "{}")).await
    });
    house.until("the tree has grown", |house| pids(house).is_some()).await;
    let mut all = pids(&house).unwrap();
    all.push(house.supervisor_pid);
    let path = std::path::Path::new(&folder);
    std::fs::write(path.join("new"), json!(all).to_string()).unwrap();
    std::fs::rename(path.join("new"), path.join("pids")).unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_minus_nine_of_the_daemon_leaves_no_function_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_daemon_for_the_next_test", "--nocapture"])
        .env("TEST_DAEMON_FOLDER", folder.path())
        .spawn()
        .unwrap();
    let mark = folder.path().join("pids");
    for _ in 0..1000 {
        if mark.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let pids: Vec<u32> = serde_json::from_slice(&std::fs::read(mark).unwrap()).unwrap();
    assert!(pids.len() == 4 && pids.iter().all(|pid| is_alive(*pid)));
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let start = Instant::now();
    while pids.iter().any(|pid| is_alive(*pid)) {
        assert!(start.elapsed() < Duration::from_secs(1), "still there after a second");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("all gone {:?} after the daemon", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_sees_lambdas_variables_and_none_of_the_daemons() {
    let house = House::new();
    house.write(
        "app.py",
        "import os, sys\ndef handler(e, c):\n    return [dict(os.environ), os.getcwd(), os.listdir(os.environ['TMPDIR']), sys.path]\n",
    );
    let mut function = house.function("seen", "app.handler");
    function.environment.insert("TABLE".to_owned(), "chat".to_owned());
    house.add_with(function, &[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")]).await;
    let seen: Value = serde_json::from_str(&house.returned("seen", "{}").await).unwrap();
    let variables = seen[0].as_object().unwrap();
    // Cargo gives the daemon of this test plenty of variables.
    for name in ["CARGO_MANIFEST_DIR", "CARGO", "USER", "STILLWIRE_RUNTIME_FD"] {
        assert!(!variables.contains_key(name), "{name}");
    }
    for (name, value) in [
        ("TABLE", "chat"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_LAMBDA_FUNCTION_NAME", "seen"),
        ("_HANDLER", "app.handler"),
    ] {
        assert_eq!(variables[name], value);
    }
    let root = std::fs::canonicalize(house.code.path()).unwrap();
    assert_eq!(seen[1], root.to_str().unwrap());
    assert_eq!(seen[2], json!([]));
    assert_eq!(seen[3][0], root.to_str().unwrap());
    let tmp = variables["TMPDIR"].as_str().unwrap().to_owned();
    house.functions.stop(Duration::from_secs(1)).await;
    house.until("its temporary folder is gone", |_| !std::path::Path::new(&tmp).exists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_may_open_a_thousand_files_and_leaves_no_core() {
    for templates in [true, false] {
        let house = House::with(|config| config.templates = templates);
        house.write(
            "app.py",
            "import os, resource\ndef handler(e, c):\n    kept = []\n    try:\n        while len(kept) < 5000: kept.append(open('/dev/null'))\n    \
             except OSError as error:\n        told = error.strerror\n    count = len(kept)\n    for file in kept: file.close()\n    \
             return [told, count, resource.getrlimit(resource.RLIMIT_CORE)]\n",
        );
        house.add(house.function("f", "app.handler")).await;
        let text = house.returned("f", "{}").await;
        let (told, count, core): (String, u32, (u32, u32)) = serde_json::from_str(&text).unwrap();
        assert_eq!((told.as_str(), core), ("Too many open files", (0, 0)), "{text}");
        assert!((1000..1024).contains(&count), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_of_output_carries_its_request_id() {
    let house = House::new();
    house.write(
        "app.py",
        "import logging, sys\nlogging.getLogger().setLevel('INFO')\nprint('loading')\ndef handler(e, c):\n    print('out', c.aws_request_id)\n    sys.stderr.write('err\\n')\n    logging.info('logged')\n    return c.aws_request_id\n",
    );
    house.add(house.function("logs", "app.handler")).await;
    let id: String = serde_json::from_str(&house.returned("logs", "{}").await).unwrap();
    house
        .until("the report", |house| {
            house.logs.texts(LogSource::Platform).iter().any(|line| line.starts_with("REPORT"))
        })
        .await;
    let lines: Vec<(Option<String>, String)> = house
        .logs
        .all()
        .into_iter()
        .filter(|line| line.source != LogSource::Notice)
        .map(|line| (line.request_id.map(|id| id.to_string()), line.text))
        .collect();
    let with = |text: &str| lines.iter().find(|line| line.1.starts_with(text)).unwrap();
    assert_eq!(with("loading").0, None);
    for text in [
        &format!("START RequestId: {id} Version: $LATEST"),
        "out ",
        "err",
        "[INFO]\t",
        &format!("END RequestId: {id}"),
        &format!("REPORT RequestId: {id}\tDuration: "),
    ] {
        assert_eq!(with(text).0.as_deref(), Some(id.as_str()), "{text}");
    }
    assert!(with("[INFO]").1.ends_with(&format!("Z\t{id}\tlogged")), "{:?}", with("[INFO]"));
    let report = &with("REPORT").1;
    assert!(report.contains("\tInit Duration: ") && !report.contains("Used: 0 MB"), "{report}");
    assert_eq!(lines.last().unwrap().1, *report);
}

/// The parts of a report, by their names.
fn parts(report: &str) -> std::collections::BTreeMap<String, String> {
    let parts = report.split('\t').filter_map(|part| part.split_once(": "));
    parts.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_first_report_of_an_environment_tells_the_init_phase_and_each_is_billed_in_whole_milliseconds()
 {
    let house = House::new();
    house.write("app.py", "import time\ndef handler(e, c):\n    time.sleep(0.0015)\n");
    house.add(house.function("f", "app.handler")).await;
    for _ in 0..3 {
        house.returned("f", "{}").await;
    }
    let reports = |house: &House| -> Vec<String> {
        let lines = house.logs.texts(LogSource::Platform).into_iter();
        lines.filter(|line| line.starts_with("REPORT ")).collect()
    };
    house.until("all are reported", |house| reports(house).len() == 3).await;
    for (at, report) in reports(&house).iter().enumerate() {
        let parts = parts(report);
        let millis = |name: &str| -> Option<f64> {
            parts.get(name).map(|text| text.strip_suffix(" ms").unwrap().parse().unwrap())
        };
        let (took, init) = (millis("Duration").unwrap(), millis("Init Duration"));
        assert_eq!(init.is_some(), at == 0, "{report}");
        // What is shown is rounded.
        let billed = millis("Billed Duration").unwrap() - (took + init.unwrap_or_default());
        assert!(took >= 1.5 && (-0.01..1.01).contains(&billed), "{report}");
        assert_eq!(parts["Memory Size"], "128 MB");
    }
}

/// What a function keeps in its folder, and another environment of it beside.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_an_environment_survive_invocations_and_a_reset_and_are_nobody_else_s() {
    for templates in [true, false] {
        let house = House::with(|config| config.templates = templates);
        house.write(
            "app.py",
            "import os, tempfile, time\ndef handler(event, context):\n    folder = tempfile.gettempdir()\n    before = sorted(os.listdir(folder))\n    \
             open(os.path.join(folder, event['name']), 'w').close()\n    time.sleep(event.get('sleep', 0))\n    \
             if event.get('end'): os._exit(1)\n    return [os.getpid(), before]\n",
        );
        let mut function = house.function("f", "app.handler");
        function.timeout = Duration::from_secs(1);
        house.add(function).await;
        let asked = async |event: Value| -> (u32, Vec<String>) {
            serde_json::from_str(&house.returned("f", &event.to_string()).await).unwrap()
        };
        let first = asked(json!({"name": "a"})).await;
        assert_eq!(first.1, [""; 0]);
        assert_eq!(asked(json!({"name": "b"})).await, (first.0, vec!["a".to_owned()]));
        house.failed("f", r#"{"name": "c", "sleep": 100}"#).await;
        let after = asked(json!({"name": "d"})).await;
        assert_ne!(after.0, first.0);
        assert_eq!(after.1, ["a", "b", "c"]);
        house.failed("f", r#"{"name": "e", "end": true}"#).await;
        let both = tokio::join!(
            asked(json!({"name": "f", "sleep": 0.5})),
            asked(json!({"name": "f", "sleep": 0.5}))
        );
        let mut seen = [both.0.1, both.1.1];
        seen.sort();
        assert_eq!(seen, [vec![], ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_aws_lead_to_us() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let house = House::with(|config| {
        config.hosts = vec![("abc.execute-api.eu-west-1.amazonaws.com".to_owned(), ours)];
        config.aws = "127.0.0.1:7".parse().unwrap();
    });
    house.write(
        "app.py",
        "import socket\ndef handler(e, c):\n    with socket.create_connection(('abc.execute-api.eu-west-1.amazonaws.com', 443)) as s:\n        s.sendall(b'hello')\n    return [socket.getaddrinfo(n, 443, type=socket.SOCK_STREAM)[0][4] for n in e]\n",
    );
    let function = house.function("names", "app.handler");
    house.add_with(function, &[("AWS_ENDPOINT_URL_S3", "http://localhost.amazonaws.eu:1/x")]).await;
    let hello = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut text = [0; 5];
        tokio::io::AsyncReadExt::read_exact(&mut socket, &mut text).await.unwrap();
        text
    };
    let event =
        json!(["s3.us-east-1.amazonaws.com", "sts.amazonaws.com.cn", "x.api.aws", "localhost"]);
    let event = event.to_string();
    let (text, answer) = tokio::join!(hello, house.returned("names", &event));
    assert_eq!(&text, b"hello");
    let aws = json!(["127.0.0.1", 7]);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer.as_array().unwrap()[..3], [aws.clone(), aws.clone(), aws]);
    assert_eq!(answer[3][1], 443, "other names are looked up as ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_environment_ends_except_the_last() {
    let house = House::with(|config| config.idle_timeout = Duration::from_millis(100));
    house.write("app.py", "import time\ndef handler(e, c):\n    time.sleep(e)\n");
    house.add(house.function("f", "app.handler")).await;
    let both = common::join_all((0..2).map(|_| house.invoke("f", "0.5"))).await;
    assert!(both.into_iter().all(|outcome| matches!(outcome, Ok(Outcome::Returned(_)))));
    house
        .until("one is left", |house| {
            house.functions.environments().into_values().sum::<usize>() == 1
        })
        .await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(house.functions.environments().into_values().sum::<usize>(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_gets_room_when_all_environments_are_others() {
    let house = House::with(|config| config.environments_max = 1);
    house.write(
        "app.py",
        "import time\ndef handler(e, c):\n    time.sleep(e)\n    return c.function_name\n",
    );
    house.add(house.function("a", "app.handler")).await;
    house.add(house.function("b", "app.handler")).await;
    let all = ["a", "b", "a", "b"].map(|name| house.returned(name, "0.1"));
    assert_eq!(common::join_all(all).await, ["\"a\"", "\"b\"", "\"a\"", "\"b\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn warm_invocations_are_quick() {
    let house = House::new();
    house.write("app.py", "def handler(e, c):\n    return e\n");
    let start = Instant::now();
    house.add(house.function("f", "app.handler")).await;
    house.returned("f", "{}").await;
    let cold = start.elapsed();
    let mut times = Vec::new();
    for _ in 0..1000 {
        let start = Instant::now();
        house.returned("f", r#"{"requestContext": {"connectionId": "abc"}}"#).await;
        times.push(start.elapsed());
    }
    times.sort();
    let report = house.logs.texts(LogSource::Platform).into_iter().find(|l| l.contains("Init Dur"));
    let line =
        format!("cold {cold:?}, warm p50 {:?}, p99 {:?}; {report:?}\n", times[500], times[990]);
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    house
        .until("one environment is enough", |house| {
            house.functions.environments()[&common::arn("f")] == 1
        })
        .await;
    assert!(times[500] < Duration::from_millis(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_takes_more_than_its_memory_is_ended_and_others_are_not() {
    let house = House::new();
    house.write(
        "app.py",
        "import subprocess, sys, time\ndef handler(event, context):\n    kept = []\n    \
         if event == 'child': subprocess.run([sys.executable, '-c', 'x = b\"x\" * 200_000_000; import time; time.sleep(20)'])\n    \
         while event == 'hog':\n        kept.append(b'x' * 8_000_000)\n        time.sleep(0.02)\n    return event\n",
    );
    house.add(house.function("hog", "app.handler")).await;
    house.add(house.function("other", "app.handler")).await;
    for event in ["\"hog\"", "\"child\""] {
        let (error, other) = tokio::join!(house.failed("hog", event), house.returned("other", "1"));
        assert_eq!(error["errorType"], "Runtime.ExitError", "{error}");
        assert!(error["errorMessage"].as_str().unwrap().ends_with("signal: killed"), "{error}");
        assert_eq!(other, "1");
    }
    assert_eq!(house.returned("hog", "2").await, "2");
    let notices = house.logs.texts(LogSource::Notice);
    assert!(
        notices.iter().any(|line| line.contains("more than its memory of 128 MB")),
        "{notices:?}"
    );
    let reports = house.logs.texts(LogSource::Platform);
    let full = "Memory Size: 128 MB\tMax Memory Used: 128 MB";
    assert!(reports.iter().any(|line| line.contains(full)), "{reports:?}");
}
