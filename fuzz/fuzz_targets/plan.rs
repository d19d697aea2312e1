//! Any plan or state of Terraform's is read, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillwire_deploy::{Input, LoadOptions, load};

fuzz_target!(|input: &[u8]| {
    let Ok(folder) = tempfile::tempdir() else { return };
    let file = folder.path().join("plan.json");
    if std::fs::write(&file, input).is_err() {
        return;
    }
    if let Err(problems) = load(&Input::Terraform(file), &LoadOptions::default()) {
        assert!(problems.to_string().contains("error"));
    }
});
