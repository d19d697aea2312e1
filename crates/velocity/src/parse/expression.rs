//! Expressions: literals, operators, lists, maps, ranges.
//!
//! Choice: Velocity 1.7 has no arithmetic in arguments, indexes and literals; here an expression is the same everywhere,
//! as in Velocity 2. A template that API Gateway accepts means the same.

use std::sync::Arc;

use super::cursor::Cursor;
use super::{Parser, is_word};
use crate::ast::{Block, Chain, Expression, Node, Operator};
use crate::error::{Place, TemplateError};

/// Operators from the loosest to the tightest; longer spellings first.
const PRECEDENCE: [&[(&str, Operator)]; 6] = [
    &[("||", Operator::Or), ("or", Operator::Or)],
    &[("&&", Operator::And), ("and", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("eq", Operator::Equal),
        ("ne", Operator::NotEqual),
    ],
    &[
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
        ("le", Operator::LessOrEqual),
        ("ge", Operator::GreaterOrEqual),
        ("lt", Operator::Less),
        ("gt", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Modulo)],
];

impl Parser<'_> {
    /// Reads an expression and the white space around it.
    pub(super) fn expression(
        &mut self,
        cursor: &mut Cursor<'_>,
    ) -> Result<Expression, TemplateError> {
        self.nested(cursor.place(), |parser| parser.chain(cursor, &PRECEDENCE))
    }

    /// Reads expressions up to the closing bracket, and over it.
    pub(super) fn expressions(
        &mut self,
        cursor: &mut Cursor<'_>,
        close: &str,
    ) -> Result<Vec<Expression>, TemplateError> {
        let mut found = Vec::new();
        cursor.skip_blank();
        if cursor.eat(close) {
            return Ok(found);
        }
        loop {
            found.push(self.expression(cursor)?);
            if cursor.eat(close) {
                return Ok(found);
            }
            if !cursor.eat(",") {
                return Err(cursor.fail(
                    format!("`,` or `{close}` belongs before {}", shown(*cursor)),
                    "separate the values, or close the bracket",
                ));
            }
        }
    }

    fn chain(
        &mut self,
        cursor: &mut Cursor<'_>,
        levels: &[&[(&str, Operator)]],
    ) -> Result<Expression, TemplateError> {
        let Some((operators, tighter)) = levels.split_first() else { return self.unary(cursor) };
        let place = cursor.place();
        let first = self.chain(cursor, tighter)?;
        let mut rest = Vec::new();
        while let Some(operator) = eat_operator(cursor, operators) {
            rest.push((operator, self.chain(cursor, tighter)?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Expression::Chain(Box::new(Chain { first, rest, place })))
    }

    fn unary(&mut self, cursor: &mut Cursor<'_>) -> Result<Expression, TemplateError> {
        cursor.skip_blank();
        let place = cursor.place();
        let negated = if eat_word(cursor, "not") {
            true
        } else {
            !cursor.rest().starts_with("!=") && cursor.eat("!")
        };
        let value = if negated {
            Expression::Not(Box::new(self.nested(place, |parser| parser.unary(cursor))?))
        } else {
            self.primary(cursor)?
        };
        cursor.skip_blank();
        Ok(value)
    }

    /// A value without operators, as an argument of a macro is.
    pub(super) fn primary(&mut self, cursor: &mut Cursor<'_>) -> Result<Expression, TemplateError> {
        let start = *cursor;
        match cursor.peek() {
            Some('$') => {
                if let Some(reference) = self.reference(cursor, 0)? {
                    return Ok(Expression::Reference(Box::new(reference)));
                }
            }
            Some('\'') => return single_quoted(cursor),
            Some('"') => return self.double_quoted(cursor),
            Some('(') => {
                cursor.take(1);
                let value = self.expression(cursor)?;
                if cursor.eat(")") {
                    return Ok(value);
                }
                return Err(cursor.fail("`)` is missing here", "close the parenthesis"));
            }
            Some('[') => return self.list_or_range(cursor),
            Some('{') => return self.map(cursor),
            Some(c) if c.is_ascii_digit() || matches!(c, '-' | '.') => {
                if let Some(number) = number(cursor) {
                    return Ok(number);
                }
            }
            _ => {
                for (word, value) in [
                    ("true", Expression::Boolean(true)),
                    ("false", Expression::Boolean(false)),
                    ("null", Expression::Null),
                ] {
                    if eat_word(cursor, word) {
                        return Ok(value);
                    }
                }
            }
        }
        let found = shown(start);
        let remedy = "write a reference, a number, a quoted string, a list, a map, true or false";
        Err(start.fail(format!("a value belongs before {found}"), remedy))
    }

    fn list_or_range(&mut self, cursor: &mut Cursor<'_>) -> Result<Expression, TemplateError> {
        cursor.eat("[");
        let mut ahead = *cursor;
        ahead.skip_blank();
        if ahead.eat("]") {
            *cursor = ahead;
            return Ok(Expression::List(Vec::new()));
        }
        let first = self.expression(cursor)?;
        if cursor.eat("..") {
            let last = self.expression(cursor)?;
            if cursor.eat("]") {
                return Ok(Expression::Range(Box::new((first, last))));
            }
            return Err(cursor.fail("`]` is missing here", "close the range"));
        }
        let mut items = vec![first];
        if cursor.eat(",") {
            items.extend(self.expressions(cursor, "]")?);
        } else if !cursor.eat("]") {
            return Err(cursor.fail("`]` is missing here", "close the list"));
        }
        Ok(Expression::List(items))
    }

    fn map(&mut self, cursor: &mut Cursor<'_>) -> Result<Expression, TemplateError> {
        cursor.eat("{");
        let mut entries = Vec::new();
        cursor.skip_blank();
        if cursor.eat("}") {
            return Ok(Expression::Map(entries));
        }
        loop {
            let key = self.expression(cursor)?;
            if !cursor.eat(":") {
                return Err(cursor.fail("`:` is missing after a key", "write {\"key\" : value}"));
            }
            entries.push((key, self.expression(cursor)?));
            if cursor.eat("}") {
                return Ok(Expression::Map(entries));
            }
            if !cursor.eat(",") {
                return Err(cursor.fail("`,` or `}` is missing after a value", "close the map"));
            }
        }
    }

    /// A string in double quotes. `\"` and `""` do not end it.
    ///
    /// Source: Velocity 1.7 keeps backslashes as they are (so `"\\'"` is two of them and a quote, which
    /// `replaceAll("\\'", "'")` of many templates relies on) and reads `\uXXXX`.
    fn double_quoted(&mut self, cursor: &mut Cursor<'_>) -> Result<Expression, TemplateError> {
        let start = *cursor;
        cursor.eat("\"");
        let inside = *cursor;
        loop {
            cursor.take_while(|c| c != '"' && c != '\\');
            match (cursor.peek(), cursor.peek_second()) {
                (Some('\\'), Some(_)) => {
                    cursor.take(1);
                    let escaped = cursor.peek().map_or(0, char::len_utf8);
                    cursor.take(escaped);
                }
                (Some('"'), Some('"')) => {
                    cursor.take(2);
                }
                (Some('"'), _) => break,
                _ => return Err(start.fail("this string does not end", "close it with \"")),
            }
        }
        let raw = cursor.since(&inside);
        cursor.eat("\"");
        let text = unescape(raw);
        if !text.contains(['$', '#']) {
            return Ok(Expression::Text(Arc::from(text)));
        }
        let block = self.nested(start.place(), |parser| parser.inner(&text, inside.place()))?;
        Ok(match block.as_ref() {
            [] => Expression::Text(Arc::from("")),
            [Node::Text(text)] => Expression::Text(Arc::clone(text)),
            _ => Expression::Interpolated(block),
        })
    }

    /// The template inside a string.
    fn inner(&mut self, text: &str, place: Place) -> Result<Block, TemplateError> {
        let mut cursor = Cursor::new(text, place);
        match self.block(&mut cursor)? {
            (block, super::Ending::Text) => Ok(block),
            (
                _,
                super::Ending::End(place)
                | super::Ending::Else(place)
                | super::Ending::ElseIf(place),
            ) => Err(super::cursor::syntax(
                place,
                "this closes nothing inside the string",
                "use single quotes for a string that is not evaluated",
            )),
        }
    }
}

fn single_quoted(cursor: &mut Cursor<'_>) -> Result<Expression, TemplateError> {
    let start = *cursor;
    cursor.eat("'");
    let text = cursor.take_while(|c| c != '\'');
    if cursor.eat("'") {
        Ok(Expression::Text(Arc::from(text)))
    } else {
        Err(start.fail("this string does not end", "close it with '"))
    }
}

/// Reads `\uXXXX` and doubled quotes.
fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['\\', '"']) {
        let (before, special) = rest.split_at(at);
        text.push_str(before);
        let code = special
            .strip_prefix("\\u")
            .and_then(|digits| digits.get(..4))
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .and_then(char::from_u32);
        let skipped = if let Some(code) = code {
            text.push(code);
            6
        } else if special.starts_with("\"\"") {
            text.push('"');
            2
        } else {
            let kept = special.chars().take(if special.starts_with('\\') { 2 } else { 1 });
            let kept: String = kept.collect();
            text.push_str(&kept);
            kept.len()
        };
        rest = special.get(skipped..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}

/// A number; `1..5` begins with the integer 1. An integer beyond 64 bits is read as a decimal.
fn number(cursor: &mut Cursor<'_>) -> Option<Expression> {
    let start = *cursor;
    cursor.eat("-");
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    let mut decimal = false;
    if cursor.peek() == Some('.') && cursor.peek_second() != Some('.') {
        let mut ahead = *cursor;
        ahead.take(1);
        let fraction = ahead.take_while(|c| c.is_ascii_digit());
        if !(digits.is_empty() && fraction.is_empty()) {
            decimal = true;
            *cursor = ahead;
        }
    }
    if digits.is_empty() && !decimal {
        *cursor = start;
        return None;
    }
    let mut ahead = *cursor;
    if ahead.eat("e") || ahead.eat("E") {
        let _sign = ahead.eat("+") || ahead.eat("-");
        if !ahead.take_while(|c| c.is_ascii_digit()).is_empty() {
            decimal = true;
            *cursor = ahead;
        }
    }
    let text = cursor.since(&start);
    let integer = if decimal { None } else { text.parse().ok() };
    integer.map(Expression::Integer).or_else(|| text.parse().ok().map(Expression::Decimal))
}

fn eat_operator(cursor: &mut Cursor<'_>, operators: &[(&str, Operator)]) -> Option<Operator> {
    operators.iter().find_map(|(spelling, operator)| {
        let is_word = spelling.starts_with(|c: char| c.is_ascii_alphabetic());
        let found = if is_word { eat_word(cursor, spelling) } else { cursor.eat(spelling) };
        found.then_some(*operator)
    })
}

fn eat_word(cursor: &mut Cursor<'_>, word: &str) -> bool {
    let after = cursor.rest().strip_prefix(word);
    after.is_some_and(|rest| !rest.starts_with(is_word)) && cursor.eat(word)
}

/// What stands here, for a message.
pub(super) fn shown(cursor: Cursor<'_>) -> String {
    let rest: String = cursor.rest().chars().take(12).take_while(|c| *c != '\n').collect();
    if rest.is_empty() { "the end".to_owned() } else { format!("`{rest}`") }
}
