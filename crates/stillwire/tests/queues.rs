//! Queues of SQS, read for Python functions by the real program; the queue is a small server of this test.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "a queue hides messages for a time")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stillwire_testkit::{App, Stillwire, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// Notes each invocation; a body says what becomes of it.
const WORKER: &str = r#"
import json, os, time

def handler(event, context):
    began = time.time()
    bodies = [record["body"] for record in event["Records"]]
    if "slow" in bodies:
        time.sleep(0.5)
    with open(os.environ["SEEN"], "a") as file:
        note = {"bodies": bodies, "first": event["Records"][0], "began": began, "ended": time.time()}
        file.write(json.dumps(note) + "\n")
    if "raise" in bodies:
        raise ValueError("not this one")
    failed = [record["messageId"] for record in event["Records"] if record["body"] == "fail"]
    return {"batchItemFailures": [{"itemIdentifier": id} for id in failed]}
"#;

#[derive(Debug)]
struct Message {
    id: String,
    body: String,
    hidden_until: Instant,
    received: u32,
    receipt: String,
}

#[derive(Debug, Default)]
struct State {
    messages: Vec<Message>,
    /// What it was asked: operations with their bodies.
    asked: Vec<(String, Value)>,
}

#[derive(Debug)]
struct Queue {
    /// For how long it hides what it gives.
    hides: Duration,
    state: Mutex<State>,
    changed: Condvar,
    url: String,
}

impl Queue {
    fn start(hides: Duration) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let queue = Arc::new(Self { hides, state: Mutex::default(), changed: Condvar::new(), url });
        let serving = Arc::clone(&queue);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let queue = Arc::clone(&serving);
                std::thread::spawn(move || while queue.serve(&stream).is_some() {});
            }
        });
        queue
    }

    fn send(&self, body: &str) {
        let mut state = self.state.lock().unwrap();
        let id = format!("message-{}", state.asked.len() + state.messages.len());
        state.messages.push(Message {
            id,
            body: body.to_owned(),
            hidden_until: Instant::now(),
            received: 0,
            receipt: String::new(),
        });
        self.changed.notify_all();
    }

    fn bodies(&self) -> Vec<String> {
        self.state.lock().unwrap().messages.iter().map(|message| message.body.clone()).collect()
    }

    /// What was asked of one operation.
    fn asked(&self, operation: &str) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        state
            .asked
            .iter()
            .filter(|(asked, _)| asked == operation)
            .map(|(_, ask)| ask.clone())
            .collect()
    }

    /// Answers one request; `None` when there is none any more.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let (mut length, mut operation, mut signed) = (0, String::new(), false);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let lower = line.trim().to_lowercase();
            if let Some(text) = lower.strip_prefix("content-length:") {
                length = text.trim().parse().ok()?;
            }
            if lower.starts_with("x-amz-target:") {
                line.trim().rsplit("AmazonSQS.").next()?.clone_into(&mut operation);
            }
            signed |= lower.starts_with("authorization: aws4-hmac-sha256")
                && lower.contains("/sqs/aws4_request");
            if lower.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        assert!(signed, "requests are signed for the service");
        let ask: Value = serde_json::from_slice(&body).ok()?;
        let answer = self.answer(&operation, &ask).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        let mut stream = stream;
        stream.write_all((head + &answer).as_bytes()).ok()
    }

    fn answer(&self, operation: &str, ask: &Value) -> Value {
        let mut state = self.state.lock().unwrap();
        state.asked.push((operation.to_owned(), ask.clone()));
        let entries = || ask["Entries"].as_array().cloned().unwrap_or_default();
        match operation {
            "GetQueueUrl" => {
                assert_eq!(ask["QueueName"], "jobs");
                json!({ "QueueUrl": "http://sqs.example/000000000000/jobs" })
            }
            "ReceiveMessage" => {
                assert_eq!(ask["QueueUrl"], "http://sqs.example/000000000000/jobs");
                let most = usize::try_from(ask["MaxNumberOfMessages"].as_u64().unwrap()).unwrap();
                let wait = Duration::from_secs(ask["WaitTimeSeconds"].as_u64().unwrap());
                let deadline = Instant::now() + wait;
                loop {
                    let now = Instant::now();
                    let visible =
                        state.messages.iter_mut().filter(|message| message.hidden_until <= now);
                    let given: Vec<Value> = visible
                        .take(most)
                        .map(|message| {
                            message.hidden_until = now + self.hides;
                            message.received += 1;
                            message.receipt = format!("{}#{}", message.id, message.received);
                            json!({ "MessageId": message.id, "ReceiptHandle": message.receipt,
                                "Body": message.body, "MD5OfBody": "md5",
                                "Attributes": { "ApproximateReceiveCount": message.received.to_string() } })
                        })
                        .collect();
                    if !given.is_empty() || now >= deadline {
                        return json!({ "Messages": given });
                    }
                    state = self.changed.wait_timeout(state, Duration::from_millis(50)).unwrap().0;
                }
            }
            "DeleteMessageBatch" => {
                let receipts: Vec<Value> =
                    entries().iter().map(|entry| entry["ReceiptHandle"].clone()).collect();
                state.messages.retain(|message| !receipts.contains(&json!(message.receipt)));
                json!({ "Successful": [], "Failed": [] })
            }
            "ChangeMessageVisibilityBatch" => {
                for entry in entries() {
                    let is_it = |message: &&mut Message| entry["ReceiptHandle"] == message.receipt;
                    if let Some(message) = state.messages.iter_mut().find(is_it) {
                        message.hidden_until = Instant::now();
                    }
                }
                self.changed.notify_all();
                json!({ "Successful": [], "Failed": [] })
            }
            other => panic!("{other} is not asked for"),
        }
    }
}

/// The program, with a queue and a worker for it.
struct Scene {
    queue: Arc<Queue>,
    stillwire: Stillwire,
    notes: tempfile::TempDir,
    _app: App,
}

impl Scene {
    fn start(hides: Duration, mapping: Value) -> Self {
        let queue = Queue::start(hides);
        let notes = tempfile::tempdir().unwrap();
        let seen = notes.path().join("seen");
        let variables = json!({ "Environment": { "Variables": { "SEEN": seen } } });
        let mut properties = json!({ "FunctionName": { "Ref": "worker" },
            "EventSourceArn": { "Fn::GetAtt": ["Queue", "Arn"] } });
        for (name, value) in mapping.as_object().unwrap() {
            properties[name] = value.clone();
        }
        let app = App::new()
            .function_with("worker", WORKER, &variables)
            .resource(
                "Queue",
                json!({ "Type": "AWS::SQS::Queue", "Properties": { "QueueName": "jobs" } }),
            )
            .resource(
                "Source",
                json!({ "Type": "AWS::Lambda::EventSourceMapping", "Properties": properties }),
            );
        let mut command = Stillwire::command(PROGRAM);
        command
            .args(["dev", "--port", "0", "--verbose", "--in-memory"])
            .arg(app.template())
            .env("AWS_ENDPOINT_URL_SQS", &queue.url);
        Self { queue, stillwire: Stillwire::start(command), notes, _app: app }
    }

    fn seen(&self) -> Vec<Value> {
        notes(&self.notes.path().join("seen"))
    }

    fn bodies(&self) -> Vec<String> {
        let seen = self.seen();
        let all = seen.iter().flat_map(|note| note["bodies"].as_array().unwrap());
        all.map(|body| body.as_str().unwrap().to_owned()).collect()
    }

    fn until_empty(&self) {
        eventually("an empty queue", || self.queue.bodies().is_empty().then_some(()));
    }
}

fn notes(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.split_inclusive('\n').filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn messages_become_events_and_are_deleted_when_they_are_done() {
    let scene = Scene::start(Duration::from_secs(30), json!({}));
    scene.queue.send("hello");
    scene.until_empty();
    let first = &scene.seen()[0]["first"];
    assert_eq!(first["eventSource"], "aws:sqs");
    assert_eq!(first["awsRegion"], "us-east-1");
    assert!(first["eventSourceARN"].as_str().unwrap().ends_with(":jobs"), "{first}");
    assert_eq!((&first["body"], &first["md5OfBody"]), (&json!("hello"), &json!("md5")));
    assert_eq!(first["attributes"]["ApproximateReceiveCount"], "1");
    assert_eq!(first["messageAttributes"], json!({}));
    let asked = &scene.queue.asked("ReceiveMessage")[0];
    assert_eq!(
        (&asked["WaitTimeSeconds"], &asked["MaxNumberOfMessages"]),
        (&json!(20), &json!(10))
    );
    let (log, ended_well) = scene.stillwire.stop();
    assert!(ended_well, "{log}");
}

#[test]
fn what_failed_stays_and_comes_again_when_the_queue_shows_it() {
    let scene = Scene::start(
        Duration::from_secs(3),
        json!({ "FunctionResponseTypes": ["ReportBatchItemFailures"], "BatchSize": 100,
            "MaximumBatchingWindowInSeconds": 1 }),
    );
    for body in ["a", "fail", "b"] {
        scene.queue.send(body);
    }
    eventually("two attempts", || (scene.seen().len() >= 2).then_some(()));
    assert_eq!(scene.seen()[0]["bodies"], json!(["a", "fail", "b"]));
    assert_eq!(scene.seen()[1]["bodies"], json!(["fail"]));
    assert_eq!(scene.seen()[1]["first"]["attributes"]["ApproximateReceiveCount"], "2");
    assert_eq!(scene.queue.bodies(), ["fail"]);
    scene.queue.send("raise");
    eventually("a failed invocation", || {
        scene.bodies().contains(&"raise".to_owned()).then_some(())
    });
    assert!(scene.queue.bodies().contains(&"raise".to_owned()), "nothing of it is deleted");
}

#[test]
fn messages_that_no_filter_wants_are_deleted() {
    let pattern = json!({ "body": { "kind": ["order"] } }).to_string();
    let scene = Scene::start(
        Duration::from_secs(30),
        json!({ "FilterCriteria": { "Filters": [{ "Pattern": pattern }] } }),
    );
    for body in [r#"{"kind":"note"}"#, r#"{"kind":"order"}"#, "no JSON"] {
        scene.queue.send(body);
    }
    scene.until_empty();
    assert_eq!(scene.bodies(), [r#"{"kind":"order"}"#]);
}

#[test]
fn no_more_invocations_run_at_once_than_the_mapping_says() {
    let scene = Scene::start(
        Duration::from_secs(30),
        json!({ "BatchSize": 1, "ScalingConfig": { "MaximumConcurrency": 2 } }),
    );
    (0..8).for_each(|_| scene.queue.send("slow"));
    scene.until_empty();
    let seen = scene.seen();
    let time = |note: &Value, name: &str| note[name].as_f64().unwrap();
    let most = seen.iter().map(|note| {
        let began = time(note, "began");
        seen.iter()
            .filter(|other| time(other, "began") <= began && began < time(other, "ended"))
            .count()
    });
    assert_eq!(most.max(), Some(2));
}

#[test]
fn a_stop_gives_back_what_was_gathered() {
    let scene = Scene::start(
        Duration::from_mins(1),
        json!({ "BatchSize": 100, "MaximumBatchingWindowInSeconds": 300 }),
    );
    scene.queue.send("waits");
    eventually("the message is received", || {
        (scene.queue.asked("ReceiveMessage").len() > 1).then_some(())
    });
    let (log, ended_well) = scene.stillwire.stop();
    assert!(ended_well, "{log}");
    assert_eq!(scene.queue.asked("ChangeMessageVisibilityBatch").len(), 1);
    assert_eq!(scene.queue.bodies(), ["waits"]);
}
