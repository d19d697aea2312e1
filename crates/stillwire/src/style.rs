//! Colours for a terminal, and none for anything else.

use std::fmt;
use std::io::IsTerminal;

/// Whether to use colours on one output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style(bool);

impl Style {
    /// Colours where `output` is a terminal and `NO_COLOR` is not set.
    pub(crate) fn of(output: &impl IsTerminal, no_color: bool) -> Self {
        Self(output.is_terminal() && !no_color)
    }

    /// Whether colours are used.
    pub(crate) fn is_on(self) -> bool {
        self.0
    }

    pub(crate) fn bold<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint("1", text)
    }

    pub(crate) fn dim<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint("2", text)
    }

    pub(crate) fn red<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint("31", text)
    }

    pub(crate) fn green<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint("32", text)
    }

    pub(crate) fn yellow<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint("33", text)
    }

    pub(crate) fn cyan<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint("36", text)
    }

    fn paint<T: fmt::Display>(self, code: &'static str, text: T) -> Painted<T> {
        Painted { code: self.0.then_some(code), text }
    }
}

/// A text in a colour.
#[derive(Debug)]
pub(crate) struct Painted<T> {
    code: Option<&'static str>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => {
                write!(out, "\x1b[{code}m")?;
                self.text.fmt(out)?;
                out.write_str("\x1b[0m")
            }
            None => self.text.fmt(out),
        }
    }
}

/// Text of a stranger, with its control characters made visible, so that it cannot drive the terminal.
pub(crate) fn visible(text: &str) -> String {
    if !text.chars().any(|c| c.is_control() && c != '\t') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c.is_control() && c != '\t' {
            out.extend(c.escape_debug());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_text_cannot_drive_the_terminal() {
        assert_eq!(visible("a\tb é"), "a\tb é");
        assert_eq!(visible("\u{1b}[2J\r\n"), "\\u{1b}[2J\\r\\n");
    }
}
