//! A place in a text that moves on.

use crate::error::{Place, Problem, TemplateError};

/// Where the parser is. Copied to look ahead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a str,
    place: Place,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str, place: Place) -> Self {
        Self { rest: text, place }
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(crate) fn peek_second(&self) -> Option<char> {
        self.rest.chars().nth(1)
    }

    /// Moves over `bytes` and returns them; over all that is left when there are fewer.
    pub(crate) fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        for c in taken.chars() {
            if c == '\n' {
                self.place = Place { line: self.place.line + 1, column: 1 };
            } else {
                self.place.column += 1;
            }
        }
        taken
    }

    pub(crate) fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !keep(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    pub(crate) fn eat(&mut self, prefix: &str) -> bool {
        let found = self.rest.starts_with(prefix);
        if found {
            self.take(prefix.len());
        }
        found
    }

    /// Over spaces, tabs and ends of lines.
    pub(crate) fn skip_blank(&mut self) {
        self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
    }

    /// Over spaces and tabs and one end of a line, if the line ends here; else stays.
    pub(crate) fn eat_line_end(&mut self) {
        let mut ahead = *self;
        ahead.take_while(|c| c == ' ' || c == '\t');
        if ahead.eat("\r\n") || ahead.eat("\n") || ahead.eat("\r") {
            *self = ahead;
        }
    }

    /// What lies between an earlier state of this cursor and now.
    pub(crate) fn since(&self, earlier: &Self) -> &'a str {
        let length = earlier.rest.len() - self.rest.len();
        earlier.rest.get(..length).unwrap_or_default()
    }

    pub(crate) fn fail(
        &self,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> TemplateError {
        syntax(self.place, found, remedy)
    }
}

pub(crate) fn syntax(
    place: Place,
    found: impl Into<String>,
    remedy: impl Into<String>,
) -> TemplateError {
    let problem = Problem::Syntax { found: found.into(), remedy: remedy.into() };
    TemplateError { place, problem }
}
