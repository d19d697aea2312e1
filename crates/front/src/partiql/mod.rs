//! What a `PartiQL` statement does, and to which table: as much of it as a policy asks about.
//!
//! Source: DynamoDB Developer Guide, "`PartiQL` statements" and "IAM security policies with `PartiQL`".

mod keys;

use std::iter::Peekable;
use std::str::Chars;

pub(crate) use self::keys::leading_keys;

/// What a statement is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Its action, as policies call it.
    pub(crate) action: &'static str,
    /// The table, where one was found.
    pub(crate) table: Option<String>,
    /// The index that is read.
    pub(crate) index: Option<String>,
}

/// Reads the beginning of a statement; `None` where it is none.
pub(crate) fn read(text: &str) -> Option<Statement> {
    let mut tokens = Tokens(text.chars().peekable());
    let Token::Word(verb) = tokens.next()? else { return None };
    let (action, before) = match verb.to_ascii_uppercase().as_str() {
        "INSERT" => ("PartiQLInsert", Some("INTO")),
        "DELETE" => ("PartiQLDelete", Some("FROM")),
        "UPDATE" | "FROM" => ("PartiQLUpdate", None),
        // `EXISTS` has a query in parentheses.
        "SELECT" | "EXISTS" => ("PartiQLSelect", Some("FROM")),
        _ => return None,
    };
    if let Some(word) = before {
        // A name in quotes is no such word.
        tokens
            .find(|token| matches!(token, Token::Word(found) if found.eq_ignore_ascii_case(word)));
    }
    let table = tokens.next().and_then(Token::name);
    let index = match tokens.next() {
        Some(Token::Mark('.')) => tokens.next().and_then(Token::name),
        _ => None,
    };
    Some(Statement { action, table, index })
}

#[derive(Debug)]
enum Token {
    Word(String),
    /// In these quotes, single, double or back ones; the store takes either of the first around a table's name.
    Quoted(char, String),
    Mark(char),
}

impl Token {
    fn name(self) -> Option<String> {
        match self {
            Self::Word(name) | Self::Quoted(_, name) => Some(name),
            Self::Mark(_) => None,
        }
    }
}

struct Tokens<'a>(Peekable<Chars<'a>>);

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let first = self.0.next()?;
            match (first, self.0.peek()) {
                ('-', Some('-')) => {
                    self.0.find(|letter| *letter == '\n');
                }
                ('/', Some('*')) => {
                    self.0.next();
                    let mut last = ' ';
                    self.0.find(|letter| {
                        std::mem::replace(&mut last, *letter) == '*' && *letter == '/'
                    });
                }
                ('"' | '\'' | '`', _) => return Some(Token::Quoted(first, self.quoted(first))),
                (letter, _) if is_word(letter) => {
                    let mut word = String::from(letter);
                    while let Some(letter) = self.0.next_if(|letter| is_word(*letter)) {
                        word.push(letter);
                    }
                    return Some(Token::Word(word));
                }
                (space, _) if space.is_ascii_whitespace() => {}
                (mark, _) => return Some(Token::Mark(mark)),
            }
        }
    }
}

impl Tokens<'_> {
    /// What stands before the closing quote; a quote that is written twice is one of the text.
    fn quoted(&mut self, quote: char) -> String {
        let mut text = String::new();
        while let Some(letter) = self.0.next() {
            if letter == quote && (quote == '`' || self.0.next_if_eq(&quote).is_none()) {
                break;
            }
            text.push(letter);
        }
        text
    }
}

/// Digits too: a word that begins with one is no name, and no keyword.
fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_says_what_it_does_to_which_table() {
        for (text, action, table, index) in [
            (r#"SELECT * FROM "a-b" WHERE id = 1"#, "PartiQLSelect", "a-b", None),
            ("select \"FROM\", 'from' from T.byName", "PartiQLSelect", "T", Some("byName")),
            (
                r#"SELECT/* FROM x */x -- FROM y
                FROM "t"."i" WHERE a = 'b'"#,
                "PartiQLSelect",
                "t",
                Some("i"),
            ),
            (r#"INSERT INTO "t" VALUE {'id': 1}"#, "PartiQLInsert", "t", None),
            ("UPDATE t SET a = 1 WHERE id = 1", "PartiQLUpdate", "t", None),
            ("FROM t WHERE id = 1 SET a = 1", "PartiQLUpdate", "t", None),
            ("DELETE FROM 'it''s' WHERE id = 1", "PartiQLDelete", "it's", None),
            ("EXISTS(SELECT * FROM t WHERE id = 1)", "PartiQLSelect", "t", None),
        ] {
            let expected = Statement {
                action,
                table: Some(table.to_owned()),
                index: index.map(str::to_owned),
            };
            assert_eq!(read(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_statement_ends_soon() {
        for text in ["", "EXPLAIN x", "\"SELECT\" * FROM t", "/*", "'"] {
            assert_eq!(read(text), None, "{text}");
        }
        for text in ["SELECT", "SELECT * FROM", "SELECT `FROM t", "UPDATE {", "SELECT x /* FROM t"]
        {
            assert_eq!(read(text).unwrap().table, None, "{text}");
        }
    }
}
