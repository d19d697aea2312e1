//! Fuzzing, one target at a time.

use std::process::Command;

use crate::run::{self, Failure, exists, output, workspace};

/// How long one target is fuzzed unless the words say otherwise.
const SECONDS: &str = "60";

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    if !exists("cargo-fuzz") {
        return Err(Failure::new("fuzzing needs cargo-fuzz: cargo install cargo-fuzz --locked"));
    }
    let fuzz = |words: &[&str]| {
        let mut command = Command::new("cargo");
        command.current_dir(workspace().join("fuzz")).args(["+nightly", "fuzz"]).args(words);
        command
    };
    let Some((target, rest)) = arguments.split_first() else {
        print!("{}", output(&mut fuzz(&["list"]))?);
        return Ok(());
    };
    let seconds = rest.first().map_or(SECONDS, String::as_str);
    let limit = format!("-max_total_time={seconds}");
    // Finds go to the first folder, which is not kept; the seeds are.
    let (corpus, seeds) = (format!("corpus/{target}"), format!("seeds/{target}"));
    std::fs::create_dir_all(workspace().join("fuzz").join(&corpus))?;
    run::run(&mut fuzz(&["run", target, &corpus, &seeds, "--", &limit, "-timeout=5"]))
}
