//! Change sets: what a stack would go through, read beforehand and executed when the caller says so.
//!
//! Source: CloudFormation API reference, `CreateChangeSet` and its companions. A change set is read when it is made, so it is
//! complete when the answer comes.

use std::sync::Arc;

use stillwire_awswire::{Parameters, Xml, iso_millis};
use stillwire_model::StackProblem;
use uuid::Uuid;

use crate::difference::{Action, Change, changes, differ};
use crate::error::{Answered, Refused, sentence};
use crate::operation;
use crate::page::page;
use crate::request::{self, check_capabilities};
use crate::room::Room;
use crate::stacks::{check_updatable, read, token};
use crate::state::{ChangeSet, Event, Place, Stack, State, Wanted};
use crate::status::Status;
use crate::{describe, limits, toolkit};

/// What a change set is told that changes nothing. Tools look for its beginning.
const NO_CHANGES: &str = "The submitted information didn't contain changes. Submit different information to create a change set.";

pub(crate) fn create(room: &Arc<Room>, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = query.get("ChangeSetName").ok_or_else(|| Refused::missing("changeSetName"))?;
    check_name(name)?;
    let stack_name = request::stack_name(query)?;
    let found = room.find(place, stack_name).filter(|stack| !stack.is_gone());
    let is_creation = match query.get("ChangeSetType") {
        Some("CREATE") => true,
        None | Some("UPDATE") => false,
        Some("IMPORT") => {
            return Err(Refused::invalid(
                "resources cannot be imported: Stillwire makes those of a stack itself",
            ));
        }
        Some(_) => return Err(Refused::invalid("ChangeSetType is CREATE or UPDATE")),
    };
    let stack = match found {
        None if is_creation => {
            room.state().check_room()?;
            Stack::new(place, request::new_name(query)?, Status::ReviewInProgress, room.now())
        }
        None => return Err(Refused::no_stack_here(stack_name)),
        Some(stack) if is_creation && stack.status != Status::ReviewInProgress => {
            return Err(Refused::invalid(format!(
                "Stack [{}] already exists and cannot be created again with the changeSet [{name}].",
                stack.name
            )));
        }
        Some(stack) => {
            if !is_creation {
                check_updatable(&stack)?;
            }
            stack
        }
    };
    let change_set = if toolkit::is_toolkit(&stack.name) {
        let wanted = Wanted::default();
        ChangeSet { failure: Some(NO_CHANGES.to_owned()), ..new(room, &stack, query, wanted) }
    } else {
        let wanted = request::wanted(room, place, query, Some(&stack))?;
        let read = read(room, &stack, &wanted);
        let change_set = ChangeSet { is_creation, ..new(room, &stack, query, wanted) };
        match read {
            Ok(reading) => {
                check_capabilities(&change_set.wanted.settings, &reading)?;
                planned(change_set, &stack, reading)
            }
            Err(problems) => refused(room, change_set, &problems)?,
        }
    };
    keep(room, stack, change_set)
}

fn new(room: &Room, stack: &Stack, query: &Parameters, wanted: Wanted) -> ChangeSet {
    let Stack { account, region, .. } = stack;
    let name = query.get("ChangeSetName").unwrap_or_default();
    ChangeSet {
        id: format!(
            "arn:aws:cloudformation:{region}:{account}:changeSet/{name}/{}",
            Uuid::new_v4()
        ),
        name: name.to_owned(),
        description: query.get("Description").map(str::to_owned),
        created: room.now(),
        is_creation: false,
        wanted,
        reading: None,
        changes: Vec::new(),
        failure: None,
        is_executed: false,
        includes_nested: query.flag("IncludeNestedStacks") == Some(true),
        problems: Vec::new(),
    }
}

fn check_name(name: &str) -> Answered<()> {
    let mut letters = name.bytes();
    let is_name = name.len() <= limits::NAME_CHARS_MAX
        && letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'-');
    if is_name {
        return Ok(());
    }
    Err(Refused::invalid(
        "ChangeSetName must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*",
    ))
}

/// A change set for a template that was read.
fn planned(change_set: ChangeSet, stack: &Stack, reading: crate::reading::Reading) -> ChangeSet {
    let is_same = stack.deployed.as_ref().is_some_and(|deployed| {
        deployed.tags == change_set.wanted.tags && !differ(&deployed.reading, &reading)
    });
    ChangeSet {
        changes: changes(stack.reading(), &reading),
        failure: (is_same && !change_set.is_creation).then(|| NO_CHANGES.to_owned()),
        reading: Some(reading),
        ..change_set
    }
}

/// A template that cannot be read: what is wrong with a resource is an event of the stack, and the change set says it all; what
/// is wrong with the template itself is a refusal.
fn refused(room: &Room, change_set: ChangeSet, problems: &[StackProblem]) -> Answered<ChangeSet> {
    if problems.iter().all(|problem| problem.logical_id.is_none()) {
        return Err(Refused::problems(problems));
    }
    let status = if change_set.is_creation { "CREATE_FAILED" } else { "UPDATE_FAILED" };
    let event = |problem: &StackProblem| {
        let logical_id = problem.logical_id.clone()?;
        Some(Event {
            id: format!("{logical_id}-VALIDATION_FAILED-{}", Uuid::new_v4()),
            time: room.now(),
            logical_id,
            physical_id: String::new(),
            kind: problem.resource_type.clone().unwrap_or_default(),
            status: status.to_owned(),
            reason: Some(problem.message.clone()),
            token: None,
        })
    };
    let of_resources = problems.iter().filter_map(event).collect();
    Ok(ChangeSet { failure: Some(sentence(problems)), problems: of_resources, ..change_set })
}

/// Keeps a change set; its stack is there from now on.
fn keep(room: &Room, stack: Stack, change_set: ChangeSet) -> Answered<Xml> {
    let mut xml = Xml::new();
    xml.text("Id", &change_set.id).text("StackId", &stack.id);
    let mut state = room.state();
    let place = stack.place();
    let there = state.find(&place, &stack.name).cloned();
    let mut stack = there.unwrap_or_else(|| {
        let mut stack = stack;
        let reason = Some("User Initiated".to_owned());
        stack.turn((Status::ReviewInProgress, reason), None, room.now());
        stack
    });
    if stack.change_sets.contains_key(&change_set.name) {
        return Err(Refused::new(
            400,
            "AlreadyExistsException",
            format!("ChangeSet {} already exists", change_set.name),
        ));
    }
    if stack.change_sets.len() >= limits::CHANGE_SETS_MAX {
        let message = format!(
            "Limit for change sets of a stack has been exceeded: {}",
            limits::CHANGE_SETS_MAX
        );
        return Err(Refused::limit(message));
    }
    for problem in &change_set.problems {
        stack.add_event(problem.clone());
    }
    stack.change_sets.insert(change_set.name.clone(), change_set);
    room.keep(&mut state, stack)?;
    Ok(xml)
}

/// The stack and the change set that a request means: the latter by its ARN, or by its name in a stack.
pub(crate) fn find(
    state: &State,
    place: &Place,
    query: &Parameters,
) -> Answered<(Stack, ChangeSet)> {
    let named = query.get("ChangeSetName").ok_or_else(|| Refused::missing("changeSetName"))?;
    if named.starts_with("arn:") {
        let of = |stack: &Stack| {
            let all = stack.change_sets.values().chain(&stack.executed);
            let found = all.into_iter().find(|one| one.id == named)?;
            Some((stack.clone(), found.clone()))
        };
        let mut stacks = state.all().filter(|stack| stack.is_at(place));
        return stacks.find_map(of).ok_or_else(|| Refused::no_change_set(named));
    }
    let name = query.get("StackName").ok_or_else(|| {
        Refused::invalid("StackName must be specified if ChangeSetName is not specified as an ARN.")
    })?;
    let stack = state.find(place, name).ok_or_else(|| Refused::no_stack_here(name))?;
    let executed = stack.executed.as_ref().filter(|executed| executed.name == named);
    let found = stack.change_sets.get(named).or(executed);
    let found = found.ok_or_else(|| Refused::no_change_set(named))?;
    Ok((stack.clone(), found.clone()))
}

pub(crate) fn execute(room: &Arc<Room>, place: &Place, query: &Parameters) -> Answered<Xml> {
    let mut state = room.state();
    let (mut stack, mut change_set) = find(&state, place, query)?;
    if change_set.is_executed || change_set.failure.is_some() {
        let (_, execution) = statuses(&change_set);
        let message = format!(
            "ChangeSet [{}] cannot be executed in its current status of [{execution}]",
            change_set.id
        );
        return Err(Refused::new(400, "InvalidChangeSetStatus", message));
    }
    if !change_set.is_creation {
        check_updatable(&stack)?;
    }
    if query.flag("DisableRollback") == Some(true) {
        change_set.wanted.settings.on_failure = crate::state::OnFailure::DoNothing;
    }
    stack.change_sets.remove(&change_set.name);
    operation::execute(room, &mut state, stack, change_set, token(query))?;
    Ok(Xml::new())
}

/// What is not there is deleted already; of a stack that is not there nothing is said either.
pub(crate) fn delete(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let mut state = room.state();
    let (mut stack, change_set) = match find(&state, place, query) {
        Ok(found) => found,
        Err(refused) if refused.code == "ChangeSetNotFound" => return Ok(Xml::new()),
        Err(refused) => return Err(refused),
    };
    if stack.change_sets.get(&change_set.name).is_some_and(|there| there.id == change_set.id) {
        stack.change_sets.remove(&change_set.name);
    } else {
        stack.executed = None;
    }
    room.keep(&mut state, stack)?;
    Ok(Xml::new())
}

/// Status and execution status.
fn statuses(change_set: &ChangeSet) -> (&'static str, &'static str) {
    match (&change_set.failure, change_set.is_executed) {
        (Some(_), _) => ("FAILED", "UNAVAILABLE"),
        (None, true) => ("CREATE_COMPLETE", "EXECUTE_COMPLETE"),
        (None, false) => ("CREATE_COMPLETE", "AVAILABLE"),
    }
}

fn write_head(xml: &mut Xml, stack: &Stack, change_set: &ChangeSet) {
    let (status, execution) = statuses(change_set);
    xml.text("ChangeSetName", &change_set.name).text("ChangeSetId", &change_set.id);
    xml.text("StackId", &stack.id).text("StackName", &stack.name);
    xml.maybe("Description", change_set.description.as_ref());
    xml.text("CreationTime", iso_millis(change_set.created));
    xml.text("Status", status).text("ExecutionStatus", execution);
    xml.maybe("StatusReason", change_set.failure.as_ref());
    xml.flag("IncludeNestedStacks", change_set.includes_nested);
}

pub(crate) fn describe(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let (stack, change_set) = find(&room.state(), place, query)?;
    let page = page(&change_set.changes, query.get("NextToken"))?;
    let mut xml = Xml::new();
    write_head(&mut xml, &stack, &change_set);
    xml.members(
        "Parameters",
        change_set.reading.iter().flat_map(|reading| &reading.parameters),
        describe::write_parameter,
    );
    xml.texts("NotificationARNs", &change_set.wanted.settings.notification_arns);
    xml.texts("Capabilities", &change_set.wanted.settings.capabilities);
    describe::write_tags(&mut xml, &change_set.wanted.tags);
    xml.members("Changes", &page.items, |xml, change| write_change(xml, change));
    page.write_token(&mut xml);
    Ok(xml)
}

fn write_change(xml: &mut Xml, change: &Change) {
    xml.text("Type", "Resource");
    xml.node("ResourceChange", |xml| {
        let (action, policy) = match change.action {
            Action::Add => ("Add", None),
            Action::Modify if change.replaces => ("Modify", Some("ReplaceAndDelete")),
            Action::Modify => ("Modify", None),
            Action::Remove if change.is_retained => ("Remove", Some("Retain")),
            Action::Remove => ("Remove", Some("Delete")),
        };
        xml.maybe("PolicyAction", policy).text("Action", action);
        xml.text("LogicalResourceId", &change.logical_id);
        xml.maybe("PhysicalResourceId", change.physical_id.as_ref());
        xml.text("ResourceType", &change.kind);
        if change.action == Action::Modify {
            xml.text("Replacement", if change.replaces { "True" } else { "False" });
        }
        let mut scopes: Vec<&str> =
            change.parts.iter().map(|part| part.split('.').next().unwrap_or_default()).collect();
        scopes.dedup();
        xml.texts("Scope", scopes);
        xml.members("Details", &change.parts, |xml, part| {
            let (attribute, name) = match part.split_once('.') {
                Some((attribute, name)) => (attribute, Some(name)),
                None => (part.as_str(), None),
            };
            xml.node("Target", |xml| {
                xml.text("Attribute", attribute).maybe("Name", name);
                xml.text("RequiresRecreation", if change.replaces { "Always" } else { "Never" });
            });
            xml.text("Evaluation", "Static").text("ChangeSource", "DirectModification");
        });
    });
}

pub(crate) fn list(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::stack_name(query)?;
    let stack = room.find(place, name).ok_or_else(|| Refused::no_stack_here(name))?;
    let page = page(stack.change_sets.values(), query.get("NextToken"))?;
    let mut xml = Xml::new();
    xml.members("Summaries", &page.items, |xml, change_set| write_head(xml, &stack, change_set));
    page.write_token(&mut xml);
    Ok(xml)
}

/// The template of a change set.
pub(crate) fn template(room: &Room, place: &Place, query: &Parameters) -> Answered<String> {
    find(&room.state(), place, query).map(|(_, change_set)| change_set.wanted.template)
}
