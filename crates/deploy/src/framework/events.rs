//! What calls functions, besides WebSocket APIs.

use serde_json::json;

use super::Writer;
use super::names::{normalized, plain};
use crate::node::{Member, Node};

/// Members of a stream or queue and the properties that they become.
const MAPPING: [(&str, &str); 13] = [
    ("batchSize", "BatchSize"),
    ("batchWindow", "MaximumBatchingWindowInSeconds"),
    ("maximumBatchingWindow", "MaximumBatchingWindowInSeconds"),
    ("startingPosition", "StartingPosition"),
    ("startingPositionTimestamp", "StartingPositionTimestamp"),
    ("enabled", "Enabled"),
    ("maximumRetryAttempts", "MaximumRetryAttempts"),
    ("maximumRecordAgeInSeconds", "MaximumRecordAgeInSeconds"),
    ("bisectBatchOnFunctionError", "BisectBatchOnFunctionError"),
    ("parallelizationFactor", "ParallelizationFactor"),
    ("tumblingWindowInSeconds", "TumblingWindowInSeconds"),
    ("functionResponseType", "FunctionResponseTypes"),
    ("filterPatterns", "FilterCriteria"),
];

impl Writer<'_> {
    pub(super) fn events(&mut self, function: &Member) {
        let events = function.node.get("events").and_then(Node::as_list).unwrap_or_default();
        let mut schedules = 0;
        for event in events {
            let Some(event) = event.only_member() else { continue };
            match event.name.as_str() {
                "websocket" => {}
                "stream" => self.mapping(function, event, "Dynamodb"),
                "sqs" => self.mapping(function, event, "SQS"),
                "http" => self.other_api(event, "ApiGatewayRestApi", "AWS::ApiGateway::RestApi"),
                "httpApi" => self.other_api(event, "HttpApi", "AWS::ApiGatewayV2::Api"),
                "schedule" => {
                    schedules += 1;
                    self.schedule(function, event, schedules);
                }
                kind => {
                    let property = format!("functions.{}.events", function.name);
                    let text = format!("{kind} events do not call {} here", function.name);
                    self.warn(event.at, &property, text);
                }
            }
        }
    }

    fn mapping(&mut self, function: &Member, event: &Member, kind: &str) {
        let (at, node) = (event.at, &event.node);
        let property = format!("functions.{}.events.{}", function.name, event.name);
        let Some(arn) = node.get("arn").or_else(|| node.as_text().map(|_| node)) else {
            return self.fail(at, &property, format!("a {} has an `arn`", event.name));
        };
        let is_stream = event.name == "stream";
        let kinesis = node.get("type").and_then(Node::as_text) == Some("kinesis");
        let kind = if is_stream && kinesis { "Kinesis" } else { kind };
        let mut properties = vec![
            ("EventSourceArn".to_owned(), arn.clone()),
            (
                "FunctionName".to_owned(),
                Node::from_json(
                    at,
                    &json!({ "Fn::GetAtt": [
                    format!("{}LambdaFunction", normalized(&function.name)), "Arn"] }),
                ),
            ),
        ];
        for (ours, theirs) in MAPPING {
            let Some(value) = node.get(ours) else { continue };
            let value = match ours {
                "functionResponseType" => Node::list(at, vec![value.clone()]),
                "filterPatterns" => {
                    let patterns = value.as_list().unwrap_or_default().iter().map(|pattern| {
                        let text = Node::text(at, pattern.to_json().to_string());
                        Node::map(at, vec![("Pattern".to_owned(), text)])
                    });
                    Node::map(at, vec![("Filters".to_owned(), Node::list(at, patterns.collect()))])
                }
                _ => value.clone(),
            };
            properties.push((theirs.to_owned(), value));
        }
        if is_stream && node.get("batchSize").is_none() {
            properties.push(("BatchSize".to_owned(), Node::text(at, "10")));
        }
        if is_stream && node.get("startingPosition").is_none() {
            properties.push(("StartingPosition".to_owned(), Node::text(at, "TRIM_HORIZON")));
        }
        if let Some(target) = node.get("destinations").and_then(|all| all.get("onFailure")) {
            let arn = target.get("arn").unwrap_or(target).clone();
            let side = Node::map(at, vec![("Destination".to_owned(), arn)]);
            let sides = Node::map(at, vec![("OnFailure".to_owned(), side)]);
            properties.push(("DestinationConfig".to_owned(), sides));
        }
        // The source's name: a resource of the template, else the end of the ARN.
        let source = match arn.as_call().map(|call| &call.node) {
            Some(call) => {
                call.as_list().and_then(|items| items.first()?.as_text()).or_else(|| call.as_text())
            }
            None => arn.as_text(),
        };
        let source = source.unwrap_or_default();
        let source = source.split("/stream/").next().unwrap_or_default();
        let source = source.rsplit(['/', ':']).next().unwrap_or_default();
        let source = source.split('.').next().unwrap_or_default();
        let base = normalized(&function.name);
        let id = format!("{base}EventSourceMapping{kind}{}", plain(source));
        self.make(at, &id, "AWS::Lambda::EventSourceMapping", Node::map(at, properties));
    }

    /// A schedule: listed as what it is on AWS; it calls nothing here.
    fn schedule(&mut self, function: &Member, event: &Member, number: usize) {
        let (at, base) = (event.at, normalized(&function.name));
        let rate = event.node.get("rate").unwrap_or(&event.node).to_json();
        let rule = json!({ "ScheduleExpression": rate });
        let id = format!("{base}EventsRuleSchedule{number}");
        self.make(at, &id, "AWS::Events::Rule", Node::from_json(at, &rule));
        let arn = json!({ "Fn::GetAtt": [format!("{base}LambdaFunction"), "Arn"] });
        let permission = json!({ "FunctionName": arn, "Action": "lambda:InvokeFunction",
            "Principal": "events.amazonaws.com" });
        let id = format!("{base}LambdaPermissionEventsRuleSchedule{number}");
        self.make(at, &id, "AWS::Lambda::Permission", Node::from_json(at, &permission));
    }

    /// An API of another kind: listed as not served here, once.
    fn other_api(&mut self, event: &Member, id: &str, kind: &str) {
        if self.made.iter().any(|member| member.name == id) {
            return;
        }
        let properties =
            if id == "HttpApi" { json!({ "ProtocolType": "HTTP" }) } else { json!({}) };
        self.make(event.at, id, kind, Node::from_json(event.at, &properties));
    }
}
