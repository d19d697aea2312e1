//! All tests: units, properties, and the real program with real clients.

use crate::run::{self, Failure};
use crate::tools;

/// Ends a test program that hangs, long before a machine of CI gives up on the whole: cargo then tells which it was, and the
/// test program has told which of its tests has been running. The longest one takes three to eight minutes on two cores.
const RUNNER: &str =
    "target.'cfg(target_os = \"linux\")'.runner = ['timeout', '--verbose', '--foreground', '30m']";

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    tools::install()?;
    let mut command = run::cargo();
    command.args(["test", "--no-fail-fast", "--config", RUNNER]);
    // Whoever names packages means those alone.
    if !arguments.iter().any(|word| matches!(word.as_str(), "-p" | "--package")) {
        command.arg("--workspace");
    }
    run::run(command.args(arguments))
}
