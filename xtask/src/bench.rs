//! Measures the release build: start, round trip and memory; or the connection engine alone.

use std::process::Command;

use crate::run::{self, Failure, cargo, workspace};
use crate::tools;

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let (script, build): (&str, &[&[&str]]) = match arguments.first().map(String::as_str) {
        None => ("dev.py", &[&["build", "--release"]]),
        Some("echo") => (
            "echo.py",
            &[
                &["build", "--release", "--package", "stillwire-bench"],
                &["build", "--release", "--package", "stillwire-gateway", "--example", "echo"],
            ],
        ),
        Some(other) => {
            return Err(Failure::new(format!(
                "`{other}` is no benchmark: leave it out, or `echo`"
            )));
        }
    };
    tools::install()?;
    for words in build {
        run::run(cargo().args(*words))?;
    }
    let python = workspace().join("target/test-tools/python/bin/python");
    let script = workspace().join("bench").join(script);
    run::run(Command::new(python).arg(script).current_dir(workspace()))
}
