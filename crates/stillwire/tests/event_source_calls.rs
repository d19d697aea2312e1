//! Event source mappings that boto3 makes, reads, changes and removes on a running program.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]

use std::sync::LazyLock;

use rustix::process::Signal;
use serde_json::{Value, json};
use stillwire_testkit::{App, Stillwire, tools};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// Remembers the numbers of its records.
const KEEPS: &str = r#"
numbers = []

def handler(event, context):
    if "read" in event:
        return numbers
    numbers.extend(int(record["dynamodb"]["Keys"]["n"]["N"]) for record in event["Records"])
"#;

fn app() -> App {
    let table = json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
        "TableName": "items", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" },
            { "AttributeName": "n", "AttributeType": "N" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" },
            { "AttributeName": "n", "KeyType": "RANGE" }],
        "StreamSpecification": { "StreamViewType": "NEW_IMAGE" } } });
    let source = json!({ "Type": "AWS::Lambda::EventSourceMapping", "Properties": {
        "FunctionName": { "Ref": "declared" }, "StartingPosition": "LATEST", "BatchSize": 7,
        "EventSourceArn": { "Fn::GetAtt": ["Table", "StreamArn"] },
        "Tags": [{ "Key": "team", "Value": "chat" }] } });
    let named = |name: &str| json!({ "FunctionName": name, "ReservedConcurrentExecutions": 1 });
    App::new()
        .resource("Table", table)
        .function_with("one", KEEPS, &named("one"))
        .function_with("two", KEEPS, &named("two"))
        .function_with("declared", KEEPS, &named("declared"))
        .resource("Source", source)
}

static STILLWIRE: LazyLock<Stillwire> = LazyLock::new(|| app().share(PROGRAM));

fn run(stillwire: &Stillwire, case: &str) -> Value {
    let output = tools::python("event_sources.py", &[&stillwire.ready().to_string(), case]);
    serde_json::from_str(&output).expect("JSON")
}

#[test]
fn a_mapping_lives_from_create_to_delete() {
    let stillwire = app().share(PROGRAM);
    let seen = run(&stillwire, "life");
    let expected = json!({
        "made": [202, "Creating", 10, true],
        "arn": true,
        "got": {
            "State": "Enabled", "StateTransitionReason": "USER_INITIATED", "LastProcessingResult": "OK",
            "BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, "StartingPosition": "TRIM_HORIZON",
            "ParallelizationFactor": 1, "MaximumRetryAttempts": 3, "MaximumRecordAgeInSeconds": -1,
            "BisectBatchOnFunctionError": false, "TumblingWindowInSeconds": 0,
            "FunctionResponseTypes": [], "DestinationConfig": { "OnFailure": {} },
            "FilterCriteria": { "Filters": [{ "Pattern": "{\"eventName\":[\"INSERT\"]}" }] },
        },
        "source": true,
        "modified": true,
        "latest": [3],
        "disabled": [202, "Disabling", 5],
        "while disabled": [1, 2, 3],
        "enabled": ["Enabling", 5, 3],
        "deleted": [202, "Deleting"],
        "gone": ["ResourceNotFoundException", 404, "The resource you requested does not exist."],
        "after the end": [1, 2, 3, 4],
    });
    assert_eq!(seen, expected);
}

#[test]
fn what_no_mapping_may_be_is_refused_in_the_service_s_words() {
    let seen = run(&STILLWIRE, "refusals");
    let unknown =
        json!(["ResourceNotFoundException", 404, "The resource you requested does not exist."]);
    let expected = json!({
        "no function": ["ResourceNotFoundException", 404],
        "no version": ["ResourceNotFoundException", 404],
        "no position": ["ValidationException", 400, "1 validation error detected: Value 'null' at \
            'startingPosition' failed to satisfy constraint: Member must not be null"],
        "batch size": ["ValidationException", 400, "1 validation error detected: Value '10001' at \
            'batchSize' failed to satisfy constraint: Member must have value less than or equal to 10000"],
        "window": ["ValidationException", 400],
        "filter": ["InvalidParameterValueException", 400,
            "Invalid filter pattern definition. (a is neither an object nor a list of values)"],
        "kinesis": ["InvalidParameterValueException", 400],
        "queue batch": ["InvalidParameterValueException", 400],
        "unknown": [unknown, unknown, unknown],
        "again": ["ResourceConflictException", 409, true],
    });
    assert_eq!(seen, expected);
}

#[test]
fn lists_are_in_pages_and_by_function_and_source() {
    let seen = run(&STILLWIRE, "lists");
    let expected = json!({
        "all": true, "of a function": 30, "of a queue": 2, "of both": 1, "first page": 3,
        "no queue": "PROBLEM: there is no sqs here: name an endpoint with AWS_ENDPOINT_URL_SQS",
    });
    assert_eq!(seen, expected);
}

#[test]
fn a_mapping_of_a_template_is_there_to_read() {
    assert_eq!(run(&STILLWIRE, "declared"), json!({ "declared": ["Enabled", 7, "LATEST"] }));
}

#[test]
fn mappings_have_tags() {
    let stillwire = app().share(PROGRAM);
    let expected = json!({ "tags": { "stage": "live", "cost": "low" }, "declared": { "team": "chat" },
        "shown": false, "gone": ["ResourceNotFoundException", 404] });
    assert_eq!(run(&stillwire, "tags"), expected);
}

#[test]
fn mappings_of_calls_survive_a_crash_and_miss_nothing() {
    let (app, data) = (app(), tempfile::tempdir().expect("a folder"));
    let template = app.template();
    let arguments = ["--data-dir", data.path().to_str().expect("a path")];
    let mut stillwire = Stillwire::dev_with(PROGRAM, &template, &arguments);
    let made = run(&stillwire, "keep");
    stillwire.signal(Signal::KILL);
    stillwire.wait();
    let stillwire = Stillwire::dev_with(PROGRAM, &template, &arguments);
    let seen = run(&stillwire, "kept");
    assert_eq!(seen, json!({ "kept": [60, true], "uuid": made["uuid"], "items": [100] }));
}
