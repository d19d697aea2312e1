//! Regular expressions as Java writes them, as far as they take linear time.
//!
//! Differs: look-around and back references are refused, since they can take time without bound.

use std::sync::Arc;

use regex_lite::{Captures, Regex, RegexBuilder};

use crate::error::Fault;
use crate::limits;
use crate::value::Heap;

/// How large a compiled expression may be, in bytes: a few hundred states.
const COMPILED_BYTES_MAX: usize = 32 * 1024;

/// How many bytes of compiled expression, times bytes of text, are one step of work.
///
/// Choice: measured, so that a step is about as long as any other.
const WORK_PER_STEP: usize = 640;

/// A compiled expression.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    pub(crate) regex: Regex,
    /// What it takes compiled, rounded up: each byte of a text costs that much, in the worst case.
    bytes: usize,
}

impl Pattern {
    /// Compiles an expression. A repeat count makes a short one large, so its size is found by trying.
    pub(crate) fn build(pattern: &str) -> Result<Self, Fault> {
        let mut bytes = 256;
        loop {
            match RegexBuilder::new(pattern).size_limit(bytes).build() {
                Ok(regex) => return Ok(Self { regex, bytes }),
                Err(_) if bytes < COMPILED_BYTES_MAX => bytes *= 2,
                Err(error) => {
                    return Err(Fault::failed(format!("the pattern is refused: {error}")));
                }
            }
        }
    }

    /// The steps that looking through a text takes.
    pub(crate) fn steps(&self, text: &str) -> usize {
        1 + text.len().saturating_mul(self.bytes) / WORK_PER_STEP
    }
}

/// The compiled expression that is about to look through a text. Accounts for the work.
pub(crate) fn compile(heap: &mut Heap, pattern: &str, text: &str) -> Result<Arc<Pattern>, Fault> {
    if pattern.len() > limits::PATTERN_BYTES_MAX {
        return Err(Fault::Limit("bytes of a pattern", limits::PATTERN_BYTES_MAX));
    }
    let compiled = if let Some(compiled) = heap.patterns.get(pattern) {
        Arc::clone(compiled)
    } else {
        heap.spend(32 + pattern.len() * 8)?;
        let compiled = Arc::new(Pattern::build(pattern)?);
        heap.patterns.insert(pattern.to_owned(), Arc::clone(&compiled));
        compiled
    };
    heap.spend(compiled.steps(text))?;
    Ok(compiled)
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
