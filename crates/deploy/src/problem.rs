//! What went wrong, where in the template, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::node::Position;

/// A place in a template or manifest, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The file.
    pub file: PathBuf,
    /// Line and column in it.
    pub position: Position,
    /// The stack's name.
    pub stack: Option<String>,
    /// The logical id of the resource, parameter, output or condition.
    pub logical_id: Option<String>,
    /// The path below it (`Properties.Target`).
    pub property: Option<String>,
}

impl Location {
    /// A place of which only the file is known.
    pub(crate) fn file(path: &Path) -> Self {
        Self::at(path, Position::START)
    }

    pub(crate) fn at(path: &Path, position: Position) -> Self {
        Self { file: path.to_owned(), position, stack: None, logical_id: None, property: None }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.position;
        write!(out, "{}:{line}:{column}", self.file.display())?;
        let owner: Vec<&str> =
            [&self.stack, &self.logical_id].into_iter().flatten().map(String::as_str).collect();
        match (owner.is_empty(), &self.property) {
            (true, None) => Ok(()),
            (true, Some(property)) => write!(out, " ({property})"),
            (false, None) => write!(out, " ({})", owner.join(" / ")),
            (false, Some(property)) => write!(out, " ({}, {property})", owner.join(" / ")),
        }
    }
}

/// One thing that keeps an app from being loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where.
    pub location: Box<Location>,
    /// What.
    pub message: String,
    /// The remedy, if one is known.
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(location: Location, message: impl Into<String>) -> Self {
        Self { location: Box::new(location), message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "error: {}\n  --> {}", self.message, self.location)?;
        match &self.hint {
            Some(hint) => write!(out, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// All that keeps an app from being loaded; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `Err` when there are any; each text is kept once.
    pub(crate) fn check(found: Vec<Problem>) -> Result<(), Self> {
        let mut kept: Vec<Problem> = Vec::new();
        for problem in found {
            if !kept.contains(&problem) {
                kept.push(problem);
            }
        }
        if kept.is_empty() { Ok(()) } else { Err(Self(kept)) }
    }

    /// The problems, in the order they were met.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                out.write_str("\n\n")?;
            }
            problem.fmt(out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_like_a_compiler_message() {
        let mut location =
            Location::at(Path::new("cdk.out/t.json"), Position { line: 12, column: 7 });
        location.stack = Some("dev-Chat".to_owned());
        location.logical_id = Some("ChatRoute".to_owned());
        location.property = Some("Properties.Target".to_owned());
        let problem =
            Problem::new(location, "no resource is named Chta").hint("did you mean Chat?");
        assert_eq!(
            problem.to_string(),
            "error: no resource is named Chta\n  \
             --> cdk.out/t.json:12:7 (dev-Chat / ChatRoute, Properties.Target)\n  \
             hint: did you mean Chat?"
        );
    }
}
