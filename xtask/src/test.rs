//! All tests: units, properties, and the real program with real clients.

use crate::run::{self, Failure};
use crate::tools;

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    tools::install()?;
    let mut command = run::cargo();
    command.args(["test", "--no-fail-fast"]);
    // Whoever names packages means those alone.
    if !arguments.iter().any(|word| matches!(word.as_str(), "-p" | "--package")) {
        command.arg("--workspace");
    }
    run::run(command.args(arguments))
}
