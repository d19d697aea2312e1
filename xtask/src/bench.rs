//! Measures the release build: start, round trip, memory.

use std::process::Command;

use crate::run::{self, Failure, cargo, workspace};
use crate::tools;

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    tools::install()?;
    run::run(cargo().args(["build", "--release"]))?;
    let python = workspace().join("target/test-tools/python/bin/python");
    let script = workspace().join("bench/dev.py");
    run::run(Command::new(python).arg(script).args(arguments).current_dir(workspace()))
}
