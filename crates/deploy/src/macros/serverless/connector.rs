//! Connectors: one resource may use another. What they say about tables becomes a policy of a role.
//!
//! Source: the SAM specification, `AWS::Serverless::Connector`. Choice: other permissions decide nothing here, and
//! are left out.

use serde_json::json;

use super::{Transform, reference};
use crate::node::{Map, Member, Node};

/// A connector as it is declared.
pub(super) struct Declared {
    id: String,
    source: String,
    member: Map,
}

/// What a role may do with a table.
const READ: [&str; 6] = [
    "dynamodb:GetItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:PartiQLSelect",
];
const WRITE: [&str; 7] = [
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLDelete",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
];
const STREAM: [&str; 4] = [
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
];

impl Transform<'_> {
    /// The connectors that a resource has among its attributes.
    pub(super) fn connectors_of(&mut self, source: &str, node: &Node) {
        let connectors = node.get("Connectors").and_then(Node::as_map).into_iter();
        for connector in connectors.flat_map(|map| &map.0) {
            let id = format!("{source}{}", connector.name);
            let properties = connector.node.get("Properties").and_then(Node::as_map).cloned();
            self.connector(&id, &properties.unwrap_or_default(), Some(source));
        }
    }

    /// Notes a connector; which role it is about is known once all resources are written out.
    pub(super) fn connector(&mut self, id: &str, properties: &Map, source: Option<&str>) {
        let named =
            properties.get("Source").and_then(|node| node.get("Id")).and_then(Node::as_text);
        let declared = Declared {
            id: id.to_owned(),
            source: source.or(named).unwrap_or_default().to_owned(),
            member: properties.clone(),
        };
        self.connectors.push(declared);
    }

    /// Writes the connectors' policies.
    pub(super) fn connect(&mut self) {
        for Declared { id, source, member } in std::mem::take(&mut self.connectors) {
            let Some(destination) = member.get("Destination") else { continue };
            let many = destination.as_list();
            let all = many.unwrap_or_else(|| std::slice::from_ref(destination));
            for (index, destination) in all.iter().enumerate() {
                let suffix =
                    if many.is_some() { format!("Destination{index}") } else { String::new() };
                self.policy_between(&format!("{id}Policy{suffix}"), &source, &member, destination);
            }
        }
    }

    fn policy_between(&mut self, id: &str, source: &str, connector: &Map, destination: &Node) {
        let at = destination.at;
        let target = destination.get("Id").and_then(Node::as_text).unwrap_or_default();
        let permissions = connector.get("Permissions").and_then(Node::as_list).unwrap_or_default();
        let has = |name: &str| permissions.iter().any(|one| one.as_text() == Some(name));
        let is_table = |id: &str| {
            let kind = self.kinds.get(id).map(String::as_str).unwrap_or_default();
            matches!(kind, "AWS::DynamoDB::Table" | "AWS::Serverless::SimpleTable")
        };
        let statement = |actions: &[&str], resources: serde_json::Value| json!({ "Effect": "Allow", "Action": actions, "Resource": resources });
        let (role, statements) = if is_table(target) {
            let resources = json!([{ "Fn::GetAtt": [target, "Arn"] },
                { "Fn::Sub": format!("${{{target}.Arn}}/index/*") }]);
            let all: [(&str, &[&str]); 2] = [("Read", &READ), ("Write", &WRITE)];
            let asked = all.into_iter().filter(|(name, _)| has(name));
            (source, asked.map(|(_, actions)| statement(actions, resources.clone())).collect())
        } else if is_table(source) {
            let streams = json!([{ "Fn::Sub": format!("${{{source}.Arn}}/stream/*") }]);
            (target, vec![statement(&STREAM, streams)])
        } else {
            return;
        };
        let Some(role) = self.roles.get(role) else { return };
        let properties =
            json!({ "PolicyDocument": { "Version": "2012-10-17", "Statement": statements } });
        let mut properties = Node::from_json(at, &properties);
        if let crate::node::Value::Map(map) = &mut properties.value {
            let roles = Node::list(at, vec![reference(at, role)]);
            map.0.push(Member { name: "Roles".to_owned(), at, node: roles });
        }
        let node = Node::map(
            at,
            vec![
                ("Type".to_owned(), Node::text(at, "AWS::IAM::ManagedPolicy")),
                ("Properties".to_owned(), properties),
            ],
        );
        self.made.push(Member { name: id.to_owned(), at, node });
    }
}
