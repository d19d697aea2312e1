//! What is read, what is refused, and that answers read back as the same mapping.

use super::*;

const STREAM: &str = "arn:aws:dynamodb:us-east-1:1:table/Chat/stream/x";
const QUEUE: &str = "arn:aws:sqs:us-east-1:1:jobs";

fn read(arn: &str, more: Value) -> Result<EventSourceMapping, InvalidEventSource> {
    let mut members = Map::from_iter([("EventSourceArn".to_owned(), arn.into())]);
    if arn == STREAM {
        members.insert("StartingPosition".to_owned(), "LATEST".into());
    }
    members.extend(more.as_object().cloned().unwrap_or_default());
    let function = FunctionArn::new("aws", "us-east-1", "1", "f");
    EventSourceMapping::read("id".into(), (function, None), &members)
}

#[test]
fn what_is_not_said_is_as_on_lambda() {
    let mapping = read(STREAM, json!({})).unwrap();
    assert!(mapping.enabled && mapping.filters.is_empty() && !mapping.report_item_failures);
    assert_eq!((mapping.batch_size, mapping.batching_window), (100, Duration::ZERO));
    let EventSource::Stream(stream) = mapping.source else { panic!("{mapping:?}") };
    assert_eq!(stream.starting_position, StartingPosition::Latest);
    assert_eq!((stream.retries, stream.record_age, stream.bisect), (None, None, false));
    assert_eq!((stream.parallelization_factor, stream.tumbling_window), (1, None));
    assert_eq!(read(QUEUE, json!({})).unwrap().batch_size, 10);
}

#[test]
fn answers_read_back_as_the_same_mapping() {
    let stream = json!({ "BatchSize": "10", "Enabled": "false", "MaximumRetryAttempts": 0,
        "MaximumBatchingWindowInSeconds": 5, "StartingPosition": "TRIM_HORIZON",
        "MaximumRecordAgeInSeconds": 60, "BisectBatchOnFunctionError": true,
        "ParallelizationFactor": 4, "TumblingWindowInSeconds": 30,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": { "Filters": [{ "Pattern": "{\"a\":[1]}" }] },
        "DestinationConfig": { "OnFailure": { "Destination": "arn:aws:sqs:r:1:q" } } });
    let queue = json!({ "BatchSize": 100, "MaximumBatchingWindowInSeconds": 1,
        "ScalingConfig": { "MaximumConcurrency": 2 } });
    for (arn, members) in [(STREAM, stream), (STREAM, json!({})), (QUEUE, queue)] {
        let first = read(arn, members).unwrap();
        let again =
            EventSourceMapping::read("id".into(), (first.function.clone(), None), &first.members());
        assert_eq!(again, Ok(first));
    }
}

#[test]
fn what_is_wrong_is_named() {
    let many: Vec<Value> = (0..11).map(|_| json!({ "Pattern": "{}" })).collect();
    for (arn, members, said) in [
        (STREAM, json!({ "BatchSize": 0 }), "BatchSize is 0; it may be 1 to 10000"),
        (STREAM, json!({ "BatchSize": "ten" }), "BatchSize is not a whole number"),
        (STREAM, json!({ "StartingPosition": null }), "StartingPosition is missing"),
        (STREAM, json!({ "StartingPosition": "AT_TIMESTAMP" }), "TRIM_HORIZON or LATEST"),
        (STREAM, json!({ "MaximumRecordAgeInSeconds": 59 }), "it may be 60 to 604800"),
        (STREAM, json!({ "ScalingConfig": {} }), "ScalingConfig is for queues"),
        (STREAM, json!({ "Enabled": "yes" }), "Enabled is neither true nor false"),
        (STREAM, json!({ "FunctionResponseTypes": ["x"] }), "ReportBatchItemFailures"),
        (STREAM, json!({ "FilterCriteria": { "Filters": many } }), "more than 10 filters"),
        (STREAM, json!({ "FilterCriteria": { "Filters": [{}] } }), "without a `Pattern`"),
        (QUEUE, json!({ "BatchSize": 11 }), "greater than 0 if BatchSize is greater than 10"),
        (QUEUE, json!({ "StartingPosition": "LATEST" }), "is for streams"),
        (QUEUE, json!({ "ScalingConfig": { "MaximumConcurrency": 1 } }), "it may be 2 to 1000"),
        ("arn:aws:sqs:r:1:q.fifo", json!({ "BatchSize": 11 }), "it may be 1 to 10"),
        ("arn:aws:kinesis:r:1:stream/s", json!({}), "a source of kinesis is not read here"),
        ("Chat", json!({}), "is not an ARN"),
    ] {
        let error = read(arn, members).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}
