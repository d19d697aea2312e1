//! The official runtime client for Python beside our bootstrap: the same handlers and events, the same answers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and tell its log"
)]

mod common;

use std::path::{Path, PathBuf};

use common::House;
use common::pair::{self, Pair, Seen};
use serde_json::json;
use stillwire_model::{LogLine, LogSource, Runtime};

const HANDLERS: &str = r#"
import asyncio, collections, decimal, enum, json, logging, os, signal, sys, time

class Number(enum.IntEnum):
    ONE = 1

class Text(str):
    pass

Point = collections.namedtuple("Point", "x y")
circle = []
circle.append({"again": circle})
shared = [1]

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
    if event == "sleep":
        time.sleep(60)
    os._exit(event)

def give(event, context):
    return {
        "none": None, "true": True, "bytes": b"raw \xc3\xa9", "text": "é \u2028 \U0001F600", "tuple": (1, (2,)),
        "decimal": {"a": decimal.Decimal("1.10"), "big": decimal.Decimal("1E+3"), "nan": decimal.Decimal("NaN")},
        "nan": {"n": float("nan"), "i": float("inf")}, "keys": {1: "a", None: "b", True: "c", 1.5: "d"},
        "bytes within": {"b": b"raw \xc3\xa9", "l": [b"x"], b"key": 1}, "bad bytes": [b"\xff"],
        "named": Point(1, {"y": Point(b"2", None)}), "named list": [Point(1, 2)], "subclasses": [Number.ONE, Text("t"), True],
        "ordered": collections.OrderedDict(b=1, a=collections.Counter("aab")), "circle": circle, "shared": [shared, (shared, shared)],
        "numbers": [1e22, 1e-7, -0.0, 10**30, 0.1], "control": "\x00\x1f\x7f\"\\/<\t", "bad key": {(1, 2): 3}, "key of decimal": {decimal.Decimal(1): 1},
        "generator": (x for x in "ab"), "dates": [time.gmtime(0)], "bytearray": [bytearray(b"x")],
        "set": set(), "object": object(), "large": "x" * (7 * 1024 * 1024), "empty": "", "surrogate": "\ud800",
    }[event]

def told(event, context):
    return {
        "types": {name: type(getattr(context, name)).__name__ for name in (
            "aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb",
            "function_version", "invoked_function_arn", "client_context", "identity", "tenant_id")},
        "python": list(sys.version_info[:2]), "memory": context.memory_limit_in_mb, "arn": context.invoked_function_arn,
        "identity": [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id],
        "left": 0 < context.get_remaining_time_in_millis() <= 10000,
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
        "repr": repr(context), "client": repr(context.client_context), "own": sorted(n for n in dir(context) if n[0] != "_"),
        "custom": context.client_context and [context.client_context.custom, context.client_context.env, context.client_context.client],
        "w3c": context.w3c() if event else None,
    }

def named(event, context):
    return [context.client_context.client.app_title, context.client_context.client.installation_id, repr(context.client_context)]

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
    log.error({"an": "object é", "n": object})
    log.log(25, "between é")
    log.log(99, "beyond")
    async def within():
        log.critical("within a task", extra={"location": "mine"})
    asyncio.run(within())
    return 1
"#;

/// Each Python with its client that is installed, by its minor version; `cargo xtask test` does that.
fn pythons() -> Vec<(u8, PathBuf)> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("test-tools");
    let folders = std::fs::read_dir(&target).into_iter().flatten().flatten();
    let mut found: Vec<(u8, PathBuf)> = folders
        .filter_map(|folder| {
            let minor = folder.file_name().to_str()?.strip_prefix("runtime-client-3.")?.parse();
            Some((minor.ok()?, folder.path().join("bin/python")))
        })
        .collect();
    assert!(!found.is_empty(), "{} has no client: run `cargo xtask test`", target.display());
    found.sort();
    found
}

/// One pair for each Python.
fn all() -> Vec<(u8, Pair)> {
    let pythons = pythons();
    println!("with {pythons:?}");
    let pair = |(minor, python): (u8, PathBuf)| {
        let client = format!("exec {} -m awslambdaric \"$_HANDLER\"", python.display());
        // As in the managed runtime: the folder of the code comes first.
        let pair = Pair::new(Runtime::Python(minor), &client, "PYTHONPATH");
        pair.house.write("app.py", HANDLERS);
        (minor, pair)
    };
    pythons.into_iter().map(pair).collect()
}

/// Those whose client is not of long ago.
fn recent() -> Vec<(u8, Pair)> {
    all().into_iter().filter(|(minor, _)| *minor > 9).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn results_agree() {
    for (minor, pair) in all() {
        pair.add("app.echo", &[]).await;
        pair.agree("app.echo", r#"{"a": [1, 1.5, null, "é"]}"#).await;
        pair.add("app.give", &[]).await;
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
            "no such key",
            "bytes within",
            "bad bytes",
            "named",
            "named list",
            "subclasses",
            "ordered",
            "circle",
            "shared",
            "numbers",
            "control",
            "bad key",
            "key of decimal",
            "generator",
            "dates",
            "bytearray",
        ] {
            pair.agree("app.give", &json!(what).to_string()).await;
        }
        // Since 3.12 the client ends where it cannot write a letter; ours goes on.
        if minor < 12 {
            pair.agree("app.give", "\"surrogate\"").await;
        } else {
            let ours = pair.seen("app.give", "\"surrogate\"", true).await.outcome;
            assert!(ours.contains("Runtime.MarshalError") && ours.contains("surrogates"), "{ours}");
        }
        // The client ends where its answer is refused, with a trace in the log; ours goes on.
        let mut large = Vec::new();
        for ours in [true, false] {
            large.push(pair.seen("app.give", "\"large\"", ours).await.outcome);
        }
        assert_eq!(large[0], large[1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn contexts_agree() {
    for (_, pair) in recent() {
        for handler in ["app.told", "app.named"] {
            pair.add(handler, &[]).await;
        }
        pair.agree("app.told", "{}").await;
        for context in [
            r#"{"custom":{"k":"é"},"env":{"locale":"de"},"client":{"app_title":"phone"}}"#,
            r#"{"custom":{"k":1},"w3c":{"traceparent":"00-a-b-01","baggage":7,"other":"x"}}"#,
            "{}",
            "[1",
        ] {
            pair.agree_with("app.told", "true", Some(context)).await;
            pair.agree_with("app.named", "{}", Some(context)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_agree() {
    for (_, pair) in all() {
        for handler in ["app.fail", "app.chained", "app.empty"] {
            pair.add(handler, &[]).await;
            pair.agree(handler, "{}").await;
        }
        pair.add("app.fail", &[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
        let mut both = Vec::new();
        for ours in [true, false] {
            both.push(pair::without_times(pair.seen("app.fail", "{}", ours).await));
        }
        assert_eq!(both[0], both[1], "{}: ours is the first", pair.ours);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_agree() {
    for (_, pair) in all() {
        pair.add("app.end", &[]).await;
        for event in ["\"sys\"", "0", "3", "\"kill\"", "\"interrupt\"", "\"sleep\""] {
            let (ours, theirs) =
                (pair.seen("app.end", event, true).await, pair.seen("app.end", event, false).await);
            assert_eq!(ours.outcome, theirs.outcome, "{event}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_that_cannot_be_loaded_agree() {
    for (_, pair) in all() {
        pair.house.write("broken.py", "def handler(event, context)\n    pass\n");
        pair.house.write("odd.py", "if True:\n     def handler(event, context)\n         pass\n");
        pair.house.write("raising.py", "raise ValueError('at import')\n");
        pair.house.write("needing.py", "import not_there\n");
        pair.house.write("deep/module.py", "def handler(event, context):\n    return 'deep'\n");
        pair.add("deep/module.handler", &[]).await;
        pair.agree("deep/module.handler", "{}").await;
        for handler in [
            "nodot",
            "nope.handler",
            "deep/nope.handler",
            "deep/module.nope",
            "app.nope",
            "broken.handler",
            "odd.handler",
            "raising.handler",
            "needing.handler",
            "sys.exit",
            "sys.deep.exit",
        ] {
            pair.add(handler, &[]).await;
            let mut both = Vec::new();
            for ours in [true, false] {
                let mut seen = pair.seen(handler, "{}", ours).await;
                // Each start tells it, and the client adds a warning of its own.
                seen.log = pair.errors(&pair::name(handler, ours));
                both.push(seen);
            }
            assert_eq!(both[0], both[1], "{} {handler}: ours is the first", pair.ours);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_agree() {
    for (_, pair) in recent() {
        for (format, level) in
            [("Text", None), ("JSON", None), ("JSON", Some("INFO")), ("Text", Some("ERROR"))]
        {
            let mut variables = vec![("AWS_LAMBDA_LOG_FORMAT", format)];
            variables.extend(level.map(|level| ("AWS_LAMBDA_LOG_LEVEL", level)));
            pair.add("app.logs", &variables).await;
            let mut both = Vec::new();
            for ours in [true, false] {
                both.push(pair::without_times(pair.seen("app.logs", "{}", ours).await));
            }
            assert_eq!(both[0], both[1], "{} {format} {level:?}: ours is the first", pair.ours);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_logged_before_the_first_invocation_agrees() {
    let code = "import logging\nlogging.getLogger('early').warning('at import é')\ndef handler(e, c):\n    pass\n";
    for (_, pair) in recent() {
        pair.house.write("early.py", code);
        for format in ["Text", "JSON"] {
            pair.add("early.handler", &[("AWS_LAMBDA_LOG_FORMAT", format)]).await;
            let mut both = Vec::new();
            for ours in [true, false] {
                let function = pair::name("early.handler", ours);
                let line = |house: &House| {
                    let lines = house.logs.all().into_iter().rev();
                    let own = |line: &LogLine| {
                        line.function.name() == function && line.source == LogSource::Function
                    };
                    lines
                        .filter(own)
                        .map(|line| line.text)
                        .find(|text| text.starts_with('{') == (format == "JSON"))
                };
                pair.house.until("it is logged", |house| line(house).is_some()).await;
                let log = vec![pair.plain(&line(&pair.house).unwrap(), &function)];
                both.push(pair::without_times(Seen { outcome: String::new(), log }));
            }
            assert_eq!(both[0], both[1], "{} {format}: ours is the first", pair.ours);
        }
    }
}
