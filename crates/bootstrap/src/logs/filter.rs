//! Patterns that find lines.
//!
//! Source: CloudWatch Logs User Guide, "Filter pattern syntax", "unstructured log events": terms that all must be there, `?`
//! before terms of which one must, `-` before one that must not, quotes around several words, `%…%` around an expression.
//! Differs: patterns for JSON (`{ … }`), for fields (`[ … ]`) and expressions are refused.

use crate::error::{Answered, Refused};

/// A pattern.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Filter {
    pub(super) fn parse(text: &str) -> Answered<Self> {
        let text = text.trim();
        if text.starts_with(['{', '[', '%']) {
            let message = "Invalid filter pattern: Stillwire finds terms; patterns for JSON and fields, and expressions, are not \
                 served";
            return Err(Refused::new(400, "InvalidParameterException", message));
        }
        let mut filter = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (into, after) = if let Some(after) = rest.strip_prefix('?') {
                (&mut filter.any, after)
            } else if let Some(after) = rest.strip_prefix('-') {
                (&mut filter.none, after)
            } else {
                (&mut filter.all, rest)
            };
            let (term, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or_else(|| {
                    let message = "Invalid filter pattern: a quote is not closed";
                    Refused::new(400, "InvalidParameterException", message)
                })?,
                None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
            };
            if !term.is_empty() {
                into.push(term.to_owned());
            }
            rest = after.trim_start();
        }
        Ok(filter)
    }

    pub(super) fn finds(&self, line: &str) -> bool {
        self.all.iter().all(|term| line.contains(term))
            && !self.none.iter().any(|term| line.contains(term))
            && (self.any.is_empty() || self.any.iter().any(|term| line.contains(term)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_find_lines_as_the_guide_says() {
        for (pattern, line, expected) in [
            ("", "anything", true),
            ("ERROR", "[ERROR 400]", true),
            ("ERROR ARGS", "ERROR of ARGS", true),
            ("ERROR ARGS", "ERROR", false),
            ("?ERROR ?ARGS", "ARGS", true),
            ("?ERROR ?ARGS", "none", false),
            ("ERROR -ARGS", "ERROR", true),
            ("ERROR -ARGS", "ERROR ARGS", false),
            ("\"INTERNAL SERVER\"", "an INTERNAL SERVER error", true),
            ("\"INTERNAL SERVER\"", "SERVER INTERNAL", false),
        ] {
            assert_eq!(Filter::parse(pattern).unwrap().finds(line), expected, "{pattern}: {line}");
        }
        for pattern in ["{ $.a = 1 }", "[a, b]", "%x%", "\"open"] {
            assert!(Filter::parse(pattern).is_err(), "{pattern}");
        }
    }
}
