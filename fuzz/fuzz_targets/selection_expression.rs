//! Any expression is parsed or refused, and any message is evaluated with it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillwire_gateway::select_route_key;
use stillwire_model::SelectionExpression;

fuzz_target!(|input: (&str, &str)| {
    let (expression, message) = input;
    if let Ok(expression) = SelectionExpression::parse(expression) {
        let _key = select_route_key(&expression, message);
    }
});
