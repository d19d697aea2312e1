//! The project's own commands: `cargo xtask` lists them.
//!
//! They need nothing but Rust, Python and Node.js; what else they need they install below `target/`, or name.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command line tool for the people of this project"
)]

mod autobahn;
mod bench;
mod conformance;
mod fuzz;
mod lint;
mod run;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use run::Failure;

type Command = (&'static str, &'static str, fn(&[String]) -> Result<(), Failure>);

/// What there is, with a line about each.
const COMMANDS: [Command; 10] = [
    (
        "run",
        "run an example app, the chat unless another is named: cargo xtask run [EXAMPLE]",
        example,
    ),
    (
        "test",
        "install what the tests need, and run them all; further words go to `cargo test`",
        test::run,
    ),
    (
        "conformance",
        "play the cases of what API Gateway does, all or those with a WORD, and write docs/api-coverage.md",
        conformance::run,
    ),
    ("lint", "format check, clippy, documentation and tidy, as strict as CI", lint::run),
    ("docs", "build the documentation of the code, private items included", docs),
    ("tidy", "the house rules that no compiler checks", tidy::run),
    (
        "bench",
        "measure start, round trip and memory of the release build; `bench engine`, `bench gateway`, `bench functions`, `bench changes`, `bench tables`: parts",
        bench::run,
    ),
    (
        "autobahn",
        "run the public Autobahn suite against the engine: cargo xtask autobahn [CASE ...]",
        autobahn::run_suite,
    ),
    ("fuzz", "fuzz one target for a minute, or list them: cargo xtask fuzz [TARGET]", fuzz::run),
    ("ci", "everything that CI does: lint, then test", ci),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        println!("cargo xtask COMMAND\n");
        for (name, about, _) in COMMANDS {
            println!("  {name:11} {about}");
        }
        return ExitCode::SUCCESS;
    };
    let Some((_, _, command)) = COMMANDS.iter().find(|(known, ..)| known == name) else {
        eprintln!("error: `{name}` is no command; `cargo xtask` lists them");
        return ExitCode::FAILURE;
    };
    match command(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn example(arguments: &[String]) -> Result<(), Failure> {
    let name = arguments.first().map_or("cdk-chat", String::as_str);
    let path = format!("examples/{name}");
    run::run(
        run::cargo().args(["run", "--", "dev", &path]).args(arguments.get(1..).unwrap_or_default()),
    )
}

fn docs(_: &[String]) -> Result<(), Failure> {
    run::run(run::cargo().args(["doc", "--workspace", "--no-deps", "--document-private-items"]))
}

fn ci(arguments: &[String]) -> Result<(), Failure> {
    lint::run(&[])?;
    test::run(arguments)
}
