//! API keys and usage plans: who gets in with which key, how fast and how often.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stillwire_testkit::{App, Stillwire, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// Says who it thinks is calling.
const CODE: &str = r#"
import json
def handler(event, context):
    identity = event["requestContext"]["identity"]
    return {"statusCode": 200, "body": json.dumps([identity.get("apiKey"), identity.get("apiKeyId")])}
"#;

/// Names the API key that stands in the header `Authorization`.
const GATE: &str = r#"
def handler(event, context):
    return {"principalId": "ada", "usageIdentifierKey": event["headers"]["Authorization"],
        "policyDocument": {"Version": "2012-10-17", "Statement": [
            {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]}]}}
"#;

const FORBIDDEN: (u16, &str) = (403, r#"{"message":"Forbidden"}"#);
const TOO_MANY: (u16, &str) = (429, r#"{"message":"Too Many Requests"}"#);
const EXCEEDED: (u16, &str) = (429, r#"{"message":"Limit Exceeded"}"#);

fn of(kind: &str, properties: &Value) -> Value {
    json!({ "Type": format!("AWS::{kind}"), "Properties": properties })
}

/// An app with the key `{plan}-key-of-twenty-letters` in each of these plans, which hold for one stage each.
fn with_plans(app: App, plans: &[(&str, &str, Value)]) -> App {
    plans.iter().fold(app, |app, (name, stage, limits)| {
        let mut plan =
            json!({ "ApiStages": [{ "ApiId": { "Ref": "Api" }, "Stage": { "Ref": stage } }] });
        for (name, value) in limits.as_object().into_iter().flatten() {
            plan[name] = value.clone();
        }
        let key = json!({ "Value": value_of(name), "Enabled": true });
        let join = json!({ "KeyType": "API_KEY", "KeyId": { "Ref": format!("Key{name}") },
            "UsagePlanId": { "Ref": format!("Plan{name}") } });
        app.resource(&format!("Key{name}"), of("ApiGateway::ApiKey", &key))
            .resource(&format!("Plan{name}"), of("ApiGateway::UsagePlan", &plan))
            .resource(&format!("Join{name}"), of("ApiGateway::UsagePlanKey", &join))
    })
}

fn value_of(name: &str) -> String {
    format!("{name}-key-of-twenty-letters")
}

/// Writes the template with more properties for some resources.
fn template(app: &App, changes: &[(&str, Value)]) -> PathBuf {
    let path = app.template();
    let mut text: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for (id, more) in changes {
        for (name, value) in more.as_object().into_iter().flatten() {
            text["Resources"][*id]["Properties"][name] = value.clone();
        }
    }
    std::fs::write(&path, text.to_string()).unwrap();
    path
}

fn answer(stillwire: &Stillwire, stage: &str, headers: &[(&str, &str)]) -> (u16, String) {
    match stillwire.try_connect(stage, headers) {
        Ok(_) => (101, String::new()),
        Err(refused) => (refused.status, refused.body),
    }
}

fn assert_answer(found: &(u16, String), expected: (u16, &str)) {
    assert_eq!((found.0, found.1.as_str()), expected);
}

fn required() -> (&'static str, Value) {
    ("Routeconnect", json!({ "ApiKeyRequired": true }))
}

#[test]
fn only_an_enabled_key_of_a_plan_of_the_stage_opens_it() {
    let other = json!({ "ApiId": { "Ref": "Api" }, "StageName": "other", "AutoDeploy": true });
    let app = App::new()
        .function("all", CODE)
        .route("$connect", "all")
        .two_way_route("$default", "all")
        .resource("Other", of("ApiGatewayV2::Stage", &other));
    let plans =
        [("mine", "Stage", json!({})), ("other", "Other", json!({})), ("off", "Stage", json!({}))];
    let app = with_plans(app, &plans).resource(
        "KeyLoose",
        of("ApiGateway::ApiKey", &json!({ "Value": value_of("loose"), "Enabled": true })),
    );
    let log = json!({ "AccessLogSettings": { "DestinationArn": "arn:x:log-group:keys",
        "Format": "$context.requestId $context.status $context.identity.apiKey $context.error.responseType" } });
    let off = json!({ "Enabled": false });
    let path = template(&app, &[required(), ("Keyoff", off), ("Stage", log)]);
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("state");
    let arguments = ["--data-dir", folder.to_str().unwrap()];
    let stillwire = Stillwire::dev_with(PROGRAM, &path, &arguments);

    assert_answer(&answer(&stillwire, "test", &[]), FORBIDDEN);
    for wrong in ["", "nonsense", &value_of("off"), &value_of("other"), &value_of("loose")] {
        assert_answer(&answer(&stillwire, "test", &[("x-api-key", wrong)]), FORBIDDEN);
    }
    assert_answer(&answer(&stillwire, "other", &[("X-API-Key", &value_of("mine"))]), FORBIDDEN);
    assert_eq!(answer(&stillwire, "other", &[("X-API-Key", &value_of("other"))]).0, 101);

    let key = value_of("mine");
    let mut client = stillwire.try_connect("test", &[("x-api-key", &key)]).unwrap();
    let said = client.ask("who am I?");
    assert_eq!(said[0], json!(key));
    assert_eq!(said[1].as_str().map(str::len), Some(10), "{said}");
    let lines = lines_of(&folder.join("access-logs/keys.log"), 8);
    assert_eq!(lines.iter().filter(|line| line.as_str() == "403 - INVALID_API_KEY").count(), 6);
    assert_eq!(lines.iter().filter(|line| **line == format!("200 {key} -")).count(), 2);
}

/// The lines of an access log without their request ids, once there are so many.
fn lines_of(path: &Path, count: usize) -> Vec<String> {
    eventually("the lines", || {
        let text = std::fs::read_to_string(path).ok()?;
        let lines = text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned());
        Some(lines.collect::<Vec<_>>()).filter(|lines| lines.len() == count)
    })
}

#[test]
fn an_authorizer_can_name_the_key() {
    let app = App::new()
        .function("all", CODE)
        .function("gate", GATE)
        .authorized_connect("all", "gate")
        .two_way_route("$default", "all");
    let app = with_plans(app, &[("mine", "Stage", json!({}))]);
    let source = json!({ "ApiKeySelectionExpression": "$context.authorizer.usageIdentifierKey" });
    let path = template(&app, &[required(), ("Api", source)]);
    let stillwire = Stillwire::dev(PROGRAM, &path);
    let key = value_of("mine");
    let header = ("x-api-key", key.as_str());
    assert_answer(&answer(&stillwire, "test", &[("Authorization", "nonsense"), header]), FORBIDDEN);
    assert_eq!(answer(&stillwire, "test", &[header]).0, 401, "the authorizer comes first");
    let mut client = stillwire.try_connect("test", &[("Authorization", &key)]).unwrap();
    assert_eq!(client.ask("who am I?")[0], json!(key));
}

#[test]
fn a_key_in_the_header_comes_before_the_authorizer() {
    let app = App::new()
        .function("all", CODE)
        .function("gate", GATE)
        .authorized_connect("all", "gate")
        .two_way_route("$default", "all");
    let app = with_plans(app, &[("mine", "Stage", json!({}))]);
    let stillwire = Stillwire::dev(PROGRAM, &template(&app, &[required()]));
    let key = value_of("mine");
    assert_answer(&answer(&stillwire, "test", &[]), FORBIDDEN);
    assert_answer(&answer(&stillwire, "test", &[("Authorization", &key)]), FORBIDDEN);
    assert_eq!(answer(&stillwire, "test", &[("x-api-key", &key)]).0, 401);
    let headers = [("Authorization", "nonsense"), ("x-api-key", key.as_str())];
    assert_eq!(answer(&stillwire, "test", &headers).0, 101, "only one of them names the key");
}

#[test]
fn a_key_without_a_value_gets_one_that_is_shown() {
    let app = App::new().function("all", CODE).route("$connect", "all").route("$default", "all");
    let app = with_plans(app, &[("mine", "Stage", json!({}))]);
    let path = template(&app, &[required(), ("Keymine", json!({ "Value": null }))]);
    let output = Stillwire::command(PROGRAM).args(["check"]).arg(&path).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let (_, shown) = said.split_once("here it is ").unwrap();
    let key = shown.split_whitespace().next().unwrap();
    let stillwire = Stillwire::dev(PROGRAM, &path);
    assert_eq!(answer(&stillwire, "test", &[("x-api-key", key)]).0, 101);
    assert_answer(&answer(&stillwire, "test", &[("x-api-key", &value_of("mine"))]), FORBIDDEN);
}

#[test]
fn a_key_is_used_as_fast_and_as_often_as_its_plan_says() {
    let app = App::new().function("all", CODE).route("$default", "all");
    let route =
        json!({ "ApiId": { "Ref": "Api" }, "RouteKey": "$connect", "ApiKeyRequired": true });
    let plans = [
        ("fast", "Stage", json!({ "Throttle": { "RateLimit": 0.01, "BurstLimit": 2 } })),
        ("often", "Stage", json!({ "Quota": { "Limit": 3, "Period": "MONTH", "Offset": 2 } })),
    ];
    let app = with_plans(app, &plans).resource("Connect", of("ApiGatewayV2::Route", &route));
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    for (name, uses, refused) in [("fast", 2, TOO_MANY), ("often", 3, EXCEEDED)] {
        for _ in 0..uses {
            assert_eq!(answer(&stillwire, "test", &[("x-api-key", &value_of(name))]).0, 101);
        }
        for _ in 0..2 {
            assert_answer(&answer(&stillwire, "test", &[("x-api-key", &value_of(name))]), refused);
        }
    }
}

#[test]
fn mistakes_of_keys_and_plans_are_told_with_their_place() {
    let app = App::new().function("all", CODE).route("$connect", "all").route("$default", "all");
    let app = with_plans(app, &[("a", "Stage", json!({})), ("b", "Stage", json!({}))]);
    let check = |changes: &[(&str, Value)]| {
        let path = template(&app, changes);
        let output = Stillwire::command(PROGRAM).args(["check"]).arg(path).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    for (id, change, message) in [
        (
            "Api",
            json!({ "ApiKeySelectionExpression": "$request.body.key" }),
            "where keys come from",
        ),
        ("Keya", json!({ "Value": "short" }), "5 characters"),
        ("Keyb", json!({ "Value": value_of("a") }), "another API key has this value"),
        ("Plana", json!({ "Quota": { "Limit": 1, "Period": "DAY", "Offset": 1 } }), "must be zero"),
        ("Plana", json!({ "Quota": { "Period": "DAY" } }), "whole numbers"),
        ("Plana", json!({ "Throttle": { "RateLimit": -1 } }), "RateLimit and BurstLimit"),
        ("Joinb", json!({ "KeyId": { "Ref": "Keya" } }), "another usage plan of the stage"),
    ] {
        let (passed, said) = check(&[(id, change)]);
        assert!(!passed && said.contains(message) && said.contains(id), "{said}");
    }
    for (id, change, message) in [
        ("Keya", json!({ "Value": null }), "AWS makes up this API key; here it is"),
        ("Keya", json!({ "Enabled": null }), "without Enabled it is disabled"),
        ("Plana", json!({ "ApiStages": [{ "ApiId": "x", "Stage": "y" }] }), "no stage that runs"),
        ("Joina", json!({ "KeyId": "elsewhere" }), "is not in these stacks"),
        ("Routedefault", json!({ "ApiKeyRequired": true }), "API keys have no effect on $default"),
    ] {
        let (passed, said) = check(&[(id, change)]);
        assert!(passed && said.contains(message) && said.contains(id), "{said}");
    }
    let source = json!({ "ApiKeySelectionExpression": "$context.authorizer.usageIdentifierKey" });
    let (passed, said) = check(&[("Api", source), required()]);
    assert!(passed && said.contains("nobody gets in"), "{said}");
}
