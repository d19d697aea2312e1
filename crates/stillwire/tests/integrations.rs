//! Integrations that are no proxied function: mocks, HTTP backends, actions of services, functions with templates.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test says what went wrong by panicking"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stillwire_testkit::{App, Stillwire};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// A request that a backend got.
#[derive(Debug)]
struct Got {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A backend that tells what it got. Its answer has the status that stands in the path (`/404`), or 200.
struct Backend {
    port: u16,
    got: Receiver<Got>,
}

impl Backend {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, got) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    while let Some(got) = serve(&stream) {
                        if sender.send(got).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, got }
    }

    fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    fn got(&self) -> Got {
        self.got.recv_timeout(Duration::from_secs(10)).expect("the backend is asked")
    }

    fn is_not_asked(&self) -> bool {
        self.got.try_recv().is_err()
    }
}

fn serve(stream: &TcpStream) -> Option<Got> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let got = Got { line: line.trim_end().to_owned(), headers, body: String::new() };
    let length = got.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = got.line.split(' ').nth(1)?.split('?').next()?.trim_start_matches('/').to_owned();
    let status = path.parse().unwrap_or(200);
    if path == "slow" {
        std::thread::sleep(Duration::from_secs(2));
    }
    let answer = format!(r#"{{"status":{status},"said":"hello"}}"#);
    let mut out = stream;
    write!(
        out,
        "HTTP/1.1 {status} Some\r\nContent-Length: {}\r\nX-Kind: odd\r\nContent-Type: application/json\r\n\r\n{answer}",
        answer.len()
    )
    .ok()?;
    Some(Got { body: String::from_utf8(body).unwrap(), ..got })
}

/// A route to an integration with these properties; two-way with a route response.
fn with_route(app: App, key: &str, integration: &Value) -> App {
    let id = key.trim_start_matches('$').to_owned();
    let resource = |kind: &str, properties: Value| json!({ "Type": format!("AWS::ApiGatewayV2::{kind}"), "Properties": properties });
    let mut properties = json!({ "ApiId": { "Ref": "Api" } });
    for (name, value) in integration.as_object().unwrap() {
        properties[name] = value.clone();
    }
    app.resource(&format!("I{id}"), resource("Integration", properties))
        .resource(
            &format!("R{id}"),
            resource(
                "Route",
                json!({ "ApiId": { "Ref": "Api" }, "RouteKey": key,
                "Target": { "Fn::Join": ["/", ["integrations", { "Ref": format!("I{id}") }]] } }),
            ),
        )
        .resource(
            &format!("RR{id}"),
            resource(
                "RouteResponse",
                json!({ "ApiId": { "Ref": "Api" },
                "RouteId": { "Ref": format!("R{id}") }, "RouteResponseKey": "$default" }),
            ),
        )
}

/// An integration response of a route's integration.
fn with_response(app: App, key: &str, number: usize, response: &str, more: &Value) -> App {
    let mut properties = json!({ "ApiId": { "Ref": "Api" }, "IntegrationId": { "Ref": format!("I{key}") },
        "IntegrationResponseKey": response });
    for (name, value) in more.as_object().unwrap() {
        properties[name] = value.clone();
    }
    app.resource(
        &format!("IR{key}{number}"),
        json!({ "Type": "AWS::ApiGatewayV2::IntegrationResponse", "Properties": properties }),
    )
}

fn message(stillwire: &Stillwire, text: &str) -> String {
    let mut client = stillwire.connect();
    client.send(text);
    client.text()
}

#[test]
fn a_mock_answers_by_itself_and_decides_about_a_handshake() {
    let mock = |template: &str| {
        json!({ "IntegrationType": "MOCK", "IntegrationUri": "",
        "TemplateSelectionExpression": "\\$default", "RequestTemplates": { "$default": template } })
    };
    let app = with_route(App::new(), "ping", &mock(r#"{"statusCode":200}"#));
    let app = with_response(
        app,
        "ping",
        0,
        "/2\\d\\d/",
        &json!({ "ResponseTemplates": {
        "$default": r#"{"pong":"$context.connectionId","at":$context.connectedAt}"# } }),
    );
    // As the CDK makes it: the template under another key, and no integration response.
    let connect = json!({ "IntegrationType": "MOCK", "IntegrationUri": "",
        "TemplateSelectionExpression": "\\$default", "RequestTemplates": { "application/json":
            "#if($input.params('who') == 'eve'){\"statusCode\":403}#else{\"statusCode\":200}#end" } });
    let app = with_route(app, "$connect", &connect);
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let mut client = stillwire.connect();
    let pong = client.ask(r#"{"action":"ping"}"#);
    assert_eq!(pong["pong"].as_str().unwrap().len(), 16);
    assert!(pong["at"].as_u64().unwrap() > 1_700_000_000_000);
    let url = stillwire.url("test", "ws") + "?who=eve";
    assert_eq!(stillwire_testkit::Client::open(&url, &[]).unwrap_err().status, 403);
}

#[test]
fn an_http_proxy_gets_the_message_as_it_is_and_its_answer_goes_back() {
    let backend = Backend::start();
    let integration = |path: &str| {
        json!({ "IntegrationType": "HTTP_PROXY", "IntegrationMethod": "POST",
        "IntegrationUri": backend.url(path),
        "RequestParameters": {
            "integration.request.header.connectionId": "context.connectionId",
            "integration.request.header.x-static": "'fixed value'",
            "integration.request.querystring.room": "route.request.body.room",
            "integration.request.path.user": "route.request.body.user" } })
    };
    let app = with_route(App::new(), "chat", &integration("/rooms/{user}?a=1"));
    let app = with_route(app, "missing", &integration("/404"));
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let text = r#"{ "action": "chat", "room": "a b&c", "user": "../../etc" }"#;
    assert_eq!(message(&stillwire, text), r#"{"status":200,"said":"hello"}"#);
    let got = backend.got();
    assert_eq!(got.line, "POST /rooms/..%2F..%2Fetc?a=1&room=a%20b%26c HTTP/1.1");
    assert_eq!(got.body, text);
    assert_eq!(got.header("connectionId").unwrap().len(), 16);
    assert_eq!(got.header("x-static"), Some("fixed value"));
    assert_eq!(got.header("content-type"), Some("application/json"));
    assert!(got.header("user-agent").unwrap().starts_with("AmazonAPIGateway_"));
    // The backend's status is not the client's business.
    assert_eq!(message(&stillwire, r#"{"action":"missing"}"#), r#"{"status":404,"said":"hello"}"#);
}

#[test]
fn an_http_backend_decides_about_a_handshake_and_hears_its_headers() {
    let backend = Backend::start();
    let app = with_route(
        App::new(),
        "$connect",
        &json!({ "IntegrationType": "HTTP_PROXY",
        "IntegrationMethod": "POST", "IntegrationUri": backend.url("/${stageVariables.path}") }),
    );
    let app = app.resource("Stage", json!({ "Type": "AWS::ApiGatewayV2::Stage", "Properties": {
        "ApiId": { "Ref": "Api" }, "StageName": "test", "AutoDeploy": true, "StageVariables": { "path": "200" } } }))
        .resource("Other", json!({ "Type": "AWS::ApiGatewayV2::Stage", "Properties": {
        "ApiId": { "Ref": "Api" }, "StageName": "other", "AutoDeploy": true, "StageVariables": { "path": "418" } } }))
        .resource("Third", json!({ "Type": "AWS::ApiGatewayV2::Stage", "Properties": {
        "ApiId": { "Ref": "Api" }, "StageName": "third", "AutoDeploy": true } }));
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    drop(stillwire.try_connect("test", &[("X-Token", "abc")]).unwrap());
    let got = backend.got();
    assert_eq!((got.header("x-token"), got.body.as_str()), (Some("abc"), ""));
    assert_eq!(got.header("upgrade"), None);
    assert_eq!(stillwire.try_connect("other", &[]).unwrap_err().status, 418);
    backend.got();
    assert_eq!(stillwire.try_connect("third", &[]).unwrap_err().status, 500);
    assert!(backend.is_not_asked(), "a stage without the variable has no address");
}

#[test]
fn templates_make_the_request_and_the_answer() {
    let backend = Backend::start();
    let integration = |path: &str| {
        json!({ "IntegrationType": "HTTP", "IntegrationMethod": "PUT",
        "IntegrationUri": backend.url(path), "TemplateSelectionExpression": "${request.body.kind}",
        "RequestTemplates": {
            "order": r##"{"items":[#foreach($item in $input.path('$.items'))"$item.id"#if($foreach.hasNext),#end#end],"who":"$context.connectionId","stage":"$context.stage"}"##,
            "$default": "plain $input.json('$.text') $util.urlEncode($input.path('$.text'))" } })
    };
    let app = with_route(App::new(), "send", &integration("/200"));
    let app = with_response(
        app,
        "send",
        0,
        "$default",
        &json!({ "ResponseTemplates": { "$default": "whatever" } }),
    );
    let app = with_response(
        app,
        "send",
        1,
        "/2\\d\\d/",
        &json!({
        "TemplateSelectionExpression": "${integration.response.header.x-kind}",
        "ResponseTemplates": { "odd": "odd: $input.path('$.said') from $context.routeKey", "$default": "even" } }),
    );
    let app = with_route(app, "fail", &integration("/503"));
    let app = with_response(app, "fail", 0, "/4\\d\\d/", &json!({}));
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let order = r#"{"action":"send","kind":"order","items":[{"id":"a"},{"id":"b"}]}"#;
    assert_eq!(message(&stillwire, order), "odd: hello from send");
    let got = backend.got();
    assert!(got.line.starts_with("PUT /200"), "{}", got.line);
    let body: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!((&body["items"], &body["stage"]), (&json!(["a", "b"]), &json!("test")));
    message(&stillwire, r#"{"action":"send","kind":"?","text":"a b"}"#);
    assert_eq!(backend.got().body, r#"plain "a b" a+b"#);
    let frame: Value = serde_json::from_str(&message(&stillwire, r#"{"action":"fail"}"#)).unwrap();
    assert_eq!(
        frame["message"], "Internal server error",
        "no response is for 503, and there is no $default"
    );
}

#[test]
fn a_message_without_a_template_passes_only_where_it_may() {
    let backend = Backend::start();
    let integration = |passthrough: &str| {
        json!({ "IntegrationType": "HTTP", "IntegrationMethod": "POST",
        "IntegrationUri": backend.url("/200"), "PassthroughBehavior": passthrough,
        "TemplateSelectionExpression": "${request.body.kind}", "RequestTemplates": { "known": "x" } })
    };
    let app = with_route(App::new(), "never", &integration("NEVER"));
    let app = with_route(app, "some", &integration("WHEN_NO_TEMPLATES"));
    let app = with_route(app, "any", &integration("WHEN_NO_MATCH"));
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    for key in ["never", "some"] {
        let frame = message(&stillwire, &format!(r#"{{"action":"{key}"}}"#));
        assert!(frame.starts_with(r#"{"message": "Unsupported media type""#), "{frame}");
    }
    assert!(backend.is_not_asked());
    message(&stillwire, r#"{"action":"any"}"#);
    assert_eq!(backend.got().body, r#"{"action":"any"}"#);
}

#[test]
fn a_backend_that_is_slow_or_not_there_is_told_to_the_client() {
    let backend = Backend::start();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let app = with_route(
        App::new(),
        "slow",
        &json!({ "IntegrationType": "HTTP_PROXY", "IntegrationMethod": "GET",
        "IntegrationUri": backend.url("/slow"), "TimeoutInMillis": 200 }),
    );
    let app = with_route(
        app,
        "gone",
        &json!({ "IntegrationType": "HTTP_PROXY", "IntegrationMethod": "GET",
        "IntegrationUri": format!("http://localhost:{gone}/") }),
    );
    let app = with_route(
        app,
        "metadata",
        &json!({ "IntegrationType": "HTTP_PROXY", "IntegrationMethod": "GET",
        "IntegrationUri": "http://169.254.169.254/latest/meta-data/" }),
    );
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let began = Instant::now();
    for (key, expected) in [
        ("slow", "Endpoint request timed out"),
        ("gone", "Internal server error"),
        ("metadata", "Internal server error"),
    ] {
        let frame: Value =
            serde_json::from_str(&message(&stillwire, &format!(r#"{{"action":"{key}"}}"#)))
                .unwrap();
        assert_eq!(frame["message"], expected, "{key}");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    stillwire.wait_for_log("which integrations may not reach");
}

#[test]
fn a_table_is_written_without_a_function() {
    let table = json!({ "Type": "AWS::DynamoDB::Table", "Properties": { "TableName": "Connections",
        "BillingMode": "PAY_PER_REQUEST", "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }] } });
    let action = |name: &str, template: &str| {
        json!({ "IntegrationType": "AWS", "IntegrationMethod": "POST",
        "IntegrationUri": format!("arn:aws:apigateway:us-east-1:dynamodb:action/{name}"),
        "CredentialsArn": "arn:aws:iam::111122223333:role/any",
        "RequestTemplates": { "$default": template }, "TemplateSelectionExpression": "\\$default" })
    };
    let app = App::new().resource("Table", table);
    let app = with_route(
        app,
        "$connect",
        &action(
            "PutItem",
            r#"{"TableName":"Connections","Item":{"id":{"S":"$context.connectionId"},"user":{"S":"$input.params('user')"}}}"#,
        ),
    );
    let app = with_response(app, "connect", 0, "$default", &json!({}));
    let app = with_route(
        app,
        "who",
        &action(
            "GetItem",
            r#"{"TableName":"Connections","Key":{"id":{"S":"$context.connectionId"}}}"#,
        ),
    );
    let app = with_response(
        app,
        "who",
        0,
        "$default",
        &json!({ "ResponseTemplates": { "$default": "you are $input.path('$.Item.user.S')" } }),
    );
    let app = with_route(
        app,
        "wrong",
        &action("GetItem", r#"{"TableName":"Nowhere","Key":{"id":{"S":"x"}}}"#),
    );
    let app = with_response(
        app,
        "wrong",
        0,
        "/4\\d\\d/",
        &json!({ "ResponseTemplates": { "$default": "refused" } }),
    );
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let url = stillwire.url("test", "ws") + "?user=ada";
    let mut client = stillwire_testkit::Client::open(&url, &[]).unwrap();
    client.send(r#"{"action":"who"}"#);
    assert_eq!(client.text(), "you are ada");
    client.send(r#"{"action":"wrong"}"#);
    assert_eq!(client.text(), "refused");
}

#[test]
fn a_service_that_runs_elsewhere_is_asked_there_signed_and_without_one_the_reason_is_told() {
    let backend = Backend::start();
    let send = json!({ "IntegrationType": "AWS", "IntegrationMethod": "POST", "PassthroughBehavior": "NEVER",
        "IntegrationUri": "arn:aws:apigateway:eu-west-1:sqs:path/111122223333/inbox",
        "RequestParameters": { "integration.request.header.Content-Type": "'application/x-www-form-urlencoded'" },
        "RequestTemplates": { "$default": "Action=SendMessage&MessageBody=$util.urlEncode($input.body)" } });
    let start = json!({ "IntegrationType": "AWS", "IntegrationMethod": "POST",
        "IntegrationUri": "arn:aws:apigateway:eu-west-1:states:action/StartExecution" });
    let app = with_route(App::new(), "queue", &send);
    let app = with_route(app, "start", &start);
    let mut command = Stillwire::command(PROGRAM);
    command.args(["dev", "--in-memory", "--port", "0"]).arg(app.template());
    command.env("AWS_ENDPOINT_URL_SQS", backend.url(""));
    let stillwire = Stillwire::start(command);
    message(&stillwire, r#"{"action":"queue"}"#);
    let got = backend.got();
    assert_eq!(got.line, "POST /111122223333/inbox HTTP/1.1");
    assert_eq!(got.body, "Action=SendMessage&MessageBody=%7B%22action%22%3A%22queue%22%7D");
    assert_eq!(got.header("content-type"), Some("application/x-www-form-urlencoded"));
    let authorization = got.header("authorization").unwrap();
    assert!(authorization.contains("/eu-west-1/sqs/aws4_request"), "{authorization}");
    let frame = message(&stillwire, r#"{"action":"start"}"#);
    assert!(frame.contains("Internal server error"), "{frame}");
    stillwire.wait_for_log("name an endpoint with AWS_ENDPOINT_URL_SFN");
}

#[test]
fn a_template_that_cannot_be_read_is_found_before_the_first_message() {
    let app = with_route(
        App::new(),
        "ping",
        &json!({ "IntegrationType": "MOCK", "IntegrationUri": "",
        "RequestTemplates": { "$default": "{\"statusCode\":200}\n#if($x" } }),
    );
    let output = Stillwire::command(PROGRAM).args(["check"]).arg(app.template()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for text in ["Iping", "RequestTemplates", "line 2"] {
        assert!(said.contains(text), "{text:?} is not in\n{said}");
    }
}

#[test]
fn a_stage_chooses_the_function_by_a_variable() {
    let app = App::new()
        .function_with(
            "blue",
            "def handler(event, context): return {'statusCode': 200, 'body': 'blue'}",
            &json!({ "FunctionName": "app-blue" }),
        )
        .function_with(
            "green",
            "def handler(event, context): return {'statusCode': 200, 'body': 'green'}",
            &json!({ "FunctionName": "app-green" }),
        );
    let stage = |name: &str, colour: &str| {
        json!({ "Type": "AWS::ApiGatewayV2::Stage", "Properties": {
        "ApiId": { "Ref": "Api" }, "StageName": name, "AutoDeploy": true, "StageVariables": { "colour": colour } } })
    };
    let app = with_route(app, "$default", &json!({ "IntegrationType": "AWS_PROXY", "IntegrationUri": { "Fn::Join": ["", [
        "arn:aws:apigateway:", { "Ref": "AWS::Region" }, ":lambda:path/2015-03-31/functions/arn:aws:lambda:",
        { "Ref": "AWS::Region" }, ":", { "Ref": "AWS::AccountId" }, ":function:app-${stageVariables.colour}/invocations"]] } }))
        .resource("Stage", stage("test", "blue"))
        .resource("Other", stage("other", "green"));
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    for (stage, colour) in [("test", "blue"), ("other", "green")] {
        let mut client = stillwire.try_connect(stage, &[]).unwrap();
        client.send("hi");
        assert_eq!(client.text(), colour);
    }
}
