//! The `Events` of a function: what calls it, as the plain resources that say so.

use super::{Sam, Transform, reference, trust, with};
use crate::node::{Member, Node};

/// Event sources that are polled, with the properties that name them.
const MAPPED: [(&str, &[&str]); 7] = [
    ("DynamoDB", &["Stream"]),
    ("Kinesis", &["Stream"]),
    ("SQS", &["Queue"]),
    ("MSK", &["Stream"]),
    ("MQ", &["Broker"]),
    ("DocumentDB", &["Cluster"]),
    ("SelfManagedKafka", &[]),
];

/// Properties that the plain mapping has too.
const MAPPING: [&str; 22] = [
    "BatchSize",
    "StartingPosition",
    "StartingPositionTimestamp",
    "Enabled",
    "MaximumBatchingWindowInSeconds",
    "MaximumRetryAttempts",
    "BisectBatchOnFunctionError",
    "MaximumRecordAgeInSeconds",
    "ParallelizationFactor",
    "Topics",
    "Queues",
    "SourceAccessConfigurations",
    "TumblingWindowInSeconds",
    "FunctionResponseTypes",
    "FilterCriteria",
    "KmsKeyArn",
    "ScalingConfig",
    "ProvisionedPollerConfig",
    "MetricsConfig",
    "LoggingConfig",
    "AmazonManagedKafkaEventSourceConfig",
    "DestinationConfig",
];

impl Transform<'_> {
    /// Writes out what calls a function; gives the policies that its role needs for that.
    pub(super) fn events(&mut self, sam: &Sam<'_>, target: &Node) -> Vec<&'static str> {
        let mut managed = Vec::new();
        let events = sam.get("Events").and_then(Node::as_map).into_iter().flat_map(|map| &map.0);
        for event in events {
            let Some(kind) = event.node.get("Type").and_then(Node::as_text) else {
                let message = format!("the event {} has no `Type`", event.name);
                self.fail(sam, &format!("Events.{}", event.name), event.at, message);
                continue;
            };
            if let Some((_, names)) = MAPPED.iter().find(|(name, _)| *name == kind) {
                self.mapping(sam, event, names, target);
                let policy = match kind {
                    "DynamoDB" => "service-role/AWSLambdaDynamoDBExecutionRole",
                    "Kinesis" => "service-role/AWSLambdaKinesisExecutionRole",
                    "SQS" => "service-role/AWSLambdaSQSQueueExecutionRole",
                    "MSK" => "service-role/AWSLambdaMSKExecutionRole",
                    _ => continue,
                };
                if !managed.contains(&policy) {
                    managed.push(policy);
                }
                continue;
            }
            self.pushed(sam, event, kind, target);
        }
        managed
    }

    fn mapping(&mut self, sam: &Sam<'_>, event: &Member, names: &[&str], target: &Node) {
        let members = event.node.get("Properties").and_then(Node::as_map);
        let mut properties = with(Vec::new(), "FunctionName", target.clone());
        for member in members.into_iter().flat_map(|map| &map.0) {
            let name = member.name.as_str();
            if names.contains(&name) {
                properties = with(properties, "EventSourceArn", member.node.clone());
            } else if name == "DestinationConfig" {
                properties = with(properties, name, without_types(&member.node));
            } else if MAPPING.contains(&name) {
                properties = with(properties, name, member.node.clone());
            }
        }
        let id = format!("{}{}", sam.id, event.name);
        self.make(sam, &id, "AWS::Lambda::EventSourceMapping", properties);
    }

    /// What pushes events: rules, schedules and subscriptions are listed as what they are on AWS; they do not run here.
    fn pushed(&mut self, sam: &Sam<'_>, event: &Member, kind: &str, target: &Node) {
        let id = format!("{}{}", sam.id, event.name);
        let of = |names: &[&str]| {
            let members = event.node.get("Properties").and_then(Node::as_map);
            let members = members.into_iter().flat_map(|map| &map.0);
            members
                .filter(|member| names.contains(&member.name.as_str()))
                .map(|member| (member.name.clone(), member.node.clone()))
                .collect::<Vec<_>>()
        };
        let value =
            |name: &str| event.node.get("Properties").and_then(|node| node.get(name)).cloned();
        match kind {
            "Api" => {
                self.implicit_rest_api(sam, event);
                let stage = value("RestApiId").and_then(|api| self.stage_of(sam, &api));
                let stage = stage.unwrap_or_else(|| "Prod".to_owned());
                self.allow(sam, &format!("{id}Permission{stage}"), "apigateway", target);
            }
            "HttpApi" => {
                self.implicit_http_api(sam, event);
                self.allow(sam, &format!("{id}Permission"), "apigateway", target);
            }
            "Schedule" => {
                let mut properties = of(&["Name", "Description", "State"]);
                properties
                    .extend(value("Schedule").map(|node| ("ScheduleExpression".to_owned(), node)));
                self.make(sam, &id, "AWS::Events::Rule", properties);
                self.allow(sam, &format!("{id}Permission"), "events", target);
            }
            "ScheduleV2" => {
                let properties = of(&["Name", "Description", "State", "ScheduleExpression"]);
                self.make(sam, &id, "AWS::Scheduler::Schedule", properties);
                if value("RoleArn").is_none() {
                    let role =
                        with(Vec::new(), "AssumeRolePolicyDocument", trust(sam, "scheduler"));
                    self.make(sam, &format!("{id}Role"), "AWS::IAM::Role", role);
                }
            }
            "CloudWatchEvent" | "EventBridgeRule" => {
                let mut properties = of(&["EventBusName", "State"]);
                properties.extend(value("Pattern").map(|node| ("EventPattern".to_owned(), node)));
                self.make(sam, &id, "AWS::Events::Rule", properties);
                self.allow(sam, &format!("{id}Permission"), "events", target);
            }
            "SNS" => {
                let mut properties = of(&["FilterPolicy", "FilterPolicyScope", "Region"]);
                properties.extend(value("Topic").map(|node| ("TopicArn".to_owned(), node)));
                properties = with(properties, "Protocol", Node::text(event.at, "lambda"));
                properties = with(properties, "Endpoint", target.clone());
                self.make(sam, &id, "AWS::SNS::Subscription", properties);
                self.allow(sam, &format!("{id}Permission"), "sns", target);
            }
            "S3" | "Cognito" | "AlexaSkill" | "IoTRule" | "CloudWatchLogs" => {
                let text = format!("events of {kind} do not call this function here");
                self.warn(sam, &format!("Events.{}", event.name), event.at, text);
            }
            other => {
                let message = format!("{other} is not a type of events");
                self.fail(sam, &format!("Events.{}", event.name), event.at, message);
            }
        }
    }

    /// The permission of a service to call the function.
    fn allow(&mut self, sam: &Sam<'_>, id: &str, service: &str, target: &Node) {
        let text = |text: String| Node::text(sam.at, text);
        let properties = vec![
            ("Action".to_owned(), text("lambda:InvokeFunction".to_owned())),
            ("FunctionName".to_owned(), target.clone()),
            ("Principal".to_owned(), text(format!("{service}.amazonaws.com"))),
        ];
        self.make(sam, id, "AWS::Lambda::Permission", properties);
    }

    /// The stage of a REST API that an event refers to.
    fn stage_of(&self, sam: &Sam<'_>, api: &Node) -> Option<String> {
        let id = api.as_call().filter(|call| call.name == "Ref")?.node.as_text()?;
        let stage = self.declared.get(id)?.get("Properties")?.get("StageName")?;
        self.parameter_or(sam, stage).scalar()
    }

    /// `ApiId` or `RestApiId` of an event, where it names an API of the template's.
    pub(super) fn names_an_api(event: &Member, property: &str) -> bool {
        event.node.get("Properties").and_then(|node| node.get(property)).is_some()
    }

    pub(super) fn ref_to(sam: &Sam<'_>, id: &str) -> Node {
        reference(sam.at, id)
    }
}

/// A destination without the `Type` that only SAM reads.
fn without_types(node: &Node) -> Node {
    let mut node = node.clone();
    if let crate::node::Value::Map(sides) = &mut node.value {
        for side in &mut sides.0 {
            if let crate::node::Value::Map(map) = &mut side.node.value {
                map.0.retain(|member| member.name != "Type");
            }
        }
    }
    node
}
