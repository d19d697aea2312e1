//! What callers are told about stacks and templates.

use std::collections::BTreeMap;

use stillwire_awswire::{Parameters, Xml, iso_millis};
use stillwire_model::TemplateSummary;

use crate::error::{Answered, Refused};
use crate::page::page;
use crate::reading::Parameter;
use crate::request;
use crate::room::Room;
use crate::state::{OnFailure, Place, Stack};
use crate::{change_sets, toolkit};

/// What is shown in place of a value that is shown to nobody.
const HIDDEN: &str = "****";

pub(crate) fn stacks(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let stacks = if let Some(name) = query.get("StackName") {
        vec![room.find(place, name).ok_or_else(|| Refused::no_stack(name))?]
    } else {
        let state = room.state();
        let there = state.there(place).filter(|stack| !toolkit::is_toolkit(&stack.name));
        newest_first(there.cloned().collect())
    };
    let page = page(&stacks, query.get("NextToken"))?;
    let mut xml = Xml::new();
    xml.members("Stacks", &page.items, |xml, stack| write_stack(xml, stack));
    page.write_token(&mut xml);
    Ok(xml)
}

fn newest_first(mut stacks: Vec<Stack>) -> Vec<Stack> {
    stacks.sort_by_key(|stack| std::cmp::Reverse(stack.created));
    stacks
}

fn write_stack(xml: &mut Xml, stack: &Stack) {
    xml.text("StackId", &stack.id).text("StackName", &stack.name);
    let reading = stack.reading();
    xml.maybe("Description", reading.and_then(|reading| reading.description.as_ref()));
    let parameters = reading.into_iter().flat_map(|reading| &reading.parameters);
    xml.members("Parameters", parameters, write_parameter);
    write_times(xml, stack);
    xml.node("RollbackConfiguration", |_| {});
    write_status(xml, stack);
    xml.flag("DisableRollback", stack.settings.on_failure == OnFailure::DoNothing);
    xml.texts("NotificationARNs", &stack.settings.notification_arns);
    xml.maybe("TimeoutInMinutes", stack.settings.timeout_minutes.map(|time| time.to_string()));
    xml.texts("Capabilities", &stack.settings.capabilities);
    let outputs = reading.into_iter().flat_map(|reading| &reading.outputs);
    xml.members("Outputs", outputs, |xml, output| {
        xml.text("OutputKey", &output.key).text("OutputValue", &output.value);
        xml.maybe("Description", output.description.as_ref());
        xml.maybe("ExportName", output.export.as_ref());
    });
    xml.maybe("RoleARN", stack.settings.role_arn.as_ref());
    let none = BTreeMap::new();
    write_tags(xml, stack.deployed.as_ref().map_or(&none, |deployed| &deployed.tags));
    xml.flag("EnableTerminationProtection", stack.is_protected);
    xml.maybe("ParentId", stack.parent.as_ref()).maybe("RootId", stack.root.as_ref());
    write_drift(xml);
}

fn write_times(xml: &mut Xml, stack: &Stack) {
    xml.text("CreationTime", iso_millis(stack.created));
    xml.maybe("DeletionTime", stack.deleted.map(iso_millis));
    xml.maybe("LastUpdatedTime", stack.updated.map(iso_millis));
}

fn write_status(xml: &mut Xml, stack: &Stack) {
    xml.text("StackStatus", stack.status.as_str());
    xml.maybe("StackStatusReason", stack.reason.as_ref());
}

/// Nobody changes what a stack has made but its own operations, as far as this service knows.
fn write_drift(xml: &mut Xml) {
    xml.node("DriftInformation", |xml| _ = xml.text("StackDriftStatus", "NOT_CHECKED"));
}

pub(crate) fn write_parameter(xml: &mut Xml, parameter: &Parameter) {
    let Parameter { key, value, resolved, no_echo } = parameter;
    xml.text("ParameterKey", key).text("ParameterValue", if *no_echo { HIDDEN } else { value });
    xml.maybe("ResolvedValue", resolved.as_ref().filter(|_| !no_echo));
}

pub(crate) fn write_tags(xml: &mut Xml, tags: &BTreeMap<String, String>) {
    xml.members("Tags", tags, |xml, (key, value)| _ = xml.text("Key", key).text("Value", value));
}

/// Those that are gone too, as far as they are remembered.
pub(crate) fn list(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let statuses = query.texts("StackStatusFilter");
    let is_wanted = |stack: &&Stack| {
        stack.is_at(place)
            && !toolkit::is_toolkit(&stack.name)
            && (statuses.is_empty() || statuses.contains(&stack.status.as_str()))
    };
    let stacks = newest_first(room.state().all().filter(is_wanted).cloned().collect());
    let page = page(&stacks, query.get("NextToken"))?;
    let mut xml = Xml::new();
    xml.members("StackSummaries", &page.items, |xml, stack| {
        xml.text("StackId", &stack.id).text("StackName", &stack.name);
        let reading = stack.reading();
        xml.maybe("TemplateDescription", reading.and_then(|one| one.description.as_ref()));
        write_times(xml, stack);
        write_status(xml, stack);
        xml.maybe("ParentId", stack.parent.as_ref()).maybe("RootId", stack.root.as_ref());
        write_drift(xml);
    });
    page.write_token(&mut xml);
    Ok(xml)
}

/// Differs: of a template with transforms the original is shown, also where the processed one is asked for.
pub(crate) fn template(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let body = if query.get("ChangeSetName").is_some() {
        change_sets::template(room, place, query)?
    } else {
        let name = request::stack_name(query)?;
        let stack = room.find(place, name).ok_or_else(|| Refused::no_stack(name))?;
        match stack.deployed {
            Some(deployed) => deployed.template,
            // Source: observed: a stack in review has an empty one.
            None => "{}".to_owned(),
        }
    };
    let mut xml = Xml::new();
    xml.text("TemplateBody", body).texts("StagesAvailable", ["Original", "Processed"]);
    Ok(xml)
}

pub(crate) fn validate(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let template = request::template(room, place, query)?.ok_or_else(|| {
        Refused::invalid("Either Template URL or Template Body must be specified.")
    })?;
    let summary = summary_of(room, &template)?;
    let mut xml = Xml::new();
    xml.members("Parameters", &summary.parameters, |xml, declared| {
        xml.text("ParameterKey", &declared.key);
        xml.maybe("DefaultValue", declared.default.as_ref());
        xml.flag("NoEcho", declared.no_echo);
        xml.maybe("Description", declared.description.as_ref());
    });
    xml.maybe("Description", summary.description.as_ref());
    write_capabilities(&mut xml, &summary);
    xml.texts("DeclaredTransforms", &summary.transforms);
    Ok(xml)
}

fn summary_of(room: &Room, template: &str) -> Answered<TemplateSummary> {
    let summary = room.ports.host.summarize(template);
    summary.map_err(|problems| Refused::problems(&problems))
}

fn write_capabilities(xml: &mut Xml, summary: &TemplateSummary) {
    let has_iam = summary.resources.iter().any(|(_, kind)| kind.starts_with("AWS::IAM::"));
    let expands = !summary.transforms.is_empty();
    let needed = [(has_iam, "CAPABILITY_NAMED_IAM"), (expands, "CAPABILITY_AUTO_EXPAND")];
    let needed: Vec<&str> =
        needed.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect();
    if !needed.is_empty() {
        xml.texts("Capabilities", &needed);
        let reason = format!("The template needs [{}]", needed.join(", "));
        xml.text("CapabilitiesReason", reason);
    }
}

pub(crate) fn summary(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let template = if let Some(template) = request::template(room, place, query)? {
        template
    } else {
        let name = request::stack_name(query)?;
        let stack = room.find(place, name).ok_or_else(|| Refused::no_stack(name))?;
        stack.deployed.map_or_else(|| "{}".to_owned(), |deployed| deployed.template)
    };
    let summary = summary_of(room, &template)?;
    let mut xml = Xml::new();
    xml.members("Parameters", &summary.parameters, |xml, declared| {
        xml.text("ParameterKey", &declared.key);
        xml.maybe("DefaultValue", declared.default.as_ref());
        xml.text("ParameterType", &declared.parameter_type).flag("NoEcho", declared.no_echo);
        xml.maybe("Description", declared.description.as_ref());
        xml.node("ParameterConstraints", |xml| {
            xml.texts("AllowedValues", &declared.allowed_values);
        });
    });
    xml.maybe("Description", summary.description.as_ref());
    write_capabilities(&mut xml, &summary);
    let mut kinds: Vec<&str> = summary.resources.iter().map(|(_, kind)| kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    xml.texts("ResourceTypes", kinds);
    xml.maybe("Metadata", summary.metadata.as_ref());
    xml.texts("DeclaredTransforms", &summary.transforms);
    xml.members("ResourceIdentifierSummaries", [(); 0], |_, ()| {});
    Ok(xml)
}

/// Source: CloudFormation API reference, `DescribeAccountLimits`.
pub(crate) fn account_limits() -> Xml {
    let limits = [("StackLimit", crate::limits::STACKS_MAX), ("StackOutputsLimit", 200)];
    let mut xml = Xml::new();
    xml.members("AccountLimits", limits, |xml, (name, value)| {
        xml.text("Name", name).text("Value", value.to_string());
    });
    xml
}
