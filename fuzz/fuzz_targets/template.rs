//! Any template is resolved, or refused with a place.
#![no_main]

use std::io::Write as _;

use libfuzzer_sys::fuzz_target;
use stillwire_deploy::{Input, LoadOptions, load};

fuzz_target!(|input: &[u8]| {
    let Ok(mut file) = tempfile::Builder::new().suffix(".json").tempfile() else { return };
    if file.write_all(input).is_err() {
        return;
    }
    match load(&Input::Template(file.path().to_owned()), &LoadOptions::default()) {
        Ok(loaded) => assert!(loaded.app.stacks.len() <= 1),
        Err(problems) => assert!(problems.to_string().contains("error")),
    }
});
