//! Whatever is done to a file of an app, it is read, or refused with a place: nothing panics, hangs or fills the memory.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use stillwire_deploy::{Input, LoadOptions, load};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// One change of a text: from where, how many characters go, and what comes.
type Edit = (prop::sample::Index, usize, String);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        "- ",
        "\n",
        "  ",
        "\"",
        "'",
        "!Ref ",
        "!Sub ",
        "${",
        "}",
        "Fn::ForEach::X",
        "&a ",
        "*a",
        "<<",
        "AWS::NoValue",
        "null",
        "Transform",
        "Ref",
        "Fn::GetAtt",
        "Condition",
        "0",
        "-1",
        "1e99",
        "true",
        "…",
        "\u{0}",
        "${self:}",
        "${self:custom}",
        "file(",
        "references",
        "after_unknown",
        "module.",
        "index",
    ]);
    prop::collection::vec(
        (any::<prop::sample::Index>(), 0..12_usize, piece.prop_map(str::to_owned)),
        1..6,
    )
}

fn damaged(text: &str, edits: &[Edit]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (at, gone, piece) in edits {
        let start = at.index(characters.len() + 1);
        let end = (start + gone).min(characters.len());
        characters.splice(start..end, piece.chars());
    }
    characters.into_iter().collect()
}

fn read(name: &str, text: &str, input: fn(PathBuf) -> Input) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join(name);
    fs::write(&file, text).expect("written");
    if let Err(problems) = load(&input(file), &LoadOptions::default()) {
        let text = problems.to_string();
        assert!(text.contains("error: ") && text.contains("--> "), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn templates_of_sam(edits in edits()) {
        let text = fs::read_to_string(here("tests/fixtures/sam-all.yaml")).expect("a template");
        read("app.yaml", &damaged(&text, &edits), Input::Template);
    }

    #[test]
    fn templates_with_loops(edits in edits()) {
        let text = fs::read_to_string(here("../../fuzz/seeds/template/loops")).expect("a template");
        read("app.yaml", &damaged(&text, &edits), Input::Template);
    }

    #[test]
    fn services(edits in edits()) {
        let text = fs::read_to_string(here("../../examples/serverless-chat/serverless.yml")).expect("a service");
        read("serverless.yml", &damaged(&text, &edits), Input::Serverless);
    }

    #[test]
    fn plans(edits in edits()) {
        let text = fs::read_to_string(here("tests/fixtures/terraform-chat/plan.json")).expect("a plan");
        read("plan.json", &damaged(&text, &edits), Input::Terraform);
    }
}
