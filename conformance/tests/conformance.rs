//! All cases, against the real program: `cargo test -p stillwire-conformance [-- WORD ...]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    stillwire_conformance::run(&arguments)
}
