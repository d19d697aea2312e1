//! What comes before the first process of a function.

use std::sync::Arc;

use crate::code::Prepared;

/// How far the function is made ready to be started.
#[derive(Debug, Clone)]
pub(crate) enum Preparation {
    /// Interpreter, libraries or code are being fetched.
    Pending,
    /// Ready.
    Ready(Arc<Prepared>),
    /// It cannot run, for this reason.
    Failed(String),
}

impl Preparation {
    /// Why it cannot run, if it cannot.
    pub(super) fn failed(&self) -> Option<String> {
        match self {
            Self::Failed(reason) => Some(reason.clone()),
            Self::Pending | Self::Ready(_) => None,
        }
    }
}
