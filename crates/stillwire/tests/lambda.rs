//! The Lambda API: functions that are invoked, read, made and changed on a running program, by boto3.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value, json};
use stillwire_testkit::{App, Stillwire, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const ECHO: &str = "def handler(event, context):\n    return event\n";

const FAILS: &str = "def handler(event, context):\n    raise ValueError(event['say'])\n";

const ABOUT: &str = r#"
import os

def handler(event, context):
    print("a line")
    trace = os.environ.get("_X_AMZN_TRACE_ID")
    return [context.client_context and context.client_context.custom, context.function_version, trace]
"#;

const CHATTY: &str = "def handler(event, context):\n    print('x' * 5000)\n";

const WHICH: &str = r#"
import json

def handler(event, context):
    which = [context.function_version, context.invoked_function_arn.split(":")[7:]]
    return {"statusCode": 200, "body": json.dumps(which)} if "requestContext" in event else which
"#;

/// Fails where it is told to, and remembers by which ids it was called for what.
const FLAKY: &str = r#"
runs = {}

def handler(event, context):
    if "read" in event:
        return runs.get(event["read"])
    runs.setdefault(event["id"], []).append(context.aws_request_id)
    if event.get("fail"):
        raise RuntimeError("not this one")
    return "done"
"#;

/// Calls another function, as code on Lambda does.
const CALLER: &str = r#"
import boto3, json, os

def handler(event, context):
    other = boto3.client("lambda")
    answer = other.invoke(FunctionName=os.environ["OTHER"], Payload=json.dumps(event))
    return ["called", json.load(answer["Payload"])]
"#;

/// Keeps what it is told.
const TOLD: &str = r#"
told = []

def handler(event, context):
    if "read" in event:
        return told
    told.append(event)
"#;

fn app() -> App {
    let arn = |function: &str| json!({ "Fn::GetAtt": [function, "Arn"] });
    let resource = |kind: &str, properties: Value| json!({ "Type": format!("AWS::Lambda::{kind}"), "Properties": properties });
    let more = json!({ "Description": "has versions", "Environment": { "Variables": { "KEY": "value" } },
        "Tags": [{ "Key": "team", "Value": "a" }] });
    // One process remembers everything.
    let alone = json!({ "ReservedConcurrentExecutions": 1 });
    App::new()
        .function("echo", ECHO)
        .function("fails", FAILS)
        .function("about", ABOUT)
        .function("chatty", CHATTY)
        .function_with("flaky", FLAKY, &alone)
        .function_with("told", TOLD, &alone)
        .function_with(
            "caller",
            CALLER,
            &json!({ "Environment": { "Variables": { "OTHER": { "Ref": "echo" } } } }),
        )
        .function_with("none", ECHO, &json!({ "ReservedConcurrentExecutions": 0 }))
        .function_with("versioned", WHICH, &more)
        .resource("One", resource("Version", json!({ "FunctionName": { "Ref": "versioned" } })))
        .resource("Two", resource("Version", json!({ "FunctionName": { "Ref": "versioned" } })))
        .resource(
            "Live",
            resource(
                "Alias",
                json!({ "FunctionName": { "Ref": "versioned" }, "Name": "live",
                    "FunctionVersion": { "Fn::GetAtt": ["Two", "Version"] } }),
            ),
        )
        .resource(
            "Allowed",
            resource(
                "Permission",
                json!({ "FunctionName": arn("versioned"), "Action": "lambda:InvokeFunction",
                    "Principal": "apigateway.amazonaws.com" }),
            ),
        )
        .resource(
            "Events",
            resource(
                "EventInvokeConfig",
                json!({ "FunctionName": { "Ref": "flaky" }, "Qualifier": "$LATEST",
                    "DestinationConfig": { "OnSuccess": { "Destination": arn("told") },
                        "OnFailure": { "Destination": arn("told") } } }),
            ),
        )
        .resource(
            "Failures",
            resource(
                "EventInvokeConfig",
                json!({ "FunctionName": { "Ref": "fails" }, "Qualifier": "$LATEST",
                    "DestinationConfig": { "OnFailure": { "Destination": arn("told") } } }),
            ),
        )
        .two_way_route("$default", "echo")
        .two_way_route("live", "versioned")
        .resource("LaterTarget", later("Integration", json!({
            "IntegrationType": "AWS", "IntegrationMethod": "POST",
            "IntegrationUri": { "Fn::Sub": "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${fails.Arn}/invocations" },
            "RequestParameters": { "integration.request.header.X-Amz-Invocation-Type": "'Event'" },
            "RequestTemplates": { "$default": "{\"say\": \"later\"}" },
            "TemplateSelectionExpression": "\\$default" })))
        .resource("Later", later("Route", json!({ "RouteKey": "later",
            "Target": { "Fn::Join": ["/", ["integrations", { "Ref": "LaterTarget" }]] } })))
}

/// A part of the API.
fn later(kind: &str, mut properties: Value) -> Value {
    properties["ApiId"] = json!({ "Ref": "Api" });
    json!({ "Type": format!("AWS::ApiGatewayV2::{kind}"), "Properties": properties })
}

/// The integration of the route `live` names the alias.
fn by_alias(template: &Path) {
    let text = std::fs::read_to_string(template).expect("the template");
    let mut template_of: Value = serde_json::from_str(&text).expect("JSON");
    let uri = &mut template_of["Resources"]["Integrationlive"]["Properties"]["IntegrationUri"];
    let path = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${Live}/invocations";
    *uri = json!({ "Fn::Sub": path });
    std::fs::write(template, template_of.to_string()).expect("the template");
}

/// Events are tried again soon.
const CONFIG: &str = "[lambda]\nretry-delays = [\"10ms\", \"20ms\"]\nthrottle-delay = \"10ms\"\n";

fn template(app: &App) -> PathBuf {
    let template = app.template();
    by_alias(&template);
    let config = template.parent().expect("a folder").join("stillwire.toml");
    std::fs::write(config, CONFIG).expect("the configuration");
    template
}

static STILLWIRE: LazyLock<Stillwire> = LazyLock::new(|| {
    let app = app();
    let mut stillwire = Stillwire::dev(PROGRAM, &template(&app));
    stillwire.keep_until_the_end(&app.keep());
    stillwire
});

fn run(stillwire: &Stillwire, case: &str) -> Value {
    let output = tools::python("lambda.py", &[&stillwire.ready().to_string(), case]);
    serde_json::from_str(&output).expect("JSON")
}

/// Compares name by name, so that a failure tells which step it was.
fn assert_seen(seen: &Value, expected: &Value) {
    for (name, value) in expected.as_object().into_iter().flatten() {
        assert_eq!(seen[name], *value, "{name}");
    }
    let names = |value: &Value| value.as_object().map_or(0, serde_json::Map::len);
    assert_eq!(names(seen), names(expected), "{seen}");
}

#[test]
fn a_function_is_invoked_by_boto3_as_on_lambda() {
    let seen = run(&STILLWIRE, "invoke");
    let expected = json!({
        "answer": [200, "$LATEST", null, { "a": 1 }],
        "no payload": {},
        "names": [1, 1, 1],
        "event": 202,
        "dry run": 204,
        "async": 202,
        "error": [200, "Unhandled", { "errorMessage": "boom é", "errorType": "ValueError" }, 1, true],
        "client context": [{ "k": "é" }, "$LATEST"],
        "trace": ["Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", true, true],
        "tail": ["START", "a", "END", "REPORT"],
        "long tail": [4096, "REPORT"],
    });
    assert_seen(&seen, &expected);
}

#[test]
fn the_sdk_for_javascript_understands_the_same_answers() {
    let output = tools::node("lambda.js", &[&STILLWIRE.ready().to_string()]);
    let seen: Value = serde_json::from_str(&output).expect("JSON");
    let limit = "ReservedFunctionConcurrentInvocationLimitExceeded";
    let expected = json!({
        "answer": [200, "$LATEST", { "a": 1 }, true],
        "error": ["Unhandled", "boom"],
        "stream": ["[1]", "InvokeComplete"],
        "unknown": ["ResourceNotFoundException", 404, null, true],
        "throttled": ["TooManyRequestsException", 429, limit, true],
        "not json": ["InvalidRequestContentException", 400, null, true],
    });
    assert_seen(&seen, &expected);
}

#[test]
fn an_answer_comes_as_an_event_stream_where_that_is_wanted() {
    let seen = run(&STILLWIRE, "stream");
    let expected = json!({
        "answer": [200, "$LATEST", 2, "{\"a\": 1}", ["LogResult"], true],
        "error": [1, "Unhandled", "boom"],
    });
    assert_seen(&seen, &expected);
}

#[test]
fn what_cannot_be_invoked_is_refused_in_the_service_s_words() {
    let seen = run(&STILLWIRE, "refusals");
    let nobody = "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody";
    let account = STILLWIRE.ready()["functions"][0]["arn"].as_str().expect("an ARN");
    let account = account.split(':').nth(4).expect("an account");
    let nobody = nobody.replace("000000000000", account);
    let mismatch =
        "The derived qualifier from the function name does not match the specified qualifier.";
    let expected = json!({
        "unknown": ["ResourceNotFoundException", 404, nobody],
        "unknown version": ["ResourceNotFoundException", 404, "Function not found: ARN:7"],
        "two qualifiers": ["InvalidParameterValueException", 400, mismatch],
        "not json": ["InvalidRequestContentException", 400],
        "too large": ["RequestTooLargeException", 413,
            "Request must be smaller than 6291456 bytes for the InvokeFunction operation"],
        "event too large": ["RequestTooLargeException", 413,
            "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)"],
        "context": ["InvalidRequestContentException", 400,
            "Client context must be a valid Base64-encoded JSON object."],
        "layers": ["InvalidParameterValueException", 400, "this asks for a layer, which is not served here"],
        "class": ["User", nobody],
        "throttled": ["ReservedFunctionConcurrentInvocationLimitExceeded", "1"],
    });
    assert_seen(&seen, &expected);
}

#[test]
fn an_event_is_tried_again_and_its_end_is_told_to_its_destination() {
    let seen = run(&STILLWIRE, "events");
    let failed =
        json!({ "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" });
    let expected = json!({
        "failure": ["1.0", "RetriesExhausted", 3, true, { "id": "bad", "fail": true }, failed, "not this one"],
        "runs": [3, 1, true],
        "success": ["Success", { "statusCode": 200, "executedVersion": "$LATEST" }, "done"],
        "once": 1,
        "settings": 0,
        "no settings": ["ResourceNotFoundException", 404],
    });
    assert_seen(&seen, &expected);
    STILLWIRE.wait_for_log("an event is given up");
}

#[test]
fn what_templates_declare_about_functions_is_read_back() {
    let seen = run(&STILLWIRE, "read");
    let expected = json!({
        "all": true,
        "pages": true,
        "function": { "Runtime": "python3.12", "Handler": "versioned.handler", "Timeout": 10, "MemorySize": 128,
            "Version": "$LATEST", "State": "Active", "LastUpdateStatus": "Successful",
            "Environment": { "Variables": { "KEY": "value" } }, "Description": "has versions" },
        "arn": true,
        "sha": [44, true],
        "tags": [{ "team": "a" }, { "team": "a" }],
        "versions": ["$LATEST", "1", "2"],
        "aliases": [["live", "2"]],
        "alias": true,
        "policy": ["Allow", { "Service": "apigateway.amazonaws.com" }, "lambda:InvokeFunction"],
        "no policy": ["ResourceNotFoundException", 404, "The resource you requested does not exist."],
        "concurrency": 0,
        "by alias": [["$LATEST", ["$LATEST", []]], ["2", ["2", ["live"]]], ["1", ["1", ["1"]]]],
        "nothing": [[], [], [], ["ResourceNotFoundException", 404], true, "Terminate"],
        "account": [1000, true],
    });
    assert_seen(&seen, &expected);
}

#[test]
fn an_integration_that_names_an_alias_runs_its_version() {
    let mut client = STILLWIRE.connect();
    assert_eq!(client.ask(r#"{"action":"live"}"#), json!(["2", ["live"]]));
}

#[test]
fn an_integration_that_does_not_wait_sends_an_event() {
    let mut client = STILLWIRE.connect();
    client.send(r#"{"action":"later"}"#);
    let seen = run(&STILLWIRE, "later");
    assert_seen(&seen, &json!({ "failure": ["RetriesExhausted", 3] }));
}

#[test]
fn a_function_calls_another() {
    assert_seen(&run(&STILLWIRE, "call"), &json!({ "called": ["called", { "a": 1 }] }));
}

#[test]
fn a_function_is_made_changed_published_and_deleted() {
    let app = app();
    let stillwire = Stillwire::dev(PROGRAM, &template(&app));
    let seen = run(&stillwire, "make");
    let expected = json!({
        "made": [201, "Active", "$LATEST", "a test", "made"],
        "one": ["one", "$LATEST"],
        "again": ["ResourceConflictException", 409, "Function already exist: made"],
        "published": ["1", "1"],
        "published again": "1",
        "updated": ["Successful", true],
        "two": [["two", "$LATEST"], ["one", "1"]],
        "live": ["one", "1"],
        "live moved": ["two", "2"],
        "live shifted": ["two", "2"],
        "version in use": ["ResourceConflictException", 409],
        "changed": [7, 256, "changed", { "KEY": "value" }],
        "outdated": ["PreconditionFailedException", 412],
        "twice": ["ResourceConflictException", 409],
        "no statement": ["ResourceNotFoundException", 404],
        "tags": { "c": "d" },
        "throttled": ["TooManyRequestsException", 429],
        "not throttled": 200,
        "gone": ["ResourceNotFoundException", 404],
        "runtime": ["ValidationException", 400],
        "node": 201,
        "no zip": ["InvalidParameterValueException", 400,
            "Could not unzip uploaded file. Please check your file, then try to upload again."],
        "s3": ["InvalidParameterValueException", 400],
        "reserved": ["InvalidParameterValueException", 400],
        "memory": ["ValidationException", 400],
    });
    assert_seen(&seen, &expected);
}

#[test]
fn what_was_made_outlives_a_restart_and_what_was_changed_of_a_template_does_not() {
    let app = app();
    let template = template(&app);
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().join("data");
    let arguments = ["--data-dir", folder.to_str().expect("a path")];
    let stillwire = Stillwire::dev_with(PROGRAM, &template, &arguments);
    assert_seen(&run(&stillwire, "keep"), &json!({ "description": "for now" }));
    let (log, ended) = stillwire.stop();
    assert!(ended, "{log}");
    let stillwire = Stillwire::dev_with(PROGRAM, &template, &arguments);
    let expected = json!({ "kept": [["kept", "$LATEST"], ["kept", "1"]], "description": "" });
    assert_seen(&run(&stillwire, "kept"), &expected);
}
