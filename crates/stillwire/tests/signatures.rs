//! Policies of keys, and stages that want no signatures; what signatures are is the conformance suite's.

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
def handler(event, context):
    return {"statusCode": 200, "body": event["requestContext"]["connectionId"]}
"#;

const SETTINGS: &str = r#"
[management]
signatures = "verify"
[stages.open.management]
signatures = "off"
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
fn a_stage_may_want_no_signatures_and_a_key_may_do_what_its_policy_does_not_deny() {
    let (_app, stillwire) = start("NONE");
    let mut client = stillwire.connect();
    client.send("who am I?");
    let id = client.text();
    let endpoint = stillwire.url("test", "http");
    let delete = ["delete", &endpoint, "AKIDCAT", "cat's secret", "us-east-1", &id];
    let unsigned = |stage: &str| {
        let head = format!(
            "GET /{stage}/@connections/AAAAAAAAAAAAAAA= HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        );
        raw(&stillwire.url(stage, "http"), head.as_bytes()).status
    };
    assert_eq!((unsigned("test"), unsigned("open")), (403, 410));
    assert_eq!(tools::python("signed.py", &delete).trim(), "deleted");
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
