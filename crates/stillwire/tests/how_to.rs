//! The pages of `docs/how-to` are true: their commands run, and print what the pages say.
//!
//! Blocks of `sh` are run in a copy of the page's example, `yaml` blocks that begin with a file's name are written there,
//! and each line of a `text` block is in what the command before it printed. Blocks of `console` need tools of others.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use stillwire_testkit::{Stillwire, example, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// A block of a page: its language and its text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut open = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                found.push((language.to_owned(), String::new()));
            }
            None if open => {
                let (_, text) = found.last_mut().unwrap();
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    found
}

/// Does what a page says, in `folder`.
fn follow(page: &str, folder: &Path) {
    let text = fs::read_to_string(tools::workspace().join("docs/how-to").join(page)).unwrap();
    let bin = tempfile::tempdir().unwrap();
    symlink(PROGRAM, bin.path().join("stillwire")).unwrap();
    let mut running: Option<Stillwire> = None;
    let mut printed = String::new();
    let mut commands = 0;
    for (language, block) in blocks(&text) {
        match language.as_str() {
            "yaml" => {
                let name = block.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap();
                fs::write(folder.join(name), &block).unwrap();
            }
            "sh" => {
                commands += 1;
                if let Some(arguments) = block.trim().strip_prefix("stillwire dev") {
                    let mut command = Stillwire::command(PROGRAM);
                    command.args(["dev", "--port", "0", "--in-memory", "--verbose"]);
                    command.args(arguments.split_whitespace()).current_dir(folder);
                    running = Some(Stillwire::start(command));
                    continue;
                }
                let mut script = block.clone();
                if let Some(running) = &running {
                    let url = running.ready()["apis"][0]["ws"].as_str().unwrap();
                    let (host, _) = url.rsplit_once('/').unwrap();
                    script = script.replace("ws://localhost:7800", host);
                }
                let output = Stillwire::command("/bin/sh")
                    .args(["-ec", &script])
                    .current_dir(folder)
                    .env("PATH", format!("{}:/usr/bin:/bin", bin.path().display()))
                    .output()
                    .unwrap();
                let errors = String::from_utf8_lossy(&output.stderr);
                printed = format!("{}{errors}", String::from_utf8_lossy(&output.stdout));
                let log = running.as_ref().map(Stillwire::log).unwrap_or_default();
                assert!(output.status.success(), "{script}\n{printed}\n{log}");
            }
            "text" => {
                for line in block.lines() {
                    let log = running.as_ref().map(Stillwire::log).unwrap_or_default();
                    assert!(printed.contains(line), "{line:?} is not in\n{printed}\n{log}");
                }
            }
            "console" => {}
            other => panic!("a block of {other:?}"),
        }
    }
    assert!(commands >= 3, "{page}");
}

#[test]
fn cdk() {
    let app = example("cdk-chat");
    follow("cdk.md", app.path());
}

#[test]
fn sam() {
    let app = example("sam-chat");
    follow("sam.md", app.path());
}

#[test]
fn cloudformation() {
    let folder = tempfile::tempdir().unwrap();
    follow("cloudformation.md", folder.path());
}

#[test]
fn serverless() {
    let app = example("serverless-chat");
    follow("serverless.md", app.path());
}

#[test]
fn terraform() {
    let app = example("terraform-chat");
    // Terraform is not at hand where tests run; its plan is.
    let plan = tools::workspace().join("crates/deploy/tests/fixtures/terraform-chat/plan.json");
    fs::copy(plan, app.path().join("plan.json")).unwrap();
    follow("terraform.md", app.path());
}
