//! What becomes of a stack, step by step: its status, and the events that tools show.
//!
//! Source: CloudFormation User Guide, "Stack status codes" and "Monitor stack progress"; the order of events as observed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use stillwire_model::StackProblem;
use uuid::Uuid;

use crate::difference::{Action, Change, changes};
use crate::error::sentence;
use crate::reading::{Nested, Reading};
use crate::room::Room;
use crate::state::{Event, OnFailure, Stack, Wanted};
use crate::status::Status;

/// Adds an event of a resource.
fn tell(
    stack: &mut Stack,
    (logical_id, physical_id, kind): (&str, &str, &str),
    (status, reason): (&str, Option<&str>),
    (token, time): (Option<&str>, u64),
) {
    stack.add_event(Event {
        id: format!("{logical_id}-{status}-{}", Uuid::new_v4()),
        time,
        logical_id: logical_id.to_owned(),
        physical_id: physical_id.to_owned(),
        kind: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
        token: token.map(str::to_owned),
    });
}

/// What is about to be made and changed.
pub(crate) fn begun(stack: &mut Stack, changes: &[Change], token: Option<&str>, now: u64) {
    for change in changes {
        let physical_id = change.physical_id.as_deref().unwrap_or_default();
        let resource = (change.logical_id.as_str(), physical_id, change.kind.as_str());
        let event = match change.action {
            Action::Add => ("CREATE_IN_PROGRESS", None),
            Action::Modify if change.replaces => (
                "UPDATE_IN_PROGRESS",
                Some(
                    "Requested update requires the creation of a new physical resource; hence creating one.",
                ),
            ),
            Action::Modify => ("UPDATE_IN_PROGRESS", None),
            Action::Remove => continue,
        };
        tell(stack, resource, event, (token, now));
    }
}

/// The stack runs as it is wanted.
pub(crate) fn applied(
    stack: &mut Stack,
    (wanted, reading): (Wanted, Reading),
    changes: &[Change],
    token: Option<&str>,
    now: u64,
) {
    let when = (token, now);
    for change in changes.iter().filter(|change| change.action != Action::Remove) {
        let made = reading.resources.iter().find(|one| one.logical_id == change.logical_id);
        let physical_id = made.map_or("", |one| one.physical_id.as_str()).to_owned();
        let note = made.and_then(|one| one.note.as_deref());
        let status =
            if change.action == Action::Add { "CREATE_COMPLETE" } else { "UPDATE_COMPLETE" };
        tell(stack, (&change.logical_id, &physical_id, &change.kind), (status, note), when);
    }
    let is_creation = stack.status == Status::CreateInProgress;
    stack.deployed = Some(wanted.deployed(reading));
    if is_creation {
        stack.turn((Status::CreateComplete, None), token, now);
        return;
    }
    stack.turn((Status::UpdateCompleteCleanupInProgress, None), token, now);
    for change in changes {
        if change.action == Action::Remove || change.replaces {
            let physical_id = change.physical_id.as_deref().unwrap_or_default();
            let resource = (change.logical_id.as_str(), physical_id, change.kind.as_str());
            if change.is_retained {
                tell(stack, resource, ("DELETE_SKIPPED", None), when);
            } else {
                tell(stack, resource, ("DELETE_IN_PROGRESS", None), when);
                tell(stack, resource, ("DELETE_COMPLETE", None), when);
            }
        }
    }
    stack.turn((Status::UpdateComplete, None), token, now);
}

/// Tells what is wrong, each at its resource, and gives the reason for the stack.
fn tell_problems(
    stack: &mut Stack,
    problems: &[StackProblem],
    status: &str,
    when: (Option<&str>, u64),
) -> String {
    let mut failed = Vec::new();
    for problem in problems {
        let Some(id) = &problem.logical_id else { continue };
        let known = stack.reading().and_then(|reading| {
            reading.resources.iter().find(|resource| resource.logical_id == *id)
        });
        let physical_id = known.map(|known| known.physical_id.clone()).unwrap_or_default();
        let kind = problem.resource_type.clone();
        let kind = kind.or_else(|| known.map(|known| known.kind.clone())).unwrap_or_default();
        tell(stack, (id, &physical_id, &kind), (status, Some(&problem.message)), when);
        if !failed.contains(id) {
            failed.push(id.clone());
        }
    }
    let general: Vec<StackProblem> =
        problems.iter().filter(|problem| problem.logical_id.is_none()).cloned().collect();
    let mut reason = sentence(&general);
    if !failed.is_empty() {
        let verb = if status == "CREATE_FAILED" { "create" } else { "update" };
        let verb = if status == "DELETE_FAILED" { "delete" } else { verb };
        if !reason.is_empty() {
            reason.push(' ');
        }
        let failed = failed.join(", ");
        // Writing to a String cannot fail.
        write!(reason, "The following resource(s) failed to {verb}: [{failed}].").ok();
    }
    reason
}

/// The stack is as it was before.
pub(crate) fn failed(stack: &mut Stack, problems: &[StackProblem], token: Option<&str>, now: u64) {
    let is_creation = stack.status == Status::CreateInProgress;
    let status = if is_creation { "CREATE_FAILED" } else { "UPDATE_FAILED" };
    let reason = tell_problems(stack, problems, status, (token, now));
    let on_failure = stack.settings.on_failure;
    let steps: &[Status] = match (on_failure, is_creation) {
        (OnFailure::DoNothing, true) => &[Status::CreateFailed],
        (OnFailure::DoNothing, false) => &[Status::UpdateFailed],
        (OnFailure::Delete, true) => &[Status::DeleteInProgress, Status::DeleteComplete],
        (OnFailure::RollBack, true) => &[Status::RollbackInProgress, Status::RollbackComplete],
        (OnFailure::RollBack | OnFailure::Delete, false) => &[
            Status::UpdateRollbackInProgress,
            Status::UpdateRollbackCompleteCleanupInProgress,
            Status::UpdateRollbackComplete,
        ],
    };
    let mut reason = Some(reason);
    for step in steps {
        stack.turn((*step, reason.take()), token, now);
    }
    if stack.status == Status::DeleteComplete {
        stack.deleted = Some(now);
    }
}

pub(crate) fn removal_begun(stack: &mut Stack, token: Option<&str>, now: u64) {
    let resources = stack.reading().map(|reading| reading.resources.clone()).unwrap_or_default();
    for one in resources.iter().rev().filter(|one| !one.is_retained) {
        let resource = (one.logical_id.as_str(), one.physical_id.as_str(), one.kind.as_str());
        tell(stack, resource, ("DELETE_IN_PROGRESS", None), (token, now));
    }
}

pub(crate) fn removed(stack: &mut Stack, token: Option<&str>, now: u64) {
    let resources = stack.reading().map(|reading| reading.resources.clone()).unwrap_or_default();
    for one in resources.iter().rev() {
        let resource = (one.logical_id.as_str(), one.physical_id.as_str(), one.kind.as_str());
        let status = if one.is_retained { "DELETE_SKIPPED" } else { "DELETE_COMPLETE" };
        tell(stack, resource, (status, None), (token, now));
    }
    stack.deleted = Some(now);
    stack.turn((Status::DeleteComplete, None), token, now);
}

pub(crate) fn not_removed(
    stack: &mut Stack,
    problems: &[StackProblem],
    token: Option<&str>,
    now: u64,
) {
    let reason = tell_problems(stack, problems, "DELETE_FAILED", (token, now));
    stack.turn((Status::DeleteFailed, Some(reason)), token, now);
}

/// Records the stacks inside a stack as they are now: those that are new, those that differ, and those that are gone.
pub(crate) fn record_nested(room: &Room, parent: &Stack, nested: &BTreeMap<String, Nested>) {
    let now = room.now();
    let mut state = room.state();
    let before: Vec<Stack> = state
        .all()
        .filter(|stack| stack.parent.as_deref() == Some(&parent.id) && !stack.is_gone())
        .cloned()
        .collect();
    let mut inner = Vec::new();
    for one in nested.values() {
        let known = before.iter().find(|stack| stack.id == one.id).cloned();
        let is_new = known.is_none();
        let fresh = || {
            let mut stack = Stack::new(&parent.place(), &one.name, Status::CreateInProgress, now);
            stack.id.clone_from(&one.id);
            stack.parent = Some(parent.id.clone());
            stack.root = Some(parent.root.clone().unwrap_or_else(|| parent.id.clone()));
            stack
        };
        let mut stack = known.unwrap_or_else(fresh);
        let changed = changes(stack.reading(), &one.reading);
        if !is_new && changed.is_empty() {
            inner.push((stack, one.reading.nested.clone()));
            continue;
        }
        let status = if is_new { Status::CreateInProgress } else { Status::UpdateInProgress };
        if !is_new {
            stack.updated = Some(now);
        }
        stack.turn((status, None), None, now);
        begun(&mut stack, &changed, None, now);
        let wanted =
            Wanted { template: one.template.clone(), tags: one.tags.clone(), ..Wanted::default() };
        applied(&mut stack, (wanted, one.reading.clone()), &changed, None, now);
        inner.push((stack, one.reading.nested.clone()));
    }
    let is_kept = |stack: &Stack| nested.values().any(|one| one.id == stack.id);
    for mut stack in before.into_iter().filter(|stack| !is_kept(stack)) {
        stack.turn((Status::DeleteInProgress, None), None, now);
        removed(&mut stack, None, now);
        inner.push((stack, BTreeMap::new()));
    }
    for (stack, _) in &inner {
        if room.keep(&mut state, stack.clone()).is_err() {
            state.put(stack.clone());
        }
    }
    drop(state);
    for (stack, nested) in inner {
        record_nested(room, &stack, &nested);
    }
}
