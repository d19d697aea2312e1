//! What a request wants of a stack: its template, parameters, tags and settings.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use stillwire_awswire::Parameters;
use stillwire_model::TemplateSummary;

use crate::error::{Answered, Refused};
use crate::limits;
use crate::reading::Reading;
use crate::room::Room;
use crate::state::{OnFailure, Place, Settings, Stack, Wanted};
use crate::template_url::object_place;

/// The name of a new stack.
pub(crate) fn new_name(query: &Parameters) -> Answered<&str> {
    let name = stack_name(query)?;
    let mut letters = name.bytes();
    let is_name = name.len() <= limits::NAME_CHARS_MAX
        && letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'-');
    if is_name {
        return Ok(name);
    }
    let shown: String = name.chars().take(limits::NAME_CHARS_MAX).collect();
    Err(Refused::invalid(format!(
        "1 validation error detected: Value '{shown}' at 'stackName' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*, and have at most {} characters",
        limits::NAME_CHARS_MAX
    )))
}

pub(crate) fn stack_name(query: &Parameters) -> Answered<&str> {
    query.get("StackName").ok_or_else(|| Refused::missing("stackName"))
}

/// The template that a request names or brings; `None` where it names none.
pub(crate) fn template(room: &Room, place: &Place, query: &Parameters) -> Answered<Option<String>> {
    match (query.get("TemplateBody"), query.get("TemplateURL")) {
        (Some(_), Some(_)) => {
            Err(Refused::invalid("Specify only one of TemplateBody or TemplateURL"))
        }
        (Some(body), None) => check_size(body.len()).map(|()| Some(body.to_owned())),
        (None, Some(url)) => fetch(room, place, url).map(Some),
        (None, None) => Ok(None),
    }
}

fn check_size(bytes: usize) -> Answered<()> {
    if bytes <= limits::TEMPLATE_BYTES_MAX {
        return Ok(());
    }
    Err(Refused::invalid(format!(
        "Template may not exceed {} bytes in size.",
        limits::TEMPLATE_BYTES_MAX
    )))
}

/// Reads an uploaded template.
fn fetch(room: &Room, place: &Place, url: &str) -> Answered<String> {
    let object = object_place(url).ok_or_else(|| {
        Refused::invalid("TemplateURL must reference a valid S3 object to which you have access.")
    })?;
    let found = room.ports.objects.find(&place.account, &object.bucket, &object.key);
    let path = found.ok_or_else(|| {
        Refused::invalid(format!(
            "S3 error: The specified key does not exist: {} in the bucket {}",
            object.key, object.bucket
        ))
    })?;
    let most = u64::try_from(limits::TEMPLATE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut text = String::new();
    let reading = File::open(path).and_then(|file| file.take(most + 1).read_to_string(&mut text));
    reading.map_err(|error| Refused::invalid(format!("the template cannot be read: {error}")))?;
    check_size(text.len())?;
    Ok(text)
}

/// What a request wants, where `before` is what there is of the stack.
pub(crate) fn wanted(
    room: &Room,
    place: &Place,
    query: &Parameters,
    before: Option<&Stack>,
) -> Answered<Wanted> {
    let deployed = before.and_then(|stack| stack.deployed.as_ref());
    let template = match template(room, place, query)? {
        Some(template) => template,
        None if query.flag("UsePreviousTemplate") == Some(true) => {
            let previous = deployed.map(|deployed| deployed.template.clone());
            previous.ok_or_else(|| Refused::invalid("there is no previous template to use"))?
        }
        None => {
            return Err(Refused::invalid(
                "Either Template URL or Template Body must be specified.",
            ));
        }
    };
    let summary = room.ports.host.summarize(&template);
    let summary = summary.map_err(|problems| Refused::problems(&problems))?;
    let previous = deployed.map(|deployed| &deployed.reading);
    let parameters = parameters(query, &summary, previous)?;
    let tags = if query.sent("Tags").is_some() || !query.structures("Tags").is_empty() {
        query.pairs("Tags", "Key", "Value")
    } else {
        deployed.map(|deployed| deployed.tags.clone()).unwrap_or_default()
    };
    if tags.len() > limits::TAGS_MAX {
        return Err(Refused::invalid(format!("a stack has at most {} tags", limits::TAGS_MAX)));
    }
    let settings = settings(query, before.map(|stack| &stack.settings))?;
    Ok(Wanted { template, parameters, tags, settings })
}

/// The values of parameters: given, or those of before where the caller says so. What is missing has its default.
fn parameters(
    query: &Parameters,
    summary: &TemplateSummary,
    previous: Option<&Reading>,
) -> Answered<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    let mut unknown = Vec::new();
    let given = query.structures("Parameters");
    if given.len() > limits::PARAMETERS_MAX {
        return Err(Refused::invalid(format!(
            "a template has at most {} parameters",
            limits::PARAMETERS_MAX
        )));
    }
    for parameter in given {
        let Some(key) = parameter.get("ParameterKey") else {
            return Err(Refused::invalid("a parameter has no ParameterKey"));
        };
        if !summary.parameters.iter().any(|declared| declared.key == key) {
            unknown.push(key.to_owned());
            continue;
        }
        let value = if parameter.flag("UsePreviousValue") == Some(true) {
            let kept = previous.and_then(|reading| reading.parameter(key));
            let kept = kept.ok_or_else(|| {
                Refused::invalid(format!("Parameter {key} has no previous value to use"))
            })?;
            kept.value.clone()
        } else {
            parameter.sent("ParameterValue").unwrap_or_default().to_owned()
        };
        if value.len() > limits::PARAMETER_BYTES_MAX {
            return Err(Refused::invalid(format!(
                "the value of {key} has more than {} bytes",
                limits::PARAMETER_BYTES_MAX
            )));
        }
        values.insert(key.to_owned(), value);
    }
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        return Err(Refused::invalid(format!(
            "Parameters: [{names}] do not exist in the template"
        )));
    }
    let missing = summary
        .parameters
        .iter()
        .filter(|declared| declared.default.is_none() && !values.contains_key(&declared.key));
    let missing: Vec<&str> = missing.map(|declared| declared.key.as_str()).collect();
    if !missing.is_empty() {
        let names = missing.join(", ");
        return Err(Refused::invalid(format!("Parameters: [{names}] must have values")));
    }
    Ok(values)
}

fn settings(query: &Parameters, before: Option<&Settings>) -> Answered<Settings> {
    let texts =
        |name: &str| query.texts(name).into_iter().map(str::to_owned).collect::<Vec<String>>();
    let on_failure = match query.get("OnFailure").or_else(|| query.get("OnStackFailure")) {
        Some("DO_NOTHING") => OnFailure::DoNothing,
        Some("DELETE") => OnFailure::Delete,
        None if query.flag("DisableRollback") == Some(true) => OnFailure::DoNothing,
        None | Some("ROLLBACK") => OnFailure::RollBack,
        Some(other) => {
            let shown: String = other.chars().take(100).collect();
            return Err(Refused::invalid(format!(
                "Value '{shown}' at 'onFailure' failed to satisfy constraint: Member must satisfy enum value set: \
                 [DO_NOTHING, ROLLBACK, DELETE]"
            )));
        }
    };
    let notification_arns = match query.sent("NotificationARNs") {
        None if query.texts("NotificationARNs").is_empty() => {
            before.map(|before| before.notification_arns.clone()).unwrap_or_default()
        }
        _ => texts("NotificationARNs"),
    };
    let role = query.get("RoleARN").map(str::to_owned);
    Ok(Settings {
        capabilities: texts("Capabilities"),
        role_arn: role.or_else(|| before.and_then(|before| before.role_arn.clone())),
        notification_arns,
        timeout_minutes: query.get("TimeoutInMinutes").and_then(|text| text.parse().ok()),
        on_failure,
    })
}

/// The parts of resources that give IAM resources names of the template's choice.
const IAM_NAMES: [&str; 6] = [
    "Properties.RoleName",
    "Properties.UserName",
    "Properties.GroupName",
    "Properties.ManagedPolicyName",
    "Properties.InstanceProfileName",
    "Properties.PolicyName",
];

/// Checks that the caller has acknowledged what the template makes.
///
/// Source: CloudFormation User Guide, "Acknowledging IAM resources in CloudFormation templates".
pub(crate) fn check_capabilities(settings: &Settings, reading: &Reading) -> Answered<()> {
    let has = |wanted: &str| settings.capabilities.iter().any(|known| known == wanted);
    let iam = reading.resources.iter().filter(|one| one.kind.starts_with("AWS::IAM::"));
    let (mut any, mut named) = (false, false);
    for resource in iam {
        any = true;
        // An inline policy has a name always, and that names nothing for the account.
        named |= resource.kind != "AWS::IAM::Policy"
            && IAM_NAMES.iter().any(|name| resource.fingerprints.contains_key(*name));
    }
    let missing = if named && !has("CAPABILITY_NAMED_IAM") {
        "CAPABILITY_NAMED_IAM"
    } else if any && !has("CAPABILITY_IAM") && !has("CAPABILITY_NAMED_IAM") {
        "CAPABILITY_IAM"
    } else {
        return Ok(());
    };
    let message = format!("Requires capabilities : [{missing}]");
    Err(Refused::new(400, "InsufficientCapabilitiesException", message))
}
