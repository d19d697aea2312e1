//! Tables of templates and what they render.
#![allow(dead_code, reason = "each test file uses some of these")]

use stillwire_velocity::{Input, Message, Rendered, Template, TemplateError};

/// Renders a template for an input.
pub(crate) fn render(template: &str, input: &dyn Input) -> Result<Rendered, TemplateError> {
    Template::parse(template)?.evaluate(input)
}

/// Checks each template of a table against what it must render for a message without anything.
pub(crate) fn check(cases: &[(&str, &str)]) {
    check_with(&Message::default(), cases);
}

/// Checks each template of a table against what it must render for an input.
pub(crate) fn check_with(input: &dyn Input, cases: &[(&str, &str)]) {
    for (template, wanted) in cases {
        match render(template, input) {
            Ok(rendered) => assert_eq!(rendered.text, *wanted, "{template:?}"),
            Err(error) => panic!("{template:?}: {error}"),
        }
    }
}

/// Checks each template of a table against the end of its error.
pub(crate) fn check_errors(cases: &[(&str, &str)]) {
    for (template, wanted) in cases {
        match render(template, &Message::default()) {
            Ok(rendered) => panic!("{template:?} renders {:?}", rendered.text),
            Err(error) => assert_eq!(error.to_string(), *wanted, "{template:?}"),
        }
    }
}
