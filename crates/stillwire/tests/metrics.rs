//! `GET /metrics`: what is counted of APIs, and who may see it.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stillwire_testkit::{App, Stillwire, eventually, raw};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const HANDLER: &str = r#"
def handler(event, context):
    request = event["requestContext"]
    if request["routeKey"] == "$connect":
        return {"statusCode": 403 if "refuse" in event["headers"] else 200}
    if request["routeKey"] == "fail":
        raise Exception("no")
    return {"statusCode": 200, "body": request["connectionId"]}
"#;

fn stage(name: &str, detailed: bool) -> Value {
    json!({ "Type": "AWS::ApiGatewayV2::Stage", "Properties": {
        "ApiId": { "Ref": "Api" }, "StageName": name, "AutoDeploy": true,
        "DefaultRouteSettings": { "DetailedMetricsEnabled": detailed } } })
}

fn app() -> App {
    App::new()
        .function("all", HANDLER)
        .route("$connect", "all")
        .two_way_route("say", "all")
        .route("fail", "all")
        .resource("Stage", stage("test", true))
        .resource("Second", stage("second", false))
}

fn page(stillwire: &Stillwire, host: &str) -> (u16, String) {
    let endpoint = stillwire.ready()["aws_endpoint"].as_str().unwrap().to_owned();
    let head = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = raw(&endpoint, head.as_bytes());
    (answer.status, answer.body)
}

/// The samples that are not 0 and belong to a stage: names without their prefix, labels without the API's.
fn samples(stillwire: &Stillwire, stage: &str) -> BTreeMap<String, u64> {
    let (status, page) = page(stillwire, "localhost");
    assert_eq!(status, 200, "{page}");
    let api = stillwire.api(stage)["id"].as_str().unwrap().to_owned();
    let ours = format!("api_id=\"{api}\",stage=\"{stage}\"");
    let sample = |line: &str| {
        let (name, value) = line.strip_prefix("stillwire_apigateway_")?.rsplit_once(' ')?;
        let (name, labels) = name.split_once('{')?;
        let labels = labels.strip_suffix('}')?.strip_prefix(&ours)?.trim_start_matches(',');
        let value = value.parse().ok().filter(|value| *value > 0)?;
        (!name.ends_with("_bucket")).then(|| (format!("{name} {labels}").trim().to_owned(), value))
    };
    page.lines().filter_map(sample).collect()
}

fn post(stillwire: &Stillwire, stage: &str, id: &str) -> u16 {
    let url = stillwire.url(stage, "http");
    let head = format!(
        "POST /{stage}/@connections/{id} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    );
    raw(&url, head.as_bytes()).status
}

#[test]
fn what_happens_to_a_stage_is_counted_in_both_directions_and_by_route_where_it_asks() {
    let app = app();
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    for (stage, detailed) in [("test", true), ("second", false)] {
        assert_eq!(stillwire.try_connect(stage, &[("refuse", "1")]).unwrap_err().status, 403);
        let mut client = stillwire.try_connect(stage, &[]).expect("accepted");
        client.send(r#"{"action":"say"}"#);
        let id = client.text();
        client.send(r#"{"action":"fail"}"#);
        assert!(client.text().contains("Internal server error"));
        client.send(r#"{"action":"other"}"#);
        assert!(client.text().contains("Forbidden"));
        assert_eq!(post(&stillwire, stage, &id), 200);
        assert_eq!(client.text(), "hi");
        assert_eq!(post(&stillwire, stage, "AAAAAAAAAAAAAAA="), 410);
        assert_eq!(samples(&stillwire, stage)["connections"], 1);
        client.close(Some((4001, "bye")));
        let expected = if detailed {
            json!({
                "connect_count_total route=\"$connect\"": 2,
                "integration_error_total route=\"$connect\"": 1,
                "integration_error_total route=\"fail\"": 1,
                "client_error_total": 1,
                "message_count_total route=\"say\",direction=\"in\"": 1,
                "message_count_total route=\"say\",direction=\"out\"": 1,
                "message_count_total route=\"fail\",direction=\"in\"": 1,
                "message_count_total route=\"fail\",direction=\"out\"": 1,
                "message_count_total direction=\"in\"": 1,
                "message_count_total direction=\"out\"": 2,
                "integration_latency_seconds_count route=\"$connect\"": 2,
                "integration_latency_seconds_count route=\"say\"": 1,
                "integration_latency_seconds_count route=\"fail\"": 1,
                "disconnects_total status_code=\"4xxx\"": 1,
                "management_requests_total operation=\"post\",outcome=\"ok\"": 1,
                "management_requests_total operation=\"post\",outcome=\"gone\"": 1,
            })
        } else {
            json!({
                "connect_count_total": 2,
                "integration_error_total": 2,
                "client_error_total": 1,
                "message_count_total direction=\"in\"": 3,
                "message_count_total direction=\"out\"": 4,
                "integration_latency_seconds_count": 4,
                "disconnects_total status_code=\"4xxx\"": 1,
                "management_requests_total operation=\"post\",outcome=\"ok\"": 1,
                "management_requests_total operation=\"post\",outcome=\"gone\"": 1,
            })
        };
        let seen = eventually("the client has left", || {
            Some(samples(&stillwire, stage)).filter(|seen| !seen.contains_key("connections"))
        });
        assert_eq!(json!(seen), expected, "{stage}");
    }
    assert_eq!(page(&stillwire, "evil.example").0, 403);
}
