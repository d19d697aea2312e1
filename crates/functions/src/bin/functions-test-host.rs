//! A program for the tests: the hidden subcommands, and nothing else.

use std::collections::BTreeMap;
use std::process::ExitCode;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("supervise") => stillwire_functions::supervisor::run(),
        Some("enter") => stillwire_functions::supervisor::enter(),
        Some("supervise-without") if lose(args).is_some() => stillwire_functions::supervisor::run(),
        _ => ExitCode::FAILURE,
    }
}

/// Plays an older kernel: the system calls with these numbers are not there.
fn lose(calls: impl Iterator<Item = String>) -> Option<()> {
    let rules: BTreeMap<i64, _> =
        calls.map(|call| Some((call.parse().ok()?, Vec::new()))).collect::<Option<_>>()?;
    let missing = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let architecture = TargetArch::try_from(std::env::consts::ARCH).ok()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, missing, architecture).ok()?;
    seccompiler::apply_filter(&BpfProgram::try_from(filter).ok()?).ok()
}
