//! Any schema is refused or validates any value, with a reason where it does not.
//!
//! An input is a schema and a value, with a zero byte between them. References to models lead back to the schema.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillwire_schema::Schema;

fuzz_target!(|input: &str| {
    let (schema, value) = input.split_once('\0').unwrap_or((input, "{}"));
    let models = |_: &str| Some(schema.to_owned());
    if let Ok(parsed) = Schema::parse_with_models(schema, &models)
        && let Ok(value) = serde_json::from_str(value)
        && let Err(problems) = parsed.validate(&value)
    {
        assert!(!problems.is_empty());
    }
});
