//! Events, the newest first.

use stillwire_awswire::{Parameters, Xml, iso_millis};

use crate::change_sets;
use crate::error::{Answered, Refused};
use crate::page::page;
use crate::request;
use crate::room::Room;
use crate::state::{Event, Place, STACK_TYPE};

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

/// The events of operations on a stack, or what is wrong with a change set.
///
/// Source: CloudFormation API reference, `DescribeEvents`.
pub(crate) fn of_operations(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let (stack, events, is_validation) = if query.get("ChangeSetName").is_some() {
        let (stack, change_set) = change_sets::find(&room.state(), place, query)?;
        (stack, change_set.problems, true)
    } else {
        let name = request::stack_name(query)?;
        let stack = room.find(place, name).ok_or_else(|| Refused::no_stack(name))?;
        let events = stack.events.iter().rev().cloned().collect();
        (stack, events, false)
    };
    let filtered = query.flag("Filters.FailedEvents") == Some(true);
    let has_failed = |event: &&Event| event.status.ends_with("_FAILED");
    let page =
        page(events.iter().filter(|event| !filtered || has_failed(event)), query.get("NextToken"))?;
    let mut xml = Xml::new();
    xml.members("OperationEvents", &page.items, |xml, event| {
        xml.text("EventId", &event.id).text("StackId", &stack.id);
        xml.text("EventType", kind(event, is_validation));
        if is_validation {
            xml.text("ValidationName", "TEMPLATE_READING").text("ValidationStatus", "FAILED");
            xml.text("ValidationFailureMode", "FAIL");
            xml.maybe("ValidationStatusReason", event.reason.as_ref());
            xml.text("ValidationPath", format!("/Resources/{}", event.logical_id));
        }
        write(xml, event);
    });
    page.write_token(&mut xml);
    Ok(xml)
}

fn kind(event: &Event, is_validation: bool) -> &'static str {
    match event.kind.as_str() {
        _ if is_validation => "VALIDATION_ERROR",
        STACK_TYPE => "STACK_EVENT",
        _ if event.status.ends_with("_FAILED") => "PROVISIONING_ERROR",
        _ => "PROGRESS_EVENT",
    }
}
