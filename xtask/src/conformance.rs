//! The conformance suite, and the page that it writes.

use crate::run::{self, Failure};
use crate::tools;

/// Plays the cases. When all are played, `docs/api-coverage.md` is written, whatever came of them.
pub(crate) fn run(words: &[String]) -> Result<(), Failure> {
    tools::install()?;
    let suite =
        ["test", "--package", "stillwire-conformance", "--test", "conformance", "--", "--write"];
    run::run(run::cargo().args(suite).args(words))
}
