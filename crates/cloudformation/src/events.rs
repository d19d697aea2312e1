//! Events, the newest first.

use stillwire_awswire::{Parameters, Xml, iso_millis};

use crate::error::{Answered, Refused};
use crate::page::page;
use crate::request;
use crate::room::Room;
use crate::state::{Event, Place, Stack};

pub(crate) fn of_stack(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::stack_name(query)?;
    let stack = room.find(place, name).ok_or_else(|| Refused::no_stack_here(name))?;
    let page = page(stack.events.iter().rev(), query.get("NextToken"))?;
    let mut xml = Xml::new();
    xml.members("StackEvents", &page.items, |xml, event| {
        xml.text("StackId", &stack.id).text("EventId", &event.id).text("StackName", &stack.name);
        write(xml, event);
    });
    page.write_token(&mut xml);
    Ok(xml)
}

fn write(xml: &mut Xml, event: &Event) {
    xml.text("LogicalResourceId", &event.logical_id);
    xml.text("PhysicalResourceId", &event.physical_id);
    xml.text("ResourceType", &event.kind).text("Timestamp", iso_millis(event.time));
    xml.text("ResourceStatus", &event.status);
    xml.maybe("ResourceStatusReason", event.reason.as_ref());
    xml.maybe("ClientRequestToken", event.token.as_ref());
}

/// The events of operations: of a stack, or of the stack that has a change set.
///
/// Source: CloudFormation API reference, `DescribeEvents`.
pub(crate) fn of_operations(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let stack = match (query.get("StackName"), query.get("ChangeSetName")) {
        (Some(name), _) => room.find(place, name).ok_or_else(|| Refused::no_stack(name))?,
        (None, Some(change_set)) => {
            let state = room.state();
            let has = |stack: &&Stack| {
                stack.change_sets.values().chain(&stack.executed).any(|one| one.id == change_set)
            };
            let found = state.all().filter(|stack| stack.is_at(place)).find(has).cloned();
            found.ok_or_else(|| Refused::no_change_set(change_set))?
        }
        (None, None) => return Err(Refused::missing("stackName")),
    };
    let filtered = query.flag("Filters.FailedEvents") == Some(true);
    let is_wanted = |event: &&Event| !filtered || event.status.ends_with("_FAILED");
    let page = page(stack.events.iter().rev().filter(is_wanted), query.get("NextToken"))?;
    let mut xml = Xml::new();
    xml.members("OperationEvents", &page.items, |xml, event| {
        xml.text("EventId", &event.id).text("StackId", &stack.id);
        xml.text("EventType", "STACK_EVENT");
        write(xml, event);
    });
    page.write_token(&mut xml);
    Ok(xml)
}
