//! The grammar of `Sec-WebSocket-Extensions`.
//!
//! Source: RFC 6455, section 9.1, and RFC 9110, section 5.6, for lists, tokens and quoted strings.

use std::borrow::Cow;

use crate::handshake::is_token;

/// One extension of a list: its name and its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Extension<'a> {
    pub(crate) name: &'a str,
    pub(crate) parameters: Vec<(&'a str, Option<Cow<'a, str>>)>,
}

/// The extensions of a header's value. One that breaks the grammar is an error of its own.
pub(crate) fn extensions(value: &str) -> impl Iterator<Item = Result<Extension<'_>, ()>> {
    split(value, ',').filter(|item| !item.is_empty()).map(extension)
}

fn extension(item: &str) -> Result<Extension<'_>, ()> {
    let mut pieces = split(item, ';');
    let name = pieces.next().filter(|name| is_token(name.as_bytes())).ok_or(())?;
    let parameters = pieces.map(parameter).collect::<Result<_, _>>()?;
    Ok(Extension { name, parameters })
}

fn parameter(piece: &str) -> Result<(&str, Option<Cow<'_, str>>), ()> {
    let (name, value) = match piece.split_once('=') {
        Some((name, value)) => (trim(name), Some(unquoted(trim(value)).ok_or(())?)),
        None => (piece, None),
    };
    let known = |text: &str| is_token(text.as_bytes());
    if known(name) && value.as_deref().is_none_or(known) { Ok((name, value)) } else { Err(()) }
}

/// A value without its quotes and backslashes; `None` where they are not in order.
///
/// It means the same with them, and must be a token without. Source: RFC 6455, section 9.1.
fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    let Some(inner) = value.strip_prefix('"') else { return Some(Cow::Borrowed(value)) };
    let mut plain = String::new();
    let mut characters = inner.strip_suffix('"')?.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => characters.next()?,
            '"' => return None,
            character => character,
        });
    }
    Some(Cow::Owned(plain))
}

/// Splits where `separator` is not inside quotes. White space around the pieces goes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let between = move |character: char| {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            character => return character == separator && !quoted,
        }
        false
    };
    text.split(between).map(trim)
}

/// Without the optional white space of HTTP. Source: RFC 9110, section 5.6.3.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_outside_of_quotes() {
        let parsed: Vec<_> = extensions(r#"a; b="c\d", ,d;e=f ;g , h; i="x\,y", "#).collect();
        let expected = [
            Ok(Extension { name: "a", parameters: vec![("b", Some("cd".into()))] }),
            Ok(Extension { name: "d", parameters: vec![("e", Some("f".into())), ("g", None)] }),
            Err(()), // a comma is in no token
        ];
        assert_eq!(parsed, expected);
    }

    #[test]
    fn what_breaks_the_grammar_is_an_error_of_its_own() {
        for bad in [
            "a b",
            "a;",
            "a;;b",
            "a;=1",
            "a;b=",
            "a=1",
            "\"a\"",
            "ä",
            "a;b=\"",
            "a;b=\"\"",
            "a;b=\"c d\"",
            "a;b=\"c\"d",
            "a;b=c\"d\"",
            "a;b=\"c\"\"d\"",
            "a;b=\"ä\"",
            "a;\"b\"=c",
            "a;b=c\\d",
        ] {
            let value = format!("{bad}, good");
            let parsed: Vec<_> = extensions(&value).collect();
            assert!(parsed[0].is_err(), "{bad}");
            let quote_open = bad.matches('"').count() % 2 == 1;
            assert_eq!(parsed.len(), if quote_open { 1 } else { 2 }, "{bad}");
        }
        // A quote that is escaped ends nothing.
        assert_eq!(extensions(r#"a;b="c\", good"#).collect::<Vec<_>>(), [Err(())]);
    }
}
