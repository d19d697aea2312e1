//! Any template, in JSON or YAML, with or without macros, is resolved, or refused with a place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillwire_deploy::{Input, LoadOptions, load};

fuzz_target!(|input: &[u8]| {
    let Ok(folder) = tempfile::tempdir() else { return };
    // What begins with a brace is JSON, whatever the name.
    let file = folder.path().join("app.yaml");
    if std::fs::write(&file, input).is_err() {
        return;
    }
    match load(&Input::Template(file), &LoadOptions::default()) {
        Ok(loaded) => assert!(loaded.app.stacks.len() <= 1),
        Err(problems) => assert!(problems.to_string().contains("error")),
    }
});
