//! What callers are told about the resources of stacks.

use stillwire_awswire::{Parameters, Xml, iso_millis};

use crate::error::{Answered, Refused};
use crate::page::page;
use crate::reading::Resource;
use crate::request;
use crate::room::Room;
use crate::state::{Place, Stack};

/// How far a resource is, and when it came so far: what its last event says.
struct Progress {
    status: String,
    time: u64,
    reason: Option<String>,
}

fn progress(stack: &Stack, resource: &Resource) -> Progress {
    let last = stack.events.iter().rev().find(|event| event.logical_id == resource.logical_id);
    let made = || Progress {
        status: "CREATE_COMPLETE".to_owned(),
        time: stack.updated.unwrap_or(stack.created),
        reason: None,
    };
    last.map_or_else(made, |event| Progress {
        status: event.status.clone(),
        time: event.time,
        reason: event.reason.clone(),
    })
}

fn resources(stack: &Stack) -> impl Iterator<Item = &Resource> {
    stack.reading().into_iter().flat_map(|reading| &reading.resources)
}

pub(crate) fn list(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::stack_name(query)?;
    let stack = room.find(place, name).ok_or_else(|| Refused::no_stack(name))?;
    let page = page(resources(&stack), query.get("NextToken"))?;
    let mut xml = Xml::new();
    xml.members("StackResourceSummaries", &page.items, |xml, resource| {
        let Progress { status, time, reason } = progress(&stack, resource);
        xml.text("LogicalResourceId", &resource.logical_id);
        xml.text("PhysicalResourceId", &resource.physical_id);
        xml.text("ResourceType", &resource.kind);
        xml.text("LastUpdatedTimestamp", iso_millis(time)).text("ResourceStatus", status);
        xml.maybe("ResourceStatusReason", reason);
        xml.node("DriftInformation", |xml| {
            xml.text("StackResourceDriftStatus", "NOT_CHECKED");
        });
    });
    page.write_token(&mut xml);
    Ok(xml)
}

fn write(xml: &mut Xml, stack: &Stack, resource: &Resource) {
    let Progress { status, time, reason } = progress(stack, resource);
    xml.text("StackName", &stack.name).text("StackId", &stack.id);
    xml.text("LogicalResourceId", &resource.logical_id);
    xml.text("PhysicalResourceId", &resource.physical_id);
    xml.text("ResourceType", &resource.kind);
    xml.text("Timestamp", iso_millis(time)).text("LastUpdatedTimestamp", iso_millis(time));
    xml.text("ResourceStatus", status).maybe("ResourceStatusReason", reason);
    xml.node("DriftInformation", |xml| _ = xml.text("StackResourceDriftStatus", "NOT_CHECKED"));
}

/// The resources of a stack, or of the stack that has the physical id.
pub(crate) fn describe_all(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let stack = match (query.get("StackName"), query.get("PhysicalResourceId")) {
        (Some(name), _) => room.find(place, name).ok_or_else(|| Refused::no_stack(name))?,
        (None, Some(id)) => {
            let state = room.state();
            let has = |stack: &&Stack| resources(stack).any(|one| one.physical_id == id);
            let found = state.there(place).find(has).cloned();
            found.ok_or_else(|| Refused::invalid(format!("Stack for {id} does not exist")))?
        }
        (None, None) => {
            return Err(Refused::invalid(
                "Either StackName or PhysicalResourceId must be specified.",
            ));
        }
    };
    let only = query.get("LogicalResourceId");
    let wanted = |one: &&Resource| only.is_none_or(|id| id == one.logical_id);
    let mut xml = Xml::new();
    // Source: `DescribeStackResources`: at most a hundred; `ListStackResources` has all.
    xml.members(
        "StackResources",
        resources(&stack).filter(wanted).take(crate::limits::PAGE),
        |xml, one| write(xml, &stack, one),
    );
    Ok(xml)
}

pub(crate) fn describe(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::stack_name(query)?;
    let id = query.get("LogicalResourceId").ok_or_else(|| Refused::missing("logicalResourceId"))?;
    let stack = room.find(place, name).ok_or_else(|| Refused::no_stack(name))?;
    let found = resources(&stack).find(|one| one.logical_id == id);
    let resource = found.ok_or_else(|| {
        Refused::invalid(format!("Resource {id} does not exist for stack {}", stack.name))
    })?;
    let mut xml = Xml::new();
    xml.node("StackResourceDetail", |xml| write(xml, &stack, resource));
    Ok(xml)
}
