//! What a strict sandbox denies, asked by real handlers; and what goes on to work in it.
//!
//! A layer that this machine lacks is not asked about, and the test says so.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail, and tell what it skips"
)]

mod common;

use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use common::{House, sleepers};
use serde_json::{Value, json};
use stillwire_functions::{Isolation, NoSandbox, Sandbox};
use stillwire_model::{Code, Function, Runtime};
use tempfile::TempDir;

/// A house whose functions are confined.
struct Strict {
    house: House,
    isolation: Isolation,
    /// What they must not see.
    hidden: TempDir,
}

impl Strict {
    /// `None` where the machine has nothing of what it takes.
    async fn new() -> Option<Self> {
        match Self::supervised(&["supervise"]).await {
            Ok(strict) => Some(strict),
            Err(none) => {
                println!("skipped: {none}");
                None
            }
        }
    }

    /// The same, on a kernel that lacks these system calls.
    async fn without(calls: &[libc::c_long]) -> Result<Self, NoSandbox> {
        let numbers: Vec<String> = calls.iter().map(ToString::to_string).collect();
        let args: Vec<&str> =
            ["supervise-without"].into_iter().chain(numbers.iter().map(String::as_str)).collect();
        Self::supervised(&args).await
    }

    async fn supervised(args: &[&str]) -> Result<Self, NoSandbox> {
        // Not in the folder for temporary files, which they do not see anyway.
        let hidden = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::create_dir(hidden.path().join("kept-1")).unwrap();
        std::fs::write(hidden.path().join("kept-1/file"), "kept").unwrap();
        std::os::unix::fs::symlink("kept-1", hidden.path().join("kept")).unwrap();
        let house = House::supervised(args, |config| {
            config.sandbox = Sandbox::Strict;
            config.hidden = vec![hidden.path().to_owned()];
            // As a user may have said by mistake: the folder around it.
            config.readable = vec![env!("CARGO_TARGET_TMPDIR").into(), hidden.path().join("kept")];
            config.processes_max = 40;
        });
        let isolation = house.functions.isolation().await?.unwrap();
        Ok(Self { house, isolation, hidden })
    }

    /// The same, where a layer is there.
    async fn with(layer: &str) -> Option<Self> {
        let strict = Self::new().await?;
        let found = strict.isolation.active.iter().any(|active| active.starts_with(layer));
        if !found {
            println!("skipped, no {layer}: {:?}", strict.isolation.missing);
        }
        found.then_some(strict)
    }

    /// Leaves nothing on the machine.
    async fn done(self) {
        self.house.functions.stop(Duration::ZERO).await;
    }

    /// Deploys a function of this code, and gives what it returns.
    async fn asked(&self, code: &str, event: &Value) -> Value {
        self.house.write("app.py", &format!("{ASK}{code}"));
        self.house.add(self.house.function("asks", "app.handler")).await;
        serde_json::from_str(&self.house.returned("asks", &event.to_string()).await).unwrap()
    }
}

/// What the handlers below have at hand: the outcome of something, or the name of its error.
const ASK: &str = r#"
import ctypes, errno, os, socket, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def outcome(what):
    try:
        return what()
    except OSError as error:
        return errno.errorcode[error.errno]

def call(number, *arguments):
    arguments = [ctypes.c_long(argument) for argument in arguments]
    result = libc.syscall(ctypes.c_long(number), *arguments)
    return errno.errorcode[ctypes.get_errno()] if result < 0 else "done"

def read(path):
    return outcome(lambda: open(path).read())

def write(path):
    return outcome(lambda: open(path, "w").write("x"))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_active_is_told_by_name() {
    let Some(strict) = Strict::new().await else { return };
    let Isolation { active, missing } = &strict.isolation;
    println!("sandbox: {}; missing: {missing:?}", active.join(", "));
    assert!(!active.is_empty());
    assert_eq!(strict.asked("def handler(e, c): return e\n", &json!(7)).await, 7);
    strict.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kernel_lacks_is_told_with_the_reason_and_nothing_starts_without_the_essential() {
    let Some(whole) = Strict::new().await else { return };
    if whole.isolation.active.len() < 3 {
        println!("skipped: this machine lacks something already: {:?}", whole.isolation.missing);
        return;
    }
    whole.done().await;
    let strict = Strict::without(&[libc::SYS_landlock_create_ruleset]).await.unwrap();
    let missing = &strict.isolation.missing;
    assert!(missing.iter().any(|text| text.starts_with("landlock (") && text.contains("5.13")));
    assert!(strict.isolation.active.contains(&"namespaces".to_owned()));
    assert_eq!(strict.asked("def handler(e, c): return e\n", &json!(7)).await, 7);
    strict.done().await;

    let strict = Strict::without(&[libc::SYS_unshare]).await.unwrap();
    let missing = &strict.isolation.missing;
    assert!(missing.iter().any(|text| text.starts_with("namespaces (")), "{missing:?}");
    assert_eq!(strict.asked("def handler(e, c): return e\n", &json!(7)).await, 7);
    strict.done().await;

    let both = [libc::SYS_unshare, libc::SYS_landlock_create_ruleset];
    let none = Strict::without(&both).await.err().unwrap().to_string();
    assert!(none.contains("namespaces (") && none.contains("landlock ("), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_has_name_spaces_of_its_own_and_the_network_of_all() {
    let Some(strict) = Strict::with("namespaces").await else { return };
    let code = r#"
def handler(event, context):
    return {
        "spaces": {name: os.readlink("/proc/self/ns/" + name) for name in event["spaces"]},
        "pid": os.getpid(),
        "others": [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) > 10],
        "kill": outcome(lambda: os.kill(event["outside"], 0)),
    }
"#;
    let spaces = ["user", "mnt", "pid", "ipc", "uts", "net"];
    let event = json!({"spaces": spaces, "outside": std::process::id()});
    let seen = strict.asked(code, &event).await;
    for space in spaces {
        let ours = std::fs::read_link(format!("/proc/self/ns/{space}")).unwrap();
        let same = seen["spaces"][space] == ours.to_str().unwrap();
        assert_eq!(same, space == "net", "{space}");
    }
    assert!(seen["pid"].as_u64().unwrap() < 10, "{seen}");
    assert_eq!(seen["others"], json!([]));
    assert_eq!(seen["kill"], "ESRCH");
    strict.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_environment_has_a_tmp_of_its_own_and_nothing_of_it_stays() {
    let Some(strict) = Strict::with("namespaces").await else { return };
    let name = format!("/tmp/stillwire-test-{}", std::process::id());
    let code = r#"
def handler(event, context):
    before = os.path.exists(event["name"])
    open(event["name"], "w").write("mine")
    shared = outcome(lambda: len(os.listdir("/dev/shm")))
    time.sleep(0.3)
    return [before, read(event["name"]), os.environ["TMPDIR"], os.environ["HOME"], shared]
"#;
    strict.house.write("app.py", &format!("{ASK}{code}"));
    strict.house.add(strict.house.function("asks", "app.handler")).await;
    let event = json!({ "name": name }).to_string();
    // Two environments at once.
    let seen = common::join_all([(); 2].map(|()| strict.house.returned("asks", &event))).await;
    for seen in seen {
        let seen: Value = serde_json::from_str(&seen).unwrap();
        assert_eq!(seen, json!([false, "mine", "/tmp", "/tmp", 0]));
    }
    assert!(!std::path::Path::new(&name).exists());
    strict.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_and_system_are_read_only_and_secrets_are_closed() {
    let Some(strict) = Strict::with("landlock").await else { return };
    std::fs::write(strict.hidden.path().join("secret"), "s3cret").unwrap();
    let other = tempfile::tempdir_in(concat!(env!("CARGO_TARGET_TMPDIR"), "/..")).unwrap();
    std::fs::write(other.path().join("file"), "x").unwrap();
    let code = r#"
def handler(event, context):
    root = os.environ["LAMBDA_TASK_ROOT"]
    return {
        "own code": read(root + "/app.py") != "EACCES",
        "hosts": read("/etc/hosts") != "EACCES",
        "child": subprocess.run(["/bin/echo", "ran"], stdout=subprocess.PIPE).stdout.decode(),
        "tmp": write(os.environ["TMPDIR"] + "/x"),
        "null": write("/dev/null"),
        "write code": write(root + "/new"),
        "overwrite code": write(root + "/app.py"),
        "remove code": outcome(lambda: os.remove(root + "/app.py")),
        "write system": write("/usr/lib/stillwire-test"),
        "write etc": write("/etc/stillwire-test"),
        "shadow": read("/etc/shadow"),
        "dev": read("/dev/mem"),
        "root": outcome(lambda: os.listdir("/")),
        "hidden": read(event["hidden"] + "/secret"),
        "hidden folder": outcome(lambda: sorted(os.listdir(event["hidden"]))),
        "kept": read(event["hidden"] + "/kept/file") == "kept",
        "write kept": write(event["hidden"] + "/kept/file"),
        "elsewhere": read(event["other"] + "/file"),
        "allowed": outcome(lambda: event["hidden"].rsplit("/", 1)[1] in os.listdir(os.path.dirname(event["hidden"]))),
    }
"#;
    let event = json!({"hidden": strict.hidden.path(), "other": other.path()});
    let mut seen = strict.asked(code, &event).await;
    let mut take = |name: &str| seen.as_object_mut().unwrap().remove(name).unwrap();
    for name in ["own code", "hosts", "allowed", "kept"] {
        assert_eq!(take(name), true, "{name}");
    }
    assert_eq!(take("child"), "ran\n");
    assert_eq!((take("tmp"), take("null")), (json!(1), json!(1)));
    // Hidden by mounts, where there are any; else it is within what may be read, and open.
    if strict.isolation.active.iter().any(|active| active == "namespaces") {
        assert_eq!(take("hidden"), "ENOENT");
        assert_eq!(take("hidden folder"), json!(["kept", "kept-1"]));
    }
    for (name, denied) in seen.as_object().unwrap() {
        let denied = denied.as_str();
        assert!(
            matches!(denied, Some("EACCES" | "EPERM" | "ENOENT" | "EROFS")),
            "{name}: {denied:?}"
        );
    }
    assert!(strict.house.code.path().join("app.py").exists());
    strict.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_others_are_out_of_reach_and_those_of_the_network_are_not() {
    let Some(strict) = Strict::with("namespaces").await else { return };
    let path = strict.hidden.path().join("docker.sock");
    let _docker = UnixListener::bind(&path).unwrap();
    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let code = r#"
def handler(event, context):
    def connect():
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(event["socket"])
        return "connected"
    with socket.create_connection(("127.0.0.1", event["port"])) as client:
        client.sendall(b"hello")
    return outcome(connect)
"#;
    let event = json!({"socket": path, "port": web.local_addr().unwrap().port()});
    assert_eq!(strict.asked(code, &event).await, "ENOENT");
    let mut text = String::new();
    web.accept().unwrap().0.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    strict.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dangerous_system_calls_are_denied() {
    let Some(strict) = Strict::with("seccomp").await else { return };
    // By themselves these succeed without rights, or fail in another way than by a denial.
    let code = r#"
def handler(event, context):
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    clone = 56 if os.uname().machine == "x86_64" else 220
    return {
        "calls": {name: call(*numbers) for name, numbers in event.items()},
        "clone": call(clone, 0x10000000 | 17, 0, 0, 0, 0),
        "af_alg": outcome(lambda: socket.socket(38, socket.SOCK_SEQPACKET, 0).close()),
        "status": [status[name].strip() for name in ("Seccomp", "NoNewPrivs", "CapEff", "CapPrm")],
        "threads": subprocess.run([sys.executable, "-c", "import threading as t; x = t.Thread(target=print, args=['ok']); x.start(); x.join()"], stdout=subprocess.PIPE).stdout.decode(),
    }
"#;
    let calls = [
        ("ptrace", libc::SYS_ptrace, vec![0, 0, 0, 0]), // PTRACE_TRACEME
        ("keyctl", libc::SYS_keyctl, vec![0, -3, 1]),   // the id of the session's keyring
        ("add_key", libc::SYS_add_key, vec![0, 0, 0, 0, 0]),
        ("request_key", libc::SYS_request_key, vec![0, 0, 0, 0]),
        ("unshare", libc::SYS_unshare, vec![libc::CLONE_NEWUSER.into()]),
        ("setns", libc::SYS_setns, vec![-1, 0]),
        ("bpf", libc::SYS_bpf, vec![-1, 0, 0]),
        ("userfaultfd", libc::SYS_userfaultfd, vec![-1]),
        ("perf_event_open", libc::SYS_perf_event_open, vec![0, 0, -1, -1, 0]),
        ("io_uring_setup", libc::SYS_io_uring_setup, vec![0, 0]),
        ("mount", libc::SYS_mount, vec![0, 0, 0, 0, 0]),
        ("umount2", libc::SYS_umount2, vec![0, -1]),
        ("open_tree", libc::SYS_open_tree, vec![-1, 0, -1]),
        ("kexec_load", libc::SYS_kexec_load, vec![0, 0, 0, -1]),
        ("init_module", libc::SYS_init_module, vec![0, 0, 0]),
        ("finit_module", libc::SYS_finit_module, vec![-1, 0, 0]),
        ("delete_module", libc::SYS_delete_module, vec![0, 0]),
        ("process_vm_readv", libc::SYS_process_vm_readv, vec![1, 0, 0, 0, 0, -1]),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, vec![-1, 0, 0]),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, vec![-1, 0, 0]),
        ("reboot", libc::SYS_reboot, vec![0, 0, 0, 0]),
    ];
    let event = calls.into_iter().map(|(name, number, mut arguments)| {
        arguments.insert(0, number);
        (name.to_owned(), json!(arguments))
    });
    let seen = strict.asked(code, &Value::Object(event.collect())).await;
    for (name, outcome) in seen["calls"].as_object().unwrap() {
        assert_eq!(outcome, "EPERM", "{name}");
    }
    assert_eq!((&seen["clone"], &seen["af_alg"]), (&json!("EPERM"), &json!("EPERM")));
    assert_eq!(seen["status"][0], "2", "a filter");
    assert_eq!(seen["status"][1], "1");
    if strict.isolation.active.iter().any(|active| active == "namespaces") {
        assert_eq!(seen["status"][2], "0000000000000000");
        assert_eq!(seen["status"][3], "0000000000000000");
    }
    assert_eq!(seen["threads"], "ok\n");
    strict.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_keeps_the_limit_of_memory() {
    let Some(strict) = Strict::with("cgroup").await else { return };
    // Faster than anybody looks at it.
    strict
        .house
        .write("app.py", "def handler(event, context):\n    return len(b'x' * (1 << 30))\n");
    strict.house.add(strict.house.function("asks", "app.handler")).await;
    let error = strict.house.failed("asks", "{}").await;
    assert_eq!(error["errorType"], "Runtime.ExitError");
    assert!(error["errorMessage"].as_str().unwrap().ends_with("signal: killed"), "{error}");
    strict.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_keeps_the_limit_of_processes() {
    let Some(strict) = Strict::with("process limit").await else { return };
    let code = r"
def handler(event, context):
    forked = 0
    while True:
        try:
            if os.fork() == 0:
                time.sleep(100)
        except OSError as error:
            return [forked, errno.errorcode[error.errno]]
        forked += 1
";
    let seen = strict.asked(code, &json!("processes")).await;
    assert_eq!(seen[1], "EAGAIN", "{seen}");
    let forked = seen[0].as_u64().unwrap();
    assert!((30..=40).contains(&forked), "{forked}");
    strict.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_reported_as_it_was() {
    let Some(strict) = Strict::new().await else { return };
    let code = "import signal\ndef handler(event, context):\n    if event > 0: os._exit(event)\n    os.kill(os.getpid(), -event)\n    time.sleep(5)\n";
    strict.house.write("app.py", &format!("{ASK}{code}"));
    strict.house.add(strict.house.function("asks", "app.handler")).await;
    for (event, end) in [
        ("3", "exit status 3"),
        ("137", "exit status 137"),
        ("-9", "signal: killed"),
        ("-15", "signal: terminated"),
    ] {
        let error = strict.house.failed("asks", event).await;
        assert!(error["errorMessage"].as_str().unwrap().ends_with(end), "{error}");
    }
    strict.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_has_its_own_descriptors_only() {
    // One that a shell could have left open in the daemon, and everything it starts.
    let _left = rustix::io::dup(std::io::stdin()).unwrap();
    let Some(strict) = Strict::new().await else { return };
    let code = r#"
def handler(event, context):
    found = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            found[number] = os.readlink("/proc/self/fd/" + number).split(":")[0]
        except OSError:
            pass # the folder itself
    return found
"#;
    let seen = strict.asked(code, &json!(null)).await;
    let mut kinds: Vec<&str> =
        seen.as_object().unwrap().values().map(|kind| kind.as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["/dev/null", "pipe", "pipe", "socket"], "{seen}");
    strict.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_leaves_nobody_behind() {
    let Some(strict) = Strict::with("namespaces").await else { return };
    // Out of its group and its session, an orphan, and without the mark in its variables.
    let code = r#"
def handler(event, context):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve("/bin/sleep", ["sleep", event], {})
        os._exit(0)
    time.sleep(100)
"#;
    strict.house.write("app.py", &format!("{ASK}{code}"));
    let mut function = strict.house.function("asks", "app.handler");
    function.timeout = Duration::from_secs(1);
    strict.house.add(function).await;
    let seconds = format!("1000.{}", std::process::id());
    let error = strict.house.failed("asks", &json!(seconds).to_string()).await;
    assert_eq!(error["errorType"], "Sandbox.Timedout");
    strict.house.until("the orphan is gone", |_| sleepers(&seconds).is_empty()).await;
    strict.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_and_other_runtimes_run_in_it() {
    let Some(strict) = Strict::new().await else { return };
    let house = &strict.house;
    house.write(
        "index.js",
        "const fs = require('fs');\nexports.handler = async () => { try { fs.writeFileSync(__dirname + '/x', 'x'); return 'wrote'; } catch (error) { return error.code; } };\n",
    );
    house.add(house.node("node", "index.handler")).await;
    let denied = strict.isolation.active.iter().any(|active| active.starts_with("landlock"));
    let seen = house.returned("node", "{}").await;
    assert!(!denied || matches!(seen.as_str(), "\"EACCES\"" | "\"EROFS\""), "{seen}");

    let code = tempfile::tempdir().unwrap();
    let bootstrap = code.path().join("bootstrap");
    std::fs::write(&bootstrap, BOOTSTRAP).unwrap();
    std::fs::set_permissions(&bootstrap, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let function = Function {
        runtime: Runtime::Provided("provided.al2023".into()),
        code: Code::Directory { root: code.path().to_owned(), source: None },
        ..house.function("shell", "none")
    };
    house.add(function).await;
    assert_eq!(house.returned("shell", "{}").await, "\"from a shell\"");
    strict.done().await;
}

/// A runtime in the manner of the tutorial for custom runtimes.
const BOOTSTRAP: &str = r#"#!/bin/sh
while true; do
    headers=$(mktemp)
    curl -sS -LD "$headers" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next" > /dev/null
    id=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$headers" | tr -d '[:space:]' | cut -d: -f2)
    curl -sS "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response" -d '"from a shell"' > /dev/null
done
"#;
