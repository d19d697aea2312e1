//! A program for the tests: the hidden subcommands, and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("supervise") => stillwire_functions::supervisor::run(),
        Some("enter") => stillwire_functions::supervisor::enter(),
        _ => ExitCode::FAILURE,
    }
}
