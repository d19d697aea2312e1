//! The ways in which handlers find `@connections`, and the other services that a function may call.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]
#![allow(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stillwire_testkit::{App, Client, Stillwire};

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
    if request["eventType"] == "CONNECT":
        return {"statusCode": 200}
    way = json.loads(event["body"])["way"]
    if way in ("s3", "sqs"):
        began = time.monotonic()
        if way == "s3":
            text = outcome(boto3.client("s3").list_buckets)
        else:
            text = outcome(boto3.client("sqs").send_message, QueueUrl="http://ignored/1/queue", MessageBody="hello")
        return {"statusCode": 200, "body": json.dumps({"outcome": text, "seconds": time.monotonic() - began})}
    text = outcome(gateway(request, way).post_to_connection, ConnectionId=request["connectionId"], Data=("by " + way).encode())
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

#[test]
fn a_handler_finds_the_management_api_in_every_usual_way() {
    let mut client = STILLWIRE.connect();
    for way in ["variable", "callback", "domain", "literal", "none"] {
        assert_eq!(ask(&mut client, way), format!("by {way}"));
    }
}

/// boto3 reads `AWS_ENDPOINT_URL` from 1.28 on. What is older asks for the names of AWS, and these lead here.
#[test]
fn an_sdk_that_knows_no_variables_for_endpoints_reaches_this_machine_by_name() {
    let code = r#"
import boto3, os
def handler(event, context):
    request = event["requestContext"]
    if request["eventType"] == "CONNECT":
        return {"statusCode": 200}
    table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
    table.put_item(Item={"id": request["connectionId"]})
    item = table.get_item(Key={"id": request["connectionId"]})["Item"]
    url = f"https://{request['domainName']}/{request['stage']}"
    client = boto3.client("apigatewaymanagementapi", endpoint_url=url)
    client.post_to_connection(ConnectionId=item["id"], Data=boto3.__version__.encode())
    return {"statusCode": 200}
"#;
    let table = json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "BillingMode": "PAY_PER_REQUEST" } });
    let variables = json!({ "Variables": { "TABLE": { "Ref": "Table" } } });
    let app = App::new()
        .function_with("old", code, &json!({ "Environment": variables, "MemorySize": 256 }))
        .resource("Table", table)
        .route("$connect", "old")
        .route("$default", "old");
    std::fs::write(app.file("old", "requirements.txt"), "boto3==1.27.0\n").expect("written");
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let mut client = stillwire.connect();
    client.send("hello");
    assert_eq!(client.text(), "1.27.0");
}

#[test]
fn a_service_that_is_not_served_is_an_error_that_says_what_to_do() {
    let mut client = STILLWIRE.connect();
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
