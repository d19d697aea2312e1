//! The public Autobahn suite against the engine's echo. It needs Python 2.7, which few machines have, so it is not a
//! part of the tests; the project's own suite covers the same families.

use std::process::Command;

use crate::run::{Failure, cargo, exists, run, workspace};
use crate::tools;

/// The only Python that the suite runs on.
const PYTHON: &str = "python2.7";

/// Runs the cases that are named, or all.
pub(crate) fn run_suite(cases: &[String]) -> Result<(), Failure> {
    if !exists(PYTHON) {
        return Err(Failure::new(format!("the suite needs {PYTHON}, which is not on the PATH")));
    }
    let packages = tools::autobahn(PYTHON)?;
    run(cargo().args(["build", "--release", "-p", "stillwire-gateway", "--example", "echo"]))?;
    let mut suite = Command::new("python3");
    suite.arg(workspace().join("xtask/scripts/autobahn.py")).arg(PYTHON).arg(packages);
    suite.arg(workspace().join("target/release/examples/echo"));
    suite.arg(workspace().join("target/autobahn"));
    run(suite.args(cases))
}
