//! Addresses of APIs: their own, and custom domains.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

use serde_json::json;
use stillwire_testkit::{App, Stillwire, raw};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const FORBIDDEN: &str = r#"{"message":"Forbidden"}"#;

const ECHO: &str = r#"
def handler(event, context):
    return {"statusCode": 200, "body": event["body"]}
"#;

fn without_its_own_address(app: App) -> App {
    app.resource(
        "Api",
        json!({ "Type": "AWS::ApiGatewayV2::Api", "Properties": {
            "Name": "Api", "ProtocolType": "WEBSOCKET", "DisableExecuteApiEndpoint": true } }),
    )
}

#[test]
fn an_api_whose_own_address_is_disabled_is_forbidden_there() {
    let app = without_its_own_address(App::new());
    let app = app.function("echo", ECHO).two_way_route("$default", "echo");
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let refused = stillwire.try_connect("test", &[]).unwrap_err();
    assert_eq!((refused.status, refused.body.as_str()), (403, FORBIDDEN));
    for request in ["GET /test", "POST /test/@connections/AAAAAAAAAAAAAAA="] {
        let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = raw(&stillwire.url("test", "ws"), head.as_bytes());
        assert_eq!((answer.status, answer.body.as_str()), (403, FORBIDDEN), "{request}");
    }
}
