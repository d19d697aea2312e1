//! An operation on its way: begun when it was asked for, carried out by a task of its own, recorded when it has ended.

use std::collections::BTreeSet;
use std::sync::Arc;

use stillwire_model::{StackProblem, StackRequest};

use crate::difference::{Change, changes};
use crate::error::Answered;
use crate::outcome;
use crate::reading::Reading;
use crate::room::Room;
use crate::state::{ChangeSet, Stack, State, Wanted};
use crate::status::Status;

/// What a stack is about to go through.
#[derive(Debug)]
pub(crate) enum Begun {
    Creation(Wanted),
    Update(Wanted),
    Deletion,
}

/// An operation as it is carried out.
#[derive(Debug)]
struct Operation {
    room: Arc<Room>,
    /// Its stack as it was when the operation began: nothing else changes what runs of it meanwhile.
    stack: Stack,
    token: Option<String>,
}

/// Begins an operation: when this returns, the stack says that it is on its way.
pub(crate) fn begin(
    room: &Arc<Room>,
    state: &mut State,
    mut stack: Stack,
    begun: Begun,
    token: Option<&str>,
) -> Answered<()> {
    let now = room.now();
    let reason = Some("User Initiated".to_owned());
    let status = match &begun {
        Begun::Creation(_) => Status::CreateInProgress,
        Begun::Update(_) => Status::UpdateInProgress,
        Begun::Deletion => Status::DeleteInProgress,
    };
    if let Begun::Creation(wanted) | Begun::Update(wanted) = &begun {
        stack.settings = wanted.settings.clone();
        if matches!(begun, Begun::Update(_)) {
            stack.updated = Some(now);
        }
    }
    // Source: `ExecuteChangeSet`: change sets of a stack end with the next operation, for they were made for what was.
    stack.change_sets.clear();
    stack.turn((status, reason), token, now);
    let operation =
        Operation { room: Arc::clone(room), stack: stack.clone(), token: token.map(str::to_owned) };
    room.keep(state, stack)?;
    room.ports.drain.spawn("stack operation", operation.run(begun));
    Ok(())
}

/// Begins what a change set describes.
pub(crate) fn execute(
    room: &Arc<Room>,
    state: &mut State,
    mut stack: Stack,
    change_set: ChangeSet,
    token: Option<&str>,
) -> Answered<()> {
    let wanted = change_set.wanted.clone();
    let begun =
        if change_set.is_creation { Begun::Creation(wanted) } else { Begun::Update(wanted) };
    stack.executed = Some(ChangeSet { is_executed: true, ..change_set });
    begin(room, state, stack, begun, token)
}

impl Operation {
    async fn run(self, begun: Begun) {
        // One after the other, over all stacks: what one reads, no other changes meanwhile.
        let room = Arc::clone(&self.room);
        let _turn = room.turn.lock().await;
        match begun {
            Begun::Creation(wanted) | Begun::Update(wanted) => self.apply(wanted).await,
            Begun::Deletion => self.remove().await,
        }
    }

    async fn apply(self, wanted: Wanted) {
        let operation = Arc::new(self);
        let prepared = {
            let (operation, wanted) = (Arc::clone(&operation), wanted.clone());
            blocking(move || operation.prepare(&wanted)).await
        };
        let applied = match prepared {
            Ok(request) => operation.room.ports.host.apply(&request).await,
            Err(problems) => Err(problems),
        };
        let recorded = move || match applied {
            Ok(reading) => operation.applied(wanted, Reading::from(reading)),
            Err(problems) => operation.failed(&problems),
        };
        let recording = move || {
            recorded();
            Ok(())
        };
        blocking(recording).await.ok(); // a panic was told
    }

    /// Reads what is wanted once more, now that nothing else changes, and says what is about to happen.
    fn prepare(&self, wanted: &Wanted) -> Result<StackRequest, Vec<StackProblem>> {
        let request = self.stack.request(wanted);
        let reading = Reading::from(self.room.ports.host.read(&request)?);
        self.check_exports(Some(&reading))?;
        let changes = changes(self.stack.reading(), &reading);
        self.record(|stack, token, now| outcome::begun(stack, &changes, token, now));
        Ok(request)
    }

    fn record(&self, change: impl FnOnce(&mut Stack, Option<&str>, u64)) {
        let now = self.room.now();
        self.room.record(&self.stack.id, |stack| change(stack, self.token.as_deref(), now));
    }

    /// What others import stays as it is.
    fn check_exports(&self, after: Option<&Reading>) -> Result<(), Vec<StackProblem>> {
        let Some(before) = self.stack.reading() else { return Ok(()) };
        let kept: BTreeSet<(&str, &str)> = after
            .into_iter()
            .flat_map(Reading::exports)
            .map(|(name, output)| (name, output.value.as_str()))
            .collect();
        let place = self.stack.place();
        let state = self.room.state();
        let mut problems = Vec::new();
        for (name, output) in before.exports() {
            if kept.contains(&(name, output.value.as_str())) {
                continue;
            }
            let users: Vec<&str> =
                state.importers(&place, name).map(|user| user.name.as_str()).collect();
            if !users.is_empty() {
                let what = if kept.iter().any(|(known, _)| *known == name) {
                    "updated"
                } else {
                    "deleted"
                };
                problems.push(StackProblem {
                    logical_id: None,
                    resource_type: None,
                    message: format!(
                        "Export {name} cannot be {what} as it is in use by {}",
                        users.join(" and ")
                    ),
                });
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn applied(&self, wanted: Wanted, reading: Reading) {
        let changes: Vec<Change> = changes(self.stack.reading(), &reading);
        self.room.keep_buckets(&self.stack.place(), &reading);
        let nested = reading.nested.clone();
        self.record(|stack, token, now| {
            outcome::applied(stack, (wanted, reading), &changes, token, now);
        });
        outcome::record_nested(&self.room, &self.stack, &nested);
    }

    fn failed(&self, problems: &[StackProblem]) {
        for problem in problems {
            tracing::info!(stack = self.stack.name, %problem, "a stack was not deployed");
        }
        self.record(|stack, token, now| outcome::failed(stack, problems, token, now));
    }

    async fn remove(self) {
        let operation = Arc::new(self);
        let prepared = {
            let operation = Arc::clone(&operation);
            blocking(move || {
                operation.check_exports(None)?;
                operation.record(outcome::removal_begun);
                Ok(operation.stack.stack_name())
            })
            .await
        };
        let removed = match prepared {
            Ok(name) => operation.room.ports.host.remove(&name).await,
            Err(problems) => Err(problems),
        };
        let recorded = move || match removed {
            Ok(()) => {
                operation.record(outcome::removed);
                outcome::record_nested(&operation.room, &operation.stack, &[].into());
            }
            Err(problems) => {
                operation.record(|stack, token, now| {
                    outcome::not_removed(stack, &problems, token, now);
                });
            }
        };
        let recording = move || {
            recorded();
            Ok(())
        };
        blocking(recording).await.ok(); // a panic was told
    }
}

/// Runs what waits for the disk where that keeps nobody waiting.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Vec<StackProblem>> + Send + 'static,
) -> Result<T, Vec<StackProblem>> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "an operation of a stack panicked");
        let message = "Internal failure: the log of Stillwire says more".to_owned();
        Err(vec![StackProblem { logical_id: None, resource_type: None, message }])
    })
}
