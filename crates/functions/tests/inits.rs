//! What becomes of a function whose init phase takes longer than Lambda allows.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail, and tell its log")]

mod common;

use std::time::Duration;

use common::{House, is_alive};
use tokio::time::Instant;

/// The first process sleeps on, the second for so long.
const CODE: &str = r#"
import os, time
mark = os.environ["MARK"]
first = not os.path.exists(mark)
open(mark, "a").write("%d\n" % os.getpid())
time.sleep(1000 if first else float(os.environ["SECONDS"]))
def handler(event, context):
    return "ready"
"#;

/// Lambda ends it after ten seconds, and begins once more under the function's own limit when it is invoked.
#[tokio::test(flavor = "multi_thread")]
async fn an_init_that_takes_too_long_is_ended_and_begun_again_under_the_function_s_limit() {
    let house = House::new();
    house.write("app.py", CODE);
    let marks = tempfile::tempdir().unwrap();
    let mark = |name: &str| marks.path().join(name);
    for (name, seconds) in [("quick", "0.5"), ("slow", "1000")] {
        let mut function = house.function(name, "app.handler");
        function.timeout = Duration::from_secs(2);
        for (variable, value) in [("MARK", mark(name).to_str().unwrap()), ("SECONDS", seconds)] {
            function.environment.insert(variable.to_owned(), value.to_owned());
        }
        house.add(function).await;
    }
    let start = Instant::now();
    let (ready, error) = tokio::join!(house.returned("quick", "{}"), house.failed("slow", "{}"));
    let took = start.elapsed();
    println!("both told after {took:?}");
    assert_eq!(ready, "\"ready\"");
    assert_eq!(error["errorType"], "Sandbox.Timedout");
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.ends_with("Task timed out after 2.00 seconds"), "{message}");
    assert!(took > Duration::from_secs(10) && took < Duration::from_secs(16), "{took:?}");
    for (name, left) in [("quick", 1), ("slow", 0)] {
        let pids = std::fs::read_to_string(mark(name)).unwrap();
        let pids: Vec<u32> = pids.lines().map(|pid| pid.parse().unwrap()).collect();
        assert_eq!(pids.len(), 2, "{name}");
        let alive = || pids.iter().filter(|pid| is_alive(**pid)).count();
        house.until("what was ended is gone", |_| alive() == left).await;
    }
}
