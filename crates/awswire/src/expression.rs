//! Expressions of `DynamoDB`, as far as who only looks into them needs them.

/// The tokens of an expression of DynamoDB: names with what marks them, numbers, comparisons, and single marks.
///
/// Source: `DynamoDB` Developer Guide, "Referring to item attributes when using expressions" and "Condition and filter expressions".
pub fn expression_tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let is_name = |of: char| of.is_alphanumeric() || "_#:".contains(of);
        let length = if is_name(first) {
            rest.find(|of: char| !is_name(of)).unwrap_or(rest.len())
        } else if ["<>", "<=", ">="].iter().any(|two| rest.starts_with(two)) {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(token)
    })
}
