//! The official runtime client for Node.js beside our bootstrap: the same handlers and events, the same answers.
//!
//! All of it that is JavaScript; its native part, which only carries bytes, is replaced (`common/rapid-client.cjs`).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and tell its log"
)]

mod common;

use std::path::Path;

use common::House;
use common::nodes::{self, Node};
use common::pair::{self, Pair, Seen};
use serde_json::json;
use stillwire_model::Runtime;

const HANDLERS: &str = r#"
let count = 0;
exports.echo = async (event) => event;
exports.given = async (kind) => ({
  none: undefined, null: null, text: 'é \u2028 \u007f', date: new Date(0), function: () => {}, nan: [NaN, Infinity, -0],
  error: new Error('as a result'), map: new Map([[1, 2]]), bytes: Buffer.from('x'), surrogate: '\ud800', toJSON: { toJSON: () => 7 },
})[kind];
exports.fail = async () => { const error = new RangeError('boom é\nand more \u007f'); error.extra = { a: 1 }; error.code = 'E'; throw error; };
exports.caused = async () => { throw new Error('outer', { cause: new TypeError('inner') }); };
exports.failWith = async (what) => { throw what; };
exports.odd = async (what) => { throw { text: { toString() { throw 1; } }, class: class Mine extends Error {}, symbol: Symbol('s') }[what]; };
exports.named = async () => { class Mine extends Error {} ; throw new Mine('m'); };
exports.sync = () => { throw new Error('at once'); };
exports.plain = (event) => event;
exports.callback = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = event.waits;
  setTimeout(() => { count += 1; }, 100);
  callback(event.error ?? null, { waits: event.waits });
  callback(null, 'twice');
};
exports.later = (event, context, callback) => { setTimeout(() => callback(null, 'later'), 20); };
exports.both = async (event, context, callback) => { callback(null, 'called'); return 'returned'; };
exports.context = (event, context) => { context[event.how](event.with); context.succeed('too late'); };
exports.silent = () => {};
exports.thenable = () => ({ then: (resolve) => resolve('then') });
exports.told = async (event, context) => {
  const left = context.getRemainingTimeInMillis();
  return [Object.keys(context), { ...context, logStreamName: undefined }, left > 0 && left <= 10000, process.env._X_AMZN_TRACE_ID, typeof awslambda];
};
exports.logging = async () => {
  console.log('one %s\nthree', 'two', { a: 1 }); console.log(); console.info({ an: 'object é' }); console.debug('a debug', 1);
  console.warn('a warning'); console.error(Object.assign(new Error('an error'), { code: 7 })); console.trace('traced'); console.fatal('fatal');
  console.error('text', new TypeError('second')); const circle = {}; circle.c = circle; console.log(circle); console.log(undefined); console.log(10n);
};
exports.end = async (how) => {
  if (how === 'reject') Promise.reject(new Error('nobody cared'));
  if (how === 'reject nothing') Promise.reject();
  if (how === 'throw') setTimeout(() => { throw new TypeError('uncaught'); }, 1);
  if (how === 'throw text') setTimeout(() => { throw 'a text'; }, 1);
  if (how === 'kill') process.kill(process.pid, 'SIGKILL');
  if (typeof how === 'number') process.exit(how);
  await new Promise((resolve) => setTimeout(resolve, 60000));
};
exports.streamed = awslambda.streamifyResponse(async (event, stream) => {
  stream.setContentType('application/json');
  stream.write('{"a":'); stream.write(Buffer.from('[1,')); stream.write({ an: 'object' }); stream.end(']}');
});
exports.piped = awslambda.streamifyResponse(async (event, stream) => {
  await require('util').promisify(require('stream').pipeline)(require('stream').Readable.from(['"a', 'b"']), stream);
});
exports.http = awslambda.streamifyResponse(async (event, stream) => {
  const http = awslambda.HttpResponseStream.from(stream, { statusCode: 201 });
  http.write('body'); http.end();
});
exports.broken = awslambda.streamifyResponse(async () => { throw new RangeError('in the stream'); });
exports.late = awslambda.streamifyResponse(async (event, stream) => { stream.write('x'); stream.setContentType('late'); });
exports.text = 'no function';
exports.nested = { deep: { handler: async () => 'nested' } };
"#;

/// One for each Node.js.
fn pairs() -> Vec<Pair> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let client = target.join("test-tools/runtime-client-node/node_modules/aws-lambda-ric/dist");
    assert!(client.exists(), "{} is missing: run `cargo xtask test`", client.display());
    let run = format!(
        "import {{ run }} from '{}/index.mjs';\nawait run(process.cwd(), process.env._HANDLER);\n",
        client.display()
    );
    let pair = |node: Node| {
        let program = node.program.display();
        let line = format!("cd \"$CODE\"; exec {program} --require ./native.cjs run.mjs");
        let house = House::with(|config| config.places = vec![node.folder()]);
        // The client is of the versions that take callbacks.
        let pair = Pair::within(house, Runtime::Node(node.major.min(22)), &line, "CODE");
        pair.house.write("native.cjs", include_str!("common/rapid-client.cjs"));
        pair.house.write("run.mjs", &run);
        pair.house.write("app.js", HANDLERS);
        pair
    };
    nodes::all().into_iter().map(pair).collect()
}

/// Without the frames of either, and of Node.js itself.
fn without_frames(mut seen: Seen) -> Seen {
    let is_foreign = |frame: &str| {
        let is_one = frame.starts_with("    at ");
        let foreign = [
            "node:internal",
            "node:events",
            "aws-lambda-ric",
            "/native.cjs",
            "/run.mjs",
            "/node/bootstrap.cjs",
            "/node/context.cjs",
        ];
        is_one && foreign.iter().any(|of| frame.contains(of))
    };
    let plain = |text: &str| {
        let mut kept: Vec<String> = Vec::new();
        for piece in text.split('"') {
            if is_foreign(piece) {
                kept.pop(); // the comma before it
                continue;
            }
            // A stack within a text, as it is or in JSON.
            let end = if piece.contains('\r') { "\r" } else { "\\n" };
            let lines: Vec<&str> = piece.split(end).filter(|line| !is_foreign(line)).collect();
            kept.push(lines.join(end));
        }
        kept.join("\"")
    };
    seen.outcome = plain(&seen.outcome);
    seen.log.iter_mut().for_each(|line| *line = plain(line));
    seen
}

async fn agree(pair: &Pair, handler: &str, event: &str) {
    agree_with(pair, handler, event, None).await;
}

async fn agree_with(pair: &Pair, handler: &str, event: &str, context: Option<&str>) {
    let mut both = Vec::new();
    for ours in [true, false] {
        let seen = pair.seen_with(handler, event, context, ours).await;
        both.push(pair::without_times(without_frames(seen)));
    }
    assert_eq!(both[0], both[1], "{handler} {event} {context:?}: ours is the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_agree() {
    for pair in pairs() {
        pair.add("app.echo", &[]).await;
        agree(&pair, "app.echo", r#"{"a": [1, 1.5, null, "é"]}"#).await;
        pair.add("app.given", &[]).await;
        for kind in [
            "none",
            "null",
            "text",
            "date",
            "function",
            "nan",
            "error",
            "map",
            "bytes",
            "surrogate",
            "toJSON",
            "no such key",
        ] {
            agree(&pair, "app.given", &json!(kind).to_string()).await;
        }
        for handler in ["plain", "later", "both", "silent", "thenable", "nested.deep.handler"] {
            let handler = format!("app.{handler}");
            pair.add(&handler, &[]).await;
            agree(&pair, &handler, "1").await;
        }
        pair.add("app.callback", &[]).await;
        for event in
            [json!({"waits": true}), json!({"waits": false}), json!({"waits": true, "error": "no"})]
        {
            agree(&pair, "app.callback", &event.to_string()).await;
        }
        pair.add("app.context", &[]).await;
        for how in ["succeed", "fail", "done"] {
            for with in
                [json!(null), json!("with"), json!({"name": "N", "message": "M", "stack": "S"})]
            {
                agree(&pair, "app.context", &json!({"how": how, "with": with}).to_string()).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn contexts_agree() {
    for pair in pairs() {
        pair.add("app.told", &[]).await;
        for context in
            [None, Some(r#"{"custom":{"k":"v"},"env":{},"client":{}}"#), Some("[1"), Some("7")]
        {
            agree_with(&pair, "app.told", "{}", context).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_agree() {
    for pair in pairs() {
        for handler in ["app.fail", "app.caused", "app.named", "app.sync"] {
            for variables in [&[][..], &[("AWS_LAMBDA_LOG_FORMAT", "JSON")]] {
                pair.add(handler, variables).await;
                agree(&pair, handler, "{}").await;
            }
        }
        pair.add("app.failWith", &[]).await;
        for what in
            ["\"text\"", "7", "null", "{}", "[1]", r#"{"name": "N", "message": "M", "stack": "S"}"#]
        {
            agree(&pair, "app.failWith", what).await;
        }
        pair.add("app.odd", &[]).await;
        for what in ["text", "class", "symbol"] {
            agree(&pair, "app.odd", &json!(what).to_string()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_agree() {
    for pair in pairs() {
        pair.add("app.end", &[]).await;
        for how in [
            json!("reject"),
            json!("reject nothing"),
            json!("throw"),
            json!("throw text"),
            json!("kill"),
            json!(0),
            json!(3),
            json!("sleep"),
        ] {
            agree(&pair, "app.end", &how.to_string()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_agree() {
    for pair in pairs() {
        for (format, level) in
            [("Text", None), ("JSON", None), ("JSON", Some("WARN")), ("Text", Some("error"))]
        {
            let mut variables = vec![("AWS_LAMBDA_LOG_FORMAT", format)];
            variables.extend(level.map(|level| ("AWS_LAMBDA_LOG_LEVEL", level)));
            pair.add("app.logging", &variables).await;
            agree(&pair, "app.logging", "{}").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_agree() {
    for pair in pairs() {
        // (A stream that is never ended hangs with the client until the time is over; ours tells at once.)
        for handler in ["streamed", "piped", "http", "broken", "late"] {
            let handler = format!("app.{handler}");
            pair.add(&handler, &[]).await;
            agree(&pair, &handler, "{}").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_that_cannot_be_loaded_agree() {
    for pair in pairs() {
        pair.house.write("broken.js", "exports.handler = async () => {\n  return ;;)\n};");
        pair.house.write("raising.js", "throw new TypeError('at import');");
        pair.house.write("needing.js", "require('not-there'); exports.handler = async () => 1;");
        pair.house
            .write("needing.mjs", "import 'not-there'; export const handler = async () => 1;");
        pair.house.write(
            "rejecting.js",
            "Promise.reject(new Error('r')); exports.handler = async () => 1;",
        );
        pair.house.write("exiting.js", "process.exit(5);");
        pair.house.write("deep/module.mjs", "export const handler = async () => 'deep';");
        pair.add("deep/module.handler", &[]).await;
        agree(&pair, "deep/module.handler", "{}").await;
        for handler in [
            "nodot",
            "../app.echo",
            "nope.handler",
            "app.nope",
            "app.text",
            "broken.handler",
            "raising.handler",
            "needing.handler",
            "rejecting.handler",
            "exiting.handler",
        ] {
            pair.add(handler, &[]).await;
            let mut both = Vec::new();
            for ours in [true, false] {
                let mut seen = without_frames(pair.seen(handler, "{}", ours).await);
                // Ours tells where in the code it is; and each who asked for a module.
                let told = ["\"trace\"", "\\nRequire stack"].map(|end| seen.outcome.find(end));
                if matches!(handler, "broken.handler" | "nope.handler" | "needing.handler") {
                    seen.outcome.truncate(told.into_iter().flatten().min().unwrap());
                }
                both.push(seen.outcome);
            }
            // The client may have asked for an event before it hears of a rejection; then its answer is another.
            let hears = |outcome: &String| outcome.contains("Runtime.UnhandledPromiseRejection");
            if handler == "rejecting.handler" && !hears(&both[1]) {
                assert!(hears(&both[0]), "{}", both[0]);
                continue;
            }
            assert_eq!(both[0], both[1], "{handler}: ours is the first");
        }
    }
}
