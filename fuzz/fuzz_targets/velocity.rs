//! Any template is refused with a place, or rendered within bounds for any body; any `JSONPath` likewise.
//!
//! An input is a template and a body, with a zero byte between them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillwire_velocity::{JsonPath, Message, ParamPlace, Template, limits};

fuzz_target!(|input: &str| {
    let (template, body) = input.split_once('\0').unwrap_or((input, "{}"));
    if let Ok(path) = JsonPath::parse(template)
        && let Ok(json) = serde_json::from_str(body)
    {
        let _selection = path.select(&json);
    }
    match Template::parse(template) {
        Err(error) => assert!(error.place.line >= 1 && error.place.column >= 1),
        Ok(parsed) => {
            let input = Message::new(body)
                .with_context("connectionId", "Qm3vTdYxIAMCE4w=")
                .with_context("authorizer.tenant", "acme")
                .with_stage_variable("backend", "v2")
                .with_param(ParamPlace::QueryString, "token", "abc");
            if let Ok(rendered) = parsed.evaluate(&input) {
                assert!(rendered.text.len() <= limits::OUTPUT_BYTES_MAX);
            }
        }
    }
});
