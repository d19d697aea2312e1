//! What a template learns from the first environment that is forked from it, for those that come later.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and tell"
)]

mod common;

use std::path::PathBuf;
use std::time::Duration;

use common::{House, join_all};
use serde_json::{Value, json};
use stillwire_model::Runtime;

/// How long a template rests before it learns, what it learns takes, and a good measure.
const REST: Duration = Duration::from_secs(3);

/// Loads a module of Python's own library and one of its own that is named like another; makes clients.
const PUPIL: &str = r#"
import sys
known = [name for name in ("colorsys", "wave") if name in sys.modules]
import colorsys, gc, os, subprocess, threading, time, traceback, wave, weakref
import boto3, botocore.client
made, create = [], botocore.client.ClientCreator.create_client
def counted(self, service_name, *args, **kwargs):
    made.append(service_name)
    return create(self, service_name, *args, **kwargs)
botocore.client.ClientCreator.create_client = counted
gateway = boto3.client("apigatewaymanagementapi", endpoint_url="http://localhost:1/test")
other = boto3.client("apigatewaymanagementapi", endpoint_url="http://localhost:1/other", region_name="eu-west-3")
table = boto3.resource("dynamodb").Table("none")

class Thing:
    pass

def lives():
    """That objects end when they should, and what was there before a fork serves after it."""
    thing = Thing()
    gone = weakref.ref(thing)
    del thing
    ring = Thing()
    ring.ring, seen = ring, weakref.ref(ring)
    del ring
    gc.collect()
    threads = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    try:
        gateway.post_to_connection(ConnectionId="x", Data=b"x")
    except Exception as error:
        told = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    spoken = subprocess.run([sys.executable, "-c", "print('hello')"], stdout=subprocess.PIPE).stdout.decode()
    return [gone() is None, seen() is None, "Traceback" in told and "localhost:1" in told, spoken]

def handler(event, context):
    if event.get("leave"):
        sys.exit(0)
    time.sleep(event.get("seconds", 0))
    return {
        "known": known, "made": made, "own": wave.loaded_by == os.getpid(), "lives": lives(), "table": table.name,
        "endpoints": [gateway.meta.endpoint_url, other.meta.endpoint_url, other.meta.region_name],
    }
"#;

/// Whether objects can be immortal is a matter of the version: one in which they cannot, and one in which they can.
fn versions() -> Vec<u8> {
    let path = std::env::var_os("PATH");
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let places = stillwire_functions::usual_places(path.as_deref(), home.as_deref());
    let has =
        |minor: u8| places.iter().any(|place| place.join(format!("python3.{minor}")).exists());
    [11, 12, 13, 14].into_iter().filter(|minor| *minor == 11 || has(*minor)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn later_environments_find_made_what_the_first_one_made() {
    let house = House::new();
    house.write("app.py", PUPIL);
    house.write("wave.py", "import os\nloaded_by = os.getpid()\n");
    for minor in versions() {
        let mut function = house.function("pupil", "app.handler");
        function.runtime = Runtime::Python(minor);
        function.memory_mb = 512;
        house.add_with(function, &[("AWS_MAX_ATTEMPTS", "1")]).await;
        let ask = async |event: &str| -> Value {
            serde_json::from_str(&house.returned("pupil", event).await).unwrap()
        };
        let expected = |known: &[&str], made: &[&str]| {
            json!({
                "known": known, "made": made, "own": true, "lives": [true, true, true, "hello\n"], "table": "none",
                "endpoints": ["http://localhost:1/test", "http://localhost:1/other", "eu-west-3"],
            })
        };
        let service = "apigatewaymanagementapi";
        assert_eq!(ask("{}").await, expected(&[], &[service, service]), "3.{minor}");
        tokio::time::sleep(REST).await;
        let later = join_all((0..4).map(|_| ask(r#"{"seconds": 0.5}"#))).await;
        let learned = later.iter().filter(|one| **one == expected(&["colorsys"], &[])).count();
        assert!(learned >= 3, "3.{minor}: all but the first: {later:#?}");
        let error = house.failed("pupil", r#"{"leave": true}"#).await;
        assert_eq!(error["errorType"], "Runtime.ExitError", "3.{minor}");
    }
}

/// A note that comes late, or never, or says nonsense, costs nobody anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_environment_that_fails_teaches_nothing() {
    let house = House::new();
    let code = "import os, time, colorsys\nif not os.path.exists(os.environ['LAMBDA_TASK_ROOT'] + '/again'):\n    \
                open(os.environ['LAMBDA_TASK_ROOT'] + '/again', 'w').close()\n    os._exit(3)\n\
                def handler(event, context):\n    time.sleep(event.get('seconds', 0))\n    return os.getpid()\n";
    house.write("app.py", code);
    house.add(house.function("f", "app.handler")).await;
    house.until("it is started again", |house| house.code.path().join("again").exists()).await;
    tokio::time::sleep(REST).await;
    let pids = join_all((0..3).map(|_| house.returned("f", r#"{"seconds": 0.3}"#))).await;
    assert_eq!(pids.iter().collect::<std::collections::HashSet<_>>().len(), 3, "{pids:?}");
}
