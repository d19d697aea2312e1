//! Functions in Node.js: how they are found, what they see, and what their callers get.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and tell its log"
)]

mod common;

use std::time::Duration;

use common::House;
use serde_json::{Value, json};
use stillwire_model::{Code, LogSource, Runtime};

const HANDLERS: &str = r#"
let count = 0;
exports.echo = async (event) => event;
exports.counting = async () => [process.pid, ++count];
exports.given = async (kind) => ({
  none: undefined, null: null, text: 'é', date: new Date(0), function: () => {},
})[kind];
exports.large = async () => 'x'.repeat(7 * 1024 * 1024);
exports.circle = async () => { const a = {}; a.a = a; return a; };
exports.big = async () => 10n;
exports.fail = async () => { const error = new RangeError('boom é'); error.extra = 1; throw error; };
exports.failWith = async (what) => { throw what; };
exports.sync = () => { throw new Error('at once'); };
exports.callback = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = event.waits;
  setTimeout(() => { count += 1; }, 300);
  callback(event.error ?? null, { count });
};
exports.laterCallback = (event, context, callback) => { setTimeout(() => callback(null, 'later'), 20); };
exports.done = (event, context) => { context.succeed('succeeded'); context.fail('too late'); };
exports.failed = (event, context) => { context.fail(); };
exports.silent = (event, context) => {};
exports.pending = async () => { await new Promise(() => {}); };
exports.rejecting = async () => { Promise.reject(new Error('nobody cared')); await new Promise((r) => setTimeout(r, 1000)); };
exports.throwing = async () => { setTimeout(() => { throw new TypeError('uncaught'); }, 1); await new Promise((r) => setTimeout(r, 1000)); };
exports.exiting = async (status) => { process.exit(status); };
exports.slow = async (millis) => { await new Promise((resolve) => setTimeout(resolve, millis)); return 'slept'; };
exports.nested = { deep: { handler: async () => 'nested' } };
exports.text = 'no function';
exports.told = async (event, context) => ({
  id: context.awsRequestId,
  arn: context.invokedFunctionArn,
  memory: context.memoryLimitInMB,
  left: context.getRemainingTimeInMillis(),
  client: typeof context.clientContext,
  identity: typeof context.identity,
  trace: process.env._X_AMZN_TRACE_ID,
  name: context.functionName,
  version: context.functionVersion,
  waits: context.callbackWaitsForEmptyEventLoop,
  methods: ['done', 'succeed', 'fail'].map((name) => typeof context[name]),
  group: context.logGroupName,
  stream: context.logStreamName,
  args: process.argv.slice(2),
  fd: process.env.STILLWIRE_RUNTIME_FD,
});
exports.logging = async (event) => {
  console.log('one %s\nthree', 'two', { a: 1 });
  console.debug('a debug');
  console.warn('a warning');
  console.error(new Error('an error'));
  if (event === 'write') process.stdout.write('bare\n');
};
exports.streamed = awslambda.streamifyResponse(async (event, stream, context) => {
  stream.setContentType('application/json');
  stream.write('{"a":');
  stream.end(JSON.stringify(event) + '}');
});
exports.unfinished = awslambda.streamifyResponse(async (event, stream) => { stream.write('x'); });
exports.brokenStream = awslambda.streamifyResponse(async () => { throw new Error('in the stream'); });
exports.http = awslambda.streamifyResponse(async (event, stream) => {
  const http = awslambda.HttpResponseStream.from(stream, { statusCode: 201 });
  http.write('body');
  http.end();
});
exports.lookup = async (name) => {
  const dns = require('dns');
  const all = await dns.promises.lookup(name, { all: true });
  const one = await new Promise((r) => dns.lookup(name, (e, address) => r(address)));
  return [all[0].address, one];
};
exports.get = (url, context) => {
  require('http').get(url, (response) => {
    let text = '';
    response.on('data', (chunk) => (text += chunk)).on('end', () => context.succeed([response.statusCode, text]));
  }).on('error', context.fail);
};
"#;

async fn house_with(handlers: &[&str]) -> House {
    let house = House::new();
    house.write("app.js", HANDLERS);
    for handler in handlers {
        house.add(house.node(handler, &format!("app.{handler}"))).await;
    }
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_comes_back_and_the_module_stays_loaded() {
    let house = house_with(&["echo", "counting"]).await;
    assert_eq!(house.returned("echo", r#"{"a": [1, "é"]}"#).await, r#"{"a":[1,"é"]}"#);
    let first: (u32, u32) = serde_json::from_str(&house.returned("counting", "{}").await).unwrap();
    let second: (u32, u32) = serde_json::from_str(&house.returned("counting", "{}").await).unwrap();
    assert_eq!((first.0, first.1 + 1), second);
    let large = json!("x".repeat(5 * 1024 * 1024)).to_string();
    assert!(house.returned("echo", &large).await == large, "an event in many pieces");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_marshalled_as_on_lambda() {
    let house = house_with(&["given", "large", "circle", "big"]).await;
    for (kind, result) in [
        ("none", "null"),
        ("null", "null"),
        ("text", "\"é\""),
        ("date", "\"1970-01-01T00:00:00.000Z\""),
        ("function", ""),
    ] {
        assert_eq!(house.returned("given", &json!(kind).to_string()).await, result, "{kind}");
    }
    for name in ["circle", "big"] {
        let error = house.failed(name, "{}").await;
        assert_eq!(error["errorMessage"], "Unable to stringify response body", "{error}");
    }
    let error = house.failed("large", "{}").await;
    assert_eq!(error["errorType"], "Function.ResponseSizeTooLarge");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_gives_its_name_message_and_trace_and_the_environment_stays() {
    let house = house_with(&["fail", "failWith", "sync", "failed"]).await;
    let error = house.failed("fail", "{}").await;
    assert_eq!(
        (&error["errorType"], &error["errorMessage"]),
        (&json!("RangeError"), &json!("boom é"))
    );
    let trace: Vec<&str> =
        error["trace"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(trace[0], "RangeError: boom é");
    assert!(
        trace[1].contains("app.js:") && !trace.iter().any(|line| line.contains("bootstrap")),
        "{trace:?}"
    );
    for (event, kind, message) in [
        ("\"a text\"", "string", "a text"),
        ("7", "number", "7"),
        (r#"{"name": "Mine", "message": "m", "stack": "s"}"#, "Mine", "m"),
        // Nothing at all is an error too.
        ("null", "string", "handled"),
    ] {
        let error = house.failed("failWith", event).await;
        assert_eq!((&error["errorType"], &error["errorMessage"]), (&json!(kind), &json!(message)));
    }
    assert_eq!(house.failed("sync", "{}").await["errorMessage"], "at once");
    assert_eq!(house.failed("failed", "{}").await["errorMessage"], "handled");
    house
        .until("the error is logged", |house| {
            house.logs.texts(LogSource::Function).iter().any(|line| {
                line.contains("\tERROR\tInvoke Error \t{\"errorType\":\"RangeError\",\"errorMessage\":\"boom é\"")
                    && line.contains("\"extra\":1,\"stack\":[\"RangeError: boom é\",")
            })
        })
        .await;
    assert_eq!(house.functions.environments().into_values().sum::<usize>(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_answers_when_the_event_loop_is_empty_or_at_once() {
    let house = house_with(&["callback", "laterCallback", "done", "silent"]).await;
    // The result is a reference: what the timer did meanwhile is in it.
    assert_eq!(house.returned("callback", r#"{"waits": true}"#).await, r#"{"count":0}"#);
    assert_eq!(house.returned("callback", r#"{"waits": false}"#).await, r#"{"count":1}"#);
    let error = house.failed("callback", r#"{"waits": true, "error": "no"}"#).await;
    assert_eq!(error, json!({ "errorType": "string", "errorMessage": "no", "trace": [] }));
    assert_eq!(house.returned("laterCallback", "{}").await, "\"later\"");
    assert_eq!(house.returned("done", "{}").await, "\"succeeded\"");
    assert_eq!(house.returned("silent", "{}").await, "null");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promise_that_is_never_settled_is_an_error_of_the_runtime() {
    let house = house_with(&["pending"]).await;
    let error = house.failed("pending", "{}").await;
    assert_eq!(error["errorType"], "Runtime.NodeJsExit");
    assert!(error["errorMessage"].as_str().unwrap().contains("a Promise that was never settled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_caught_ends_the_environment_and_a_fresh_one_serves_the_next() {
    let house = house_with(&["rejecting", "throwing", "exiting"]).await;
    for _ in 0..2 {
        let error = house.failed("rejecting", "{}").await;
        assert_eq!(error["errorType"], "Runtime.UnhandledPromiseRejection");
        assert_eq!(error["errorMessage"], "Error: nobody cared");
        let error = house.failed("throwing", "{}").await;
        assert_eq!(
            (&error["errorType"], &error["errorMessage"]),
            (&json!("TypeError"), &json!("uncaught"))
        );
    }
    for (status, words) in [
        ("0", "Runtime exited without providing a reason"),
        ("3", "Runtime exited with error: exit status 3"),
    ] {
        let error = house.failed("exiting", status).await;
        assert_eq!(error["errorType"], "Runtime.ExitError", "{error}");
        assert!(error["errorMessage"].as_str().unwrap().ends_with(words), "{error}");
    }
    let log = house.logs.texts(LogSource::Function);
    assert!(
        log.iter().any(|line| line.contains("\tERROR\tUnhandled Promise Rejection \t{")),
        "{log:?}"
    );
    assert!(log.iter().any(|line| line.contains("\tERROR\tUncaught Exception \t{")), "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_are_found_in_every_form() {
    let house = House::new();
    house.write("app.js", HANDLERS);
    house.write("plain.js", "exports.handler = async () => 'cjs';");
    house.write("module.mjs", "await 1; export const handler = async () => 'mjs';");
    house.write("common.cjs", "exports.handler = async () => 'cjs by name';");
    house.write("esm/package.json", r#"{"type": "module"}"#);
    house.write(
        "esm/deep/app.js",
        "import os from 'os'; export const handler = async () => 'esm ' + typeof os;",
    );
    house.write("esm/helper.js", "export const word = 'hey';");
    house.write(
        "esm/uses.js",
        "import { word } from './helper.js'; export async function handler() { return word; }",
    );
    house.write("a #b%20/odd.mjs", "export const handler = async () => 'odd';");
    house.write("package/index.js", "exports.handler = async () => 'folder';");
    house.write("node_modules/lib/index.js", "exports.handler = async () => 'package';");
    house.write("default.mjs", "export default { handler: async () => 'default' };");
    for (name, handler, result) in [
        ("a", "plain.handler", "cjs"),
        ("b", "module.handler", "mjs"),
        ("c", "common.handler", "cjs by name"),
        ("d", "esm/deep/app.handler", "esm object"),
        ("e", "esm/uses.handler", "hey"),
        ("f", "app.nested.deep.handler", "nested"),
        ("g", "a #b%20/odd.handler", "odd"),
        ("h", "package.handler", "folder"),
        ("i", "lib.handler", "package"),
        ("j", "default.default.handler", "default"),
    ] {
        house.add(house.node(name, handler)).await;
        assert_eq!(house.returned(name, "{}").await, format!("\"{result}\""), "{handler}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_cannot_be_loaded_says_why() {
    let house = House::new();
    house.write("app.js", HANDLERS);
    house.write("broken.js", "exports.handler = async () => {\n  return ;;)\n};");
    house.write("broken.mjs", "export const x = ;");
    house.write("raising.js", "throw new TypeError('at import');");
    house.write(
        "rejecting.js",
        "Promise.reject(new Error('at import')); exports.handler = async () => 1;",
    );
    house.write("exiting.js", "process.exit(5);");
    house.write("needing.js", "require('not-there'); exports.handler = async () => 1;");
    house
        .write("waiting.mjs", "await new Promise(() => {}); export const handler = async () => 1;");
    for (name, handler, kind, message) in [
        ("a", "nodot", "Runtime.MalformedHandlerName", "Bad handler"),
        (
            "b",
            "../app.echo",
            "Runtime.MalformedHandlerName",
            "'../app.echo' is not a valid handler name. Use absolute paths when specifying root directories in handler names.",
        ),
        ("c", "nope.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'nope'"),
        (
            "d",
            "needing.handler",
            "Runtime.ImportModuleError",
            "Error: Cannot find module 'not-there'",
        ),
        ("e", "app.nope", "Runtime.HandlerNotFound", "app.nope is undefined or not exported"),
        ("f", "app.text", "Runtime.HandlerNotFound", "app.text is not a function"),
        ("g", "broken.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected token ')'"),
        ("h", "raising.handler", "TypeError", "at import"),
        ("i", "rejecting.handler", "Runtime.UnhandledPromiseRejection", "Error: at import"),
        ("j", "exiting.handler", "Runtime.ExitError", "RequestId: "),
        ("k", "waiting.handler", "Runtime.ExitError", "RequestId: "),
    ] {
        house.add(house.node(name, handler)).await;
        for _ in 0..2 {
            let error = house.failed(name, "{}").await;
            assert_eq!(error["errorType"], kind, "{error}");
            assert!(error["errorMessage"].as_str().unwrap().starts_with(message), "{error}");
            if name == "g" {
                assert!(error["trace"].to_string().contains("broken.js:2"), "{error}");
            }
            if name == "k" {
                assert!(
                    error["errorMessage"].as_str().unwrap().ends_with("exit status 13"),
                    "{error}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_context_tells_the_invocation() {
    let house = house_with(&["told"]).await;
    let told: Value = serde_json::from_str(&house.returned("told", "{}").await).unwrap();
    assert_eq!(told["arn"], common::arn("told").as_str());
    assert_eq!(told["memory"], "128");
    assert_eq!((&told["client"], &told["identity"]), (&json!("undefined"), &json!("undefined")));
    assert_eq!(told["trace"], "Root=1-2-3");
    assert_eq!((&told["name"], &told["version"]), (&json!("told"), &json!("$LATEST")));
    assert_eq!(told["waits"], true);
    assert_eq!(told["methods"], json!(["function", "function", "function"]));
    assert_eq!(told["group"], "/aws/lambda/told");
    assert!(told["stream"].as_str().unwrap().contains("/[$LATEST]"));
    assert_eq!((&told["args"], told.get("fd")), (&json!([]), None));
    let left = told["left"].as_u64().unwrap();
    assert!((9000..=10_000).contains(&left), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_writes_in_lambdas_format() {
    let house = House::new();
    house.write("app.js", HANDLERS);
    house.write("early.js", "console.log('at init'); exports.handler = async () => 1;");
    house.add(house.node("early", "early.handler")).await;
    house.add(house.node("text", "app.logging")).await;
    let mut function = house.node("json", "app.logging");
    for (name, value) in [("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", "WARN")] {
        function.environment.insert(name.to_owned(), value.to_owned());
    }
    house.add(function).await;
    house.returned("text", "\"write\"").await;
    house.returned("json", "\"\"").await;
    house.returned("early", "\"\"").await;
    let lines = |name: &str| {
        let all = house.logs.all().into_iter();
        let own = all.filter(|line| {
            line.source == LogSource::Function && line.function == common::arn(name)
        });
        own.map(|line| (line.request_id.map(|id| id.to_string()), line.text)).collect::<Vec<_>>()
    };
    house.until("all is logged", |_| lines("text").len() == 5 && lines("json").len() == 2).await;
    let text = lines("text");
    let id = text[0].0.clone().unwrap();
    let tail = |at: usize| text[at].1.split_once('\t').unwrap().1.to_owned();
    assert!(text[0].1.starts_with("20") && text[0].1.contains("Z\t"), "{text:?}");
    assert_eq!(tail(0), format!("{id}\tINFO\tone two\rthree {{ a: 1 }}"));
    assert_eq!(tail(1), format!("{id}\tDEBUG\ta debug"));
    assert_eq!(tail(2), format!("{id}\tWARN\ta warning"));
    assert!(tail(3).starts_with(&format!("{id}\tERROR\tError: an error\r    at ")), "{text:?}");
    assert_eq!(text[4].1, "bare");
    assert!(lines("early")[0].1.ends_with("\tundefined\tINFO\tat init"), "{:?}", lines("early"));
    let records: Vec<Value> =
        lines("json").iter().map(|(_, line)| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&records[0]["level"], &records[0]["message"]),
        (&json!("WARN"), &json!("a warning"))
    );
    assert_eq!(records[0]["requestId"], lines("json")[0].0.clone().unwrap());
    assert_eq!(records[1]["message"]["errorType"], "Error");
    assert_eq!(records[1]["message"]["errorMessage"], "an error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streaming_handler_answers_with_what_it_wrote() {
    let house = house_with(&["streamed", "unfinished", "brokenStream", "http"]).await;
    assert_eq!(house.returned("streamed", "[1]").await, r#"{"a":[1]}"#);
    assert_eq!(house.returned("http", "{}").await, "{\"statusCode\":201}\0\0\0\0\0\0\0\0body");
    for _ in 0..2 {
        let error = house.failed("unfinished", "{}").await;
        assert_eq!(error["errorMessage"], "Response stream is not finished.");
        let error = house.failed("brokenStream", "{}").await;
        assert_eq!(
            (&error["errorType"], &error["errorMessage"]),
            (&json!("Error"), &json!("in the stream"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_handler_is_ended_in_time_and_the_next_invocation_runs() {
    let house = House::new();
    house.write("app.js", HANDLERS);
    let mut function = house.node("slow", "app.slow");
    function.timeout = Duration::from_secs(1);
    house.add(function).await;
    let error = house.failed("slow", "20000").await;
    assert_eq!(error["errorType"], "Sandbox.Timedout");
    assert_eq!(house.returned("slow", "1").await, "\"slept\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_are_refused_from_node_24_on() {
    let house = House::new();
    house.write("app.js", HANDLERS);
    for handler in ["callback", "echo", "streamed"] {
        let mut function = house.node(handler, &format!("app.{handler}"));
        function.runtime = Runtime::Node(24);
        house.add(function).await;
    }
    let error = house.failed("callback", "{}").await;
    assert_eq!(error["errorType"], "Runtime.CallbackHandlerDeprecated");
    assert_eq!(house.returned("echo", "1").await, "1");
    assert_eq!(house.returned("streamed", "1").await, r#"{"a":1}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_aws_lead_to_this_machine() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let house = House::with(|config| {
        config.hosts = vec![("abc.execute-api.eu-west-1.amazonaws.com".to_owned(), address)];
        config.aws = address;
    });
    house.write("app.js", HANDLERS);
    for handler in ["lookup", "get"] {
        house.add(house.node(handler, &format!("app.{handler}"))).await;
    }
    house.drain.spawn("stub", async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut chunk = [0; 4096];
            let count = socket.read(&mut chunk).await.unwrap();
            let asked = String::from_utf8_lossy(&chunk[..count]).into_owned();
            let host = asked
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("host: ").map(str::to_owned));
            let host = host.unwrap_or_default();
            let length = host.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{host}"
            );
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    for name in ["abc.execute-api.eu-west-1.amazonaws.com", "s3.amazonaws.com"] {
        let found = house.returned("lookup", &json!(name).to_string()).await;
        assert_eq!(found, r#"["127.0.0.1","127.0.0.1"]"#);
        // The port of the address is another: ours.
        let got = house.returned("get", &json!(format!("http://{name}/x")).to_string()).await;
        assert_eq!(got, format!("[200,\"{name}\"]"));
    }
    let found = house.returned("lookup", "\"127.0.0.2\"").await;
    assert_eq!(found, r#"["127.0.0.2","127.0.0.2"]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_invocation_after_a_save_runs_the_new_code() {
    let house = House::with(|config| config.reload = true);
    let answer = |value: u32| format!("export const handler = async () => {value};");
    house.write("lib/app.mjs", &answer(0));
    house.add(house.node("f", "lib/app.handler")).await;
    assert_eq!(house.returned("f", "0").await, "0");
    for round in 1..=3 {
        house.write("lib/app.mjs", &answer(round));
        assert_eq!(house.returned("f", "0").await, round.to_string());
    }
    house.write("lib/app.mjs", "export const handler = async () => {");
    assert_eq!(house.returned("f", "0").await, "3", "what cannot be loaded replaces nothing");
    let told = house.logs.texts(LogSource::Notice);
    assert!(told.iter().any(|line| line.contains("f is not reloaded")), "{told:?}");
    house.write("lib/app.mjs", &answer(9));
    assert_eq!(house.returned("f", "0").await, "9");
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_of_the_deployed_folder_are_there_for_code_that_runs_from_its_source() {
    let house = House::new();
    house.write("root/node_modules/greeting/index.js", "exports.word = 'hello';");
    house.write(
        "root/node_modules/greeting/package.json",
        r#"{"name": "greeting", "main": "index.js"}"#,
    );
    house.write(
        "source/common.js",
        "const { word } = require('greeting'); exports.handler = async () => word;",
    );
    house.write(
        "source/module.mjs",
        "import { word } from 'greeting'; export const handler = async () => word;",
    );
    house.write("source/missing.mjs", "import 'not-there'; export const handler = async () => 1;");
    let folder = |name: &str| house.code.path().join(name);
    for name in ["common", "module", "missing"] {
        let mut function = house.node(name, &format!("{name}.handler"));
        function.code = Code::Directory { root: folder("root"), source: Some(folder("source")) };
        house.add(function).await;
    }
    assert_eq!(house.returned("common", "{}").await, "\"hello\"");
    assert_eq!(house.returned("module", "{}").await, "\"hello\"");
    let error = house.failed("missing", "{}").await;
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.starts_with("Cannot find package 'not-there' imported from "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_sdk_is_there_though_the_function_does_not_bring_it() {
    let house = House::new();
    use_sdk(&house).await;
    // What is there is used again, without a network.
    let again = House::new();
    use_sdk(&again).await;
    let told = again.logs.texts(LogSource::Notice);
    assert!(!told.iter().any(|line| line.contains("@aws-sdk")), "{told:?}");
}

/// Two functions that ask for the SDK, in both forms.
async fn use_sdk(house: &House) {
    house.write(
        "common.js",
        "const { DynamoDBClient } = require('@aws-sdk/client-dynamodb');\nexports.handler = async () => typeof DynamoDBClient;",
    );
    house.write(
        "module.mjs",
        "import { DynamoDBClient } from '@aws-sdk/client-dynamodb';\nexport const handler = async () => typeof DynamoDBClient;",
    );
    for name in ["common", "module"] {
        let mut function = house.node(name, &format!("{name}.handler"));
        function.memory_mb = 512;
        house.add(function).await;
        assert_eq!(house.returned(name, "{}").await, "\"function\"", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_interpreter_the_function_is_unavailable_and_the_deployment_says_why() {
    let house = House::with(|config| config.places = vec!["/nowhere".into()]);
    house.write("app.js", "");
    let function = std::sync::Arc::new(house.node("f", "app.handler"));
    house.functions.deploy(vec![(function.into(), [].into())]);
    let problems = house.functions.prepare().await;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].text.ends_with("install Node.js 22"), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inline_function_is_an_index_file() {
    let house = House::new();
    let mut inline = house.node("inline", "index.handler");
    let text = "exports.handler = async () => 'inline';".to_owned();
    inline.code = Code::Inline { file_name: "index.js".to_owned(), text };
    house.add(inline).await;
    assert_eq!(house.returned("inline", "{}").await, "\"inline\"");
}
