//! Every way to leave, and the one `$disconnect` that tells of it.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]
#![allow(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::sync::LazyLock;
use std::time::Duration;

use rustix::process::Signal;
use stillwire_testkit::{App, Client, Events, Got, Stillwire};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const CODE: &str = r#"
import boto3
def handler(event, context):
    record(event)
    request = event["requestContext"]
    if request["eventType"] == "DISCONNECT":
        gateway = boto3.client("apigatewaymanagementapi")
        try:
            gateway.post_to_connection(ConnectionId=request["connectionId"], Data=b"still there?")
            outcome = "posted"
        except gateway.exceptions.GoneException:
            outcome = "gone"
        record({"post": outcome, "to": request["connectionId"]})
    return {"statusCode": 200, "body": request["connectionId"]}
"#;

struct World {
    stillwire: Stillwire,
    events: Events,
}

fn app(events: &Events) -> App {
    App::new()
        .function_with("all", &format!("{}{CODE}", Events::CODE), &events.properties())
        .route("$connect", "all")
        .route("$disconnect", "all")
        .two_way_route("$default", "all")
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let events = Events::new();
    let mut stillwire = app(&events).share(PROGRAM);
    stillwire.keep_until_the_end(events.folder());
    World { stillwire, events }
});

fn client(stillwire: &Stillwire) -> (Client, String) {
    let mut client = stillwire.try_connect("test", &[("User-Agent", "me")]).expect("accepted");
    client.send("who am I?");
    let id = client.text();
    (client, id)
}

impl World {
    /// Code and reason of the `$disconnect` of a connection; there is exactly one.
    fn ending(&self, id: &str) -> (u64, String) {
        self.events.wait_for(id, "DISCONNECT");
        self.events.wait("the end of $disconnect", |event| event["to"] == *id);
        let events = self.events.of(|event| {
            let context = &event["requestContext"];
            context["connectionId"] == *id && context["eventType"] == "DISCONNECT"
        });
        let [event] = events.as_slice() else { panic!("{events:?}") };
        let context = &event["requestContext"];
        let code = context["disconnectStatusCode"].as_u64().expect("a code");
        (code, context["disconnectReason"].as_str().expect("a reason").to_owned())
    }
}

#[test]
fn a_client_that_breaks_a_rule_is_told_which_and_so_is_the_function() {
    for (frame, code, reason) in [
        (b"\x82\x81\0\0\0\0x".as_slice(), 1003, "Unsupported data"),
        (b"\x81\x81\0\0\0\0\xff", 1007, "Invalid payload data"),
        (b"\x81\x01x", 1002, "Protocol error"),
        (b"\x81\xff\0\0\0\0\0\x01\0\0\0\0\0\0", 1009, "Message too big"),
    ] {
        let (mut client, id) = client(&WORLD.stillwire);
        client.send_raw(frame);
        assert_eq!(client.receive(), Got::Close(code, reason.to_owned()));
        drop(client);
        assert_eq!(WORLD.ending(&id), (u64::from(code), reason.to_owned()));
    }
}

/// The port used to close first, and a `$disconnect` that told the others failed.
#[test]
fn a_stop_says_goodbye_and_waits_for_the_disconnects() {
    for signal in [Signal::TERM, Signal::INT] {
        let events = Events::new();
        let app = app(&events);
        let mut stillwire = Stillwire::dev(PROGRAM, &app.template());
        let mut clients: Vec<_> = (0..3).map(|_| client(&stillwire)).collect();
        stillwire.signal(signal);
        for (client, _) in &mut clients {
            assert_eq!(client.receive(), Got::Close(1001, "Going away".to_owned()));
        }
        let ids: Vec<_> = clients.into_iter().map(|(_, id)| id).collect();
        assert!(stillwire.wait(), "the exit status is 0");
        for id in &ids {
            let told = events.of(|event| {
                let context = &event["requestContext"];
                context["connectionId"] == **id && context["disconnectStatusCode"] == 1001
            });
            assert_eq!(told.len(), 1, "delivered before the end");
            assert_eq!(told[0]["requestContext"]["disconnectReason"], "Going away");
            let posts = events.of(|event| event["to"] == **id);
            assert_eq!(posts.len(), 1, "and run to its end");
            assert_eq!(posts[0]["post"], "gone", "@connections answers to the last");
        }
        std::fs::remove_dir_all(events.folder()).expect("removed");
    }
}

#[test]
fn a_client_that_ignores_the_goodbye_does_not_hold_up_the_stop_for_long() {
    let events = Events::new();
    let app = app(&events);
    let mut stillwire = Stillwire::dev(PROGRAM, &app.template());
    let (client, id) = client(&stillwire);
    let began = std::time::Instant::now();
    stillwire.signal(Signal::TERM);
    assert!(stillwire.wait(), "the exit status is 0");
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(events.wait_for(&id, "DISCONNECT")["requestContext"]["disconnectStatusCode"], 1001);
    drop(client);
    std::fs::remove_dir_all(events.folder()).expect("removed");
}
