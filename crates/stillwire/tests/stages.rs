//! What stages say: how many requests pass, and what is written about each.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]

use serde_json::{Value, json};
use stillwire_testkit::{App, Stillwire, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const CODE: &str = r#"
def handler(event, context):
    if event.get("body") == "raise":
        raise ValueError("oops")
    return {"statusCode": 200, "body": event.get("body") or "hello"}
"#;

const GATE: &str = r#"
def handler(event, context):
    effect = "Allow" if event["headers"]["Authorization"] == "ada" else "Deny"
    return {"principalId": "ada", "context": {"tenant": "acme"}, "policyDocument": {"Version": "2012-10-17",
        "Statement": [{"Action": "execute-api:Invoke", "Effect": effect, "Resource": event["methodArn"]}]}}
"#;

fn stage(properties: &Value) -> Value {
    let mut stage = json!({ "ApiId": { "Ref": "Api" }, "StageName": "test", "AutoDeploy": true });
    for (name, value) in properties.as_object().into_iter().flatten() {
        stage[name] = value.clone();
    }
    json!({ "Type": "AWS::ApiGatewayV2::Stage", "Properties": stage })
}

#[test]
fn a_stage_lets_as_many_requests_pass_as_it_says() {
    let app = App::new()
        .function("all", CODE)
        .route("$connect", "all")
        .two_way_route("$default", "all")
        .two_way_route("free", "all")
        .resource(
            "Stage",
            stage(&json!({
                "DefaultRouteSettings": { "ThrottlingRateLimit": 0.01, "ThrottlingBurstLimit": 2 },
                "RouteSettings": { "free": { "ThrottlingRateLimit": 1000, "ThrottlingBurstLimit": 1000 } },
            })),
        );
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let mut clients = [stillwire.connect(), stillwire.connect()];
    let refused = stillwire.try_connect("test", &[]).expect_err("the burst is used up");
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (429, r#"{"message":"Too Many Requests"}"#)
    );
    for client in &mut clients {
        client.send("hi");
        assert_eq!(client.text(), "hi");
    }
    let frame = clients[0].ask("once more");
    assert_eq!(frame["message"], "Too Many Requests");
    for _ in 0..10 {
        clients[1].send(r#"{"action":"free"}"#);
        assert_eq!(clients[1].text(), r#"{"action":"free"}"#);
    }
}

#[test]
fn every_request_has_its_line_in_the_access_log() {
    let format = r#"{"type":"$context.eventType","route":"$context.routeKey","status":"$context.status","connection":"$context.connectionId","request":"$context.requestId","ip":"$context.identity.sourceIp","user":"$context.authorizer.principalId","tenant":"$context.authorizer.tenant","gate":"$context.authorizer.status","error":"$context.error.message","kind":"$context.error.responseType","function":"$context.integration.status","stage":"$context.stage","caller":"$context.identity.caller"}"#;
    let app = App::new()
        .function("all", CODE)
        .function("gate", GATE)
        .authorized_connect("all", "gate")
        .route("$default", "all")
        .route("$disconnect", "all")
        .resource(
            "Stage",
            stage(&json!({ "AccessLogSettings": {
                "DestinationArn": "arn:aws:logs:us-east-1:123456789012:log-group:/ws/access:*",
                "Format": format,
            } })),
        );
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("state");
    let arguments = ["--data-dir", folder.to_str().unwrap()];
    let stillwire = Stillwire::dev_with(PROGRAM, &app.template(), &arguments);
    assert!(stillwire.try_connect("test", &[("Authorization", "eve")]).is_err());
    let mut client = stillwire.try_connect("test", &[("Authorization", "ada")]).unwrap();
    client.send("fine");
    let frame = client.ask("raise");
    client.close(Some((1000, "done")));
    let lines = eventually("five lines", || {
        let text = std::fs::read_to_string(folder.join("access-logs/ws-access.log")).ok()?;
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines.len() == 5).then_some(lines)
    });
    let shown = |line: &Value| {
        let members =
            ["type", "route", "status", "user", "tenant", "gate", "error", "kind", "function"];
        members.map(|name| line[name].as_str().unwrap().to_owned()).join(" ")
    };
    let mut shown: Vec<_> = lines.iter().map(shown).collect();
    shown.sort();
    assert_eq!(
        shown,
        [
            "CONNECT $connect 200 ada acme 200 - - 200",
            "CONNECT $connect 403 - - 403 - - -",
            "DISCONNECT $disconnect 200 ada acme - - - -",
            "MESSAGE $default 200 ada acme - - - 200",
            "MESSAGE $default 502 ada acme - Internal server error INTEGRATION_FAILURE -",
        ]
    );
    let failed = lines.iter().find(|line| line["status"] == "502").unwrap();
    assert_eq!(
        (&failed["request"], &failed["connection"]),
        (&frame["requestId"], &frame["connectionId"])
    );
    assert!(
        lines.iter().all(|line| line["stage"] == "test"
            && line["ip"] == "127.0.0.1"
            && line["caller"] == "-")
    );
}

#[test]
fn a_format_with_a_variable_that_does_not_exist_is_refused() {
    let app = App::new().function("all", CODE).route("$default", "all").resource(
        "Stage",
        stage(&json!({ "AccessLogSettings": { "DestinationArn": "arn:x:log-group:g",
            "Format": "$context.requestId $context.nonsense" } })),
    );
    let output = Stillwire::command(PROGRAM).args(["check"]).arg(app.template()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    let text = "The following context variables are not supported: [$context.nonsense]";
    assert!(said.contains(text) && said.contains("AccessLogSettings"), "{said}");
}

#[test]
fn a_message_that_is_not_what_its_model_says_is_refused_and_not_handled() {
    let model = |name: &str, schema: Value| {
        json!({ "Type": "AWS::ApiGatewayV2::Model", "Properties": {
            "ApiId": { "Ref": "Api" }, "Name": name, "ContentType": "application/json", "Schema": schema } })
    };
    let app = App::new()
        .function("all", CODE)
        .two_way_route("$default", "all")
        .two_way_route("strict", "all")
        .route("$connect", "all")
        .resource(
            "ModelChat",
            model(
                "Chat",
                json!({ "type": "object", "required": ["text"],
            "properties": { "text": { "type": "string", "maxLength": 10 } } }),
            ),
        );
    let template = app.template();
    let mut text: Value =
        serde_json::from_str(&std::fs::read_to_string(&template).unwrap()).unwrap();
    let routes = text["Resources"].as_object_mut().unwrap();
    for (_, resource) in
        routes.iter_mut().filter(|(_, resource)| resource["Type"] == "AWS::ApiGatewayV2::Route")
    {
        let properties = &mut resource["Properties"];
        match properties["RouteKey"].as_str() {
            Some("$default") => {
                properties["ModelSelectionExpression"] = json!("$request.body.kind");
                properties["RequestModels"] = json!({ "chat": "Chat" });
            }
            Some("$connect") => {
                properties["RequestParameters"] =
                    json!({ "route.request.querystring.token": { "Required": true } });
            }
            _ => {}
        }
    }
    std::fs::write(&template, text.to_string()).unwrap();
    let stillwire = Stillwire::dev(PROGRAM, &template);
    assert_eq!(stillwire.try_connect("test", &[]).unwrap_err().status, 400);
    let url = stillwire.url("test", "ws") + "?token=x";
    let mut client = stillwire_testkit::Client::open(&url, &[]).unwrap();
    client.send(r#"{"kind":"chat","text":"hi"}"#);
    assert_eq!(client.text(), r#"{"kind":"chat","text":"hi"}"#);
    for wrong in [
        r#"{"kind":"chat"}"#,
        r#"{"kind":"chat","text":5}"#,
        r#"{"kind":"chat","text":"far too long"}"#,
        r#"{"kind":"other","text":"hi"}"#,
        "not JSON",
    ] {
        let frame = client.ask(wrong);
        assert_eq!(frame["message"], "Bad request body", "{wrong}");
        assert!(frame["messageId"].is_string() && frame["requestId"].is_string(), "{frame}");
    }
    client.send(r#"{"action":"strict","anything":true}"#);
    assert_eq!(
        client.text(),
        r#"{"action":"strict","anything":true}"#,
        "a route without an expression validates nothing"
    );
}
