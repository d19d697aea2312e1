//! The trace of an invocation as its handler sees it, and what it costs to tell each its own.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail, and tell numbers"
)]

mod common;

use common::{House, invocation};
use serde_json::{Value, json};
use stillwire_model::{Invocation, Invoke, Outcome};

/// The variable as the handler sees it, and a program that it starts; and the memory of the process, in pages.
const PYTHON: &str = r#"
import os, subprocess
def handler(event, context):
    if not event: return
    name = "_X_AMZN_TRACE_ID"
    child = subprocess.check_output(["sh", "-c", "echo $" + name], text=True).strip()
    pages = int(open("/proc/self/statm").read().split()[1])
    return [[os.environ.get(name), name in os.environ, os.getenv(name), child], pages]
"#;

const NODE: &str = r"
const { execSync } = require('child_process');
exports.handler = async (event) => {
  if (!event) return;
  const name = '_X_AMZN_TRACE_ID';
  const child = execSync(`echo $${name}`).toString().trim();
  gc();
  const pages = Number(require('fs').readFileSync('/proc/self/statm', 'utf8').split(' ')[1]);
  return [[process.env[name] ?? null, name in process.env, { ...process.env }[name] ?? null, child], pages];
};
";

const LANGUAGES: [&str; 2] = ["python", "node"];

async fn house() -> House {
    let house = House::new();
    house.write("app.py", PYTHON);
    house.write("app.js", NODE);
    house.add(house.function("python", "app.handler")).await;
    let mut function = house.node("node", "app.handler");
    function.environment.insert("NODE_OPTIONS".to_owned(), "--expose-gc".to_owned());
    house.add(function).await;
    house
}

async fn told(house: &House, name: &str, trace: Option<String>, event: &str) -> Value {
    let invocation = Invocation { trace: trace.map(Into::into), ..invocation(name, event) };
    match house.functions.invoke(invocation).await.unwrap().outcome {
        Outcome::Returned(body) => serde_json::from_slice(&body).unwrap(),
        Outcome::Failed(body) => panic!("{}", String::from_utf8_lossy(&body)),
    }
}

async fn assert_seen(house: &House, name: &str, trace: Option<&str>) {
    let seen = told(house, name, trace.map(str::to_owned), "true").await;
    let expected = json!([trace, trace.is_some(), trace, trace.unwrap_or_default()]);
    assert_eq!(seen[0], expected, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_sees_the_trace_of_its_invocation_and_none_where_there_is_none() {
    let house = house().await;
    for name in LANGUAGES {
        // Long after the first ones the variable is kept another way.
        for rounds in [0, 600] {
            for round in 0..rounds {
                told(&house, name, Some(format!("Root=1-{round}")), "false").await;
            }
            for trace in [Some("Root=1-a"), None, Some("Root=1-b;Parent=c;Sampled=1"), None] {
                assert_seen(&house, name, trace).await;
            }
        }
    }
}

/// The C library kept the trace of every invocation for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_for_each_invocation_takes_no_memory() {
    let house = house().await;
    for name in LANGUAGES {
        let mut pages = Vec::new();
        for round in 0..8000 {
            let trace = Some(format!("Root=1-{round:04}{}", "x".repeat(4096)));
            let look = round % 1000 == 999;
            let seen = told(&house, name, trace, if look { "true" } else { "false" }).await;
            pages.extend(seen[1].as_u64());
        }
        println!("{name}: {pages:?} pages");
        // Five thousand traces have five thousand pages. A heap that grows to its usual size has done so before.
        assert!(pages[7] < pages[2] + 2500, "{name}: {pages:?}");
    }
}
