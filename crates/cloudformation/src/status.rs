//! How far a stack is.
//!
//! Source: CloudFormation User Guide, "Understand CloudFormation stack creation events" and "Stack status codes".

use serde::{Deserialize, Serialize};

/// A stack's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    ReviewInProgress,
    CreateInProgress,
    CreateFailed,
    CreateComplete,
    RollbackInProgress,
    RollbackComplete,
    UpdateInProgress,
    UpdateCompleteCleanupInProgress,
    UpdateComplete,
    UpdateFailed,
    UpdateRollbackInProgress,
    UpdateRollbackCompleteCleanupInProgress,
    UpdateRollbackComplete,
    DeleteInProgress,
    DeleteFailed,
    DeleteComplete,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ReviewInProgress => "REVIEW_IN_PROGRESS",
            Self::CreateInProgress => "CREATE_IN_PROGRESS",
            Self::CreateFailed => "CREATE_FAILED",
            Self::CreateComplete => "CREATE_COMPLETE",
            Self::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            Self::RollbackComplete => "ROLLBACK_COMPLETE",
            Self::UpdateInProgress => "UPDATE_IN_PROGRESS",
            Self::UpdateCompleteCleanupInProgress => "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            Self::UpdateComplete => "UPDATE_COMPLETE",
            Self::UpdateFailed => "UPDATE_FAILED",
            Self::UpdateRollbackInProgress => "UPDATE_ROLLBACK_IN_PROGRESS",
            Self::UpdateRollbackCompleteCleanupInProgress => {
                "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"
            }
            Self::UpdateRollbackComplete => "UPDATE_ROLLBACK_COMPLETE",
            Self::DeleteInProgress => "DELETE_IN_PROGRESS",
            Self::DeleteFailed => "DELETE_FAILED",
            Self::DeleteComplete => "DELETE_COMPLETE",
        }
    }

    /// Whether an operation is on its way. One that waits for a change set has none.
    pub(crate) fn is_busy(self) -> bool {
        self != Self::ReviewInProgress && self.as_str().ends_with("_IN_PROGRESS")
    }

    /// Whether the stack runs and may be updated.
    pub(crate) fn takes_updates(self) -> bool {
        matches!(
            self,
            Self::CreateComplete
                | Self::UpdateComplete
                | Self::UpdateFailed
                | Self::UpdateRollbackComplete
        )
    }

    /// What becomes of a stack whose operation was cut off by the end of the program: an operation that did not come to its
    /// end has changed nothing.
    pub(crate) fn cut_off(self) -> Self {
        match self {
            Self::CreateInProgress | Self::RollbackInProgress => Self::RollbackComplete,
            Self::UpdateCompleteCleanupInProgress => Self::UpdateComplete,
            Self::UpdateInProgress
            | Self::UpdateRollbackInProgress
            | Self::UpdateRollbackCompleteCleanupInProgress => Self::UpdateRollbackComplete,
            Self::DeleteInProgress => Self::DeleteFailed,
            still => still,
        }
    }
}
