//! What is wrong with a template, and where.

use std::fmt;

/// A place in a template; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}, column {}", self.line, self.column)
    }
}

/// A template that cannot be read, or whose evaluation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct TemplateError {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: Problem,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The template is not VTL.
    #[error("{found}; {remedy}")]
    Syntax {
        /// What is there.
        found: String,
        /// What to do about it.
        remedy: String,
    },
    /// A bound was reached.
    #[error("the limit of {limit} ({max}) is reached")]
    Limit {
        /// What is bounded.
        limit: &'static str,
        /// The bound.
        max: usize,
    },
    /// A method or directive failed, as an exception of Java's would end the template.
    #[error("{attempted} failed: {reason}")]
    Failed {
        /// What was attempted, as the template says it.
        attempted: String,
        /// Why it failed.
        reason: String,
    },
}

/// Why a step of an evaluation failed, before its place is known.
#[derive(Debug)]
pub(crate) enum Fault {
    Limit(&'static str, usize),
    Failed(String),
    /// An error that knows its place already, for instance of a block that was rendered on the way.
    Placed(Box<TemplateError>),
}

impl Fault {
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed(reason.into())
    }

    /// The error, once it is known where it happened and what was attempted.
    pub(crate) fn at(self, place: Place, attempted: &str) -> TemplateError {
        let problem = match self {
            Self::Limit(limit, max) => Problem::Limit { limit, max },
            Self::Failed(reason) => Problem::Failed { attempted: shortened(attempted), reason },
            Self::Placed(error) => return *error,
        };
        TemplateError { place, problem }
    }
}

impl From<TemplateError> for Fault {
    fn from(error: TemplateError) -> Self {
        Self::Placed(Box::new(error))
    }
}

/// Enough of a text to recognise it.
pub(crate) fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    if text.chars().nth(SHOWN).is_none() {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}
