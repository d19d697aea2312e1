//! Signatures: handshakes with `AWS_IAM`, and `@connections` where the operator wants them signed.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]

use serde_json::{Value, json};
use stillwire_testkit::{App, Client, Stillwire, raw, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const CODE: &str = r#"
import boto3
def handler(event, context):
    request = event["requestContext"]
    if event.get("body") == "post":
        url = "https://" + request["domainName"] + "/" + request["stage"]
        boto3.client("apigatewaymanagementapi", endpoint_url=url).post_to_connection(
            ConnectionId=request["connectionId"], Data=b"by the function")
    return {"statusCode": 200, "body": request["connectionId"]}
"#;

const SETTINGS: &str = r#"
[management]
signatures = "verify"
[stages.open.management]
signatures = "off"
[keys]
AKIDADA = "ada's secret"
[keys.AKIDBOB]
secret = "bob's secret"
policy = '''{ "Statement": { "Effect": "Allow", "Action": "execute-api:ManageConnections",
  "Resource": "arn:aws:execute-api:*:*:*/test/POST/@connections/*" } }'''
[keys.AKIDCAT]
secret = "cat's secret"
[[keys.AKIDCAT.policy.Statement]]
Effect = "Allow"
Action = "execute-api:*"
Resource = "*"
[[keys.AKIDCAT.policy.Statement]]
Effect = "Deny"
Action = ["execute-api:Invoke"]
Resource = ["arn:aws:execute-api:*:*:*/open/$connect"]
"#;

fn start(authorization: &str) -> (App, Stillwire) {
    let app = App::new()
        .function("all", CODE)
        .two_way_route("$default", "all")
        .route("$connect", "all")
        .resource(
            "Open",
            json!({ "Type": "AWS::ApiGatewayV2::Stage", "Properties": {
                "ApiId": { "Ref": "Api" }, "StageName": "open", "AutoDeploy": true } }),
        );
    let template = app.template();
    let mut text: Value =
        serde_json::from_str(&std::fs::read_to_string(&template).unwrap()).unwrap();
    text["Resources"]["Routeconnect"]["Properties"]["AuthorizationType"] = json!(authorization);
    std::fs::write(&template, text.to_string()).unwrap();
    std::fs::write(template.with_file_name("stillwire.toml"), SETTINGS).unwrap();
    let stillwire = Stillwire::dev(PROGRAM, &template);
    (app, stillwire)
}

fn presigned(url: &str, key: &str, secret: &str, region: &str) -> String {
    let http = url.replacen("ws://", "http://", 1);
    tools::python("signed.py", &["presign", &http, key, secret, region])
        .trim()
        .replacen("http://", "ws://", 1)
}

#[test]
fn only_a_signed_handshake_gets_in() {
    let (_app, stillwire) = start("AWS_IAM");
    let refused = stillwire.try_connect("test", &[]).unwrap_err();
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (403, r#"{"message":"Missing Authentication Token"}"#)
    );
    let url = stillwire.url("test", "ws");
    for (key, secret, region, status) in [
        ("AKIDADA", "ada's secret", "us-east-1", 101),
        ("AKIDADA", "another secret", "us-east-1", 403),
        ("AKIDEVE", "ada's secret", "us-east-1", 403),
        ("AKIDADA", "ada's secret", "eu-west-1", 403),
    ] {
        let opened = Client::open(&presigned(&url, key, secret, region), &[]);
        assert_eq!(
            opened.map_or_else(|refused| refused.status, |_| 101),
            status,
            "{key} {secret} {region}"
        );
    }
    let changed = presigned(&url, "AKIDADA", "ada's secret", "us-east-1") + "&room=other";
    assert_eq!(Client::open(&changed, &[]).unwrap_err().status, 403, "what was not signed");
    let http = url.replacen("ws://", "http://", 1);
    let lines =
        tools::python("signed.py", &["header", &http, "AKIDADA", "ada's secret", "us-east-1"]);
    let headers: Vec<_> = lines.lines().filter_map(|line| line.split_once(": ")).collect();
    let mut client = Client::open(&url, &headers).expect("signed by header");
    client.send("hi");
    assert_eq!(client.text().len(), 16);
}

#[test]
fn posts_are_verified_and_those_of_our_own_functions_are_right() {
    let (_app, stillwire) = start("NONE");
    let mut client = stillwire.connect();
    client.send("who am I?");
    let id = client.text();
    let endpoint = stillwire.url("test", "http");
    let call = |operation: &str, key: &str, secret: &str| {
        tools::python("signed.py", &[operation, &endpoint, key, secret, "us-east-1", &id])
            .trim()
            .to_owned()
    };
    let post = |key: &str, secret: &str| call("post", key, secret);
    assert_eq!(post("AKIDADA", "ada's secret"), "post");
    assert_eq!(client.text(), "signed");
    assert_eq!(post("AKIDADA", "wrong"), "InvalidSignatureException");
    assert_eq!(post("AKIDEVE", "ada's secret"), "UnrecognizedClientException");
    client.send("post");
    assert_eq!(client.text(), "by the function");
    assert_eq!(client.text(), id);
    // A stage may say otherwise.
    let unsigned = |stage: &str| {
        let head = format!(
            "GET /{stage}/@connections/AAAAAAAAAAAAAAA= HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        );
        raw(&stillwire.url(stage, "http"), head.as_bytes()).status
    };
    assert_eq!((unsigned("test"), unsigned("open")), (403, 410));
    // What a key may do is up to its policy.
    assert_eq!(post("AKIDBOB", "bob's secret"), "post");
    assert_eq!(client.text(), "signed");
    assert_eq!(call("delete", "AKIDBOB", "bob's secret"), "AccessDeniedException");
    assert_eq!(call("delete", "AKIDCAT", "cat's secret"), "delete");
}

#[test]
fn a_key_with_a_policy_connects_where_the_policy_lets_it() {
    let (_app, stillwire) = start("AWS_IAM");
    let connect = |stage: &str, key: &str, secret: &str| {
        Client::open(&presigned(&stillwire.url(stage, "ws"), key, secret, "us-east-1"), &[])
    };
    assert!(connect("test", "AKIDCAT", "cat's secret").is_ok());
    for (stage, key, secret) in
        [("open", "AKIDCAT", "cat's secret"), ("test", "AKIDBOB", "bob's secret")]
    {
        let refused = connect(stage, key, secret).unwrap_err();
        let said: Value = serde_json::from_str(&refused.body).unwrap();
        let api = stillwire.api(stage)["id"].as_str().unwrap();
        let expected = format!(
            "User: arn:aws:iam::000000000000:user/{key} is not authorized to perform: execute-api:Invoke on resource: \
             arn:aws:execute-api:us-east-1:000000000000:{api}/{stage}/$connect"
        );
        assert_eq!((refused.status, &said["Message"]), (403, &json!(expected)));
    }
}
