//! What the service refuses, in the words of CloudFormation.
//!
//! Source: observed answers; CloudFormation API reference, "Common errors".

use std::io;

use stillwire_model::StackProblem;

/// An answer, or a refusal.
pub(crate) type Answered<T> = Result<T, Refused>;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::invalid(format!(
            "1 validation error detected: Value null at '{parameter}' failed to satisfy constraint: Member must not be null"
        ))
    }

    pub(crate) fn no_stack(name: &str) -> Self {
        Self::invalid(format!("Stack with id {name} does not exist"))
    }

    /// In the words of operations that change stacks.
    pub(crate) fn no_stack_here(name: &str) -> Self {
        Self::invalid(format!("Stack [{name}] does not exist"))
    }

    pub(crate) fn no_change_set(name: &str) -> Self {
        Self::new(404, "ChangeSetNotFound", format!("ChangeSet [{name}] does not exist"))
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::new(400, "LimitExceededException", message)
    }

    /// What the host found wrong with a template, told at once.
    pub(crate) fn problems(problems: &[StackProblem]) -> Self {
        Self::invalid(sentence(problems))
    }

    /// The change could not be written down, so it was not made.
    pub(crate) fn not_kept(error: &io::Error) -> Self {
        tracing::error!(%error, "cannot keep a stack");
        let message = format!("the change cannot be kept, so it was not made: {error}");
        Self::new(500, "InternalFailure", message)
    }
}

/// Problems as one text.
pub(crate) fn sentence(problems: &[StackProblem]) -> String {
    let text = |problem: &StackProblem| match &problem.logical_id {
        Some(id) if !problem.message.contains(id.as_str()) => format!("{id}: {}", problem.message),
        _ => problem.message.clone(),
    };
    problems.iter().map(text).collect::<Vec<_>>().join("\n")
}
