//! Tests of what messages mean, with time that only moves when nothing else does.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use stillwire_awswire::{ConnectionId, RequestIds};
use stillwire_drain::Drain;
use stillwire_model::{
    AccessLog, AccessLogs, Api, ApiId, BoxFuture, Clock, EventQueue, FunctionArn, Integration,
    Invocation, Invoke, InvokeError, Invoked, LATEST, LogFormat, Outcome, Route, RouteKey,
    SelectionExpression, Stage, StageName, TableApi, TableStores, Throttle, limits,
};
use stillwire_outbound::Outbound;
use tokio::sync::mpsc;

use super::*;
use crate::admission::Departure;
use crate::api_keys::Usage;
use crate::caller::{Keys, SignedStages};
use crate::engine::Addresses;
use crate::integration::{Services, Templates};
use crate::peer::{LiveApi, Peer};
use crate::registry::Registry;
use crate::shared::StageLimits;

#[derive(Debug)]
struct NoTime;

impl Clock for NoTime {
    fn epoch_millis(&self) -> u64 {
        1_738_660_353_120
    }
}

#[derive(Debug)]
struct NoTables;

impl TableStores for NoTables {
    fn store(&self, _: &str, _: &str) -> Arc<dyn TableApi> {
        unreachable!("no test asks for one")
    }
}

#[derive(Debug)]
struct NoEvents;

impl EventQueue for NoEvents {
    fn accept(&self, _: Invocation) -> Result<(), InvokeError> {
        unreachable!("no test sends one")
    }
}

/// Keeps the lines of access logs.
#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl AccessLogs for Lines {
    fn line(&self, destination: &Arc<str>, line: &str) {
        self.0.lock().unwrap().push(format!("{destination}: {line}"));
    }
}

/// A function whose answer each test chooses, and which counts its calls.
#[derive(Debug)]
struct Scripted {
    calls: AtomicUsize,
    answer: Result<Outcome, InvokeError>,
    delay: Duration,
    payloads: Mutex<Vec<Bytes>>,
}

impl Invoke for Scripted {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'static, Result<Invoked, InvokeError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.payloads.lock().unwrap().push(invocation.payload);
        let (answer, delay) = (self.answer.clone(), self.delay);
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            answer.map(|outcome| Invoked { outcome, version: LATEST.into(), log_tail: None })
        })
    }
}

struct Line {
    session: ApiSession,
    function: Arc<Scripted>,
    /// What went out with the read that brought a message.
    at_once: Vec<u8>,
    logs: Arc<Lines>,
    _departures: mpsc::Receiver<Departure>,
}

fn connect(answer: Result<Outcome, InvokeError>, delay: Duration, two_way: bool) -> Line {
    let function = Arc::new(Scripted {
        calls: AtomicUsize::new(0),
        answer,
        delay,
        payloads: Mutex::default(),
    });
    let expression = SelectionExpression::parse("$request.body.action").unwrap();
    let function_arn = FunctionArn::new("aws", "us-east-1", "0", "f");
    let integration = Integration::of_function("i", function_arn);
    let key = RouteKey::parse("chat").unwrap();
    let route = Route { two_way, ..Route::new(key, Some(Arc::new(integration))) };
    let mut api = Api::new(ApiId::parse("abc").unwrap(), expression).with_routes([route]).unwrap();
    let stage = StageName::parse("dev").unwrap();
    let mut served = Stage::new(stage.clone());
    served.default_settings.throttle = Some(Throttle { rate: 1.0, burst: 30 });
    let format = "$context.eventType $context.routeKey $context.status $context.error.message \
        $context.integration.status $context.authorizer.principalId $context.requestId";
    served.access_log =
        Some(AccessLog { destination: "test".into(), format: LogFormat::parse(format).unwrap() });
    api.stages.insert(stage.clone(), served);
    let logs = Arc::new(Lines::default());
    let (departures, arriving) = mpsc::channel(1);
    let place = departures.clone().try_reserve_owned().unwrap();
    let shared = Arc::new(Shared {
        patient: false,
        limits: StageLimits::default(),
        invoke: function.clone(),
        events: Arc::new(NoEvents),
        clock: Arc::new(NoTime),
        access_logs: logs.clone(),
        keys: Keys::default(),
        signed: SignedStages::default(),
        services: Services { tables: Arc::new(NoTables), endpoints: BTreeMap::new() },
        templates: Templates::default(),
        outbound: Outbound::new(None),
        ids: RequestIds::new().unwrap(),
        table: ArcSwap::default(),
        registry: Registry::new(Addresses::new().unwrap(), 1),
        departures: Mutex::new(Some(departures)),
        usage: Usage::default(),
        drain: Drain::new(),
    });
    let domain_name: Arc<str> = "localhost:7800".into();
    let api = Arc::new(LiveApi::new(Arc::new(api), Arc::clone(&domain_name)));
    let peer = Peer {
        id: ConnectionId::from_bytes([7; 11]),
        place: api.place(stage, &domain_name),
        api,
        source_ip: [127, 0, 0, 1].into(),
        user_agent: None,
        connected_at: 1_738_660_353_120,
        authorized: None,
        access_key: None,
        api_key: None,
    };
    let outbox = Outbox::new(Arc::default(), Arc::default(), 0);
    let live = Arc::new(Live { peer, outbox, last_active: AtomicU64::new(0) });
    let session = ApiSession::new(Admission::new(live, place), shared);
    Line { session, function, at_once: Vec::new(), logs, _departures: arriving }
}

fn silent() -> Line {
    connect(Ok(Outcome::Returned("null".into())), Duration::ZERO, false)
}

impl Line {
    fn send(&mut self, text: &str) {
        let mut replies =
            Replies { out: &mut self.at_once, frame_bytes_max: 32_768, compression: None };
        self.session.message(Incoming::Text(text), &mut replies);
    }

    /// What was posted once nothing moves any more.
    async fn posted(&mut self) -> Vec<String> {
        tokio::time::sleep(Duration::from_secs(100)).await;
        let mut posted = Vec::new();
        self.session.outbox().take(true, |message| {
            let (Outgoing::Text(bytes) | Outgoing::Binary(bytes)) = message;
            posted.push(String::from_utf8_lossy(&bytes).into_owned());
            true
        });
        posted
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_without_a_route_is_forbidden_at_once() {
    let mut line = silent();
    for message in ["{\"action\":\"other\"}", "hi", "{\"action\":\"$connect\"}"] {
        line.send(message);
        let frame = String::from_utf8_lossy(&std::mem::take(&mut line.at_once)).into_owned();
        assert!(frame.contains(r#"{"message": "Forbidden", "connectionId":""#), "{frame}");
    }
    assert_eq!(line.function.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_version_of_the_api_serves_the_next_message_of_a_connection_that_stays() {
    let mut line = silent();
    let expression = SelectionExpression::parse("$request.body.action").unwrap();
    let without_routes = Api::new(ApiId::parse("abc").unwrap(), expression);
    line.session.live().peer.api.replace(Arc::new(without_routes));
    line.send(r#"{"action":"chat"}"#);
    assert!(String::from_utf8_lossy(&line.at_once).contains("Forbidden"));
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_in_a_frame_also_on_a_one_way_route() {
    let failed = Ok(Outcome::Failed("{}".into()));
    let slow = Ok(Outcome::Returned("null".into()));
    for (answer, delay, expected) in [
        (failed, Duration::ZERO, "Internal server error"),
        (slow, Duration::from_secs(40), "Endpoint request timed out"),
    ] {
        let mut line = connect(answer, delay, false);
        line.send(r#"{"action":"chat"}"#);
        let frames = line.posted().await;
        assert!(frames.len() == 1 && frames[0].contains(expected), "{frames:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_two_way_route_answers() {
    let answer = Ok(Outcome::Returned(r#"{"statusCode":200,"body":"pong"}"#.into()));
    for (two_way, expected) in [(true, vec!["pong".to_owned()]), (false, vec![])] {
        let mut line = connect(answer.clone(), Duration::ZERO, two_way);
        line.send(r#"{"action":"chat"}"#);
        assert_eq!(line.posted().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_application_has_a_message_until_it_has_answered() {
    let limit = limits::IN_FLIGHT_PER_CONNECTION_MAX;
    let mut line = connect(Ok(Outcome::Returned("null".into())), Duration::from_secs(5), false);
    for _ in 0..limit {
        assert!(!line.session.outbox().is_behind());
        line.send(r#"{"action":"chat"}"#);
    }
    assert!(line.session.outbox().is_behind());
    line.posted().await;
    assert!(!line.session.outbox().is_behind());
}

#[tokio::test(start_paused = true)]
async fn the_event_of_a_message_has_its_members_and_the_text_as_it_came() {
    let mut line = silent();
    let text = "{ \"action\":\"chat\",\n \"text\":\"\\u00e9 \u{1f600}\" }";
    line.send(text);
    let payload = line.function.payloads.lock().unwrap()[0].clone();
    let event: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(event["body"], text);
    let names: Vec<_> = event.as_object().unwrap().keys().collect();
    assert_eq!(names, ["requestContext", "body", "isBase64Encoded"]);
    let context: Vec<_> = event["requestContext"].as_object().unwrap().keys().collect();
    let expected = "routeKey messageId eventType extendedRequestId requestTime messageDirection stage \
        connectedAt requestTimeEpoch identity requestId domainName connectionId apiId";
    assert_eq!(context, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!(event["requestContext"]["requestTime"], "04/Feb/2025:09:12:33 +0000");
}

#[tokio::test(start_paused = true)]
async fn a_binary_message_that_is_let_in_takes_the_default_route() {
    let mut line = silent();
    let mut replies =
        Replies { out: &mut line.at_once, frame_bytes_max: 32_768, compression: None };
    line.session.message(Incoming::Binary(b"\xff\x00"), &mut replies);
    assert!(String::from_utf8_lossy(&line.at_once).contains("Forbidden"), "there is none");
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_throttled_says_so_and_the_call_is_not_made() {
    let mut line = silent();
    for _ in 0..30 {
        line.send(r#"{"action":"chat"}"#);
    }
    assert!(line.at_once.is_empty());
    line.send(r#"{"action":"chat"}"#);
    assert!(String::from_utf8_lossy(&line.at_once).contains("Too Many Requests"));
    assert_eq!(line.function.calls.load(Ordering::SeqCst), 30);
}

#[tokio::test(start_paused = true)]
async fn every_message_has_its_line_in_the_access_log() {
    let answer = Ok(Outcome::Returned(r#"{"statusCode":201}"#.into()));
    let mut line = connect(answer, Duration::ZERO, false);
    line.send(r#"{"action":"chat"}"#);
    line.send(r#"{"action":"other\nline"}"#);
    line.posted().await;
    let mut lines: Vec<_> = line.logs.0.lock().unwrap().clone();
    lines.sort();
    assert!(lines[0].starts_with("test: MESSAGE chat 200 - 201 - "), "{lines:?}");
    assert!(lines[1].starts_with("test: MESSAGE other line 403 Forbidden - - "), "{lines:?}");
}
