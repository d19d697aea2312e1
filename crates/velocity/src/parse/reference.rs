//! References: `$x`, `${x}`, `$!x`, with properties, methods and indexes.

use std::sync::Arc;

use super::Parser;
use super::cursor::Cursor;
use crate::ast::{Reference, Step};
use crate::error::TemplateError;

impl Parser<'_> {
    /// Reads the reference that begins here; `None`, and nothing is read, when there is none.
    pub(super) fn reference(
        &mut self,
        cursor: &mut Cursor<'_>,
        escapes: usize,
    ) -> Result<Option<Reference>, TemplateError> {
        let start = *cursor;
        if !cursor.eat("$") {
            return Ok(None);
        }
        let quiet = cursor.eat("!");
        let formal = cursor.eat("{");
        let name = identifier(cursor);
        if name.is_empty() {
            *cursor = start;
            return Ok(None);
        }
        let steps = self.nested(start.place(), |parser| parser.steps(cursor))?;
        if formal && !cursor.eat("}") {
            return Err(cursor.fail(
                format!("`}}` is missing after {}", cursor.since(&start)),
                "close the reference, or write it without braces",
            ));
        }
        Ok(Some(Reference {
            name: Arc::from(name),
            steps,
            quiet,
            literal: Arc::from(cursor.since(&start)),
            escapes,
            place: start.place(),
        }))
    }

    fn steps(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<Step>, TemplateError> {
        let mut steps = Vec::new();
        loop {
            if cursor.eat("[") {
                steps.push(Step::Index(self.expression(cursor)?));
                if !cursor.eat("]") {
                    return Err(cursor.fail("`]` is missing here", "close the index"));
                }
            } else if cursor.peek() == Some('.')
                && cursor.peek_second().is_some_and(|c| c.is_ascii_alphabetic())
            {
                cursor.take(1);
                let name = Arc::from(identifier(cursor));
                steps.push(if cursor.eat("(") {
                    Step::Method(name, self.expressions(cursor, ")")?)
                } else {
                    Step::Property(name)
                });
            } else {
                return Ok(steps);
            }
        }
    }
}

/// A name: a letter or `_`, then letters, digits, `_` and `-`.
pub(super) fn identifier<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    if cursor.peek().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') {
        cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    } else {
        ""
    }
}
