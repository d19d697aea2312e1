//! `@connections`, from outside and from functions, and the other services that a function may call.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]
#![allow(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stillwire_testkit::{App, Client, Got, Stillwire, raw, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// Each action is one way in which handlers find the management API.
const HANDLER: &str = r#"
import json, os, time
import boto3

def outcome(call, **arguments):
    try:
        call(**arguments)
        return "ok"
    except Exception as error:
        return type(error).__name__ + ": " + str(error)

def gateway(request, way):
    if way == "variable":
        url = os.environ["API_GATEWAY_URL"].replace("wss://", "https://", 1)
    elif way == "domain":
        url = "https://" + request["domainName"] + "/" + request["stage"]
    elif way == "literal":
        region = os.environ["AWS_REGION"]
        url = f"https://{request['apiId']}.execute-api.{region}.amazonaws.com/{request['stage']}"
    elif way == "callback":
        url = os.environ["CALLBACK_URL"]
    else:
        return boto3.client("apigatewaymanagementapi")
    return boto3.client("apigatewaymanagementapi", endpoint_url=url)

def handler(event, context):
    request = event["requestContext"]
    id = request["connectionId"]
    if request["eventType"] == "CONNECT":
        if "probe" not in event["headers"]:
            return {"statusCode": 200}
        client = gateway(request, "domain")
        outcomes = [outcome(client.post_to_connection, ConnectionId=id, Data=b"x"),
                    outcome(client.get_connection, ConnectionId=id),
                    outcome(client.delete_connection, ConnectionId=id)]
        return {"statusCode": 200, "headers": {"outcomes": json.dumps(outcomes)}}
    way = json.loads(event["body"])["way"]
    if way in ("s3", "sqs"):
        began = time.monotonic()
        if way == "s3":
            text = outcome(boto3.client("s3").list_buckets)
        else:
            text = outcome(boto3.client("sqs").send_message, QueueUrl="http://ignored/1/queue", MessageBody="hello")
        return {"statusCode": 200, "body": json.dumps({"outcome": text, "seconds": time.monotonic() - began})}
    if way == "who":
        return {"statusCode": 200, "body": id}
    text = outcome(gateway(request, way).post_to_connection, ConnectionId=id, Data=("by " + way).encode())
    return {"statusCode": 200, "body": text} if text != "ok" else {"statusCode": 200}
"#;

fn app() -> App {
    let host = json!([{ "Ref": "Api" }, ".execute-api.", { "Ref": "AWS::Region" }, ".", { "Ref": "AWS::URLSuffix" }, "/test"]);
    let url = |scheme: &str| {
        let mut parts = vec![json!(scheme)];
        parts.extend(host.as_array().expect("a list").iter().cloned());
        json!({ "Fn::Join": ["", parts] })
    };
    let variables = json!({ "API_GATEWAY_URL": url("wss://"), "CALLBACK_URL": url("https://") });
    App::new()
        .function_with("all", HANDLER, &json!({ "Environment": { "Variables": variables } }))
        .route("$connect", "all")
        .two_way_route("$default", "all")
}

static STILLWIRE: LazyLock<Stillwire> = LazyLock::new(|| app().share(PROGRAM));

fn ask(client: &mut Client, way: &str) -> String {
    client.send(&json!({ "way": way }).to_string());
    client.text()
}

fn client() -> (Client, String) {
    let headers = [("User-Agent", "me")];
    let mut client = STILLWIRE.try_connect("test", &headers).expect("accepted");
    let id = ask(&mut client, "who");
    (client, id)
}

fn management(id: &str, case: &str) -> Value {
    let output = tools::python("management.py", &[&STILLWIRE.ready().to_string(), id, case]);
    serde_json::from_str(&output).expect("JSON")
}

#[test]
fn boto3_posts_gets_and_learns_what_is_wrong() {
    let (mut client, id) = client();
    let seen = management(&id, "live");
    let expected = json!({
        "https": 200, "http": 200, "slash": 200, "empty": 200, "most": 200,
        "too much": ["PayloadTooLargeException", 413, "Message too long: the limit is 131072 bytes"],
        "no text": ["ClientError", 400, "Data is not UTF-8 text, and this API sends text messages only"],
        "unknown": ["GoneException", 410, ""],
        "malformed": ["ClientError", 400, "Invalid connectionId: abc"],
        "wrong stage": ["ForbiddenException", 403, "Forbidden"],
        "datetimes": [true, true], "order": true,
        "identity": { "SourceIp": "127.0.0.1", "UserAgent": "me" },
    });
    assert_eq!(seen, expected);
    for text in ["by https é", "by http é", "a str", ""] {
        assert_eq!(client.text(), text);
    }
    assert_eq!(client.text().len(), 131_072);
}

#[test]
fn boto3_deletes_a_connection_once() {
    let (mut client, id) = client();
    let seen = management(&id, "delete");
    let gone = json!(["GoneException", 410, ""]);
    assert_eq!(seen, json!({ "delete": 204, "again": gone, "get": gone, "post": gone }));
    assert_eq!(client.receive(), Got::Close(1000, String::new()));
}

#[test]
fn both_spellings_of_a_path_reach_the_connection() {
    let (mut client, id) = client();
    let url = STILLWIRE.url("test", "http");
    let escaped = id.replace('=', "%3D");
    for path in [
        format!("/test/@connections/{id}"),
        format!("/test/@connections/{escaped}"),
        format!("/test/%40connections/{escaped}"),
    ] {
        let post = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
        );
        let answer = raw(&url, post.as_bytes());
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
        assert!(answer.header("x-amzn-requestid").is_some());
        assert_eq!(client.text(), "hi");
    }
    let unknown = raw(
        &url,
        b"GET /test/@connections/AAAAAAAAAAAAAAA= HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert_eq!((unknown.status, unknown.body.as_str()), (410, ""));
    assert_eq!(unknown.header("x-amzn-errortype"), Some("GoneException"));
    let put = format!(
        "PUT /test/@connections/{escaped} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let answer = raw(&url, put.as_bytes());
    assert_eq!(answer.status, 403);
    assert_eq!(answer.body, r#"{"message":"Missing Authentication Token"}"#);
}

#[test]
fn a_connection_is_gone_while_its_own_connect_runs() {
    let client = STILLWIRE.try_connect("test", &[("probe", "1")]).expect("accepted");
    let outcomes = client.answer.header("outcomes").expect("the outcomes");
    let outcomes: Vec<String> = serde_json::from_str(outcomes).expect("JSON");
    assert_eq!(outcomes.len(), 3);
    for outcome in outcomes {
        assert!(outcome.starts_with("GoneException: "), "{outcome}");
    }
}

#[test]
fn a_handler_finds_the_management_api_in_every_usual_way() {
    let (mut client, _) = client();
    for way in ["variable", "callback", "domain", "literal", "none"] {
        assert_eq!(ask(&mut client, way), format!("by {way}"));
    }
}

#[test]
fn a_service_that_is_not_served_is_an_error_that_says_what_to_do() {
    let (mut client, _) = client();
    for (service, variable) in [("s3", "AWS_ENDPOINT_URL_S3"), ("sqs", "AWS_ENDPOINT_URL_SQS")] {
        let answer: Value = serde_json::from_str(&ask(&mut client, service)).expect("JSON");
        let outcome = answer["outcome"].as_str().expect("a text");
        assert!(outcome.starts_with("ClientError: "), "{outcome}");
        let advice = format!("start Stillwire with {variable}=http://HOST:PORT");
        assert!(outcome.contains(&advice), "{outcome}");
        assert!(answer["seconds"].as_f64().expect("a number") < 3.0, "{answer}");
    }
}

/// A queue that takes one message; gives the request.
fn queue(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().expect("a function calls");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !String::from_utf8_lossy(&request).contains("hello") {
        let read = stream.read(&mut chunk).expect("the request");
        assert!(read > 0, "{}", String::from_utf8_lossy(&request));
        request.extend_from_slice(&chunk[..read]);
    }
    let body = r#"{"MD5OfMessageBody":"5d41402abc4b2a76b9719d911017c592","MessageId":"1"}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).expect("the answer");
    String::from_utf8_lossy(&request).into_owned()
}

#[test]
fn a_service_that_runs_elsewhere_is_reached_by_the_variable_of_the_sdks() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let app = app();
    let mut command = Stillwire::command(PROGRAM);
    command
        .args(["dev", "--port", "0", "--in-memory"])
        .arg(app.template())
        .env("AWS_ENDPOINT_URL_SQS", &url);
    let stillwire = Stillwire::start(command);
    let request = std::thread::spawn(move || queue(&listener));
    let mut client = stillwire.connect();
    let began = Instant::now();
    let answer: Value = serde_json::from_str(&ask(&mut client, "sqs")).expect("JSON");
    assert_eq!(answer["outcome"], "ok", "after {:?}", began.elapsed());
    assert!(request.join().expect("the queue").contains("hello"));
}
