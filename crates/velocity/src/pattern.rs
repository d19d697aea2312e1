//! Regular expressions as Java writes them, as far as they take linear time.
//!
//! Differs: look-around and back references are refused, since they can take time without bound.

use regex_lite::{Captures, Regex, RegexBuilder};

use crate::error::Fault;
use crate::limits;
use crate::value::Heap;

/// How large a compiled expression may be, in bytes.
const COMPILED_BYTES_MAX: usize = 32 * 1024;

/// Compiles an expression that is about to look through `bytes` of text, and accounts for the work.
pub(crate) fn compile(heap: &mut Heap, pattern: &str, bytes: usize) -> Result<Regex, Fault> {
    if pattern.len() > limits::PATTERN_BYTES_MAX {
        return Err(Fault::Limit("bytes of a pattern", limits::PATTERN_BYTES_MAX));
    }
    // A repeat count makes a short expression long.
    let repeats = pattern.matches('{').count() * 64;
    heap.spend(pattern.len() + (bytes / 16) * (1 + (pattern.len() + repeats) / 16))?;
    build(pattern)
}

pub(crate) fn build(pattern: &str) -> Result<Regex, Fault> {
    RegexBuilder::new(pattern)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| Fault::failed(format!("the pattern is refused: {error}")))
}

/// Replaces matches; in `replacement`, `$1` is a group and `\` takes the next character as it is.
///
/// Source: Java, `Matcher.appendReplacement`.
pub(crate) fn replace(
    pattern: &Regex,
    text: &str,
    replacement: &str,
    all: bool,
) -> Result<String, Fault> {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for found in pattern.captures_iter(text).take(if all { usize::MAX } else { 1 }) {
        let Some(whole) = found.get(0) else { continue };
        out.push_str(text.get(at..whole.start()).unwrap_or_default());
        expand(&found, replacement, &mut out)?;
        at = whole.end();
        if out.len() > limits::OUTPUT_BYTES_MAX {
            return Err(Fault::Limit("bytes of a text", limits::OUTPUT_BYTES_MAX));
        }
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Ok(out)
}

fn expand(found: &Captures<'_>, replacement: &str, out: &mut String) -> Result<(), Fault> {
    let mut rest = replacement.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some(escaped) => out.push(escaped),
                None => return Err(Fault::failed("the replacement ends in a backslash")),
            },
            '$' => {
                let Some(mut group) = rest.next().and_then(|c| c.to_digit(10)) else {
                    return Err(Fault::failed("the replacement has a $ without a group's number"));
                };
                // Further digits belong to the number as long as there is such a group.
                while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
                    let longer = group.saturating_mul(10).saturating_add(digit);
                    if usize::try_from(longer).is_ok_and(|longer| longer < found.len()) {
                        group = longer;
                        rest.next();
                    } else {
                        break;
                    }
                }
                let group = usize::try_from(group).unwrap_or(usize::MAX);
                if group >= found.len() {
                    return Err(Fault::failed(format!("the pattern has no group {group}")));
                }
                out.push_str(found.get(group).map_or("", |found| found.as_str()));
            }
            c => out.push(c),
        }
    }
    Ok(())
}

/// Splits as Java's `String.split` does: empty pieces at the end are left out unless `limit` is negative.
pub(crate) fn split(pattern: &Regex, text: &str, limit: i64) -> Vec<String> {
    let most = usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let mut pieces = Vec::new();
    let mut at = 0;
    for found in pattern.find_iter(text) {
        if pieces.len() + 1 >= most {
            break;
        }
        // An empty match at the beginning makes no piece.
        if found.end() == 0 {
            continue;
        }
        pieces.push(text.get(at..found.start()).unwrap_or_default().to_owned());
        at = found.end();
    }
    // Nothing found: the text as it is, even when it is empty.
    if pieces.is_empty() && at == 0 {
        return vec![text.to_owned()];
    }
    pieces.push(text.get(at..).unwrap_or_default().to_owned());
    if limit == 0 {
        while pieces.last().is_some_and(String::is_empty) {
            pieces.pop();
        }
    }
    pieces
}
