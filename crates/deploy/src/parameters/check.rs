//! What a parameter's declaration says about its value.
//!
//! Source: CloudFormation Template Reference, "Parameters section".

use crate::node::Node;
use crate::report::Notice;
use crate::resolver::{Failed, Resolver};

/// The longest pattern that is looked at, in characters; longer ones are as good as none.
const PATTERN_CHARS_MAX: usize = 2048;

impl Resolver<'_> {
    /// Checks `text`, which is the value of the parameter `name`; lists are written with commas.
    pub(super) fn check(
        &mut self,
        name: &str,
        kind: &str,
        declaration: &Node,
        text: &str,
    ) -> Result<(), Failed> {
        let secret = declaration.get("NoEcho").and_then(Node::scalar).as_deref() == Some("true");
        let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
        let values: Vec<&str> =
            if is_list { text.split(',').map(str::trim).collect() } else { vec![text] };
        for value in values {
            let wrong = wrong(kind, declaration, value);
            let Some(wrong) = wrong else { continue };
            // A value that must stay secret does not appear in a message.
            let shown = if secret { "****" } else { value };
            let mut problem = format!("the parameter {name} is {shown}; {wrong}");
            if let Some(text) = declaration.get("ConstraintDescription").and_then(Node::as_text) {
                problem = format!("{problem}: {text}");
            }
            return self.fail_with(
                declaration.at,
                problem,
                format!("give another: --parameter {name}=VALUE"),
            );
        }
        self.check_pattern(name, declaration);
        Ok(())
    }

    /// A pattern that cannot be read here is told: values are not held against it.
    fn check_pattern(&mut self, name: &str, declaration: &Node) {
        if let Some(node) = declaration.get("AllowedPattern")
            && let Some(text) = node.as_text()
            && pattern(text).is_none()
        {
            let text =
                format!("the AllowedPattern of {name} is not checked here: it cannot be read");
            let notice = Notice::info(self.location(node.at), text);
            self.notice(notice);
        }
    }
}

/// What is wrong with one value, as the end of a sentence.
fn wrong(kind: &str, declaration: &Node, value: &str) -> Option<String> {
    if let Some(allowed) = declaration.get("AllowedValues").and_then(Node::as_list) {
        let allowed: Vec<String> = allowed.iter().filter_map(Node::scalar).collect();
        if !allowed.iter().any(|one| one == value) {
            return Some(format!("it may be {}", allowed.join(", ")));
        }
    }
    let limit = |name: &str| declaration.get(name).and_then(Node::scalar);
    let outside = |value: f64, min: Option<&String>, max: Option<&String>| {
        let number = |text: Option<&String>| text.and_then(|text| text.parse::<f64>().ok());
        number(min).is_some_and(|min| value < min) || number(max).is_some_and(|max| value > max)
    };
    let range = |min: Option<&String>, max: Option<&String>| match (min, max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("{min} or more"),
        (None, max) => format!("{} or less", max.map_or("", String::as_str)),
    };
    if matches!(kind, "Number" | "List<Number>") {
        let Some(number) = value.parse::<f64>().ok().filter(|number| number.is_finite()) else {
            return Some("it is a number".to_owned());
        };
        let (min, max) = (limit("MinValue"), limit("MaxValue"));
        return outside(number, min.as_ref(), max.as_ref())
            .then(|| format!("it may be {}", range(min.as_ref(), max.as_ref())));
    }
    let (min, max) = (limit("MinLength"), limit("MaxLength"));
    #[expect(clippy::cast_precision_loss, reason = "no text is long enough to notice")]
    let length = value.chars().count() as f64;
    if kind == "String" && outside(length, min.as_ref(), max.as_ref()) {
        return Some(format!("it may have {} characters", range(min.as_ref(), max.as_ref())));
    }
    let text = declaration.get("AllowedPattern").and_then(Node::as_text)?;
    let fits = pattern(text).is_none_or(|pattern| pattern.is_match(value));
    (!fits).then(|| format!("it has the pattern {text}"))
}

/// A pattern that a whole value must match.
fn pattern(text: &str) -> Option<regex_lite::Regex> {
    if text.chars().count() > PATTERN_CHARS_MAX {
        return None;
    }
    regex_lite::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(1 << 20).build().ok()
}
