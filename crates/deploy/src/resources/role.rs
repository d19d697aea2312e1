//! `AWS::IAM::Role` and the policies attached to it.
//!
//! Source: CloudFormation Template Reference, `AWS::IAM::Role`, `AWS::IAM::Policy`, `AWS::IAM::RolePolicy` and
//! `AWS::IAM::ManagedPolicy`. Differs: permissions boundaries, and policies of tables themselves, are not read.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stillwire_model::Role;

use super::{Built, Piece, of_kind};
use crate::node::Node;
use crate::resolver::Resolver;

/// Builds the roles of all stacks.
pub(super) fn build(resolver: &mut Resolver<'_>, pieces: &[Piece<'_>], built: &mut Built) {
    let attached = attached(pieces);
    let managed = managed(resolver, pieces);
    for piece in of_kind(pieces, "AWS::IAM::Role") {
        let (unit, at) = (piece.unit, piece.resource.at);
        let arn = resolver.attribute(unit, at, piece.id, "Arn");
        let (Ok(Some(arn)), Ok(name)) = (arn, resolver.reference(unit, at, piece.id)) else {
            continue; // the resolver has noted why
        };
        let mut role = Role {
            arn: arn.scalar().unwrap_or_default().into(),
            policies: list(piece, "Policies").filter_map(document).collect(),
            unknown_policies: Vec::new(),
        };
        role.policies.extend(attached.get(&name).into_iter().flatten().cloned());
        for arn in list(piece, "ManagedPolicyArns").filter_map(Node::scalar) {
            match managed.get(&arn).cloned().or_else(|| known(&arn)) {
                Some(policy) => role.policies.push(policy),
                None => role.unknown_policies.push(arn),
            }
        }
        built.stacks.entry(unit).or_default().roles.push(role);
    }
}

/// The documents that policies attach to roles, by the names of the roles.
fn attached(pieces: &[Piece<'_>]) -> BTreeMap<String, Vec<Value>> {
    let mut attached: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for piece in pieces {
        let roles: Vec<String> = match piece.kind() {
            "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" => {
                list(piece, "Roles").filter_map(Node::scalar).collect()
            }
            "AWS::IAM::RolePolicy" => piece.text("RoleName").into_iter().collect(),
            _ => continue,
        };
        let Some(document) = piece.properties.as_ref().and_then(document) else { continue };
        for role in roles {
            attached.entry(role).or_default().push(document.clone());
        }
    }
    attached
}

/// The documents of the templates' own managed policies, by their ARNs.
fn managed(resolver: &mut Resolver<'_>, pieces: &[Piece<'_>]) -> BTreeMap<String, Value> {
    let mut managed = BTreeMap::new();
    for piece in of_kind(pieces, "AWS::IAM::ManagedPolicy") {
        let arn = resolver.reference(piece.unit, piece.resource.at, piece.id);
        if let (Ok(arn), Some(document)) = (arn, piece.properties.as_ref().and_then(document)) {
            managed.insert(arn, document);
        }
    }
    managed
}

fn list<'a>(piece: &'a Piece<'_>, property: &str) -> impl Iterator<Item = &'a Node> {
    piece.get(property).and_then(Node::as_list).unwrap_or_default().iter()
}

fn document(policy: &Node) -> Option<Value> {
    policy.get("PolicyDocument").map(Node::to_json)
}

/// What policies of AWS's own say about tables; `None` of those that are not known here.
///
/// Source: AWS Managed Policy Reference Guide.
fn known(arn: &str) -> Option<Value> {
    let (_, name) = arn.split_once(":iam::aws:policy/")?;
    let actions: &[&str] = match name {
        "AdministratorAccess" => &["*"],
        "PowerUserAccess"
        | "AmazonDynamoDBFullAccess"
        | "AmazonDynamoDBFullAccess_v2"
        | "AmazonDynamoDBFullAccesswithDataPipeline" => &["dynamodb:*"],
        "AmazonDynamoDBReadOnlyAccess" => &[
            "dynamodb:BatchGetItem",
            "dynamodb:Describe*",
            "dynamodb:GetAbacStatus",
            "dynamodb:GetItem",
            "dynamodb:GetResourcePolicy",
            "dynamodb:List*",
            "dynamodb:PartiQLSelect",
            "dynamodb:Query",
            "dynamodb:Scan",
        ],
        "ReadOnlyAccess" => &[
            "dynamodb:BatchGet*",
            "dynamodb:Describe*",
            "dynamodb:Get*",
            "dynamodb:List*",
            "dynamodb:PartiQLSelect",
            "dynamodb:Query",
            "dynamodb:Scan",
        ],
        "service-role/AWSLambdaDynamoDBExecutionRole" | "AWSLambdaInvocation-DynamoDB" => &[
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
        ],
        "service-role/AWSLambdaBasicExecutionRole"
        | "service-role/AWSLambdaRole"
        | "service-role/AWSLambdaVPCAccessExecutionRole"
        | "service-role/AWSLambdaSQSQueueExecutionRole"
        | "service-role/AWSLambdaKinesisExecutionRole"
        | "AWSXRayDaemonWriteAccess"
        | "AWSXrayWriteOnlyAccess"
        | "CloudWatchLambdaInsightsExecutionRolePolicy"
        | "AmazonAPIGatewayInvokeFullAccess" => &[],
        _ => return None,
    };
    Some(json!({ "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": "*" }] }))
}
