//! Addresses of APIs: their own, and custom domains.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

use std::sync::LazyLock;

use serde_json::{Value, json};
use stillwire_testkit::{App, Client, Stillwire, eventually, raw};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const FORBIDDEN: &str = r#"{"message":"Forbidden"}"#;

/// Tells what it knows, and posts to its client by the URLs that it is asked to try.
const HANDLER: &str = r#"
import json
import boto3

def outcome(url, id):
    try:
        boto3.client("apigatewaymanagementapi", endpoint_url=url).post_to_connection(ConnectionId=id, Data=url)
        return "ok"
    except Exception as error:
        return type(error).__name__ + ": " + str(error)

def handler(event, context):
    request = event["requestContext"]
    if request["routeKey"] == "$connect":
        return {"statusCode": 200}
    answer = {name: request[name] for name in ("connectionId", "domainName", "stage")}
    for url in json.loads(event["body"]).get("urls", []):
        url = url.replace("DOMAIN", request["domainName"])
        answer[url] = outcome(url, request["connectionId"])
    return {"statusCode": 200, "body": json.dumps(answer)}
"#;

fn mapping(domain: Value, key: &str, stage: &str) -> Value {
    json!({ "Type": "AWS::ApiGatewayV2::ApiMapping", "Properties": { "DomainName": domain,
        "ApiId": { "Ref": "Api" }, "Stage": stage, "ApiMappingKey": key } })
}

/// Two stages; `ws.example.com` leads to both, `*.example.org` to one.
static STILLWIRE: LazyLock<Stillwire> = LazyLock::new(|| {
    App::new()
        .function("all", HANDLER)
        .route("$connect", "all")
        .two_way_route("$default", "all")
        .resource(
            "Second",
            json!({ "Type": "AWS::ApiGatewayV2::Stage", "Properties": {
                "ApiId": { "Ref": "Api" }, "StageName": "second", "AutoDeploy": true } }),
        )
        .resource(
            "Domain",
            json!({ "Type": "AWS::ApiGatewayV2::DomainName", "Properties": { "DomainName": "ws.example.com" } }),
        )
        .resource("Root", mapping(json!({ "Ref": "Domain" }), "", "test"))
        .resource("V2", mapping(json!({ "Ref": "Domain" }), "v2", "second"))
        .resource("Tenants", mapping(json!("*.example.org"), "", "second"))
        .share(PROGRAM)
});

/// The host and port of a URL.
fn host(url: &str) -> String {
    url.split('/').nth(2).unwrap().to_owned()
}

fn open(url: &str, headers: &[(&str, &str)]) -> (Client, Value) {
    let mut client = Client::open(url, headers).expect("accepted");
    let known = client.ask("{}");
    (client, known)
}

fn post(url: &str, host: &str, path: &str) -> (u16, String) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    );
    let answer = raw(url, head.as_bytes());
    (answer.status, answer.body)
}

#[test]
fn a_custom_domain_has_an_address_of_its_own_that_leads_to_the_stages_it_maps() {
    for (key, stage) in [("", "test"), ("v2", "second")] {
        let url = STILLWIRE.domain_url("ws.example.com", key, "ws");
        let (_client, known) = open(&url, &[]);
        assert_eq!(known["stage"], stage);
        assert_eq!(known["domainName"], host(&url));
        let trailing = format!("{}/", url.trim_end_matches('/'));
        assert_eq!(open(&trailing, &[]).1["stage"], stage);
    }
    for path in ["test", "second", "v2/x", "v3"] {
        let root = STILLWIRE.domain_url("ws.example.com", "", "ws");
        let refused = Client::open(&format!("{root}{path}"), &[]).unwrap_err();
        assert_eq!((refused.status, refused.body.as_str()), (403, FORBIDDEN), "{path}");
    }
}

#[test]
fn a_custom_domain_is_known_by_its_name_at_every_port() {
    let own = STILLWIRE.domain_url("ws.example.com", "", "ws");
    let at_api = STILLWIRE.url("test", "ws").replace("/test", "/v2");
    let (_client, known) = open(&at_api, &[("Host", "WS.Example.com")]);
    assert_eq!((&known["stage"], &known["domainName"]), (&json!("second"), &json!(host(&own))));
    // Which tenant it is may be what an app wants to know.
    for url in [own, STILLWIRE.domain_url("*.example.org", "", "ws")] {
        let (_client, known) = open(&url, &[("Host", "ada.example.org")]);
        let seen = (&known["stage"], &known["domainName"]);
        assert_eq!(seen, (&json!("second"), &json!("ada.example.org")), "{url}");
    }
    let refused = Client::open(&at_api, &[("Host", "ws.example.net")]).unwrap_err();
    assert_eq!(refused.status, 403);
}

#[test]
fn functions_post_by_a_custom_domain_and_its_key_without_the_stage() {
    let url = STILLWIRE.domain_url("ws.example.com", "v2", "ws");
    let (mut client, _) = open(&url, &[]);
    let good = [
        "https://DOMAIN/v2",
        "https://ws.example.com/v2",
        "http://ws.example.com/v2/",
        "https://tenant.example.org",
    ];
    let bad = ["https://DOMAIN/v2/second", "https://DOMAIN/second", "https://DOMAIN"];
    let urls: Vec<_> = good.iter().chain(&bad).collect();
    client.send(&json!({ "urls": urls }).to_string());
    let real = |text: &str| text.replace("DOMAIN", &host(&url));
    for text in good {
        assert_eq!(client.text(), real(text));
    }
    let said = client.json();
    for text in good {
        assert_eq!(said[real(text)], "ok", "{text}");
    }
    // The last is another stage's address: its connections are its own.
    for (text, expected) in
        bad.iter().zip(["second/@connections/", "second/@connections/", "GoneException"])
    {
        let outcome = said[real(text)].as_str().unwrap();
        assert!(outcome.contains(expected), "{text}: {outcome}");
    }
    assert!(said[real(bad[0])].as_str().unwrap().starts_with("ForbiddenException"), "{said}");
}

#[test]
fn a_stage_has_the_same_connections_however_its_clients_came() {
    let (mut by_domain, known) = open(&STILLWIRE.domain_url("ws.example.com", "", "ws"), &[]);
    let path = |known: &Value| format!("@connections/{}", known["connectionId"].as_str().unwrap());
    let api = STILLWIRE.url("test", "http");
    assert_eq!(post(&api, &host(&api), &format!("/test/{}", path(&known))).0, 200);
    assert_eq!(by_domain.text(), "hi");
    assert_eq!(post(&api, &host(&api), &format!("/second/{}", path(&known))).0, 410);

    let (mut by_api, known) = open(&STILLWIRE.url("test", "ws"), &[]);
    let domain = STILLWIRE.domain_url("ws.example.com", "", "http");
    for name in ["ws.example.com", &host(&domain)] {
        assert_eq!(post(&domain, name, &format!("/{}", path(&known))).0, 200, "{name}");
        assert_eq!(by_api.text(), "hi");
    }
    let (status, body) = post(&domain, "ws.example.com", &format!("/test/{}", path(&known)));
    let expected =
        format!("No method found matching route test/{} for http method POST.", path(&known));
    assert_eq!((status, body), (403, json!({ "message": expected }).to_string()));
    // A page whose name was made to lead here is nobody's.
    assert_eq!(post(&domain, "evil.example.net", &format!("/{}", path(&known))).0, 403);
}

#[test]
fn functions_trust_a_domain_that_is_new_while_the_app_runs() {
    let app = App::new()
        .function("all", HANDLER)
        .route("$connect", "all")
        .two_way_route("$default", "all")
        .resource("Root", mapping(json!("ws.example.com"), "", "test"));
    let template = app.template();
    let stillwire = Stillwire::dev(PROGRAM, &template);
    let (mut client, _) = open(&stillwire.url("test", "ws"), &[]);
    let text = std::fs::read_to_string(&template).unwrap();
    std::fs::write(&template, text.replace("ws.example.com", "new.example.net")).unwrap();
    stillwire.wait_for_log("applied in");
    // Environments learn names when they start.
    let handler = app.file("all", "all.py");
    std::fs::write(&handler, format!("{HANDLER}\n# saved\n")).unwrap();
    let url = "https://new.example.net";
    let outcome = eventually("the new name is known", || {
        client.send(&json!({ "urls": [url] }).to_string());
        let said = loop {
            let text = client.text();
            if text != url {
                break serde_json::from_str::<Value>(&text).unwrap();
            }
        };
        (said[url] == "ok").then(|| said[url].clone())
    });
    assert_eq!(outcome, "ok");
}
