//! Streams of tables, read for Python functions by the real program.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test measures time, and waits for what it cannot see"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;
use serde_json::{Value, json};
use stillwire_testkit::{App, Stillwire, eventually, raw};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// Notes each invocation in a file, and answers as the numbers of its records ask.
const WORKER: &str = r#"
import json, os, time

turn = 0

def handler(event, context):
    global turn
    turn += 1
    began = time.time()
    numbers = [int(r["dynamodb"]["Keys"]["n"]["N"]) for r in event["Records"]]
    time.sleep(float(os.environ.get("SLEEP", "0")))
    failed = set(json.loads(os.environ.get("POISON", "[]"))) & set(numbers)
    note = {
        "numbers": numbers,
        "items": [r["dynamodb"]["Keys"]["id"]["S"] for r in event["Records"]],
        "names": [r["eventName"] for r in event["Records"]],
        "began": began, "ended": time.time(), "failed": bool(failed),
        **{name: value for name, value in event.items() if name != "Records"},
    }
    if turn == 1:
        note["first"] = event["Records"][0]
    with open(os.environ["SEEN"], "a") as file:
        file.write(json.dumps(note) + "\n")
    if failed:
        raise ValueError("poison")
    if "ANSWERS" in os.environ:
        answers = json.loads(os.environ["ANSWERS"])
        answer = answers[min(turn, len(answers)) - 1]
        sequences = [r["dynamodb"]["SequenceNumber"] for r in event["Records"]]
        # A number stands for the record at this place, anything else for itself.
        identifier = lambda item: sequences[item] if isinstance(item, int) else item
        return {"batchItemFailures": [{"itemIdentifier": identifier(item)} for item in answer]}
    if "window" in event:
        return {"state": {"sum": event["state"].get("sum", 0) + sum(numbers)}}
"#;

/// Notes what it is told.
const TOLD: &str = r#"
import json, os

def handler(event, context):
    with open(os.environ["SEEN"], "a") as file:
        file.write(json.dumps(event) + "\n")
"#;

/// An app with a table `Table`, and where its functions write what they see.
struct Scene {
    app: App,
    notes: TempDir,
}

impl Scene {
    fn new() -> Self {
        let table = json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
            "TableName": "items", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" },
                { "AttributeName": "n", "AttributeType": "N" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" },
                { "AttributeName": "n", "KeyType": "RANGE" }],
            "StreamSpecification": { "StreamViewType": "NEW_AND_OLD_IMAGES" } } });
        let notes = tempfile::tempdir().expect("a folder");
        Self { app: App::new().resource("Table", table), notes }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.notes.path().join(name)
    }

    /// A function that notes what it gets in the file of its name.
    fn function(mut self, name: &str, code: &str, variables: Value) -> Self {
        let mut variables = variables;
        variables["SEEN"] = self.file(name).to_str().expect("a path").into();
        let more = json!({ "Environment": { "Variables": variables }, "FunctionName": name });
        self.app = self.app.function_with(name, code, &more);
        self
    }

    /// The mapping of the table's stream to a worker.
    fn worker(self, name: &str, variables: Value, mapping: Value) -> Self {
        let mut scene = self.function(name, WORKER, variables);
        let mut properties = json!({ "FunctionName": { "Ref": name }, "StartingPosition": "LATEST",
            "EventSourceArn": { "Fn::GetAtt": ["Table", "StreamArn"] } });
        for (member, value) in mapping.as_object().expect("members") {
            properties[member] = value.clone();
        }
        let resource =
            json!({ "Type": "AWS::Lambda::EventSourceMapping", "Properties": properties });
        scene.app = scene.app.resource(&format!("{name}Source"), resource);
        scene
    }

    fn start(&self) -> Stillwire {
        Stillwire::dev(PROGRAM, &self.app.template())
    }
}

/// A request in DynamoDB's protocol; its answer.
fn dynamodb(stillwire: &Stillwire, operation: &str, body: &Value) -> Value {
    let endpoint = stillwire.ready()["aws_endpoint"].as_str().expect("an endpoint");
    let host = endpoint.rsplit('/').next().expect("a host");
    let body = body.to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nx-amz-target: DynamoDB_20120810.{operation}\r\n\
         content-type: application/x-amz-json-1.0\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential=AKID/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00\r\n\
         x-amz-date: 20260101T000000Z\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = raw(endpoint, request.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).expect("JSON")
}

fn put(stillwire: &Stillwire, item: &str, number: usize) {
    let item =
        json!({ "id": { "S": item }, "n": { "N": number.to_string() }, "room": { "S": item } });
    dynamodb(stillwire, "PutItem", &json!({ "TableName": "items", "Item": item }));
}

fn put_all(stillwire: &Stillwire, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        put(stillwire, "a", number);
    }
}

fn notes(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    // The last line may be on its way.
    text.split_inclusive('\n').filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Waits until a function has noted so many records.
fn until_seen(file: &Path, records: usize) -> Vec<Value> {
    eventually("the records", || {
        let notes = notes(file);
        (numbers(&notes).len() >= records).then_some(notes)
    })
}

fn numbers(notes: &[Value]) -> Vec<u64> {
    let all = notes.iter().flat_map(|note| note["numbers"].as_array().expect("numbers"));
    all.map(|number| number.as_u64().expect("a number")).collect()
}

fn batches(notes: &[Value]) -> Vec<Vec<u64>> {
    notes.iter().map(|note| numbers(std::slice::from_ref(note))).collect()
}

#[test]
fn batches_are_as_large_as_they_may_be_and_in_order() {
    let scene = Scene::new().worker(
        "worker",
        json!({ "SLEEP": "0.2" }),
        json!({ "BatchSize": 10, "StartingPosition": "TRIM_HORIZON" }),
    );
    let stillwire = scene.start();
    put_all(&stillwire, 1..=25);
    let notes = until_seen(&scene.file("worker"), 25);
    assert_eq!(numbers(&notes), (1..=25).collect::<Vec<_>>());
    assert!(batches(&notes).iter().all(|batch| batch.len() <= 10), "{notes:?}");
    assert!(notes.len() < 25, "what gathers while a batch runs comes together: {notes:?}");
    let first = &notes[0]["first"];
    assert_eq!(first["eventSource"], "aws:dynamodb");
    assert_eq!(first["eventName"], "INSERT");
    assert_eq!(first["eventVersion"], "1.1");
    assert_eq!(first["awsRegion"], "us-east-1");
    assert!(first["eventID"].is_string());
    let arn = first["eventSourceARN"].as_str().expect("an ARN");
    assert!(arn.contains(":table/items/stream/"), "{arn}");
    let change = &first["dynamodb"];
    assert_eq!(change["Keys"], json!({ "id": { "S": "a" }, "n": { "N": "1" } }));
    assert_eq!(change["NewImage"]["room"], json!({ "S": "a" }));
    assert_eq!(change["StreamViewType"], "NEW_AND_OLD_IMAGES");
    assert!(change["ApproximateCreationDateTime"].is_number(), "{change}");
    assert!(change["SizeBytes"].is_number() && change["SequenceNumber"].is_string(), "{change}");
}

#[test]
fn a_record_reaches_its_function_at_once() {
    let scene = Scene::new().worker("worker", json!({}), json!({}));
    let stillwire = scene.start();
    let now = || SystemTime::UNIX_EPOCH.elapsed().expect("a time after 1970").as_secs_f64();
    let mut late: Vec<f64> = (1..=15)
        .map(|number| {
            put(&stillwire, "a", number);
            let written = now();
            let seen = until_seen(&scene.file("worker"), number);
            seen.last().expect("a note")["began"].as_f64().expect("a time") - written
        })
        .collect();
    late.sort_by(f64::total_cmp);
    // A millisecond on a quiet machine, and far from the interval at which a stream is looked at without a word.
    assert!(late[7] < 0.05, "{late:?}");
}

#[test]
fn a_batching_window_gathers_records_until_the_batch_is_full() {
    let scene = Scene::new().worker(
        "worker",
        json!({}),
        json!({ "BatchSize": 10, "MaximumBatchingWindowInSeconds": 2 }),
    );
    let stillwire = scene.start();
    let began = Instant::now();
    put_all(&stillwire, 1..=3);
    let seen = until_seen(&scene.file("worker"), 3);
    assert_eq!(batches(&seen), [[1, 2, 3]]);
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    let began = Instant::now();
    put_all(&stillwire, 4..=13);
    let seen = until_seen(&scene.file("worker"), 13);
    assert_eq!(batches(&seen)[1], (4..=13).collect::<Vec<_>>());
    assert!(began.elapsed() < Duration::from_secs(2), "a full batch does not wait");
}

#[test]
fn a_poison_record_is_isolated_given_up_and_told() {
    let scene = Scene::new().function("told", TOLD, json!({})).worker(
        "worker",
        json!({ "POISON": "[5]" }),
        json!({ "BatchSize": 10, "MaximumBatchingWindowInSeconds": 1, "MaximumRetryAttempts": 2,
            "BisectBatchOnFunctionError": true,
            "DestinationConfig": { "OnFailure": { "Destination": { "Fn::GetAtt": ["told", "Arn"] } } } }),
    );
    let stillwire = scene.start();
    put_all(&stillwire, 1..=10);
    let told = eventually("a record of the failure", || notes(&scene.file("told")).pop());
    assert_eq!(told["requestContext"]["condition"], "RetryAttemptsExhausted");
    let function = told["requestContext"]["functionArn"].as_str().expect("an ARN");
    assert!(function.ends_with(":function:worker"), "{function}");
    assert_eq!(
        told["responseContext"],
        json!({ "statusCode": 200,
        "executedVersion": "$LATEST", "functionError": "Unhandled" })
    );
    let batch = &told["DDBStreamBatchInfo"];
    assert_eq!(batch["batchSize"], 1);
    assert_eq!(batch["startSequenceNumber"], batch["endSequenceNumber"]);
    assert!(batch["streamArn"].as_str().expect("an ARN").contains("/stream/"), "{told}");
    assert!(told.get("payload").is_none(), "only what it was, not what it said: {told}");
    let notes = eventually("all other records", || {
        let notes = notes(&scene.file("worker"));
        let done: Vec<Value> =
            notes.iter().filter(|note| note["failed"] == false).cloned().collect();
        (numbers(&done).len() >= 9).then_some((notes, done))
    });
    assert_eq!(numbers(&notes.1), [1, 2, 3, 4, 6, 7, 8, 9, 10]);
    let alone = batches(&notes.0).iter().filter(|batch| **batch == [5]).count();
    assert_eq!(alone, 3, "one attempt and two more: {:?}", batches(&notes.0));
}

#[test]
fn a_partial_failure_is_repeated_from_its_first_failed_record_on() {
    // The fourth has failed; nothing; a stranger; nothing.
    let answers = json!([[5, 3], [], ["stranger"], []]);
    let scene = Scene::new().worker(
        "worker",
        json!({ "ANSWERS": answers.to_string() }),
        json!({ "BatchSize": 10, "MaximumBatchingWindowInSeconds": 1,
            "FunctionResponseTypes": ["ReportBatchItemFailures"] }),
    );
    let stillwire = scene.start();
    put_all(&stillwire, 1..=10);
    let seen = until_seen(&scene.file("worker"), 17);
    assert_eq!(batches(&seen), [(1..=10).collect::<Vec<_>>(), (4..=10).collect()]);
    put_all(&stillwire, 11..=13);
    let seen = until_seen(&scene.file("worker"), 23);
    assert_eq!(batches(&seen)[2..], [[11, 12, 13], [11, 12, 13]]);
}

#[test]
fn only_records_that_a_filter_wants_reach_the_function() {
    let pattern = json!({ "eventName": ["INSERT"],
        "dynamodb": { "NewImage": { "room": { "S": [{ "prefix": "lob" }] } } } });
    let scene = Scene::new().worker(
        "worker",
        json!({}),
        json!({ "FilterCriteria": { "Filters": [{ "Pattern": pattern.to_string() }] } }),
    );
    let stillwire = scene.start();
    for (item, number) in [("lobby", 1), ("attic", 2), ("lobby", 3)] {
        put(&stillwire, item, number);
    }
    let key = json!({ "id": { "S": "lobby" }, "n": { "N": "1" } });
    dynamodb(&stillwire, "DeleteItem", &json!({ "TableName": "items", "Key": key }));
    put(&stillwire, "lobby", 4);
    let seen = until_seen(&scene.file("worker"), 3);
    assert_eq!(numbers(&seen), [1, 3, 4]);
    assert!(
        seen.iter().flat_map(|note| note["names"].as_array().unwrap()).all(|name| name == "INSERT")
    );
}

#[test]
fn what_a_filter_passed_over_is_not_looked_at_again() {
    let pattern = json!({ "dynamodb": { "Keys": { "id": { "S": ["lobby"] } } } });
    let scene = Scene::new().worker(
        "worker",
        json!({}),
        json!({ "FilterCriteria": { "Filters": [{ "Pattern": pattern.to_string() }] } }),
    );
    let data = tempfile::tempdir().expect("a folder");
    let arguments = ["--data-dir", data.path().to_str().expect("a path")];
    let template = scene.app.template();
    let start = || Stillwire::dev_with(PROGRAM, &template, &arguments);
    let stillwire = start();
    put(&stillwire, "lobby", 1);
    (2..=20).for_each(|number| put(&stillwire, "attic", number));
    until_seen(&scene.file("worker"), 1);
    let filtered = |stillwire: &Stillwire| {
        let endpoint = stillwire.ready()["aws_endpoint"].as_str().expect("an endpoint");
        let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let text = raw(endpoint, request.as_bytes()).body;
        let line = text.lines().find(|line| line.contains("_filtered_out_event_count_total{"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or_default()
    };
    eventually("the others", || (filtered(&stillwire) == 19).then_some(()));
    let (log, ended_well) = stillwire.stop();
    assert!(ended_well, "{log}");
    let stillwire = start();
    put(&stillwire, "lobby", 21);
    let seen = until_seen(&scene.file("worker"), 2);
    assert_eq!(numbers(&seen), [1, 21]);
    assert_eq!(filtered(&stillwire), 0, "they are behind it");
}

#[test]
fn the_end_of_an_expired_item_names_the_service_as_lambda_does() {
    let pattern = json!({ "userIdentity": { "type": ["Service"] } });
    let scene = Scene::new().worker(
        "worker",
        json!({}),
        json!({ "FilterCriteria": { "Filters": [{ "Pattern": pattern.to_string() }] } }),
    );
    let stillwire = scene.start();
    let due = json!({ "TableName": "items",
        "TimeToLiveSpecification": { "Enabled": true, "AttributeName": "due" } });
    dynamodb(&stillwire, "UpdateTimeToLive", &due);
    put(&stillwire, "stays", 1);
    let key = json!({ "id": { "S": "stays" }, "n": { "N": "1" } });
    dynamodb(&stillwire, "DeleteItem", &json!({ "TableName": "items", "Key": key }));
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("a time after 1970").as_secs();
    let item =
        json!({ "id": { "S": "a" }, "n": { "N": "2" }, "due": { "N": (now - 1).to_string() } });
    dynamodb(&stillwire, "PutItem", &json!({ "TableName": "items", "Item": item }));
    let seen = until_seen(&scene.file("worker"), 1);
    let record = &seen[0]["first"];
    assert_eq!((numbers(&seen), &record["eventName"]), (vec![2], &json!("REMOVE")));
    let identity = json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" });
    assert_eq!(record["userIdentity"], identity);
    assert_eq!(record["dynamodb"]["OldImage"]["due"]["N"], (now - 1).to_string());
}

#[test]
fn items_run_side_by_side_and_each_in_its_own_order() {
    let scene = Scene::new().worker(
        "worker",
        json!({ "SLEEP": "0.3" }),
        json!({ "BatchSize": 1, "ParallelizationFactor": 4 }),
    );
    let stillwire = scene.start();
    // Each record is a change of one of eight items.
    let update = |item: usize, to: usize| {
        let ask = json!({ "TableName": "items", "UpdateExpression": "SET v = :v",
            "Key": { "id": { "S": format!("item{item}") }, "n": { "N": item.to_string() } },
            "ExpressionAttributeValues": { ":v": { "N": to.to_string() } } });
        dynamodb(&stillwire, "UpdateItem", &ask);
    };
    for to in 0..3 {
        (0..8).for_each(|item| update(item, to));
    }
    let seen = until_seen(&scene.file("worker"), 24);
    let time = |note: &Value, name: &str| note[name].as_f64().expect("a time");
    let overlaps = |note: &Value| {
        let began = time(note, "began");
        seen.iter()
            .filter(|other| time(other, "began") <= began && began < time(other, "ended"))
            .count()
    };
    let most = seen.iter().map(overlaps).max();
    assert!(most > Some(1), "different items overlap: {most:?}");
    assert!(most <= Some(4), "no more than there are lanes: {most:?}");
    for item in 0..8 {
        let mut of_item: Vec<&Value> =
            seen.iter().filter(|note| note["items"][0] == format!("item{item}")).collect();
        of_item.sort_by(|one, other| time(one, "began").total_cmp(&time(other, "began")));
        assert_eq!(of_item.len(), 3);
        assert_eq!(of_item[0]["names"][0], "INSERT");
        assert!(of_item.windows(2).all(|pair| time(pair[0], "ended") <= time(pair[1], "began")));
    }
}

#[test]
fn a_tumbling_window_carries_a_state_and_ends_with_a_last_call() {
    let scene = Scene::new().worker("worker", json!({}), json!({ "TumblingWindowInSeconds": 3 }));
    let stillwire = scene.start();
    put_all(&stillwire, 1..=4);
    let seen = eventually("the end of a window", || {
        let notes = notes(&scene.file("worker"));
        let ended = |note: &Value| note["isFinalInvokeForWindow"] == true;
        let sums =
            notes.iter().filter(|note| ended(note)).map(|note| note["state"]["sum"].as_u64());
        // The numbers may have fallen into two windows.
        (sums.flatten().sum::<u64>() == 10).then_some(notes)
    });
    let first = &seen[0];
    assert_eq!(first["state"], json!({}));
    assert_eq!(
        (&first["isFinalInvokeForWindow"], &first["isWindowTerminatedEarly"]),
        (&json!(false), &json!(false))
    );
    assert!(
        first["window"]["start"].as_str().expect("a time").ends_with(":00Z")
            || first["window"]["start"].as_str().expect("a time").ends_with('Z')
    );
    assert!(first["shardId"].as_str().expect("a shard").starts_with("shardId-"), "{first}");
    assert!(first["eventSourceARN"].as_str().expect("an ARN").contains("/stream/"));
    assert_eq!(numbers(&seen), [1, 2, 3, 4]);
}

#[test]
fn a_batch_that_a_crash_interrupted_comes_again_and_nothing_is_skipped() {
    let scene = Scene::new().worker("worker", json!({ "SLEEP": "1" }), json!({ "BatchSize": 5 }));
    let data = tempfile::tempdir().expect("a folder");
    let arguments = ["--data-dir", data.path().to_str().expect("a path")];
    let template = scene.app.template();
    let start = || Stillwire::dev_with(PROGRAM, &template, &arguments);
    // Killed before anything was written: where LATEST is was settled.
    let mut stillwire = start();
    stillwire.signal(Signal::KILL);
    stillwire.wait();
    let mut stillwire = start();
    put_all(&stillwire, 1..=12);
    // The first batch is done, and the next one runs.
    until_seen(&scene.file("worker"), 1);
    std::thread::sleep(Duration::from_millis(500));
    stillwire.signal(Signal::KILL);
    stillwire.wait();
    let before = numbers(&notes(&scene.file("worker")));
    let stillwire = start();
    let last = eventually("the last record", || {
        let notes = notes(&scene.file("worker"));
        numbers(&notes).contains(&12).then_some(notes)
    });
    let mut all = numbers(&last);
    let after = all.split_off(before.len());
    let first = after[0];
    assert!(
        before.contains(&first) || first == before.iter().max().map_or(1, |last| last + 1),
        "{before:?} {after:?}"
    );
    assert_eq!(after, (first..=12).collect::<Vec<_>>(), "{before:?}");
    let (log, ended_well) = stillwire.stop();
    assert!(ended_well, "{log}");
    // What was done before a polite stop does not come again.
    let count = notes(&scene.file("worker")).len();
    let stillwire = start();
    put(&stillwire, "a", 13);
    eventually("the new record", || {
        numbers(&notes(&scene.file("worker"))).contains(&13).then_some(())
    });
    let new = notes(&scene.file("worker")).split_off(count);
    assert_eq!(numbers(&new), [13]);
}
