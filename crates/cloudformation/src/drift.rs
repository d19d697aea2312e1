//! Drift: whether resources are still as their template says.
//!
//! Differs: nothing is compared. A detection says so: it ends at once, and each resource was not checked, as CloudFormation
//! says of resources that it cannot check.

use stillwire_awswire::{Parameters, Xml, iso_millis};

use crate::error::{Answered, Refused};
use crate::page::page;
use crate::request;
use crate::room::Room;
use crate::state::Place;

/// A detection is known by the end of its stack's ARN.
pub(crate) fn detect(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::stack_name(query)?;
    let stack = room.find(place, name).ok_or_else(|| Refused::no_stack(name))?;
    let mut xml = Xml::new();
    xml.text("StackDriftDetectionId", stack.id.rsplit('/').next().unwrap_or_default());
    Ok(xml)
}

pub(crate) fn status(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let id = query
        .get("StackDriftDetectionId")
        .ok_or_else(|| Refused::missing("stackDriftDetectionId"))?;
    let state = room.state();
    let mut stacks = state.all().filter(|stack| stack.is_at(place));
    let stack = stacks
        .find(|stack| stack.id.rsplit('/').next() == Some(id))
        .ok_or_else(|| Refused::invalid(format!("Stack drift detection id {id} does not exist")))?;
    let mut xml = Xml::new();
    xml.text("StackId", &stack.id).text("StackDriftDetectionId", id);
    xml.text("StackDriftStatus", "NOT_CHECKED").text("DetectionStatus", "DETECTION_COMPLETE");
    xml.text("DetectionStatusReason", "Stillwire does not compare resources with their template");
    xml.text("DriftedStackResourceCount", "0").text("Timestamp", iso_millis(room.now()));
    Ok(xml)
}

pub(crate) fn resources(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = request::stack_name(query)?;
    let stack = room.find(place, name).ok_or_else(|| Refused::no_stack(name))?;
    let filter = query.texts("StackResourceDriftStatusFilters");
    let is_wanted = filter.is_empty() || filter.contains(&"NOT_CHECKED");
    let all = stack.reading().into_iter().flat_map(|reading| &reading.resources);
    let page = page(all.filter(|_| is_wanted), query.get("NextToken"))?;
    let mut xml = Xml::new();
    xml.members("StackResourceDrifts", &page.items, |xml, resource| {
        xml.text("StackId", &stack.id).text("LogicalResourceId", &resource.logical_id);
        xml.text("PhysicalResourceId", &resource.physical_id).text("ResourceType", &resource.kind);
        xml.text("StackResourceDriftStatus", "NOT_CHECKED");
        xml.text("Timestamp", iso_millis(room.now()));
    });
    page.write_token(&mut xml);
    Ok(xml)
}
