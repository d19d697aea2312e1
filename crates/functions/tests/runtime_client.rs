//! The official runtime client for Python beside our bootstrap: the same handlers and events, the same answers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and tell its log"
)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::House;
use serde_json::{Value, json};
use stillwire_model::{Code, LogSource, Outcome, Runtime};

const HANDLERS: &str = r#"
import decimal, json, logging, os, signal, sys, time

class MyError(Exception):
    pass

class Unprintable(Exception):
    def __str__(self):
        return ""

def deep(n):
    if n == 0:
        raise MyError("deep\nand of two lines é")
    deep(n - 1)

def echo(event, context):
    return event

def fail(event, context):
    deep(2)

def chained(event, context):
    try:
        {}["missing"]
    except KeyError as error:
        raise ValueError("chained") from error

def empty(event, context):
    raise Unprintable()

def end(event, context):
    if event == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if event == "sys":
        sys.exit(0)
    if event == "interrupt":
        raise KeyboardInterrupt()
    os._exit(event)

def give(event, context):
    return {
        "none": None, "true": True, "bytes": b"raw \xc3\xa9", "text": "é \u2028 \U0001F600", "tuple": (1, (2,)),
        "decimal": {"a": decimal.Decimal("1.10"), "big": decimal.Decimal("1E+3"), "nan": decimal.Decimal("NaN")},
        "nan": {"n": float("nan"), "i": float("inf")}, "keys": {1: "a", None: "b", True: "c", 1.5: "d"},
        "set": set(), "object": object(), "large": "x" * (7 * 1024 * 1024), "empty": "", "surrogate": "\ud800",
    }[event]

def told(event, context):
    return {
        "types": {name: type(getattr(context, name)).__name__ for name in (
            "aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb",
            "function_version", "invoked_function_arn", "client_context", "identity", "tenant_id")},
        "memory": context.memory_limit_in_mb, "arn": context.invoked_function_arn,
        "identity": [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id],
        "left": 0 < context.get_remaining_time_in_millis() <= 10000,
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
        "repr": repr(context).split("(")[0],
    }

def logs(event, context):
    print("printed é")
    print("to stderr", file=sys.stderr)
    context.log("by the context\n")
    log = logging.getLogger("mine")
    log.warning("a warning of %s\nand more", 1)
    log.info("not to be seen")
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("with a trace")
    logging.getLogger().setLevel(logging.DEBUG)
    log.debug("to be seen now", extra={"of_mine": 1})
    return 1
"#;

/// Python with the client installed; `cargo xtask test` does that.
fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let python = target.join("test-tools/python/bin/python");
    assert!(python.exists(), "{} is missing: run `cargo xtask test`", python.display());
    python
}

fn minor() -> u8 {
    let code = "import sys, awslambdaric; print(sys.version_info[1])";
    let output = std::process::Command::new(python()).args(["-c", code]).output().unwrap();
    assert!(output.status.success(), "awslambdaric is missing: run `cargo xtask test`");
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// What one of the two made of an event: the caller's answer and the log, without what differs from run to run.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    outcome: String,
    log: Vec<String>,
}

struct Pair {
    house: House,
    minor: u8,
}

impl Pair {
    fn new() -> Self {
        let house = House::new();
        house.write("app.py", HANDLERS);
        let client =
            format!("#!/bin/sh\nexec {} -m awslambdaric \"$_HANDLER\"\n", python().display());
        house.write("client/bootstrap", &client);
        let bootstrap = house.code.path().join("client/bootstrap");
        std::fs::set_permissions(bootstrap, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { house, minor: minor() }
    }

    /// Deploys a handler twice: with our bootstrap, and with the official client.
    async fn add(&self, handler: &str, variables: &[(&str, &str)]) {
        for ours in [true, false] {
            let mut function = self.house.function(&name(handler, ours), handler);
            let (code, client) =
                (self.house.code.path().to_owned(), self.house.code.path().join("client"));
            // As in the managed runtime: the folder of the code comes first.
            function.environment.insert("PYTHONPATH".to_owned(), code.display().to_string());
            for (name, value) in variables {
                function.environment.insert((*name).to_owned(), (*value).to_owned());
            }
            if ours {
                function.runtime = Runtime::Python(self.minor);
            } else {
                function.runtime = Runtime::Provided("provided.al2023".to_owned());
                function.code = Code::Directory { root: client, source: None };
            }
            self.house.add(function).await;
        }
    }

    async fn seen(&self, handler: &str, event: &str, ours: bool) -> Seen {
        let function = name(handler, ours);
        let before = self.house.logs.all().len();
        let outcome = self.house.invoke(&function, event).await.unwrap();
        let ended = |house: &House| {
            let lines = house.logs.all();
            lines[before..].iter().any(|line| line.text.starts_with("REPORT "))
        };
        self.house.until("it is over", ended).await;
        let outcome = match outcome {
            Outcome::Returned(body) => format!("{:?}", String::from_utf8_lossy(&body)),
            Outcome::Failed(body) => {
                let object: Value = serde_json::from_slice(&body).unwrap();
                format!("failed {object}")
            }
        };
        let lines = self.house.logs.all();
        let own = lines[before..].iter().filter(|line| line.source == LogSource::Function);
        let log = own.map(|line| self.plain(&line.text, &function)).collect();
        Seen { outcome: self.plain(&outcome, &function), log }
    }

    /// Without ids, times and places.
    fn plain(&self, text: &str, function: &str) -> String {
        let mut text = text.replace(function, "FUNCTION");
        let pieces = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-').map(str::to_owned);
        for id in pieces.filter(|piece| piece.len() == 36).collect::<Vec<_>>() {
            text = text.replace(&id, "ID");
        }
        let time = text.find("Z\t").filter(|end| *end > 23);
        if let Some(end) = time {
            text.replace_range(end - 23..end, "TIME");
        }
        text.replace(&*self.house.code.path().to_string_lossy(), "CODE")
    }

    async fn agree(&self, handler: &str, event: &str) {
        let (ours, theirs) =
            (self.seen(handler, event, true).await, self.seen(handler, event, false).await);
        assert_eq!(ours, theirs, "{handler} {event}: ours is the first");
    }
}

fn name(handler: &str, ours: bool) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!(
        "{}-{}",
        handler.chars().map(plain).collect::<String>(),
        if ours { "ours" } else { "theirs" }
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn results_agree() {
    let pair = Pair::new();
    let execution = format!("AWS_Lambda_python3.{}", pair.minor);
    pair.add("app.echo", &[]).await;
    pair.agree("app.echo", r#"{"a": [1, 1.5, null, "é"]}"#).await;
    pair.add("app.told", &[]).await;
    pair.agree("app.told", "{}").await;
    // The client looks there for whether letters are escaped.
    pair.add("app.give", &[("AWS_EXECUTION_ENV", &execution)]).await;
    for what in [
        "none",
        "true",
        "bytes",
        "text",
        "tuple",
        "decimal",
        "nan",
        "keys",
        "set",
        "object",
        "empty",
        "surrogate",
        "no such key",
    ] {
        pair.agree("app.give", &json!(what).to_string()).await;
    }
    // The client ends where its answer is refused, with a trace in the log; ours goes on.
    let mut large = Vec::new();
    for ours in [true, false] {
        large.push(pair.seen("app.give", "\"large\"", ours).await.outcome);
    }
    assert_eq!(large[0], large[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_agree() {
    let pair = Pair::new();
    for handler in ["app.fail", "app.chained", "app.empty"] {
        pair.add(handler, &[]).await;
        pair.agree(handler, "{}").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_agree() {
    let pair = Pair::new();
    pair.add("app.end", &[]).await;
    for event in ["\"sys\"", "0", "3", "\"kill\""] {
        let (ours, theirs) =
            (pair.seen("app.end", event, true).await, pair.seen("app.end", event, false).await);
        assert_eq!(ours.outcome, theirs.outcome, "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_that_cannot_be_loaded_agree() {
    let pair = Pair::new();
    pair.house.write("broken.py", "def handler(event, context)\n    pass\n");
    pair.house.write("raising.py", "raise ValueError('at import')\n");
    pair.house.write("needing.py", "import not_there\n");
    pair.house.write("deep/module.py", "def handler(event, context):\n    return 'deep'\n");
    pair.add("deep/module.handler", &[]).await;
    pair.agree("deep/module.handler", "{}").await;
    for handler in [
        "nodot",
        "nope.handler",
        "app.nope",
        "broken.handler",
        "raising.handler",
        "needing.handler",
        "sys.exit",
    ] {
        pair.add(handler, &[]).await;
        let (ours, theirs) =
            (pair.seen(handler, "{}", true).await, pair.seen(handler, "{}", false).await);
        assert_eq!(ours.outcome, theirs.outcome, "{handler}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_agree() {
    let pair = Pair::new();
    for (format, level) in
        [("Text", None), ("JSON", None), ("JSON", Some("INFO")), ("Text", Some("ERROR"))]
    {
        let mut variables = vec![("AWS_LAMBDA_LOG_FORMAT", format)];
        variables.extend(level.map(|level| ("AWS_LAMBDA_LOG_LEVEL", level)));
        pair.add("app.logs", &variables).await;
        let mut seen = Vec::new();
        for ours in [true, false] {
            let mut one = pair.seen("app.logs", "{}", ours).await;
            for line in &mut one.log {
                if let Ok(Value::Object(mut record)) = serde_json::from_str::<Value>(line) {
                    record.insert("timestamp".to_owned(), "TIME".into());
                    *line = Value::Object(record).to_string();
                }
            }
            // Two streams, in no order between them; and in JSON, times that differ.
            one.log.sort();
            seen.push(one);
        }
        assert_eq!(seen[0], seen[1], "{format} {level:?}: ours is the first");
    }
}
