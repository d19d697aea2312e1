//! What was acknowledged is kept, whatever happens to the program or its disk.
//!
//! `STILLWIRE_KILL_ROUNDS` kills it more often.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "the environment says how many rounds")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use stillwire_testkit::{App, Stillwire, eventually, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

fn app() -> App {
    App::new()
        .function("all", "def handler(event, context):\n    return {}\n")
        .route("$default", "all")
}

fn endpoint(stillwire: &Stillwire) -> String {
    stillwire.ready()["aws_endpoint"].as_str().unwrap().to_owned()
}

fn check(stillwire: &Stillwire, notes: &Path) -> Value {
    let notes = notes.to_str().unwrap();
    let seen = tools::python("durable.py", &["check", &endpoint(stillwire), notes]);
    serde_json::from_str(&seen).unwrap()
}

/// The rounds of killing: a few, or as many as the environment says.
fn rounds() -> u32 {
    std::env::var("STILLWIRE_KILL_ROUNDS").map_or(3, |text| text.parse().unwrap())
}

#[test]
fn nothing_acknowledged_is_lost_when_the_program_is_killed() {
    kill_it("", rounds());
}

#[test]
fn nor_where_the_disk_gets_it_a_moment_later() {
    kill_it("[tables]\ndurability = \"interval\"\n", 1);
}

/// Kills the program while it writes, and looks at what is there afterwards.
fn kill_it(settings: &str, rounds: u32) {
    let (app, data) = (app(), tempfile::tempdir().unwrap());
    let (template, notes) = (app.template(), data.path().join("notes"));
    std::fs::write(template.with_file_name("stillwire.toml"), settings).unwrap();
    let state = data.path().join("state");
    let start =
        || Stillwire::dev_with(PROGRAM, &template, &["--data-dir", state.to_str().unwrap()]);
    for round in 0..rounds {
        let mut stillwire = start();
        let mut writer = tools::python_with(&tools::client("durable.py"))
            .args(["write", &endpoint(&stillwire), notes.to_str().unwrap(), &round.to_string()])
            .spawn()
            .unwrap();
        let written = || std::fs::read_to_string(&notes).unwrap_or_default().lines().count();
        let before = written();
        eventually("writes", || (written() > before + 100).then_some(()));
        // Not always at the same moment.
        std::thread::sleep(Duration::from_millis(u64::from(round) * 37 % 300));
        stillwire.signal(Signal::KILL);
        stillwire.wait();
        writer.wait().unwrap();
        let stillwire = start();
        let seen = check(&stillwire, &notes);
        for wrong in [
            "lost",
            "half transactions",
            "writes without a record",
            "records without a write",
            "records twice",
        ] {
            assert_eq!(seen[wrong], 0, "{seen}");
        }
        stillwire.stop();
    }
}

/// The disk that fails when a file says so, and that file.
fn disk(folder: &Path) -> (PathBuf, PathBuf) {
    let library = folder.join("disk.so");
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(tools::client("disk.c"))
        .arg("-ldl")
        .status()
        .unwrap();
    assert!(made.success());
    (library, folder.join("state-of-the-disk"))
}

/// Starts the program on a disk that can fail.
fn start_on(template: &Path, data: &Path, (library, state): &(PathBuf, PathBuf)) -> Stillwire {
    let mut command = Stillwire::command(PROGRAM);
    command
        .args(["dev", "--port", "0", "--verbose"])
        .arg(template)
        .arg("--data-dir")
        .arg(data)
        .env("LD_PRELOAD", library)
        .env("STILLWIRE_TEST_DISK", state);
    Stillwire::start(command)
}

fn put(stillwire: &Stillwire, id: &str) -> u16 {
    call(
        stillwire,
        "PutItem",
        &format!(r#"{{"TableName":"durable","Item":{{"id":{{"S":"{id}"}}}}}}"#),
    )
}

fn call(stillwire: &Stillwire, operation: &str, body: &str) -> u16 {
    ask(stillwire, operation, body).0
}

/// A request in DynamoDB's protocol; its status and answer.
fn ask(stillwire: &Stillwire, operation: &str, body: &str) -> (u16, Value) {
    let key = "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
    let request = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: {key}\r\n\
         x-amz-target: DynamoDB_20120810.{operation}\r\ncontent-type: application/x-amz-json-1.0\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = stillwire_testkit::raw(&endpoint(stillwire), request.as_bytes());
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

/// The names of all items, in their order as numbers.
fn names(stillwire: &Stillwire) -> Vec<u32> {
    let (_, scanned) = ask(stillwire, "Scan", SCAN);
    // None where the table itself is not there.
    let items = scanned["Items"].as_array().into_iter().flatten();
    let names = items.filter_map(|item| item["id"]["S"].as_str().unwrap().parse().ok());
    let mut names: Vec<u32> = names.collect();
    names.sort_unstable();
    names
}

const CREATE: &str = r#"{"TableName":"durable","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":
    [{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}"#;

const SCAN: &str = r#"{"TableName":"durable"}"#;

#[test]
fn a_full_disk_refuses_writes_and_heals() {
    let (app, folder) = (app(), tempfile::tempdir().unwrap());
    let disk = disk(folder.path());
    let stillwire = start_on(&app.template(), &folder.path().join("data"), &disk);
    assert_eq!(call(&stillwire, "CreateTable", CREATE), 200);
    assert_eq!(put(&stillwire, "before"), 200);
    std::fs::write(&disk.1, "full").unwrap();
    assert_eq!(put(&stillwire, "during"), 500);
    assert_eq!(call(&stillwire, "Scan", SCAN), 200);
    std::fs::remove_file(&disk.1).unwrap();
    assert_eq!(put(&stillwire, "after"), 200);
    let (log, ended_well) = stillwire.stop();
    assert!(ended_well, "{log}");
}

#[test]
fn a_disk_that_cannot_be_trusted_ends_the_program() {
    let (app, folder) = (app(), tempfile::tempdir().unwrap());
    let disk = disk(folder.path());
    let (template, data) = (app.template(), folder.path().join("data"));
    let mut stillwire = start_on(&template, &data, &disk);
    assert_eq!(call(&stillwire, "CreateTable", CREATE), 200);
    assert_eq!(put(&stillwire, "before"), 200);
    std::fs::write(&disk.1, "broken").unwrap();
    assert_eq!(put(&stillwire, "lost"), 500);
    // It works again, which proves nothing: nothing more is acknowledged.
    std::fs::remove_file(&disk.1).unwrap();
    assert!(!stillwire.wait(), "it ended well:\n{}", stillwire.log());
    assert!(stillwire.log().contains("the disk has failed"), "{}", stillwire.log());
    let stillwire = start_on(&template, &data, &disk);
    assert_eq!(put(&stillwire, "later"), 200);
    stillwire.stop();
}

#[test]
fn a_torn_log_costs_no_more_than_its_tail() {
    let (app, folder) = (app(), tempfile::tempdir().unwrap());
    let (template, data) = (app.template(), folder.path().join("data"));
    let arguments = ["--data-dir", data.to_str().unwrap()];
    let mut stillwire = Stillwire::dev_with(PROGRAM, &template, &arguments);
    assert_eq!(call(&stillwire, "CreateTable", CREATE), 200);
    for number in 0..20 {
        assert_eq!(put(&stillwire, &number.to_string()), 200);
    }
    stillwire.signal(Signal::KILL);
    stillwire.wait();
    let log = data.join("tables.db-wal");
    let (file, whole) =
        (std::fs::read(data.join("tables.db")).unwrap(), std::fs::read(&log).unwrap());
    // The items that are there after a start over this log: the first ones, and none behind one that is lost.
    let left = |log_bytes: &[u8]| {
        std::fs::write(data.join("tables.db"), &file).unwrap();
        std::fs::write(&log, log_bytes).unwrap();
        std::fs::remove_file(data.join("tables.db-shm")).ok();
        let mut stillwire = Stillwire::dev_with(PROGRAM, &template, &arguments);
        let names = names(&stillwire);
        let count = u32::try_from(names.len()).unwrap();
        assert_eq!(names, (0..count).collect::<Vec<_>>());
        call(&stillwire, "CreateTable", CREATE);
        assert_eq!(put(&stillwire, "again"), 200);
        stillwire.signal(Signal::KILL);
        stillwire.wait();
        count
    };
    assert_eq!(left(&whole), 20);
    let mut before = 20;
    for cut in [1, 500, 4000, 20_000, whole.len() / 2] {
        let torn = left(&whole[..whole.len() - cut]);
        let mut flipped = whole.clone();
        flipped[whole.len() - cut] ^= 0x40;
        assert_eq!(left(&flipped), torn, "torn and flipped at {cut}");
        assert!(torn <= before, "{torn} of {before} at {cut}");
        if cut <= 4000 {
            assert!(torn >= 19, "the last write alone: {torn} at {cut}");
        }
        before = torn;
    }
    assert!(before < 19, "half of the log is gone");
}

#[test]
fn a_transaction_is_known_by_its_token_after_the_program_was_killed() {
    let (app, folder) = (app(), tempfile::tempdir().unwrap());
    let (template, data) = (app.template(), folder.path().join("data"));
    let arguments = ["--data-dir", data.to_str().unwrap()];
    let add = |amount: u8| {
        format!(
            r#"{{"ClientRequestToken":"once","TransactItems":[{{"Update":{{"TableName":"durable",
            "Key":{{"id":{{"S":"n"}}}},"UpdateExpression":"ADD n :n",
            "ExpressionAttributeValues":{{":n":{{"N":"{amount}"}}}}}}}}]}}"#
        )
    };
    let mut stillwire = Stillwire::dev_with(PROGRAM, &template, &arguments);
    assert_eq!(call(&stillwire, "CreateTable", CREATE), 200);
    assert_eq!(call(&stillwire, "TransactWriteItems", &add(1)), 200);
    stillwire.signal(Signal::KILL);
    stillwire.wait();
    let stillwire = Stillwire::dev_with(PROGRAM, &template, &arguments);
    assert_eq!(call(&stillwire, "TransactWriteItems", &add(1)), 200);
    let (status, refused) = ask(&stillwire, "TransactWriteItems", &add(2));
    let kind = "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException";
    assert_eq!((status, &refused["__type"]), (400, &Value::from(kind)), "{refused}");
    let key = r#"{"TableName":"durable","Key":{"id":{"S":"n"}}}"#;
    assert_eq!(ask(&stillwire, "GetItem", key).1["Item"]["n"]["N"], "1");
}
