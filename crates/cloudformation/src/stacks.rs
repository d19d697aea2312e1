//! Stacks made, changed and removed without change sets.
//!
//! Source: CloudFormation API reference, `CreateStack`, `UpdateStack`, `DeleteStack` and their companions.

use std::sync::Arc;

use stillwire_awswire::{Parameters, Xml};

use crate::difference::differ;
use crate::error::{Answered, Refused};
use crate::operation::{self, Begun};
use crate::reading::Reading;
use crate::request::{self, check_capabilities};
use crate::room::Room;
use crate::state::{Place, Stack, Wanted};
use crate::status::Status;
use crate::toolkit;

/// The answer that names a stack.
pub(crate) fn named(id: &str) -> Xml {
    let mut xml = Xml::new();
    xml.text("StackId", id);
    xml
}

pub(crate) fn create(room: &Arc<Room>, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::new_name(query)?;
    if toolkit::is_toolkit(name) || room.find(place, name).is_some() {
        return Err(exists(name));
    }
    let wanted = request::wanted(room, place, query, None)?;
    let mut stack = Stack::new(place, name, Status::CreateInProgress, room.now());
    stack.is_protected = query.flag("EnableTerminationProtection").unwrap_or_default();
    stack.policy = query.get("StackPolicyBody").map(str::to_owned);
    // What cannot be read fails as an event of its resource; capabilities are asked for before anything begins.
    if let Ok(reading) = read(room, &stack, &wanted) {
        check_capabilities(&wanted.settings, &reading)?;
    }
    let answer = named(&stack.id);
    let mut state = room.state();
    // Somebody else may have made it meanwhile.
    if state.find(place, name).is_some() {
        return Err(exists(name));
    }
    state.check_room()?;
    operation::begin(room, &mut state, stack, Begun::Creation(wanted), token(query))?;
    Ok(answer)
}

pub(crate) fn exists(name: &str) -> Refused {
    Refused::new(400, "AlreadyExistsException", format!("Stack [{name}] already exists"))
}

/// What a stack would come to.
pub(crate) fn read(
    room: &Room,
    stack: &Stack,
    wanted: &Wanted,
) -> Result<Reading, Vec<stillwire_model::StackProblem>> {
    room.ports.host.read(&stack.request(wanted)).map(Reading::from)
}

/// The name that a caller gives an operation.
pub(crate) fn token(query: &Parameters) -> Option<&str> {
    query.get("ClientRequestToken").or_else(|| query.get("ClientToken"))
}

pub(crate) fn update(room: &Arc<Room>, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::stack_name(query)?;
    let stack = room.find(place, name).filter(|stack| !stack.is_gone());
    let stack = stack.ok_or_else(|| Refused::no_stack_here(name))?;
    check_updatable(&stack)?;
    let wanted = request::wanted(room, place, query, Some(&stack))?;
    if let Ok(reading) = read(room, &stack, &wanted) {
        check_capabilities(&wanted.settings, &reading)?;
        if let Some(deployed) = &stack.deployed
            && deployed.tags == wanted.tags
            && !differ(&deployed.reading, &reading)
        {
            return Err(Refused::invalid("No updates are to be performed."));
        }
    }
    let answer = named(&stack.id);
    let mut state = room.state();
    let stack = state.by_id(&stack.id).cloned().ok_or_else(|| Refused::no_stack_here(name))?;
    check_updatable(&stack)?;
    operation::begin(room, &mut state, stack, Begun::Update(wanted), token(query))?;
    Ok(answer)
}

/// Whether the stack may be changed now.
pub(crate) fn check_updatable(stack: &Stack) -> Answered<()> {
    if stack.parent.is_some() {
        return Err(Refused::invalid(format!(
            "the stack [{}] is part of another one: update that",
            stack.name
        )));
    }
    if stack.status.takes_updates() {
        return Ok(());
    }
    Err(Refused::invalid(format!(
        "Stack:{} is in {} state and can not be updated.",
        stack.id,
        stack.status.as_str()
    )))
}

/// A stack that is not there is deleted already.
pub(crate) fn delete(room: &Arc<Room>, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::stack_name(query)?;
    if toolkit::is_meant(place, name) {
        return Err(Refused::invalid(
            "The stack [CDKToolkit] is part of Stillwire and cannot be deleted",
        ));
    }
    let mut state = room.state();
    let found = state.find(place, name).filter(|stack| !stack.is_gone()).cloned();
    let Some(stack) = found else { return Ok(Xml::new()) };
    if stack.is_protected {
        return Err(Refused::invalid(format!(
            "Stack [{}] cannot be deleted while TerminationProtection is enabled",
            stack.name
        )));
    }
    if stack.parent.is_some() {
        return Err(Refused::invalid(format!(
            "the stack [{}] is part of another one: delete that",
            stack.name
        )));
    }
    // Source: observed: asking again while it goes changes nothing.
    if stack.status == Status::DeleteInProgress {
        return Ok(Xml::new());
    }
    check_idle(&stack)?;
    operation::begin(room, &mut state, stack, Begun::Deletion, token(query))?;
    Ok(Xml::new())
}

fn check_idle(stack: &Stack) -> Answered<()> {
    if !stack.status.is_busy() {
        return Ok(());
    }
    Err(Refused::invalid(format!(
        "Stack [{}] is in {} state: wait until its operation has ended",
        stack.name,
        stack.status.as_str()
    )))
}

/// Ends an operation that failed and was to leave things as they were: there is nothing to undo, so it is done at once.
pub(crate) fn roll_back(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::stack_name(query)?;
    let mut state = room.state();
    let stack = state.find(place, name).filter(|stack| !stack.is_gone()).cloned();
    let mut stack = stack.ok_or_else(|| Refused::no_stack(name))?;
    let (during, after) = match stack.status {
        Status::CreateFailed => (Status::RollbackInProgress, Status::RollbackComplete),
        Status::UpdateFailed => (Status::UpdateRollbackInProgress, Status::UpdateRollbackComplete),
        other => {
            return Err(Refused::invalid(format!(
                "Stack:{} is in {} state and can not be rolled back.",
                stack.id,
                other.as_str()
            )));
        }
    };
    for status in [during, after] {
        stack.turn((status, None), token(query), room.now());
    }
    let answer = named(&stack.id);
    room.keep(&mut state, stack)?;
    Ok(answer)
}

/// Every rollback comes to its end by itself.
pub(crate) fn continue_rollback(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::stack_name(query)?;
    let stack = room.find(place, name).ok_or_else(|| Refused::no_stack(name))?;
    Err(Refused::invalid(format!(
        "Stack:{} is in {} state and can not continue rollback.",
        stack.id,
        stack.status.as_str()
    )))
}

/// An update is made whole, in one step, that cannot be stopped in its middle.
pub(crate) fn cancel_update(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::stack_name(query)?;
    room.find(place, name).ok_or_else(|| Refused::no_stack(name))?;
    Err(Refused::invalid("CancelUpdateStack cannot be called from current stack status"))
}

pub(crate) fn protect(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::stack_name(query)?;
    let protects = query
        .flag("EnableTerminationProtection")
        .ok_or_else(|| Refused::missing("enableTerminationProtection"))?;
    change(room, place, name, |stack| stack.is_protected = protects)
}

/// Policies are kept, and mean nothing: what a deploy tool asks for is done.
pub(crate) fn set_policy(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::stack_name(query)?;
    let policy = query.get("StackPolicyBody").map(str::to_owned);
    change(room, place, name, |stack| stack.policy = policy)?;
    Ok(Xml::new())
}

pub(crate) fn get_policy(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::stack_name(query)?;
    let stack = room.find(place, name).ok_or_else(|| Refused::no_stack(name))?;
    let mut xml = Xml::new();
    xml.maybe("StackPolicyBody", stack.policy);
    Ok(xml)
}

fn change(
    room: &Room,
    place: &Place,
    name: &str,
    change: impl FnOnce(&mut Stack),
) -> Answered<Xml> {
    // The CDK's own stack is made when it is looked for.
    room.find(place, name);
    let mut state = room.state();
    let stack = state.find(place, name).filter(|stack| !stack.is_gone()).cloned();
    let mut stack = stack.ok_or_else(|| Refused::no_stack(name))?;
    change(&mut stack);
    let answer = named(&stack.id);
    room.keep(&mut state, stack)?;
    Ok(answer)
}
