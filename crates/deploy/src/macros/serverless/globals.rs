//! The `Globals` section: properties that all resources of a type share.
//!
//! Source: the SAM specification, "Globals section": maps are merged, lists added to, other values replaced.

use std::collections::BTreeMap;

use super::Context;
use crate::node::{Map, Member, Node, Position, Value};
use crate::problem::Problem;

/// What `Globals` may say of functions.
const FUNCTION: [&str; 39] = [
    "Handler",
    "Runtime",
    "CodeUri",
    "DeadLetterQueue",
    "Description",
    "MemorySize",
    "Timeout",
    "VpcConfig",
    "Environment",
    "Tags",
    "PropagateTags",
    "Tracing",
    "KmsKeyArn",
    "AutoPublishAlias",
    "AutoPublishAliasAllProperties",
    "Layers",
    "DeploymentPreference",
    "RolePath",
    "PermissionsBoundary",
    "ReservedConcurrentExecutions",
    "ProvisionedConcurrencyConfig",
    "AssumeRolePolicyDocument",
    "EventInvokeConfig",
    "FileSystemConfigs",
    "CodeSigningConfigArn",
    "Architectures",
    "SnapStart",
    "EphemeralStorage",
    "FunctionUrlConfig",
    "RuntimeManagementConfig",
    "LoggingConfig",
    "RecursiveLoop",
    "SourceKMSKeyArn",
    "TenancyConfig",
    "DurableConfig",
    "CapacityProviderConfig",
    "FunctionScalingConfig",
    "PublishToLatestPublished",
    "VersionDeletionPolicy",
];

/// What `Globals` may say of WebSocket APIs.
const WEBSOCKET_API: [&str; 13] = [
    "AccessLogSettings",
    "ApiKeySelectionExpression",
    "DefaultRouteSettings",
    "DisableExecuteApiEndpoint",
    "DisableSchemaValidation",
    "Domain",
    "FailOnWarnings",
    "IpAddressType",
    "PropagateTags",
    "RouteSelectionExpression",
    "RouteSettings",
    "StageVariables",
    "Tags",
];

/// The other types that it may be about; what they are here needs no list.
const OTHERS: [&str; 5] = ["Api", "HttpApi", "StateMachine", "LayerVersion", "CapacityProvider"];

/// The shared properties by type.
#[derive(Debug, Default)]
pub(super) struct Globals(BTreeMap<String, Map>);

impl Globals {
    /// Takes the section out of a template.
    pub(super) fn read(root: &mut Map, context: &Context<'_>, problems: &mut Vec<Problem>) -> Self {
        let mut globals = BTreeMap::new();
        let Some(index) = root.0.iter().position(|member| member.name == "Globals") else {
            return Self(globals);
        };
        let section = root.0.remove(index);
        let mut refuse = |at, message: String| {
            let mut problem = context.problem(at, message);
            problem.location.property = Some("Globals".to_owned());
            problems.push(problem);
        };
        let Value::Map(kinds) = section.node.value else {
            refuse(section.node.at, format!("`Globals` is an object, not {}", section.node.kind()));
            return Self(globals);
        };
        for kind in kinds.0 {
            let known: Option<&[&str]> = match kind.name.as_str() {
                "Function" => Some(&FUNCTION),
                "WebSocketApi" => Some(&WEBSOCKET_API),
                "SimpleTable" => Some(&["SSESpecification"]),
                other if OTHERS.contains(&other) => None,
                other => {
                    refuse(kind.at, format!("`Globals` has no properties of a {other}"));
                    continue;
                }
            };
            let Value::Map(properties) = kind.node.value else {
                refuse(kind.node.at, format!("the `Globals` of a {} are an object", kind.name));
                continue;
            };
            for member in &properties.0 {
                if known.is_some_and(|known| !known.contains(&member.name.as_str())) {
                    let message =
                        format!("{} of a {} cannot be among the `Globals`", member.name, kind.name);
                    refuse(member.at, message);
                }
            }
            globals.insert(kind.name, properties);
        }
        Self(globals)
    }

    /// The properties of a resource with what it shares; and what is wrong with what it does not want to.
    pub(super) fn merged(&self, kind: &str, resource: &Node) -> (Map, Vec<(Position, String)>) {
        let own = resource.get("Properties").and_then(Node::as_map).cloned().unwrap_or_default();
        let mut problems = Vec::new();
        let Some(shared) = self.0.get(kind) else { return (own, problems) };
        let mut shared = shared.clone();
        let ignored = resource.get("IgnoreGlobals");
        match ignored.map(|node| (&node.value, node.at)) {
            None => {}
            Some((Value::Text(text), _)) if text == "*" => return (own, problems),
            Some((Value::List(names), _)) => {
                for name in names {
                    let text = name.as_text().unwrap_or_default();
                    if shared.get(text).is_none() {
                        problems.push((name.at, format!("`Globals` has no {text} to ignore")));
                    }
                    shared.0.retain(|member| member.name != text);
                }
            }
            Some((_, at)) => {
                problems.push((at, "`IgnoreGlobals` is \"*\" or a list of properties".to_owned()));
            }
        }
        (merge(shared, own), problems)
    }
}

/// Shared members, and a resource's own, which come before them.
fn merge(shared: Map, own: Map) -> Map {
    let mut merged = shared;
    for member in own.0 {
        match merged.0.iter_mut().find(|other| other.name == member.name) {
            None => merged.0.push(member),
            Some(there) => {
                let node = merge_values(
                    std::mem::replace(&mut there.node, member.node.clone()),
                    member.node,
                );
                *there = Member { name: member.name, at: member.at, node };
            }
        }
    }
    merged
}

fn merge_values(shared: Node, own: Node) -> Node {
    // The call of a function is one value, whatever it is made of.
    if shared.as_call().is_some() || own.as_call().is_some() {
        return own;
    }
    let at = own.at;
    match (shared.value, own.value) {
        (Value::Map(shared), Value::Map(own)) => Node { at, value: Value::Map(merge(shared, own)) },
        (Value::List(mut shared), Value::List(own)) => {
            shared.extend(own);
            Node::list(at, shared)
        }
        (_, value) => Node { at, value },
    }
}
