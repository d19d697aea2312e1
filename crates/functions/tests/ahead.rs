//! A function that may have one environment only: events are handed over before it asks for them, and each runs once.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and tell"
)]

mod common;

use std::time::Duration;

use common::{House, join_all, nodes};
use serde_json::{Value, json};
use stillwire_model::{InvokeError, Outcome};

const PYTHON: &str = r#"
import fcntl, gc, os, struct, termios, time
def waiting():
    """How many events are there for the runtime, read or not, at least."""
    [link] = [one for one in gc.get_objects() if type(one).__name__ == "Link"]
    unread = struct.unpack("i", fcntl.ioctl(link.socket.fileno(), termios.FIONREAD, b"\0\0\0\0"))[0]
    return link.buffer.count(b"stillwire-time-limit-ms") + (unread > 0)
def handler(event, context):
    with open(os.environ["LAMBDA_TASK_ROOT"] + "/begun", "a") as begun:
        begun.write("%s\n" % event["n"])
    left = context.get_remaining_time_in_millis()
    time.sleep(event.get("seconds", 0))
    if event.get("die"): os._exit(3)
    if event.get("fail"): raise ValueError("no")
    return {"n": event["n"], "left": left, "pid": os.getpid(), "waiting": waiting(), "pad": "x" * event.get("pad", 0)}
"#;

const NODE: &str = r"
const fs = require('fs');
exports.handler = async (event, context) => {
  fs.appendFileSync(process.env.LAMBDA_TASK_ROOT + '/begun', `${event.n}\n`);
  const left = context.getRemainingTimeInMillis();
  if (event.late) setTimeout(() => { throw new Error('late'); }, 1);
  if (event.late || event.never) await new Promise(() => {});
  if (event.seconds) await new Promise((resolve) => setTimeout(resolve, event.seconds * 1000));
  if (event.die) process.exit(3);
  if (event.fail) throw new Error('no');
  return { n: event.n, left, pid: process.pid, pad: 'x'.repeat(event.pad ?? 0) };
};
";

struct One {
    house: House,
    name: &'static str,
}

impl One {
    async fn new(name: &'static str, timeout: u64) -> Self {
        Self::within(House::new(), name, timeout).await
    }

    async fn within(house: House, name: &'static str, timeout: u64) -> Self {
        house.write("app.py", PYTHON);
        house.write("app.js", NODE);
        let mut function = match name {
            "python" => house.function(name, "app.handler"),
            _ => house.node(name, "app.handler"),
        };
        function.reserved_concurrency = Some(1);
        function.timeout = Duration::from_secs(timeout);
        house.add(function).await;
        Self { house, name }
    }

    /// All at once, in this order; the first ones show that the function is quick.
    async fn ask(&self, events: &[Value]) -> Vec<Result<Outcome, InvokeError>> {
        for _ in 0..3 {
            self.house.returned(self.name, r#"{"n": "first"}"#).await;
        }
        std::fs::remove_file(self.house.code.path().join("begun")).unwrap();
        let texts: Vec<String> = events.iter().map(Value::to_string).collect();
        join_all(texts.iter().map(|event| self.house.invoke(self.name, event))).await
    }

    fn begun(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.house.code.path().join("begun")).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn returned(outcome: &Result<Outcome, InvokeError>) -> Value {
    match outcome {
        Ok(Outcome::Returned(body)) => serde_json::from_slice(body).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn failed(outcome: &Result<Outcome, InvokeError>) -> Value {
    match outcome {
        Ok(Outcome::Failed(object)) => serde_json::from_slice(object).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gets_its_own_answer_in_order() {
    let mut each = vec![One::new("python", 10).await];
    for node in nodes::all() {
        let house = House::with(|config| config.places = vec![node.folder()]);
        each.push(One::within(house, "node", 10).await);
    }
    for one in each {
        let name = one.name;
        // Among them some that fail, and some that are too large to be sent ahead or to be answered at once.
        let events: Vec<Value> = (0..300)
            .map(|n| match n % 10 {
                3 => json!({ "n": n, "fail": true }),
                4 | 6 => json!({ "n": n, "more": "y".repeat(20_000) }),
                5 => json!({ "n": n, "more": "y".repeat(100_000) }),
                7 => json!({ "n": n, "pad": 1_000_000 }),
                _ => json!({ "n": n }),
            })
            .collect();
        let outcomes = one.ask(&events).await;
        let mut pids = std::collections::HashSet::new();
        for (n, outcome) in outcomes.iter().enumerate() {
            if n % 10 == 3 {
                assert_eq!(failed(outcome)["errorMessage"], "no", "{name} {n}");
            } else {
                let found = returned(outcome);
                assert_eq!(found["n"], n, "{name}");
                pids.insert(found["pid"].to_string());
            }
        }
        assert_eq!(pids.len(), 1, "{name}");
        let numbers: Vec<String> = (0..300).map(|n| n.to_string()).collect();
        assert_eq!(one.begun(), numbers, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_events_are_there_before_they_are_asked_for() {
    let one = One::new("python", 10).await;
    let events = |count: u64, seconds: f64| -> Vec<Value> {
        (0..count).map(|n| json!({ "n": n, "seconds": seconds })).collect()
    };
    let waiting = |outcomes: &[Result<Outcome, InvokeError>]| -> Vec<u64> {
        outcomes.iter().map(|outcome| returned(outcome)["waiting"].as_u64().unwrap()).collect()
    };
    let quick = waiting(&one.ask(&events(20, 0.002)).await);
    assert!(quick.iter().filter(|count| **count >= 3).count() >= 10, "{quick:?}");
    assert!(quick.iter().all(|count| *count <= 9), "{quick:?}");
    assert_eq!(quick[19], 0, "{quick:?}");
    // After one that was slow, none: the code could be changed meanwhile.
    let slow = waiting(&one.ask(&events(12, 0.02)).await);
    assert_eq!(slow[9..], [0, 0, 0], "{slow:?}");
    // Where more than one may run another could take them.
    let mut function = one.house.function("python", "app.handler");
    function.reserved_concurrency = Some(2);
    one.house.add(function).await;
    let two = waiting(&one.ask(&events(20, 0.002)).await);
    assert!(two.iter().all(|count| *count == 0), "{two:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_time_begins_when_it_does() {
    for name in ["python", "node"] {
        let one = One::new(name, 2).await;
        let events = [
            json!({ "n": 0, "seconds": 1.2 }),
            json!({ "n": 1, "seconds": 1.2 }),
            json!({ "n": 2 }),
        ];
        for outcome in one.ask(&events).await {
            let left = returned(&outcome)["left"].as_u64().unwrap();
            assert!((1900..=2000).contains(&left), "{name}: {left}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_begun_runs_elsewhere_and_once() {
    for name in ["python", "node"] {
        for (last, error) in [
            (json!({ "n": 1, "seconds": 0.1, "die": true }), "Runtime.ExitError"),
            (json!({ "n": 1, "seconds": 5 }), "Sandbox.Timedout"),
        ] {
            let one = One::new(name, 1).await;
            let events = [json!({ "n": 0 }), last, json!({ "n": 2 }), json!({ "n": 3 })];
            let outcomes = one.ask(&events).await;
            assert_eq!(failed(&outcomes[1])["errorType"], error, "{name}");
            let [first, third, fourth] = [0, 2, 3].map(|n| returned(&outcomes[n]));
            assert_ne!(first["pid"], third["pid"], "{name}");
            assert_eq!(third["pid"], fourth["pid"], "{name}");
            assert_eq!(one.begun(), ["0", "1", "2", "3"], "{name}");
        }
    }
}

/// One that has begun and ends without an answer is not run again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_is_not_run_again() {
    for name in ["python", "node"] {
        let one = One::new(name, 5).await;
        let events = [json!({ "n": 0 }), json!({ "n": 1, "die": true }), json!({ "n": 2 })];
        let outcomes = one.ask(&events).await;
        assert_eq!(failed(&outcomes[1])["errorType"], "Runtime.ExitError", "{name}");
        assert_eq!(returned(&outcomes[2])["n"], 2);
        assert_eq!(one.begun(), ["0", "1", "2"], "{name}");
    }
}

/// In Node.js a handler that waits for nothing is over when the event loop is empty; the next event is there already.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_never_settles_is_over_all_the_same() {
    let one = One::new("node", 5).await;
    let events = [json!({ "n": 0 }), json!({ "n": 1, "never": true }), json!({ "n": 2 })];
    let outcomes = one.ask(&events).await;
    assert_eq!(failed(&outcomes[1])["errorType"], "Runtime.NodeJsExit");
    assert_eq!(returned(&outcomes[2])["n"], 2);
}

/// A process that tells of its end has not begun with the next event, although it has it.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_nobody_caught_ends_one_invocation() {
    let one = One::new("node", 5).await;
    let events = [json!({ "n": 0 }), json!({ "n": 1, "late": true }), json!({ "n": 2 })];
    let outcomes = one.ask(&events).await;
    assert_eq!(failed(&outcomes[1])["errorMessage"], "late");
    let [first, third] = [0, 2].map(|n| returned(&outcomes[n]));
    assert_ne!(first["pid"], third["pid"]);
    assert_eq!(one.begun(), ["0", "1", "2"]);
}

/// Who stops waits for nobody: what was not begun is told so, and nothing is started for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_begun_when_all_ends_is_refused() {
    let one = One::new("python", 60).await;
    let events = [json!({ "n": 0 }), json!({ "n": 1, "seconds": 50 }), json!({ "n": 2 })];
    let asked = one.ask(&events);
    let stop = async {
        let running = one.house.until("the long one runs", |house| {
            let begun = std::fs::read_to_string(house.code.path().join("begun"));
            begun.is_ok_and(|text| text == "0\n1\n")
        });
        running.await;
        let began = tokio::time::Instant::now();
        one.house.functions.stop(Duration::from_millis(100)).await;
        began.elapsed()
    };
    let (outcomes, took) = tokio::join!(asked, stop);
    assert!(took < Duration::from_secs(2), "{took:?}");
    match &outcomes[2] {
        Err(InvokeError::Unavailable { reason, .. }) => assert_eq!(reason, "stillwire is stopping"),
        other => panic!("{other:?}"),
    }
}
