//! Format, clippy, documentation and tidy, as strict as CI.

use crate::run::{self, Failure, cargo};
use crate::tidy;

pub(crate) fn run(_: &[String]) -> Result<(), Failure> {
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    let documentation = ["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"];
    run::run(cargo().args(["fmt", "--all", "--check"]))?;
    run::run(cargo().args(clippy))?;
    run::run(cargo().env("RUSTDOCFLAGS", "-D warnings").args(documentation))?;
    tidy::run(&[])
}
