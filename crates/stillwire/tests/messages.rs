//! Messages: which function gets them, what comes back, and what is too much.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]
#![allow(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stillwire_testkit::{App, Client, Events, Got, Stillwire};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const ECHO: &str = r#"
def handler(event, context):
    record(event)
    return {"statusCode": 200, "body": event["body"]}
"#;

const WHO: &str = r#"
def handler(event, context):
    record(event)
    return {"statusCode": 200, "body": event["requestContext"]["connectionId"]}
"#;

const CONNECT: &str = r#"
def handler(event, context):
    record(event)
    return {"statusCode": 200}
"#;

const ODD: &str = r#"
def handler(event, context):
    do = json.loads(event["body"])["do"]
    if do == "raise":
        raise ValueError("no")
    if do == "sleep":
        time.sleep(1)
        return {"statusCode": 200, "body": "slept"}
    if do == "loop":
        time.sleep(60)
    return json.loads(do)
"#;

const SLOW: &str = r#"
def handler(event, context):
    time.sleep(3)
    record({"late": event["requestContext"]["connectionId"]})
    return {"statusCode": 200, "body": "late"}
"#;

struct World {
    stillwire: Stillwire,
    events: Events,
}

impl World {
    /// A connection, and its id.
    fn client(&self) -> (Client, String) {
        let mut client = self.stillwire.connect();
        client.send(r#"{"action":"who"}"#);
        let id = client.text();
        (client, id)
    }
}

/// Routes: two-way `echo`, `who`, `odd`, `quick`; one-way `silent`; no `$default`.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let events = Events::new();
    let (code, with) = (|code| format!("{}{code}", Events::CODE), events.properties());
    let mut brief = with.clone();
    brief["Timeout"] = 1.into();
    let mut stillwire = App::new()
        .function_with("connect", &code(CONNECT), &with)
        .function_with("echo", &code(ECHO), &with)
        .function_with("who", &code(WHO), &with)
        .function_with("odd", &code(ODD), &with)
        .function_with("brief", &code(ODD), &brief)
        .function_with("slow", &code(SLOW), &with)
        .route("$connect", "connect")
        .two_way_route("echo", "echo")
        .two_way_route("who", "who")
        .two_way_route("odd", "odd")
        .route("silent", "odd")
        .route("brief", "brief")
        .integration_timeout_millis(500)
        .two_way_route("slow", "slow")
        .share(PROGRAM);
    stillwire.keep_until_the_end(events.folder());
    World { stillwire, events }
});

/// Asserts that a frame is the error with this text, byte for byte; gives its request id.
fn assert_error(got: Got, message: &str, id: &str) -> String {
    let Got::Text(text) = got else { panic!("{got:?}") };
    let start = format!(r#"{{"message": "{message}", "connectionId":"{id}", "requestId":""#);
    let request = text.strip_prefix(&start).and_then(|rest| rest.strip_suffix(r#""}"#));
    request.unwrap_or_else(|| panic!("{text} is not {start}…")).to_owned()
}

fn odd(route: &str, what: &str) -> String {
    json!({ "action": route, "do": what }).to_string()
}

/// Waits until all that was sent before has been answered.
fn assert_open(client: &mut Client) {
    client.send(r#"{"action":"echo","still":"open"}"#);
    assert_eq!(client.text(), r#"{"action":"echo","still":"open"}"#);
}

#[test]
fn what_has_no_route_is_forbidden_and_the_connection_stays() {
    let (mut client, id) = WORLD.client();
    for text in ["", "hi", "{", "[]", "5", "{}", r#"{"action":"Echo"}"#, r#"{"action":null}"#] {
        client.send(text);
        let request = assert_error(client.receive(), "Forbidden", &id);
        assert_eq!(request.len(), 16, "{request}");
    }
    for lifecycle in ["$connect", "$disconnect", "$default"] {
        client.send(&json!({ "action": lifecycle }).to_string());
        assert_error(client.receive(), "Forbidden", &id);
    }
    assert_open(&mut client);
}

#[test]
fn the_default_route_takes_what_no_other_takes() {
    let app = App::new()
        .function("default", "def handler(event, context):\n    return {'statusCode': 200, 'body': event['requestContext']['routeKey'] + ' ' + event['body']}\n")
        .two_way_route("$default", "default")
        .two_way_route("chat", "default");
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let mut client = stillwire.connect();
    for text in ["hi", "", "{}", "[1]", r#"{"action":"other"}"#, r#"{"action":"$connect"}"#] {
        client.send(text);
        assert_eq!(client.text(), format!("$default {text}"));
    }
    client.send(r#"{"action":"chat"}"#);
    assert_eq!(client.text(), r#"chat {"action":"chat"}"#);
}

#[test]
fn a_function_that_raises_gives_the_error_frame() {
    let (mut client, id) = WORLD.client();
    for route in ["odd", "silent"] {
        client.send(&odd(route, "raise"));
        assert_error(client.receive(), "Internal server error", &id);
    }
    assert_open(&mut client);
}

#[test]
fn a_function_over_its_own_time_gives_the_error_frame() {
    let (mut client, id) = WORLD.client();
    let began = Instant::now();
    client.send(&odd("brief", "loop"));
    assert_error(client.receive(), "Internal server error", &id);
    assert!(began.elapsed() >= Duration::from_secs(1));
    WORLD.stillwire.wait_for_log("Task timed out after 1.00 seconds");
    assert_open(&mut client);
}

#[test]
fn an_integration_over_its_time_is_told_and_its_late_answer_dropped() {
    let (mut client, id) = WORLD.client();
    client.send(r#"{"action":"slow"}"#);
    assert_error(client.receive(), "Endpoint request timed out", &id);
    WORLD.events.wait("the late end of the function", |event| event["late"] == *id);
    assert_eq!(client.receive_within(Duration::from_millis(300)), None);
    assert_open(&mut client);
}

#[test]
fn a_one_way_route_says_nothing_whatever_the_function_returns() {
    let (mut client, _) = WORLD.client();
    for answer in [
        r#"{"statusCode": 200, "body": "x"}"#,
        r#"{"statusCode": 500, "body": "x"}"#,
        r#""text""#,
        "null",
        "[]",
    ] {
        client.send(&odd("silent", answer));
    }
    assert_open(&mut client);
    assert_eq!(client.receive_within(Duration::from_millis(500)), None);
}

#[test]
fn a_two_way_route_sends_the_body_whatever_the_status() {
    let (mut client, id) = WORLD.client();
    for (answer, text) in [
        (r#"{"statusCode": 200, "body": "x"}"#, "x"),
        (r#"{"statusCode": 500, "body": "oops"}"#, "oops"),
        (r#"{"statusCode": 200, "body": "aGk=", "isBase64Encoded": true}"#, "hi"),
        (r#"{"statusCode": 200, "body": "{\"ä\": 1}"}"#, r#"{"ä": 1}"#),
    ] {
        client.send(&odd("odd", answer));
        assert_eq!(client.text(), text);
    }
    for malformed in [r#""text""#, r#"{"statusCode": 200, "body": {"a": 1}}"#] {
        client.send(&odd("odd", malformed));
        assert_error(client.receive(), "Internal server error", &id);
    }
    for silent in [r#"{"statusCode": 200}"#, "null"] {
        client.send(&odd("odd", silent));
    }
    assert_open(&mut client);
    assert_eq!(client.receive_within(Duration::from_millis(300)), None);
}

#[test]
fn a_message_arrives_byte_for_byte_with_its_members() {
    let (mut client, id) = WORLD.client();
    let text = "{ \"action\" : \"echo\",\n\t\"x\": \"\\u00e9 é 😀 \\/\" , \"n\": 1.0e2 }";
    client.send(text);
    assert_eq!(client.text(), text);
    let find =
        |event: &Value| event["body"] == text && event["requestContext"]["connectionId"] == *id;
    let event = WORLD.events.wait("the message", find);
    let mut members: Vec<_> = event.as_object().expect("an object").keys().collect();
    members.sort();
    assert_eq!(members, ["body", "isBase64Encoded", "requestContext"]);
    assert_eq!(event["isBase64Encoded"], false);
    let context = &event["requestContext"];
    let mut members: Vec<_> = context.as_object().expect("an object").keys().collect();
    members.sort();
    let expected = [
        "apiId",
        "connectedAt",
        "connectionId",
        "domainName",
        "eventType",
        "extendedRequestId",
        "identity",
        "messageDirection",
        "messageId",
        "requestId",
        "requestTime",
        "requestTimeEpoch",
        "routeKey",
        "stage",
    ];
    assert_eq!(members, expected);
    assert_eq!((&context["routeKey"], &context["eventType"]), (&json!("echo"), &json!("MESSAGE")));
    assert_eq!(context["apiId"], WORLD.stillwire.api("test")["id"]);
    let host = WORLD.stillwire.url("test", "ws");
    assert_eq!(format!("ws://{}/test", context["domainName"].as_str().expect("a host")), host);
    let connect = WORLD.events.wait_for(&id, "CONNECT");
    assert_eq!(context["connectedAt"], connect["requestContext"]["connectedAt"]);
    assert_ne!(context["requestId"], context["messageId"]);
}

#[test]
fn a_message_may_have_131072_bytes_in_frames_of_32768() {
    let message = |bytes: usize| {
        let empty = r#"{"action":"echo","fill":""}"#.len();
        format!(r#"{{"action":"echo","fill":"{}"}}"#, "x".repeat(bytes - empty))
    };
    let (mut client, _) = WORLD.client();
    let whole = message(131_072);
    client.send_frames(&whole, 32_768);
    assert!(client.text() == whole, "the same text");
    client.send(&message(32_768));
    client.text();
    client.send_frames(&message(131_073), 32_768);
    assert_eq!(client.receive(), Got::Close(1009, "Message too big".to_owned()));
    let (mut client, _) = WORLD.client();
    client.send(&message(32_769));
    assert_eq!(client.receive(), Got::Close(1009, "Message too big".to_owned()));
}

#[test]
fn what_is_no_text_closes_the_connection() {
    let (mut client, _) = WORLD.client();
    client.send_binary(b"\x01");
    assert_eq!(client.receive(), Got::Close(1003, "Unsupported data".to_owned()));
    let (mut client, _) = WORLD.client();
    client.send_raw(b"\x81\x82\0\0\0\0\xc3\x28");
    assert_eq!(client.receive(), Got::Close(1007, "Invalid payload data".to_owned()));
    for (what, frame) in [
        ("no mask", b"\x81\x01x".as_slice()),
        ("a reserved bit", b"\xc1\x81\0\0\0\0x"),
        ("an unknown opcode", b"\x83\x81\0\0\0\0x"),
        ("a ping in pieces", b"\x09\x81\0\0\0\0x"),
        ("a continuation of nothing", b"\x80\x81\0\0\0\0x"),
    ] {
        let (mut client, _) = WORLD.client();
        client.send_raw(frame);
        assert_eq!((what, client.receive()), (what, Got::Close(1002, "Protocol error".to_owned())));
    }
}

#[test]
fn a_ping_is_answered_also_between_the_frames_of_a_message() {
    let (mut client, _) = WORLD.client();
    client.ping(b"are you there?");
    assert_eq!(client.receive(), Got::Pong(b"are you there?".to_vec()));
    client.send_raw(b"\x01\x8f\0\0\0\0{\"action\":\"echo");
    client.ping(b"");
    assert_eq!(client.receive(), Got::Pong(Vec::new()));
    client.send_raw(b"\x80\x82\0\0\0\0\"}");
    assert_eq!(client.text(), r#"{"action":"echo"}"#);
}

#[test]
fn messages_of_one_connection_run_at_the_same_time() {
    let (mut client, _) = WORLD.client();
    let began = Instant::now();
    for _ in 0..3 {
        client.send(&odd("odd", "sleep"));
    }
    for _ in 0..3 {
        assert_eq!(client.text(), "slept");
    }
    let took = began.elapsed();
    assert!(took < Duration::from_millis(2900), "{took:?}");
}
