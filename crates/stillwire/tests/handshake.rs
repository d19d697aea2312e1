//! Handshakes: who is let in, who is not, and with which answer.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]
#![allow(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stillwire_testkit::{App, Client, Events, Refused, Stillwire, raw};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// What `$connect` does is in the query.
const CONNECT: &str = r#"
def handler(event, context):
    record(event)
    query = event.get("queryStringParameters") or {}
    do = query.get("do", "200")
    if do == "raise":
        raise ValueError("no")
    if do == "null":
        return None
    if do == "text":
        return "hello"
    if do == "no-status":
        return {"body": "hello"}
    if do == "sleep":
        time.sleep(1)
    if do == "protocol":
        return {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "chat.v2", "X-Mine": "1"}}
    return {"statusCode": int(do) if do.isdigit() else 200, "body": "the function says " + do}
"#;

const ECHO: &str = r#"
def handler(event, context):
    record(event)
    return {"statusCode": 200, "body": event["body"]}
"#;

/// What the authorizer does is in the header `Authorization`.
const GATE: &str = r#"
import os
def handler(event, context):
    record(event)
    do = event["headers"]["Authorization"]
    if do == "crash":
        os._exit(3)
    if do == "error":
        raise Exception("something")
    if do == "unauthorized":
        raise Exception("Unauthorized")
    if do == "malformed":
        return {"isAuthorized": True}
    arn = event["methodArn"]
    if do == "other":
        arn = arn.replace("$connect", "*/*")
    return {"principalId": "ada", "context": {"level": 3},
            "policyDocument": {"Version": "2012-10-17", "Statement": [
                {"Action": "execute-api:Invoke", "Effect": "Deny" if do == "deny" else "Allow", "Resource": arn}]}}
"#;

struct World {
    stillwire: Stillwire,
    events: Events,
}

impl World {
    fn new(build: impl FnOnce(App, &Events) -> App) -> Self {
        let events = Events::new();
        let mut stillwire = build(App::new(), &events).share(PROGRAM);
        stillwire.keep_until_the_end(events.folder());
        Self { stillwire, events }
    }

    fn url(&self, query: &str) -> String {
        format!("{}{query}", self.stillwire.url("test", "ws"))
    }

    fn open(&self, query: &str, headers: &[(&str, &str)]) -> Result<Client, Refused> {
        Client::open(&self.url(query), headers)
    }

    fn refused(&self, query: &str, headers: &[(&str, &str)]) -> Refused {
        self.open(query, headers).expect_err("a refusal")
    }

    /// The events whose client sent this `X-Test` header.
    fn marked(&self, mark: &str) -> Vec<Value> {
        self.events.of(|event| event["headers"]["X-Test"] == mark)
    }
}

fn with_code(code: &str) -> String {
    format!("{}{code}", Events::CODE)
}

static OPEN: LazyLock<World> = LazyLock::new(|| {
    World::new(|app, events| {
        app.function_with("connect", &with_code(CONNECT), &events.properties())
            .function_with("echo", &with_code(ECHO), &events.properties())
            .route("$connect", "connect")
            .route("$disconnect", "echo")
            .two_way_route("$default", "echo")
    })
});

static GATED: LazyLock<World> = LazyLock::new(|| {
    World::new(|app, events| {
        app.function_with("gate", &with_code(GATE), &events.properties())
            .function_with("connect", &with_code(CONNECT), &events.properties())
            .authorized_connect("connect", "gate")
            .two_way_route("$default", "connect")
    })
});

const HANDSHAKE: &str = "GET /test HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn what_connect_returns_is_the_answer_to_the_handshake() {
    for status in ["200", "201", "204"] {
        assert!(OPEN.open(&format!("?do={status}"), &[]).is_ok(), "{status}");
    }
    for status in [301, 400, 401, 403, 501] {
        let refused = OPEN.refused(&format!("?do={status}"), &[]);
        let body = format!("the function says {status}");
        assert_eq!(refused, Refused { status, body });
    }
}

#[test]
fn a_connect_that_raises_or_returns_no_answer_is_502() {
    for case in ["raise", "null", "text", "no-status"] {
        let refused = OPEN.refused(&format!("?do={case}"), &[]);
        assert_eq!((refused.status, case), (502, case));
        assert_eq!(refused.body, r#"{"message":"Internal server error"}"#);
    }
}

#[test]
fn the_101_waits_for_connect() {
    let began = Instant::now();
    OPEN.open("?do=sleep", &[]).expect("accepted");
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_connect_slower_than_its_integration_is_504() {
    let app = App::new()
        .integration_timeout_millis(700)
        .function("slow", "import time\ndef handler(event, context):\n    time.sleep(9)\n")
        .route("$connect", "slow");
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let refused = stillwire.try_connect("test", &[]).expect_err("a refusal");
    assert_eq!(refused.status, 504);
    assert_eq!(refused.body, r#"{"message":"Endpoint request timed out"}"#);
}

#[test]
fn an_api_without_connect_lets_everybody_in() {
    let app = App::new()
        .function("echo", &with_code("def handler(event, context):\n    return {'statusCode': 200, 'body': event['body']}\n"))
        .two_way_route("$default", "echo");
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let mut client = stillwire.connect();
    client.send("hello");
    assert_eq!(client.text(), "hello");
}

#[test]
fn the_function_chooses_the_sub_protocol_and_adds_headers() {
    let offer = [("Sec-WebSocket-Protocol", "chat.v1, chat.v2")];
    let chosen = OPEN.open("?do=protocol", &offer).expect("accepted");
    assert_eq!(chosen.answer.header("sec-websocket-protocol"), Some("chat.v2"));
    assert_eq!(chosen.answer.header("x-mine"), Some("1"));
    let none = OPEN.open("", &offer).expect("accepted");
    assert_eq!(none.answer.header("sec-websocket-protocol"), None);
}

#[test]
fn connect_sees_the_query_decoded_and_no_query_where_there_is_none() {
    OPEN.open("?room=a%20b+c&room=last&x=%C3%A9", &[("X-Test", "query")]).expect("accepted");
    let event = &OPEN.marked("query")[0];
    assert_eq!(event["queryStringParameters"], json!({ "room": "last", "x": "é" }));
    assert_eq!(
        event["multiValueQueryStringParameters"],
        json!({ "room": ["a b c", "last"], "x": ["é"] })
    );
    OPEN.open("", &[("X-Test", "no query")]).expect("accepted");
    let event = &OPEN.marked("no query")[0];
    for member in ["queryStringParameters", "multiValueQueryStringParameters"] {
        assert!(event.get(member).is_none(), "{member}");
    }
}

#[test]
fn connect_sees_headers_as_the_client_spelled_them() {
    let headers = [("X-Test", "spelling"), ("x-LOUD", "1"), ("x-LOUD", "2"), ("User-Agent", "me")];
    OPEN.open("", &headers).expect("accepted");
    let event = &OPEN.marked("spelling")[0];
    assert_eq!(event["headers"]["x-LOUD"], "2");
    assert_eq!(event["multiValueHeaders"]["x-LOUD"], json!(["1", "2"]));
    assert_eq!(event["headers"]["Sec-WebSocket-Version"], "13");
    assert_eq!(event["headers"]["X-Forwarded-For"], "127.0.0.1");
    let port = OPEN.url("");
    let port = port.rsplit(':').next().and_then(|rest| rest.split('/').next()).expect("a port");
    assert_eq!(event["headers"]["X-Forwarded-Port"], port);
    let trace = event["headers"]["X-Amzn-Trace-Id"].as_str().expect("a trace");
    assert!(trace.starts_with("Root=1-"), "{trace}");
    for absent in ["Connection", "Upgrade"] {
        assert!(event["headers"].get(absent).is_none(), "{absent}");
    }
    let context = &event["requestContext"];
    assert_eq!(context["identity"], json!({ "userAgent": "me", "sourceIp": "127.0.0.1" }));
    assert_eq!(context["requestId"], context["extendedRequestId"]);
    for (member, value) in [
        ("routeKey", "$connect"),
        ("eventType", "CONNECT"),
        ("messageDirection", "IN"),
        ("stage", "test"),
    ] {
        assert_eq!(context[member], value);
    }
    for absent in ["body", "path", "httpMethod", "version", "stageVariables"] {
        assert!(event.get(absent).is_none(), "{absent}");
    }
    assert!(context.get("messageId").is_none());
    assert_eq!(event["isBase64Encoded"], false);
}

#[test]
fn a_refused_client_gets_no_disconnect() {
    OPEN.refused("?do=403", &[("X-Test", "refused")]);
    let id = OPEN.marked("refused")[0]["requestContext"]["connectionId"].clone();
    // A later departure is delivered: had there been one for the refused client, it would be there by now.
    OPEN.open("", &[("X-Test", "after")]).expect("accepted").close(None);
    let after = OPEN.marked("after")[0]["requestContext"]["connectionId"].clone();
    OPEN.events.wait_for(after.as_str().expect("an id"), "DISCONNECT");
    let events = OPEN.events.of(|event| event["requestContext"]["connectionId"] == id);
    assert_eq!(events.len(), 1, "{events:?}");
}

#[test]
fn an_authorizer_decides_with_the_status_of_its_outcome() {
    for (authorization, status, message) in [
        ("crash", 500, "Internal server error"),
        ("error", 500, "Internal server error"),
        ("malformed", 500, "Internal server error"),
        ("unauthorized", 401, "Unauthorized"),
        ("deny", 403, "Forbidden"),
        ("other", 403, "Forbidden"),
        ("", 401, "Unauthorized"),
    ] {
        let refused = GATED.refused("", &[("Authorization", authorization)]);
        let body = format!(r#"{{"message":"{message}"}}"#);
        assert_eq!(refused, Refused { status, body }, "{authorization:?}");
    }
    let missing = GATED.refused("", &[("X-Test", "missing")]);
    assert_eq!(missing.status, 401);
    assert!(GATED.marked("missing").is_empty(), "no function is called");
}

#[test]
fn an_authorizer_sees_the_whole_request_and_what_it_says_stays_with_the_connection() {
    let headers = [("Authorization", "allow"), ("X-Test", "allowed")];
    let mut client = GATED.open("?a=1", &headers).expect("accepted");
    let events = GATED.marked("allowed");
    let [gate, connect] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(gate["type"], "REQUEST");
    assert!(gate["methodArn"].as_str().is_some_and(|arn| arn.ends_with("/test/$connect")));
    for name in ["Connection", "Upgrade"] {
        assert!(gate["headers"].get(name).is_some(), "{name}");
    }
    assert_eq!(gate["queryStringParameters"], json!({ "a": "1" }));
    assert_eq!(gate["stageVariables"], json!({}));
    assert!(gate.get("isBase64Encoded").is_none() && gate.get("body").is_none());
    assert_eq!(gate["requestContext"]["connectionId"], connect["requestContext"]["connectionId"]);
    let authorizer = &connect["requestContext"]["authorizer"];
    assert_eq!((&authorizer["principalId"], &authorizer["level"]), (&json!("ada"), &json!("3")));
    assert!(authorizer["integrationLatency"].is_number());
    client.send("x");
    let id = connect["requestContext"]["connectionId"].as_str().expect("an id");
    let message = GATED.events.wait_for(id, "MESSAGE");
    let expected = json!({ "principalId": "ada", "level": "3" });
    assert_eq!(message["requestContext"]["authorizer"], expected);
}

#[test]
fn an_unknown_stage_is_forbidden_and_a_plain_request_is_told_to_upgrade() {
    for path in ["/nope", "/", "/test/deeper"] {
        let answer = raw(&OPEN.url(""), HANDSHAKE.replacen("/test", path, 1).as_bytes());
        assert_eq!((answer.status, path), (403, path));
        assert_eq!(answer.body, r#"{"message":"Forbidden"}"#);
    }
    let plain = b"GET /test HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = raw(&OPEN.url(""), plain);
    assert_eq!((answer.status, answer.body.as_str()), (426, ""));
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    let slash = raw(&OPEN.url(""), HANDSHAKE.replacen("/test", "/test/", 1).as_bytes());
    assert_eq!(slash.status, 101);
}

#[test]
fn a_bad_handshake_has_its_own_answer_each() {
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let two_keys = key.repeat(2);
    let long = format!("/test?{}", "x".repeat(4096));
    let bomb = format!("X-Big: {}\r\n{key}", "x".repeat(17_000));
    let many = format!("{}{key}", "X-Many: 1\r\n".repeat(120));
    for (what, from, to, status) in [
        ("no key", key, "", 400),
        ("two keys", key, two_keys.as_str(), 400),
        ("a short key", "dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", 400),
        ("an old version", "Version: 13", "Version: 12", 426),
        ("another method", "GET", "POST", 400),
        ("an old HTTP", "HTTP/1.1", "HTTP/1.0", 400),
        ("two hosts", "Host: localhost\r\n", "Host: a\r\nHost: b\r\n", 400),
        ("no host", "Host: localhost\r\n", "", 400),
        (
            "a body",
            key,
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 3\r\n",
            400,
        ),
        (
            "two lengths of a body",
            "Host: localhost\r\n",
            "Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
        ("a folded header", "Host: localhost\r\n", "Host: a\r\n b\r\n", 400),
        ("a long URL", "/test", long.as_str(), 414),
        ("a large header", key, bomb.as_str(), 431),
        ("many headers", key, many.as_str(), 431),
        ("no Connection: Upgrade", "Connection: Upgrade", "Connection: close", 426),
    ] {
        let answer = raw(&OPEN.url(""), HANDSHAKE.replacen(from, to, 1).as_bytes());
        assert_eq!((what, answer.status), (what, status), "{answer:?}");
    }
    let answer = raw(&OPEN.url(""), HANDSHAKE.replacen("Version: 13", "Version: 12", 1).as_bytes());
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    let good = raw(&OPEN.url(""), HANDSHAKE.as_bytes());
    assert_eq!(good.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

#[test]
fn a_message_in_the_same_segment_as_the_handshake_is_handled() {
    let mut bytes = HANDSHAKE.as_bytes().to_vec();
    bytes.extend_from_slice(b"\x81\x85\0\0\0\0hello");
    let answer = raw(&OPEN.url(""), &bytes);
    assert_eq!(answer.status, 101);
    assert!(answer.body.ends_with("\u{5}hello"), "{answer:?}");
}

#[test]
fn a_client_that_leaves_while_connect_runs_is_disconnected_once() {
    let mut bytes = HANDSHAKE.replacen("/test", "/test?do=sleep", 1);
    bytes.insert_str(bytes.len() - 2, "X-Test: impatient\r\n");
    let url = OPEN.url("");
    let host = url.trim_start_matches("ws://").split('/').next().expect("a host");
    let mut stream = std::net::TcpStream::connect(host).expect("the server accepts");
    std::io::Write::write_all(&mut stream, bytes.as_bytes()).expect("the handshake is sent");
    let event = OPEN.events.wait("$connect", |event| event["headers"]["X-Test"] == "impatient");
    drop(stream);
    let id = event["requestContext"]["connectionId"].as_str().expect("an id");
    let event = OPEN.events.wait_for(id, "DISCONNECT");
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1006);
}

#[test]
fn ids_look_as_on_aws() {
    let mut ids = Vec::new();
    for _ in 0..20 {
        let mut client = OPEN.open("", &[("X-Test", "ids")]).expect("accepted");
        client.send("x");
        assert_eq!(client.text(), "x");
    }
    for event in OPEN.marked("ids") {
        for member in ["connectionId", "requestId"] {
            let id = event["requestContext"][member].as_str().expect("an id").to_owned();
            let (body, padding) = id.split_at(15);
            assert_eq!(padding, "=", "{id}");
            assert!(body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{id}");
            ids.push(id);
        }
    }
    assert_eq!(ids.len(), 40);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 40);
}
