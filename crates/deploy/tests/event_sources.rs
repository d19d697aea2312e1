//! Event source mappings of templates.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use stillwire_deploy::Action;
use stillwire_model::{EventSource, StartingPosition};

use support::{error, function, loaded, row};

/// What the CDK synthesises of two tables with streams (`Table`, `TableV2`), a queue, and a function with a
/// `DynamoEventSource` for each table and an `SqsEventSource`. The alias is ours.
fn app() -> Value {
    let table = |kind: &str, more: &Value| {
        let mut properties = json!({
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "StreamSpecification": { "StreamViewType": "NEW_IMAGE" } });
        for (name, value) in more.as_object().unwrap() {
            properties[name] = value.clone();
        }
        json!({ "Type": kind, "Properties": properties })
    };
    let replicas = json!({ "BillingMode": "PAY_PER_REQUEST", "Replicas": [{ "Region": { "Ref": "AWS::Region" } }] });
    let mut app = json!({ "Resources": {
        "Fn": function(&json!({})),
        "Table": table("AWS::DynamoDB::Table", &json!({})),
        "TableV2": table("AWS::DynamoDB::GlobalTable", &replicas),
        "Queue": { "Type": "AWS::SQS::Queue", "Properties": { "QueueName": "jobs" } },
        "FromTable": { "Type": "AWS::Lambda::EventSourceMapping", "Properties": {
            "BatchSize": 10, "BisectBatchOnFunctionError": true,
            "DestinationConfig": { "OnFailure": { "Destination": { "Fn::GetAtt": ["Queue", "Arn"] } } },
            "EventSourceArn": { "Fn::GetAtt": ["Table", "StreamArn"] },
            "FilterCriteria": { "Filters": [{ "Pattern": "{\"eventName\":[\"INSERT\"]}" }] },
            "FunctionName": { "Ref": "Fn" }, "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "MaximumBatchingWindowInSeconds": 1, "MaximumRecordAgeInSeconds": 300,
            "MaximumRetryAttempts": 2, "ParallelizationFactor": 2, "StartingPosition": "LATEST",
            "TumblingWindowInSeconds": 30 } },
        "FromTableV2": { "Type": "AWS::Lambda::EventSourceMapping", "Properties": {
            "BatchSize": 100, "EventSourceArn": { "Fn::GetAtt": ["TableV2", "StreamArn"] },
            "FunctionName": { "Ref": "Fn" }, "StartingPosition": "TRIM_HORIZON" } },
        "FromQueue": { "Type": "AWS::Lambda::EventSourceMapping", "Properties": {
            "EventSourceArn": { "Fn::GetAtt": ["Queue", "Arn"] }, "Enabled": false,
            "ScalingConfig": { "MaximumConcurrency": 5 },
            "FunctionName": { "Fn::Join": ["", [{ "Fn::GetAtt": ["Fn", "Arn"] }, ":live"]] } } }
    } });
    app["Resources"]["Fn"]["Properties"]["FunctionName"] = "worker".into();
    app
}

/// The text of the problem of an app whose mapping has these properties too.
fn problem(more: Value) -> String {
    let mut app = app();
    for (name, value) in more.as_object().unwrap() {
        app["Resources"]["FromTable"]["Properties"][name] = value.clone();
    }
    error(&app)
}

#[test]
fn mappings_of_the_cdk_are_read() {
    let loaded = loaded(&app());
    let mappings: Vec<_> = loaded.app.event_sources().collect();
    let [from_table, from_table_v2, from_queue] = mappings.as_slice() else {
        panic!("{mappings:?}")
    };
    let tables: Vec<_> = loaded.app.tables().collect();
    let EventSource::Stream(stream) = &from_table.source else { panic!("{from_table:?}") };
    assert_eq!(stream.arn.table_arn(), tables[0].arn);
    assert_eq!(stream.arn.as_str(), tables[0].stream_arn);
    assert_eq!(stream.starting_position, StartingPosition::Latest);
    assert_eq!((stream.retries, stream.bisect, stream.parallelization_factor), (Some(2), true, 2));
    assert_eq!(stream.record_age, Some(Duration::from_mins(5)));
    assert_eq!(stream.tumbling_window, Some(Duration::from_secs(30)));
    assert!(stream.on_failure.as_ref().unwrap().ends_with(":jobs"));
    assert_eq!((from_table.batch_size, from_table.qualifier.as_deref()), (10, None));
    assert_eq!(from_table.batching_window, Duration::from_secs(1));
    assert!(from_table.enabled && from_table.report_item_failures);
    assert_eq!(from_table.filters, [r#"{"eventName":["INSERT"]}"#]);
    assert_eq!(from_table.function.name(), "worker");
    let EventSource::Stream(stream) = &from_table_v2.source else { panic!("{from_table_v2:?}") };
    assert_eq!(stream.arn.table_arn(), tables[1].arn);
    assert_eq!(stream.starting_position, StartingPosition::TrimHorizon);
    let EventSource::Queue(queue) = &from_queue.source else { panic!("{from_queue:?}") };
    assert_eq!((queue.arn.name(), queue.maximum_concurrency), ("jobs", Some(5)));
    assert!(!from_queue.enabled);
    assert_eq!((from_queue.batch_size, from_queue.qualifier.as_deref()), (10, Some("live")));
    let row = row(&loaded, "FromTable");
    assert_eq!(row.action, Action::Runs);
    assert_eq!(row.note, format!("the stream of {} for worker", tables[0].name));
}

#[test]
fn what_is_wrong_with_a_mapping_is_said_with_its_place() {
    for (more, said) in [
        (json!({ "StartingPosition": "AT_TIMESTAMP" }), "StartingPosition is AT_TIMESTAMP"),
        (json!({ "BatchSize": 20000 }), "BatchSize is 20000; it may be 1 to 10000"),
        (
            json!({ "FilterCriteria": { "Filters": [{ "Pattern": "{\"a\":1}" }] } }),
            "a filter is no event pattern: a is neither an object nor a list of values",
        ),
        (
            json!({ "EventSourceArn": { "Fn::GetAtt": ["Table", "Arn"] } }),
            "is not the ARN of a stream",
        ),
    ] {
        let text = problem(more);
        assert!(text.contains(said) && text.contains("FromTable"), "{text}");
    }
    let mut app = app();
    let table = app["Resources"]["Table"]["Properties"].as_object_mut().unwrap();
    table.remove("StreamSpecification");
    let text = error(&app);
    assert!(
        text.contains("(Table) has no stream") && text.contains("StreamSpecification"),
        "{text}"
    );
}

#[test]
fn sources_and_functions_that_are_not_here_are_told_and_do_not_stop_the_app() {
    for (name, value, said) in [
        (
            "EventSourceArn",
            json!("arn:aws:kinesis:us-east-1:1:stream/s"),
            "a source of kinesis is not read here",
        ),
        ("FunctionName", json!("other"), "is not among the functions of this app"),
    ] {
        let mut app = app();
        app["Resources"]["FromTable"]["Properties"][name] = value;
        let loaded = loaded(&app);
        assert_eq!(row(&loaded, "FromTable").action, Action::NotRun);
        assert!(
            loaded.notices.iter().any(|notice| notice.text.contains(said)),
            "{:?}",
            loaded.notices
        );
    }
}
