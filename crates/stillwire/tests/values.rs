//! Values that functions read by their names: parameters and secrets of the template, and of the person's file.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]

use serde_json::{Value, json};
use stillwire_testkit::{App, Stillwire};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// Calls what a message says with what it says, and answers what comes back.
const CODE: &str = r#"
import boto3, json
CLIENTS = {name: boto3.client(name) for name in ("ssm", "secretsmanager")}
def handler(event, context):
    service, operation, arguments = json.loads(event["body"])
    try:
        answer = getattr(CLIENTS[service], operation)(**arguments)
        answer.pop("ResponseMetadata")
    except Exception as error:
        answer = {"error": type(error).__name__, "text": str(error)}
    return {"statusCode": 200, "body": json.dumps(answer, default=str)}
"#;

#[test]
fn functions_read_parameters_and_secrets_of_the_template_and_of_the_file() {
    let motd = json!({
        "Type": "AWS::SSM::Parameter",
        "Properties": { "Name": "/chat/motd", "Type": "String", "Value": "hello", "Description": "first line" },
    });
    let key = json!({
        "Type": "AWS::SecretsManager::Secret",
        "Properties": { "Name": "chat/key", "SecretString": "{\"k\":\"v\"}" },
    });
    let made_up = json!({
        "Type": "AWS::SecretsManager::Secret",
        "Properties": { "Name": "made-up", "GenerateSecretString": { "PasswordLength": 20 } },
    });
    let app = App::new()
        .function("all", CODE)
        .two_way_route("$default", "all")
        .resource("Motd", motd)
        .resource("Key", key)
        .resource("MadeUp", made_up);
    let template = app.template();
    let file = template.with_file_name("values.yaml");
    std::fs::write(&file, "ssm: { /chat/limit: 3 }\nsecretsmanager: { outside: sesame }\n")
        .unwrap();
    let arguments = ["--in-memory", "--secrets", file.to_str().unwrap()];
    let stillwire = Stillwire::dev_with(PROGRAM, &template, &arguments);
    let mut client = stillwire.connect();
    let mut ask = |service: &str, operation: &str, arguments: Value| {
        client.ask(&json!([service, operation, arguments]).to_string())
    };

    let parameter =
        ask("ssm", "get_parameter", json!({ "Name": "/chat/motd" }))["Parameter"].clone();
    assert_eq!((&parameter["Value"], &parameter["Version"]), (&json!("hello"), &json!(1)));
    let all =
        ask("ssm", "get_parameters_by_path", json!({ "Path": "/chat", "WithDecryption": true }));
    let all: Vec<_> =
        all["Parameters"].as_array().unwrap().iter().map(|one| &one["Value"]).collect();
    assert_eq!(all, [&json!("3"), &json!("hello")]);
    // What a call puts comes first, and only with a word for it.
    let put = |more: Value| {
        let mut put = json!({ "Name": "/chat/motd", "Value": "bye", "Type": "String" });
        put.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        put
    };
    let refused = ask("ssm", "put_parameter", put(json!({})));
    assert_eq!(refused["error"], "ParameterAlreadyExists", "{refused}");
    assert_eq!(ask("ssm", "put_parameter", put(json!({ "Overwrite": true })))["Version"], 2);
    let parameter = ask("ssm", "get_parameter", json!({ "Name": "/chat/motd" }));
    assert_eq!(parameter["Parameter"]["Value"], "bye");
    let refused = ask("ssm", "delete_parameter", json!({ "Name": "/chat/limit" }));
    assert!(refused["text"].as_str().unwrap().contains("take it out there"), "{refused}");

    let secret = ask("secretsmanager", "get_secret_value", json!({ "SecretId": "chat/key" }));
    assert_eq!(
        (&secret["SecretString"], &secret["Name"]),
        (&json!("{\"k\":\"v\"}"), &json!("chat/key"))
    );
    let arn = secret["ARN"].as_str().unwrap();
    for id in [arn.to_owned(), format!("{arn}-a1B2c3")] {
        let same = ask("secretsmanager", "get_secret_value", json!({ "SecretId": id }));
        assert_eq!(same["SecretString"], secret["SecretString"], "{id}");
    }
    let outside = ask("secretsmanager", "get_secret_value", json!({ "SecretId": "outside" }));
    assert_eq!(outside["SecretString"], "sesame");
    let made_up = ask("secretsmanager", "get_secret_value", json!({ "SecretId": "made-up" }));
    assert_eq!(made_up["SecretString"].as_str().unwrap().len(), 20);
    let batch = json!({ "SecretIdList": ["outside", "nobody"] });
    let batch = ask("secretsmanager", "batch_get_secret_value", batch);
    assert_eq!(batch["SecretValues"][0]["Name"], "outside");
    assert_eq!(batch["Errors"][0]["ErrorCode"], "ResourceNotFoundException");
    let listed = ask("secretsmanager", "list_secrets", json!({}));
    assert_eq!(listed["SecretList"].as_array().unwrap().len(), 3);
    let none = ask("secretsmanager", "get_secret_value", json!({ "SecretId": "nobody" }));
    assert_eq!(none["error"], "ResourceNotFoundException");
    let refused =
        ask("secretsmanager", "create_secret", json!({ "Name": "new", "SecretString": "x" }));
    assert!(
        refused["text"].as_str().unwrap().contains("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
        "{refused}"
    );
}

#[test]
fn a_value_that_changes_in_the_template_is_read_at_once() {
    let parameter = |value: &str| {
        let properties = json!({ "Name": "/chat/motd", "Type": "String", "Value": value });
        json!({ "Type": "AWS::SSM::Parameter", "Properties": properties })
    };
    let app = App::new()
        .function("all", CODE)
        .two_way_route("$default", "all")
        .resource("Motd", parameter("one"));
    let template = app.template();
    let stillwire = Stillwire::dev(PROGRAM, &template);
    let mut client = stillwire.connect();
    let mut read = || {
        let ask = json!(["ssm", "get_parameter", { "Name": "/chat/motd" }]);
        client.ask(&ask.to_string())["Parameter"]["Value"].clone()
    };
    assert_eq!(read(), "one");
    let text = std::fs::read_to_string(&template).unwrap().replace("\"one\"", "\"two\"");
    std::fs::write(&template, text).unwrap();
    stillwire.wait_for_log("applied in");
    assert_eq!(read(), "two");
}
