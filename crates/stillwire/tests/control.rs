//! The control plane: APIs that are built, changed and removed on a running program, by boto3.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]

use std::sync::LazyLock;

use serde_json::{Value, json};
use stillwire_testkit::{App, Stillwire, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// Answers with what it was asked; says so when a client has left.
const CODE: &str = r#"
def handler(event, context):
    if event["requestContext"]["eventType"] == "DISCONNECT":
        print("left", event["requestContext"]["stage"], event["requestContext"]["disconnectStatusCode"])
    return {"statusCode": 200, "body": event.get("body")}
"#;

fn app() -> App {
    App::new().function("all", CODE).two_way_route("$default", "all")
}

static STILLWIRE: LazyLock<Stillwire> = LazyLock::new(|| app().share(PROGRAM));

fn run(stillwire: &Stillwire, case: &str) -> Value {
    let output = tools::python("control.py", &[&stillwire.ready().to_string(), case]);
    serde_json::from_str(&output).expect("JSON")
}

/// Compares name by name, so that a failure tells which step it was.
fn assert_seen(seen: &Value, expected: &Value) {
    let names = |value: &Value| -> Vec<String> {
        value.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(seen), names(expected));
    for name in names(expected) {
        assert_eq!(seen[&name], expected[&name], "{name}");
    }
}

#[test]
fn an_api_is_built_deployed_changed_and_removed() {
    let seen = run(&STILLWIRE, "build");
    let expected = json!({
        "api": {"Name": "chat", "ProtocolType": "WEBSOCKET", "ApiKeySelectionExpression": "$request.header.x-api-key",
            "Description": "built here", "Tags": {"team": "a"}},
        "deployed too early": ["BadRequestException", 400,
            "Unable to deploy API because no routes exist in this API"],
        "integration": [29000, "INTERNET"],
        "nothing deployed": 403,
        "deployment": ["DEPLOYED", "first"],
        "one": "one",
        "echo": {"action": "echo"},
        "before": ["one", "Forbidden"],
        "automatic": ["two", "two", "one"],
        "open connections follow": ["two", "two"],
        "back": ["one", "Forbidden", "two"],
        "without": "Forbidden",
        "status": "Successfully deployed stage",
        "stage gone": [1001, 403, "one"],
        "api gone": 1001,
        "after": "refused",
        "unknown": ["NotFoundException", 404],
    });
    assert_seen(&seen, &expected);
    // The connections that went with their stage and with their API are told of.
    STILLWIRE.wait_for_log("left next 1001");
    STILLWIRE.wait_for_log("left live 1001");
}

#[test]
fn mistakes_are_refused_in_the_service_s_words_and_change_nothing() {
    let seen = run(&STILLWIRE, "mistakes");
    let expected = json!({
        "http api": ["BadRequestException", 400,
            "HTTP APIs are not served here: protocolType must be WEBSOCKET"],
        "no expression": ["BadRequestException", 400,
            "routeSelectionExpression is required for WEBSOCKET APIs"],
        "bad expression": ["BadRequestException", 400,
            "selection expression \"${request.body\", character 15: `}` is missing"],
        "too long": ["BadRequestException", 400,
            "1 validation error detected: Value '40000' at 'timeoutInMillis' failed to satisfy constraint: Member must have value less than or equal to 29000"],
        "bad word": ["BadRequestException", 400,
            "1 validation error detected: Value 'FAX' at 'integrationType' failed to satisfy constraint: Member must satisfy enum value set: [AWS, HTTP, MOCK, HTTP_PROXY, AWS_PROXY]"],
        "twice": ["ConflictException", 409, "Route with key one already exists for this API"],
        "used": ["ConflictException", 409,
            "Cannot delete Integration because it is referenced by the following Routes with Ids: [ROUTE]"],
        "no target": ["BadRequestException", 400,
            "integrations/nope names no integration of this API"],
        "missing route": ["NotFoundException", 404, "Invalid Route identifier specified nope"],
        "missing stage": ["NotFoundException", 404, "Invalid stage identifier specified nope"],
        "missing deployment": ["NotFoundException", 404,
            "Invalid Deployment identifier specified nope"],
        "missing api": ["NotFoundException", 404,
            "Invalid API identifier specified 000000000000:nope"],
        "route settings": ["NotFoundException", 404,
            "Unable to find Route by key nope within the provided RouteSettings"],
        "stage twice": ["ConflictException", 409, "Stage already exists"],
        "stage name": ["BadRequestException", 400,
            "\"no spaces here\" is not a stage name ([A-Za-z0-9_-], at most 128)"],
        "active": ["BadRequestException", 400,
            "Active stages pointing to this deployment must be moved or deleted"],
        "bad token": ["BadRequestException", 400, "Invalid nextToken"],
        "a cors configuration": ["BadRequestException", 400,
            "cors are not for WebSocket APIs, which is what is served here"],
        "many tags": ["BadRequestException", 400, "a resource has at most 50 tags"],
        "routes": ["one"],
        "answer": "one",
    });
    assert_seen(&seen, &expected);
}

#[test]
fn every_kind_of_part_is_listed_changed_and_removed() {
    let seen = run(&STILLWIRE, "settings");
    let expected = json!({
        "pages": [[3, 3, 1], true],
        "template": true,
        "model": "Bad request body",
        "left": {"RequestModels": {}, "RequestParameters": {}},
        "without model": "one",
        "delete model": 204,
        "gate": 401,
        "gate in use": ["ConflictException", 409],
        "delete gate": 204,
        "variables": {"b": "2", "c": "3"},
        "default settings": {"DataTraceEnabled": false, "DetailedMetricsEnabled": false, "LoggingLevel": "OFF"},
        "nameless log": ["BadRequestException", 400,
                "the format must contain $context.requestId or $context.extendedRequestId"],
            "throttled": "Too Many Requests",
        "not throttled": "one",
        "no log": false,
        "changed": "changed",
        "gone response": ["NotFoundException", 404],
        "renamed": ["renamed", "2"],
        "tags": [{"b c": "2"}, {"b c": "2"}],
    });
    assert_seen(&seen, &expected);
}

#[test]
fn the_app_s_own_api_can_be_read_and_changed() {
    let app = app();
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let seen = run(&stillwire, "template");
    let expected = json!({
        "name": "Api", "routes": ["$default"], "stage": ["test"], "before": {"action": "more"}, "after": "more",
    });
    assert_seen(&seen, &expected);
}

#[test]
fn custom_domains_come_change_and_go() {
    let app = app().resource(
        "Mapping",
        json!({ "Type": "AWS::ApiGatewayV2::ApiMapping", "Properties": {
            "DomainName": "own.example.com", "ApiId": { "Ref": "Api" }, "Stage": "test", "ApiMappingKey": "v1" } }),
    );
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let seen = run(&stillwire, "domains");
    let expected = json!({
        "no name": ["BadRequestException", 400],
        "made": ["ws.example.net", "$request.basepath"],
        "twice": ["ConflictException", 409],
        "nothing mapped": 403,
        "mapped": ["one", 403],
        "taken": ["ConflictException", 409],
        "bad key": ["BadRequestException", 400],
        "connections stay": "one",
        "changed": [403, "one"],
        "by name": "one",
        "unmapped": 403,
        "still here": "one",
        "gone": ["NotFoundException", 404],
        "its port": "refused",
        "own": ["own.example.com", "v1", "test"],
        "own changed": "{\"action\": \"echo\"}",
    });
    assert_seen(&seen, &expected);
}

#[test]
fn what_was_built_survives_a_restart() {
    let (app, data) = (app(), tempfile::tempdir().expect("a folder"));
    let template = app.template();
    let arguments = ["--data-dir", data.path().to_str().expect("UTF-8")];
    let stillwire = Stillwire::dev_with(PROGRAM, &template, &arguments);
    let before = run(&stillwire, "keep");
    assert_eq!((&before["one"], &before["domain"]), (&json!("one"), &json!("one")));
    let (log, ended_well) = stillwire.stop();
    assert!(ended_well, "{log}");
    let stillwire = Stillwire::dev_with(PROGRAM, &template, &arguments);
    assert_eq!(run(&stillwire, "kept"), before);
}
