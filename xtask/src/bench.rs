//! Measures the release build: start, round trip and memory; or the connection engine alone; or messages
//! through the whole gateway; or environments of functions; or changes of an app that runs; or tables.

use std::process::Command;

use crate::run::{self, Failure, cargo, workspace};
use crate::tools;

/// Servers of others, which only this needs.
const PEERS: &str = "bench/peers/Cargo.toml";

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let peers = workspace().join(PEERS);
    let peers = peers.to_string_lossy();
    let (script, build): (&str, &[&[&str]]) = match arguments.first().map(String::as_str) {
        None => ("dev.py", &[&["build", "--release"]]),
        Some("engine") => (
            "engine.py",
            &[
                &["build", "--release", "--package", "stillwire-bench"],
                &["build", "--release", "--package", "stillwire-gateway", "--example", "echo"],
                &["build", "--release", "--manifest-path", &peers],
            ],
        ),
        Some("functions") => (
            "functions.py",
            &[&["build", "--release", "--package", "stillwire", "--package", "stillwire-bench"]],
        ),
        Some("changes") => ("changes.py", &[&["build", "--release", "--package", "stillwire"]]),
        Some("tables") => (
            "tables.py",
            &[
                &["build", "--release", "--package", "stillwire", "--package", "stillwire-bench"],
                &["build", "--release", "--manifest-path", &peers],
            ],
        ),
        Some("gateway") => (
            "gateway.py",
            &[&["build", "--release", "--package", "stillwire", "--package", "stillwire-bench"]],
        ),
        Some(other) => {
            return Err(Failure::new(format!(
                "`{other}` is no benchmark: leave it out, or `engine [PART ...]`, `gateway [PART ...]`, `functions [PART ...]`, `changes [PART ...]`, `tables [PART ...]`"
            )));
        }
    };
    tools::install()?;
    if script == "functions.py" {
        tools::serverless_offline()?;
    }
    if script == "tables.py" {
        tools::table_servers()?;
    }
    for words in build {
        run::run(cargo().args(*words))?;
    }
    let python = workspace().join("target/test-tools/python/bin/python");
    let script = workspace().join("bench").join(script);
    let parts = arguments.iter().skip(1);
    run::run(Command::new(python).arg(script).args(parts).current_dir(workspace()))
}
