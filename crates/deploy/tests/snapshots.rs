//! What a person is shown of each app, and of each mistake, word for word: `tests/snapshots`.
//!
//! Where they differ, the test says how to take over what is new.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use stillwire_deploy::{Input, LoadOptions, Loaded, Problems, load};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Each app, by the name of its snapshot.
const APPS: [(&str, &str); 7] = [
    ("cdk-chat", "../../examples/cdk-chat/cdk.out"),
    ("cdk-chat-ts", "../../examples/cdk-chat-ts/cdk.out"),
    ("cdk-kitchen-sink", "tests/fixtures/cdk-kitchen-sink/cdk.out"),
    ("sam-chat", "../../examples/sam-chat"),
    ("sam-websocketapi", "../../examples/sam-websocketapi"),
    ("serverless-chat", "../../examples/serverless-chat"),
    ("terraform-chat", "tests/fixtures/terraform-chat/plan.json"),
];

/// Templates with one mistake each, under a name that says which.
const MISTAKES: &str = include_str!("fixtures/mistakes.yaml");

fn shown(loaded: &Loaded) -> String {
    let mut text = String::new();
    for stack in &loaded.app.stacks {
        writeln!(text, "{} ({}, {})", stack.display_name, stack.account, stack.region)
            .expect("written");
        for row in loaded.resources.iter().filter(|row| *row.stack == *stack.name) {
            writeln!(text, "  {:?} {} {}: {}", row.action, row.logical_id, row.kind, row.note)
                .expect("written");
        }
        for function in &stack.functions {
            writeln!(text, "  environment of {}: {:?}", function.logical_id, function.environment)
                .expect("written");
        }
        for output in &stack.outputs {
            writeln!(text, "  output {}: {}", output.key, output.value).expect("written");
        }
    }
    for notice in &loaded.notices {
        writeln!(text, "{:?}: {}\n  {}", notice.severity, notice.text, notice.location)
            .expect("written");
        if let Some(hint) = &notice.hint {
            writeln!(text, "  hint: {hint}").expect("written");
        }
    }
    // Where the project lies is of no interest.
    let workspace = here("../..").canonicalize().expect("the workspace");
    text.replace(&format!("{}/", here("").display()), "")
        .replace(&here("").display().to_string(), "")
        .replace(&format!("{}/", workspace.display()), "../../")
}

fn app(path: &str) -> String {
    // Relative, so that no path of a machine is in what is shown.
    let input = Input::find(&here(path)).expect("an app");
    shown(&load(&input, &LoadOptions::default()).unwrap_or_else(|problems| panic!("{problems}")))
}

/// The problems of one template.
fn refused(template: &str) -> Result<Loaded, Problems> {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("app.yaml");
    fs::write(&file, template).expect("written");
    load(&Input::Template(file), &LoadOptions::default())
}

fn mistakes() -> String {
    let mut text = String::new();
    for document in MISTAKES.split("\n--- # ").skip(1) {
        let (name, template) = document.split_once('\n').expect("a name");
        let problems = refused(template).map(|_| ()).expect_err(name).to_string();
        let lines: Vec<String> = problems
            .lines()
            .map(|line| match line.split_once("--> ") {
                Some((start, place)) => {
                    let (_, place) =
                        place.rsplit_once("/app.yaml").expect("a place in the template");
                    format!("{start}--> app.yaml{place}")
                }
                None => line.to_owned(),
            })
            .collect();
        writeln!(text, "# {name}\n{}\n", lines.join("\n")).expect("written");
    }
    text
}

fn snapshots() -> Vec<(String, String)> {
    let apps = APPS.iter().map(|(name, path)| ((*name).to_owned(), app(path)));
    apps.chain([("mistakes".to_owned(), mistakes())]).collect()
}

fn file(name: &str) -> PathBuf {
    here("tests/snapshots").join(format!("{name}.txt"))
}

#[test]
fn what_is_shown_is_what_was_shown() {
    let now = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, text) in snapshots() {
        let (known, new) = (file(&name), now.join(format!("{name}.txt")));
        fs::write(&new, &text).expect("written");
        let before = fs::read_to_string(&known).unwrap_or_default();
        let first = text.lines().zip(before.lines()).find(|(ours, theirs)| ours != theirs);
        assert!(
            text == before,
            "{first:?}\nif that is meant: cp {} {}",
            new.display(),
            known.display()
        );
    }
}
