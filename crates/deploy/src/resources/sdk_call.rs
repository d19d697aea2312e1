//! `Custom::AWS` (`AwsCustomResource` of the CDK): one call of an SDK when a stack is created.
//!
//! Source: aws-cdk `custom-resources`, `AwsCustomResource`: `Create` is the JSON text of a call, in which booleans are
//! written `TRUE:BOOLEAN`. Differs: the call is made once for what it says, not when the resource changes; what is to
//! be done when a stack is deleted is not.

use serde_json::Value;

use super::{Fate, Piece};
use crate::physical;
use crate::report::{Action, SdkCall};
use crate::resolver::Resolver;

/// Calls of DynamoDB that change items, and nothing else.
const ITEM_CALLS: [&str; 5] =
    ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"];

/// What a call says: service, action and parameters.
struct Written {
    service: String,
    action: String,
    parameters: Value,
}

/// The call that a resource makes and what becomes of it; nothing where it is of another service.
pub(super) fn build(
    resolver: &mut Resolver<'_>,
    piece: &Piece<'_>,
) -> Option<(Option<SdkCall>, Fate)> {
    let text = piece.text("Create").or_else(|| piece.text("Update"))?;
    let written = read(&text)?;
    let shown = format!("{}.{}", written.service, written.action);
    if written.service == "ssm" && written.action == "GetParameter" {
        return Some((
            None,
            (Action::ValueOnly, format!("{shown}: references to it have its value")),
        ));
    }
    if written.service != "dynamodb" || !ITEM_CALLS.contains(&written.action.as_str()) {
        let text = format!("this custom resource is not run here: it calls {shown}");
        piece.warn(resolver, "Create", text);
        return Some((None, (Action::NotRun, format!("{shown} is not called here"))));
    }
    let scope = &resolver.unit(piece.unit).scope;
    let call = SdkCall {
        stack: scope.stack.clone(),
        logical_id: piece.id.to_owned(),
        account: scope.account.clone(),
        region: scope.region.clone(),
        id: physical::uuid(scope, &text, piece.id),
        service: written.service,
        action: written.action,
        parameters: written.parameters,
    };
    Some((Some(call), (Action::Runs, format!("{shown}, once"))))
}

/// The name that a call of `ssm.GetParameter` asks for.
pub(crate) fn parameter_of(text: &str) -> Option<String> {
    let written = read(text)?;
    let asks = written.service == "ssm" && written.action == "GetParameter";
    let name = written.parameters.get("Name").filter(|_| asks)?;
    name.as_str().map(str::to_owned)
}

fn read(text: &str) -> Option<Written> {
    let mut call: Value = serde_json::from_str(text).ok()?;
    let text = |name: &str| call.get(name).and_then(Value::as_str).map(str::to_owned);
    let (service, action) = (text("service")?, text("action")?);
    let service = service.strip_prefix("@aws-sdk/client-").unwrap_or(&service).to_lowercase();
    let action = action.strip_suffix("Command").unwrap_or(&action);
    let mut letters = action.chars();
    let first = letters.next()?.to_ascii_uppercase();
    let action = format!("{first}{}", letters.as_str());
    let mut parameters = call.get_mut("parameters").map(Value::take).unwrap_or_default();
    with_booleans(&mut parameters);
    Some(Written { service, action, parameters })
}

fn with_booleans(value: &mut Value) {
    match value {
        Value::String(text) if text == "TRUE:BOOLEAN" => *value = true.into(),
        Value::String(text) if text == "FALSE:BOOLEAN" => *value = false.into(),
        Value::Array(items) => items.iter_mut().for_each(with_booleans),
        Value::Object(members) => members.values_mut().for_each(with_booleans),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_to_name_a_call_are_one() {
        for (service, action) in [
            ("DynamoDB", "putItem"),
            ("@aws-sdk/client-dynamodb", "PutItemCommand"),
            ("dynamodb", "PutItem"),
        ] {
            let text = format!(
                r#"{{"service":"{service}","action":"{action}","parameters":{{"a":["TRUE:BOOLEAN"]}}}}"#
            );
            let written = read(&text).unwrap();
            assert_eq!(
                (written.service.as_str(), written.action.as_str()),
                ("dynamodb", "PutItem")
            );
            assert_eq!(written.parameters["a"][0], true);
        }
        let ssm = r#"{"service":"SSM","action":"getParameter","parameters":{"Name":"/a"}}"#;
        assert_eq!(parameter_of(ssm).as_deref(), Some("/a"));
        assert!(read("no JSON").is_none() && read("{}").is_none());
    }
}
