//! All tests: units, properties, and the real program with real clients.

use crate::run::{self, Failure};
use crate::tools;

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    tools::install()?;
    run::run(run::cargo().args(["test", "--workspace", "--no-fail-fast"]).args(arguments))
}
