//! The role that functions of a service share.

use serde_json::json;

use super::Writer;
use super::names::normalized;
use crate::node::{Member, Node, Position, Value};

/// What reading a stream of a table needs.
const STREAM: [&str; 4] = [
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:DescribeStream",
    "dynamodb:ListStreams",
];

/// What reading a queue needs.
const QUEUE: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

impl Writer<'_> {
    /// The role that functions share.
    pub(super) fn role(&mut self, functions: &[&Member]) {
        let service = self.service;
        let at = service.root.at;
        let iam = service.get(&["provider", "iam", "role"]);
        let statements = iam.and_then(|role| role.get("statements"));
        let statements = statements.or_else(|| service.provider("iamRoleStatements"));
        let mut all = self.logs(functions);
        let own = statements.and_then(Node::as_list).unwrap_or_default();
        all.extend(own.iter().cloned().map(with_list_of_actions));
        for function in functions {
            all.extend(destinations(function));
        }
        let events = |name: &'static str| {
            functions.iter().flat_map(move |function| {
                let events = function.node.get("events").and_then(Node::as_list);
                events.unwrap_or_default().iter().filter_map(move |event| event.get(name))
            })
        };
        if events("websocket").next().is_some() {
            let connections = "arn:${AWS::Partition}:execute-api:*:*:*/@connections/*";
            let resource = Node::from_json(at, &json!({ "Fn::Sub": connections }));
            all.push(allow(at, &["execute-api:ManageConnections"], vec![resource]));
        }
        let arn = |event: &Node| event.get("arn").unwrap_or(event).clone();
        let is_kinesis =
            |event: &&Node| event.get("type").and_then(Node::as_text) == Some("kinesis");
        let streams: Vec<Node> =
            events("stream").filter(|event| !is_kinesis(event)).map(arn).collect();
        if !streams.is_empty() {
            all.push(allow(at, &STREAM, streams));
        }
        let queues: Vec<Node> = events("sqs").map(arn).collect();
        if !queues.is_empty() {
            all.push(allow(at, &QUEUE, queues));
        }
        let name = format!("{}-{}-lambda", service.name, service.stage);
        let document = Node::map(
            at,
            vec![
                ("Version".to_owned(), Node::text(at, "2012-10-17")),
                ("Statement".to_owned(), Node::list(at, all)),
            ],
        );
        let policy = Node::map(
            at,
            vec![
                ("PolicyName".to_owned(), Node::text(at, name)),
                ("PolicyDocument".to_owned(), document),
            ],
        );
        let assume = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow",
            "Principal": { "Service": ["lambda.amazonaws.com"] }, "Action": ["sts:AssumeRole"] }] });
        let role = json!({ "Fn::Join": ["-", [service.name, service.stage, { "Ref": "AWS::Region" }, "lambdaRole"]] });
        let role = iam
            .and_then(|role| role.get("name"))
            .cloned()
            .unwrap_or_else(|| Node::from_json(at, &role));
        let mut properties = vec![
            ("AssumeRolePolicyDocument".to_owned(), Node::from_json(at, &assume)),
            ("Policies".to_owned(), Node::list(at, vec![policy])),
            ("Path".to_owned(), Node::text(at, "/")),
            ("RoleName".to_owned(), role),
        ];
        let managed = iam.and_then(|role| role.get("managedPolicies"));
        properties.extend(managed.map(|node| ("ManagedPolicyArns".to_owned(), node.clone())));
        self.make(at, "IamRoleLambdaExecution", "AWS::IAM::Role", Node::map(at, properties));
    }

    /// What writing logs needs: the groups of functions with names of their own, and of all others.
    fn logs(&self, functions: &[&Member]) -> Vec<Node> {
        let service = self.service;
        let at = service.root.at;
        let common = format!("{}-{}", service.name, service.stage);
        let names = functions.iter().filter_map(|function| function.node.get("name")?.scalar());
        let mut groups: Vec<String> = names.filter(|name| !name.starts_with(&common)).collect();
        groups.push(format!("{common}*"));
        let resources = |end: &str| {
            let arn = |group: &String| {
                let text = format!(
                    "arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:/aws/lambda/{group}{end}"
                );
                Node::from_json(at, &json!({ "Fn::Sub": text }))
            };
            groups.iter().map(arn).collect()
        };
        vec![
            allow(
                at,
                &["logs:CreateLogStream", "logs:CreateLogGroup", "logs:TagResource"],
                resources(":*"),
            ),
            allow(at, &["logs:PutLogEvents"], resources(":*:*")),
        ]
    }
}

fn allow(at: Position, actions: &[&str], resources: Vec<Node>) -> Node {
    Node::map(
        at,
        vec![
            ("Effect".to_owned(), Node::text(at, "Allow")),
            ("Action".to_owned(), Node::from_json(at, &json!(actions))),
            ("Resource".to_owned(), Node::list(at, resources)),
        ],
    )
}

/// What sending records of events to where a function wants them needs.
fn destinations(function: &Member) -> Vec<Node> {
    let destinations = function.node.get("destinations").and_then(Node::as_map).into_iter();
    let statement = |member: &Member| {
        let target = member.node.get("arn").unwrap_or(&member.node);
        let text = target.as_text().unwrap_or_default();
        let service = text.split(':').nth(2).or_else(|| member.node.get("type")?.as_text());
        let action = match service {
            Some("sqs") => "sqs:SendMessage",
            Some("sns") => "sns:Publish",
            Some("events" | "eventBus") => "events:PutEvents",
            _ => "lambda:InvokeFunction",
        };
        let is_key = !text.is_empty() && !text.starts_with("arn:");
        let resource = if is_key {
            let id = format!("{}LambdaFunction", normalized(text));
            Node::from_json(target.at, &json!({ "Fn::GetAtt": [id, "Arn"] }))
        } else {
            target.clone()
        };
        let at = member.at;
        Node::map(
            at,
            vec![
                ("Effect".to_owned(), Node::text(at, "Allow")),
                ("Action".to_owned(), Node::text(at, action)),
                ("Resource".to_owned(), resource),
            ],
        )
    };
    destinations.flat_map(|map| &map.0).map(statement).collect()
}

/// A statement whose `Action` is a list.
fn with_list_of_actions(mut statement: Node) -> Node {
    if let Value::Map(map) = &mut statement.value {
        for member in map.0.iter_mut().filter(|member| member.name == "Action") {
            if member.node.as_text().is_some() {
                member.node = Node::list(member.at, vec![member.node.clone()]);
            }
        }
    }
    statement
}
