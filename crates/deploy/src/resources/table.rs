//! `AWS::DynamoDB::Table` and `AWS::DynamoDB::GlobalTable`.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use stillwire_model::Table;

use super::Piece;
use crate::node::Node;
use crate::resolver::Resolver;

/// What a template and `CreateTable` call the same. The rest is not enforced here.
const COPIED: [&str; 6] = [
    "AttributeDefinitions",
    "KeySchema",
    "LocalSecondaryIndexes",
    "GlobalSecondaryIndexes",
    "BillingMode",
    "ProvisionedThroughput",
];

/// What `CreateTable` knows of an index.
const INDEX: [&str; 4] = ["IndexName", "KeySchema", "Projection", "ProvisionedThroughput"];

/// Builds a table; `None` when it has problems, which are in the resolver's list.
pub(super) fn build(resolver: &mut Resolver<'_>, piece: &Piece<'_>) -> Option<Table> {
    piece.properties.as_ref()?;
    let before = resolver.problems.len();
    for property in ["KeySchema", "AttributeDefinitions"] {
        if piece.get(property).and_then(Node::as_list).is_none_or(<[Node]>::is_empty) {
            piece.fail(resolver, property, format!("this table has no `{property}`"));
        }
    }
    let scope = &resolver.unit(piece.unit).scope;
    let name =
        piece.text("TableName").unwrap_or_else(|| crate::physical::name(scope, piece.id, 255));
    let arn = scope.arn("dynamodb", &format!("table/{name}"));
    let stream_arn = crate::physical::stream_arn(scope, &name);
    let time_to_live = time_to_live(resolver, piece);
    let deletion_policy = super::deletion_policy(resolver, piece.unit, piece.id, piece.resource);
    if resolver.problems.len() > before {
        return None;
    }
    let definition = definition(piece, &name, &resolver.unit(piece.unit).scope.region);
    if piece.kind() == "AWS::DynamoDB::GlobalTable"
        && piece.get("Replicas").and_then(Node::as_list).is_some_and(|all| all.len() > 1)
    {
        piece.warn(resolver, "Replicas", "only the replica of this stack's region runs here");
    }
    Some(Table {
        stack: Arc::from(resolver.unit(piece.unit).scope.stack.as_str()),
        logical_id: Arc::from(piece.id),
        name,
        arn,
        definition,
        time_to_live,
        stream_arn,
        deletion_policy,
    })
}

fn definition(piece: &Piece<'_>, name: &str, region: &str) -> Map<String, Json> {
    let mut definition = Map::new();
    definition.insert("TableName".to_owned(), name.into());
    for property in COPIED {
        if let Some(node) = piece.get(property) {
            let mut value = node.to_json();
            if property.ends_with("Indexes") {
                keep_known(&mut value);
            }
            with_numbers(&mut value);
            definition.insert(property.to_owned(), value);
        }
    }
    if piece.kind() == "AWS::DynamoDB::GlobalTable" {
        // Its capacity settings have other names, and capacity is not enforced here.
        definition.insert("BillingMode".to_owned(), "PAY_PER_REQUEST".into());
    }
    if let Some(view) = piece.get("StreamSpecification").and_then(|node| node.get("StreamViewType"))
    {
        let stream = json!({ "StreamEnabled": true, "StreamViewType": view.to_json() });
        definition.insert("StreamSpecification".to_owned(), stream);
    }
    let own = |property: &str| match replica(piece, region) {
        Some(replica) => replica.get(property),
        None => piece.get(property),
    };
    if own("DeletionProtectionEnabled").and_then(Node::scalar).as_deref() == Some("true") {
        definition.insert("DeletionProtectionEnabled".to_owned(), true.into());
    }
    let tags: Vec<Json> =
        own("Tags").and_then(Node::as_list).unwrap_or_default().iter().filter_map(tag).collect();
    if !tags.is_empty() {
        definition.insert("Tags".to_owned(), tags.into());
    }
    definition
}

/// What a global table says of itself in the region of its stack.
///
/// Source: CloudFormation resource reference, `AWS::DynamoDB::GlobalTable`, `ReplicaSpecification`.
fn replica<'a>(piece: &'a Piece<'_>, region: &str) -> Option<&'a Node> {
    if piece.kind() != "AWS::DynamoDB::GlobalTable" {
        return None;
    }
    let replicas = piece.get("Replicas")?.as_list()?;
    let is_here =
        |replica: &&Node| replica.get("Region").and_then(Node::scalar).as_deref() == Some(region);
    replicas.iter().find(is_here)
}

/// A tag, whose value may be written as a number.
fn tag(node: &Node) -> Option<Json> {
    let text = |name: &str| node.get(name).and_then(Node::scalar);
    Some(json!({ "Key": text("Key")?, "Value": text("Value").unwrap_or_default() }))
}

fn keep_known(indexes: &mut Json) {
    for index in indexes.as_array_mut().into_iter().flatten() {
        if let Some(members) = index.as_object_mut() {
            members.retain(|name, _| INDEX.contains(&name.as_str()));
        }
    }
}

/// Templates may write capacity as text; `CreateTable` wants numbers.
fn with_numbers(value: &mut Json) {
    match value {
        Json::Array(items) => items.iter_mut().for_each(with_numbers),
        Json::Object(members) => {
            for (name, value) in members.iter_mut() {
                let number = value.as_str().and_then(|text| text.parse::<u64>().ok());
                match number {
                    Some(number) if name.ends_with("CapacityUnits") => *value = number.into(),
                    _ => with_numbers(value),
                }
            }
        }
        _ => {}
    }
}

fn time_to_live(resolver: &mut Resolver<'_>, piece: &Piece<'_>) -> Option<String> {
    let node = piece.get("TimeToLiveSpecification")?;
    if node.get("Enabled").and_then(Node::scalar).as_deref() != Some("true") {
        return None;
    }
    let attribute = node.get("AttributeName").and_then(Node::scalar);
    if attribute.is_none() {
        piece.fail(resolver, "TimeToLiveSpecification", "time to live needs an `AttributeName`");
    }
    attribute
}
