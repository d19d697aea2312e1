//! Tests of a connection over an in-memory pipe, with time that only moves when nothing else does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use stillwire_awswire::{ConnectionId, RequestIds};
use stillwire_drain::Drain;
use stillwire_model::{
    Api, ApiId, Authorization, BoxFuture, Clock, FunctionArn, Integration, IntegrationTarget,
    Invocation, Invoke, InvokeError, Outcome, Route, RouteKey, SelectionExpression, Stage,
    StageName,
};
use stillwire_websocket::CloseFrame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;
use crate::outbox::Outbox;
use crate::peer::{LiveApi, Peer};
use crate::registry::Live;
use crate::registry::Registry;
use crate::session::ApiSession;
use crate::shared::{Config, ConnectionLimits, Shared};

#[derive(Debug)]
struct NoTime;

impl Clock for NoTime {
    fn epoch_millis(&self) -> u64 {
        1_738_660_353_120
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
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'static, Result<Outcome, InvokeError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.payloads.lock().unwrap().push(invocation.payload);
        let (answer, delay) = (self.answer.clone(), self.delay);
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            answer
        })
    }
}

struct Line {
    client: DuplexStream,
    live: Arc<Live>,
    function: Arc<Scripted>,
    task: JoinHandle<Ending>,
}

fn connect(answer: Result<Outcome, InvokeError>, delay: Duration, two_way: bool) -> Line {
    let function = Arc::new(Scripted {
        calls: AtomicUsize::new(0),
        answer,
        delay,
        payloads: Mutex::default(),
    });
    let expression = SelectionExpression::parse("$request.body.action").unwrap();
    let integration = Integration {
        id: "i".to_owned(),
        target: IntegrationTarget::Function {
            function: FunctionArn::new("aws", "us-east-1", "0", "f"),
            qualifier: None,
        },
        timeout: limits::INTEGRATION_TIMEOUT_MAX,
    };
    let route = Route {
        key: RouteKey::parse("chat").unwrap(),
        integration: Some(Arc::new(integration)),
        authorization: Authorization::None,
        two_way,
    };
    let mut api = Api::new(ApiId::parse("abc").unwrap(), expression).with_routes([route]).unwrap();
    let stage = StageName::parse("dev").unwrap();
    api.stages.insert(stage.clone(), Stage { name: stage.clone(), variables: BTreeMap::new() });
    let shared = Arc::new(Shared {
        config: Config { connections_max: 10, connection: ConnectionLimits::default() },
        invoke: function.clone(),
        clock: Arc::new(NoTime),
        ids: RequestIds::new().unwrap(),
        registry: Arc::new(Registry::new()),
        departures: Mutex::new(None),
    });
    let peer = Peer {
        id: ConnectionId::random().unwrap(),
        api: Arc::new(LiveApi::new(Arc::new(api), "localhost:7800".to_owned())),
        stage,
        source_ip: "127.0.0.1".to_owned(),
        user_agent: None,
        connected_at: 1_738_660_353_120,
        authorized: OnceLock::new(),
    };
    let live = Arc::new(Live {
        peer: Arc::new(peer),
        outbox: Outbox::default(),
        last_active: AtomicU64::new(0),
    });
    let (client, server) = duplex(256 * 1024);
    let drain = Drain::new();
    let session =
        ApiSession { live: Arc::clone(&live), shared: Arc::clone(&shared), drain: drain.clone() };
    let limits = ConnectionLimits::default();
    let connection = Connection::new(server, session, limits, Vec::new());
    let registration = shared.registry.register(Arc::clone(&live));
    let task = drain.spawn("test", async move {
        let ending = connection.await;
        drop(registration);
        ending
    });
    Line { client, live, function, task }
}

fn silent() -> Line {
    connect(Ok(Outcome::Returned("null".into())), Duration::ZERO, false)
}

impl Line {
    async fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut bytes = Vec::new();
        encode_message(opcode, payload, 32_768, Masking::Key([1, 2, 3, 4]), &mut bytes);
        self.client.write_all(&bytes).await.unwrap();
    }

    async fn send_raw(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
    }

    /// The next message of the server.
    async fn receive(&mut self) -> Message<'static> {
        let limits = Limits { frame_bytes_max: 32_768, message_bytes_max: 131_072, binary: false };
        let mut decoder = Decoder::new(Role::Client, limits);
        loop {
            let mut byte = [0];
            self.client.read_exact(&mut byte).await.unwrap();
            let message = decoder.decode(&mut byte).unwrap().message;
            match message {
                None => {}
                Some(Message::Text(text)) => return Message::Text(text.into_owned().into()),
                Some(Message::Pong(bytes)) => return Message::Pong(bytes.into_owned().into()),
                Some(Message::Close(frame)) => return Message::Close(frame),
                Some(other) => panic!("unexpected {other:?}"),
            }
        }
    }

    async fn receive_close(&mut self) -> Option<CloseFrame> {
        match self.receive().await {
            Message::Close(frame) => frame,
            other => panic!("not a close frame: {other:?}"),
        }
    }
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_ten_minutes() {
    let mut line = silent();
    let began = Instant::now();
    let frame = line.receive_close().await.unwrap();
    assert_eq!((frame.code.get(), frame.reason.as_str()), (1001, "Going away"));
    assert_eq!(began.elapsed().as_secs(), 600);
    assert_eq!(line.task.await.unwrap(), Ending::going_away());
}

#[tokio::test(start_paused = true)]
async fn a_post_keeps_a_connection_alive_and_a_ping_does_not() {
    let mut line = silent();
    let began = Instant::now();
    tokio::time::sleep(minutes(9)).await;
    line.live.outbox.post("hello".into()).unwrap();
    assert_eq!(line.receive().await, Message::Text("hello".into()));
    tokio::time::sleep(minutes(5)).await;
    line.send_raw(b"\x89\x81\0\0\0\0?").await;
    assert_eq!(line.receive().await, Message::Pong(b"?".as_slice().into()));
    line.receive_close().await;
    assert_eq!(began.elapsed().as_secs() / 60, 19);
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_after_two_hours_even_with_traffic() {
    let mut line = silent();
    let began = Instant::now();
    for _ in 0..23 {
        tokio::time::sleep(minutes(5)).await;
        line.live.outbox.post("tick".into()).unwrap();
        line.receive().await;
    }
    line.receive_close().await;
    assert_eq!(began.elapsed().as_secs(), 7200);
}

#[tokio::test(start_paused = true)]
async fn a_client_gets_its_own_close_code_back_and_the_ending_has_its_reason() {
    for (payload, echoed, code, reason) in [
        (b"".as_slice(), None, 1005, "Client-side close frame status not set"),
        (b"\x03\xe9", Some(1001), 1001, ""),
        (b"\x0f\xa1bye", Some(4001), 4001, "bye"),
    ] {
        let mut line = silent();
        let length = u8::try_from(payload.len()).unwrap();
        line.send_raw(&[&[0x88, 0x80 | length, 0, 0, 0, 0], payload].concat()).await;
        let frame = line.receive_close().await;
        assert_eq!(frame.map(|frame| frame.code.get()), echoed);
        let ending = line.task.await.unwrap();
        assert_eq!((ending.status_code, ending.reason.as_str()), (code, reason));
    }
}

#[tokio::test(start_paused = true)]
async fn a_violation_closes_with_its_code_and_calls_nothing() {
    for (bytes, code) in [
        (b"\x82\x80\0\0\0\0".as_slice(), 1003),        // binary
        (b"\x81\xff\0\0\0\0\0\x01\0\0\0\0\0\0", 1009), // a frame of 64 KB
        (b"\x81\x02hi", 1002),                         // not masked
        (b"\x81\x82\0\0\0\0\xc3\x28", 1007),           // not UTF-8
    ] {
        let mut line = silent();
        line.send_raw(bytes).await;
        let frame = line.receive_close().await.unwrap();
        assert_eq!(frame.code.get(), code);
        assert_eq!(line.task.await.unwrap().status_code, code);
        assert_eq!(line.function.calls.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_vanishes_is_lost() {
    let line = silent();
    drop(line.client);
    assert_eq!(line.task.await.unwrap(), Ending::lost());
}

#[tokio::test(start_paused = true)]
async fn a_message_without_a_route_is_forbidden_and_the_connection_stays() {
    let mut line = silent();
    for message in ["{\"action\":\"other\"}", "hi", "{\"action\":\"$connect\"}"] {
        line.send(Opcode::Text, message.as_bytes()).await;
        let Message::Text(frame) = line.receive().await else { panic!("no frame") };
        assert!(frame.starts_with(r#"{"message": "Forbidden", "connectionId":""#), "{frame}");
    }
    assert_eq!(line.function.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_version_of_the_api_serves_the_next_message_of_a_connection_that_stays() {
    let mut line = silent();
    let expression = SelectionExpression::parse("$request.body.action").unwrap();
    let without_routes = Api::new(ApiId::parse("abc").unwrap(), expression);
    line.live.peer.api.replace(Arc::new(without_routes));
    line.send(Opcode::Text, br#"{"action":"chat"}"#).await;
    let Message::Text(frame) = line.receive().await else { panic!("no frame") };
    assert!(frame.contains("Forbidden"), "{frame}");
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
        line.send(Opcode::Text, br#"{"action":"chat"}"#).await;
        let Message::Text(frame) = line.receive().await else { panic!("no frame") };
        assert!(frame.contains(expected), "{frame}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_two_way_route_answers() {
    let answer = Ok(Outcome::Returned(r#"{"statusCode":200,"body":"pong"}"#.into()));
    let mut line = connect(answer.clone(), Duration::ZERO, true);
    line.send(Opcode::Text, br#"{"action":"chat"}"#).await;
    assert_eq!(line.receive().await, Message::Text("pong".into()));
    let mut line = connect(answer, Duration::ZERO, false);
    line.send(Opcode::Text, br#"{"action":"chat"}"#).await;
    tokio::time::sleep(minutes(1)).await;
    line.live.outbox.post("next".into()).unwrap();
    assert_eq!(line.receive().await, Message::Text("next".into()));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_far_ahead_is_not_read_until_the_application_catches_up() {
    let answer = Ok(Outcome::Returned(r#"{"statusCode":200,"body":"done"}"#.into()));
    let mut line = connect(answer, Duration::from_secs(5), true);
    for _ in 0..40 {
        line.send(Opcode::Text, br#"{"action":"chat"}"#).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let at_once = limits::IN_FLIGHT_PER_CONNECTION_MAX;
    assert_eq!(line.function.calls.load(Ordering::SeqCst), at_once);
    for _ in 0..40 {
        line.receive().await;
    }
    assert_eq!(line.function.calls.load(Ordering::SeqCst), 40);
}

#[tokio::test(start_paused = true)]
async fn the_event_of_a_message_has_its_members_and_the_text_as_it_came() {
    let mut line = silent();
    let text = "{ \"action\":\"chat\",\n \"text\":\"\\u00e9 \u{1f600}\" }";
    line.send(Opcode::Text, text.as_bytes()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
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
async fn a_deleted_connection_sends_what_was_accepted_and_closes_with_1000() {
    let mut line = silent();
    line.live.outbox.post("last".into()).unwrap();
    line.live.outbox.end(Ending::deleted()).unwrap();
    assert_eq!(line.receive().await, Message::Text("last".into()));
    assert_eq!(line.receive_close().await.unwrap().code.get(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_bytes_is_given_up() {
    let line = silent();
    for _ in 0..3 {
        line.live.outbox.post(vec![b'x'; 131_072].into()).unwrap();
    }
    let began = Instant::now();
    assert_eq!(line.task.await.unwrap(), Ending::lost());
    assert!(began.elapsed() < minutes(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_again_gets_everything_that_was_accepted() {
    let mut line = silent();
    let message = Bytes::from(vec![b'x'; 4000]);
    let mut due = 0;
    // Until the pipe, the bytes on their way and the outbox are full.
    while line.live.outbox.post(message.clone()) == Ok(()) {
        due += message.len() + 4;
        tokio::task::yield_now().await;
    }
    assert!(due > 512 * 1024, "{due}");
    let mut chunk = vec![0; 300 * 1024];
    while due > 0 {
        let reading = line.client.read(&mut chunk);
        let read = tokio::time::timeout(Duration::from_secs(1), reading)
            .await
            .expect("more is due")
            .unwrap();
        due -= read;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_told_to_leave_within_the_time_for_it() {
    let line = silent();
    for _ in 0..6 {
        line.live.outbox.post(vec![b'x'; 131_072].into()).unwrap();
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    line.live.outbox.end(Ending::going_away()).unwrap();
    assert_eq!(line.task.await.unwrap(), Ending::going_away());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_messages_without_a_route_gets_as_many_frames() {
    let mut line = silent();
    let mut burst = Vec::new();
    for _ in 0..3000 {
        encode_message(Opcode::Text, b"?", 32_768, Masking::Key([1, 2, 3, 4]), &mut burst);
    }
    line.send_raw(&burst).await;
    for _ in 0..3000 {
        let Message::Text(frame) = line.receive().await else { panic!("no frame") };
        assert!(frame.contains("Forbidden"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stall_counts_from_the_last_byte_taken_and_not_from_the_first() {
    let mut line = silent();
    for _ in 0..6 {
        line.live.outbox.post(vec![b'x'; 131_072].into()).unwrap();
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    let mut some = vec![0; 65_536];
    line.client.read_exact(&mut some).await.unwrap();
    let began = Instant::now();
    assert_eq!(line.task.await.unwrap(), Ending::lost());
    assert!((25..=40).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[test]
fn the_state_of_a_connection_is_small() {
    let size = size_of::<Connection<stillwire_listen::Stream, ApiSession>>();
    assert!(size <= 496, "a connection's state has grown to {size} bytes");
}
