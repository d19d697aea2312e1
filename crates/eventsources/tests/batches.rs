//! Batches that fail: how often, in which pieces, and who is told.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use stillwire_model::{Metrics as _, Outcome};
use support::{STREAM, Scene, done, failed, throttled};

const TO: &str = "arn:aws:sqs:eu-west-1:1:failures";

fn started(mapping: Value, items: &[&str], does: support::Does) -> Scene {
    let mut scene = Scene::new(mapping, does);
    scene.stream.shard("shard-1", None);
    scene.stream.write("shard-1", items);
    scene.read();
    scene
}

#[tokio::test]
async fn attempts_are_counted_and_then_the_batch_is_told_and_passed() {
    let mapping = json!({ "MaximumRetryAttempts": 2, "BatchSize": 3,
        "DestinationConfig": { "OnFailure": { "Destination": TO } } });
    let poison = |items: &[String]| if items.contains(&"b".to_owned()) { failed() } else { done() };
    let mut scene = started(mapping, &["a", "b", "c", "d"], Box::new(poison));
    scene.until(|scene| scene.items().contains(&"d".to_owned()).then_some(())).await;
    let abc = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    assert_eq!(scene.batches(), [abc.clone(), abc.clone(), abc, vec!["d".to_owned()]]);
    let [told] = scene.records().try_into().unwrap();
    assert_eq!(
        (told.to.as_str(), told.function.as_str()),
        (TO, "arn:aws:lambda:eu-west-1:1:function:f")
    );
    assert!(
        told.object_key.starts_with("aws/lambda/id/shard-1/2027/01/15/2027-01-15T08.00.00-"),
        "{}",
        told.object_key
    );
    let mut body: Value = serde_json::from_str(&told.body).unwrap();
    let id = body["requestContext"].as_object_mut().unwrap().remove("requestId").unwrap();
    assert_eq!(id.as_str().unwrap().len(), 36);
    let expected = json!({
        "requestContext": { "functionArn": "arn:aws:lambda:eu-west-1:1:function:f",
            "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3 },
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
        "version": "1.0",
        "timestamp": "2027-01-15T08:00:00.000Z",
        "DDBStreamBatchInfo": { "shardId": "shard-1", "startSequenceNumber": "1",
            "endSequenceNumber": "3", "approximateArrivalOfFirstRecord": "2027-01-15T08:00:00.000Z",
            "approximateArrivalOfLastRecord": "2027-01-15T08:00:00.000Z", "batchSize": 3,
            "streamArn": STREAM },
    });
    assert_eq!(body, expected);
    scene.stop().await;
}

#[tokio::test]
async fn a_bucket_gets_the_event_too() {
    let mapping = json!({ "MaximumRetryAttempts": 0,
        "DestinationConfig": { "OnFailure": { "Destination": "arn:aws:s3:::failures" } } });
    let mut scene = started(mapping, &["a"], Box::new(|_| failed()));
    let told = scene.until(|scene| scene.records().pop()).await;
    let body: Value = serde_json::from_str(&told.body).unwrap();
    let event: Value = serde_json::from_str(body["payload"].as_str().unwrap()).unwrap();
    assert_eq!(event["Records"][0]["dynamodb"]["Keys"]["id"]["S"], "a");
    scene.stop().await;
}

#[tokio::test]
async fn halves_are_tried_in_order_and_a_split_is_no_attempt() {
    let mapping = json!({ "MaximumRetryAttempts": 0, "BisectBatchOnFunctionError": true });
    let poison = |items: &[String]| if items.contains(&"c".to_owned()) { failed() } else { done() };
    let mut scene = started(mapping, &["a", "b", "c"], Box::new(poison));
    scene.stream.write("shard-1", &["d"]);
    scene.until(|scene| scene.items().contains(&"d".to_owned()).then_some(())).await;
    let batches: Vec<String> = scene.batches().iter().map(|batch| batch.concat()).collect();
    // The fourth may have come with the others.
    let expected: &[&[&str]] =
        &[&["abc", "a", "bc", "b", "c", "d"], &["abcd", "ab", "cd", "c", "d"]];
    assert!(expected.iter().any(|expected| batches == *expected), "{batches:?}");
    scene.stop().await;
}

#[tokio::test]
async fn records_that_are_too_old_are_given_up_before_the_function_gets_them() {
    let mapping = json!({ "MaximumRecordAgeInSeconds": 60,
        "DestinationConfig": { "OnFailure": { "Destination": TO } } });
    let mut scene = Scene::new(mapping, Box::new(|_| done()));
    scene.stream.shard("shard-1", None);
    scene.stream.write("shard-1", &["old", "older"]);
    scene.clock.advance(Duration::from_secs(61));
    scene.stream.write("shard-1", &["new"]);
    scene.read();
    assert_eq!(scene.until_items(1).await, ["new"]);
    let [told] = scene.records().try_into().unwrap();
    let body: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(body["requestContext"]["condition"], "MaximumRecordAgeExceeded");
    assert_eq!(body["requestContext"]["approximateInvokeCount"], 0);
    assert_eq!(body["DDBStreamBatchInfo"]["batchSize"], 2);
    assert!(body.get("responseContext").is_none());
    scene.stop().await;
}

#[tokio::test]
async fn a_function_that_is_throttled_loses_no_attempt() {
    let calls = AtomicUsize::new(0);
    let does = move |_: &[String]| match calls.fetch_add(1, Ordering::Relaxed) {
        0..3 => throttled(),
        3 => failed(),
        _ => done(),
    };
    let mut scene = started(json!({ "MaximumRetryAttempts": 1 }), &["a"], Box::new(does));
    scene.until_items(5).await;
    assert_eq!(scene.records(), []);
    scene.stop().await;
}

#[tokio::test]
async fn partial_failures_move_on_to_the_first_failed_record() {
    // Each time the second record has failed; the last one of all is alone, and done.
    let does = |items: &[String]| {
        let failure = if items.len() > 1 {
            json!([{ "itemIdentifier": sequence(&items[1]) }])
        } else {
            json!([])
        };
        Outcome::Returned(json!({ "batchItemFailures": failure }).to_string().into())
    };
    let mapping = json!({ "MaximumRetryAttempts": 1, "BisectBatchOnFunctionError": true,
        "FunctionResponseTypes": ["ReportBatchItemFailures"] });
    let mut scene = started(mapping, &["1", "2", "3"], Box::new(does));
    scene.until_items(6).await;
    let batches: Vec<String> = scene.batches().iter().map(|batch| batch.concat()).collect();
    assert_eq!(batches, ["123", "23", "3"]);
    scene.stop().await;
}

/// Items are called as their sequence numbers.
fn sequence(item: &str) -> &str {
    item
}

#[tokio::test]
async fn a_stop_waits_for_no_failure_and_the_rest_comes_again() {
    let does = |items: &[String]| if items.contains(&"b".to_owned()) { failed() } else { done() };
    let mapping = json!({ "BatchSize": 1 });
    let mut scene = started(mapping, &["a", "b"], Box::new(does));
    scene.until(|scene| (scene.items().len() >= 4).then_some(())).await;
    let began = tokio::time::Instant::now();
    scene.stop().await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let count = scene.batches().len();
    scene.read();
    let again = scene.until(|scene| scene.batches().get(count).cloned()).await;
    assert_eq!(again, ["b"], "what is done does not come again");
    scene.stop().await;
}

#[tokio::test]
async fn what_becomes_of_events_is_counted() {
    let pattern =
        json!({ "dynamodb": { "Keys": { "id": { "S": [{ "anything-but": "unwanted" }] } } } });
    let mapping = json!({ "MaximumRetryAttempts": 1, "BatchSize": 2,
        "FilterCriteria": { "Filters": [{ "Pattern": pattern.to_string() }] } });
    let poison = |items: &[String]| if items.contains(&"b".to_owned()) { failed() } else { done() };
    let mut scene = Scene::new(mapping, Box::new(poison));
    scene.stream.shard("shard-1", None);
    scene.stream.write("shard-1", &["a", "unwanted", "b", "c"]);
    let sources = scene.read();
    scene.until(|scene| scene.items().contains(&"c".to_owned()).then_some(())).await;
    scene.stop().await;
    let text = sources.text();
    for (name, count) in [
        ("polled_event_count", 4),
        ("filtered_out_event_count", 1),
        ("invoked_event_count", 5), // two of them twice
        ("failed_invoke_event_count", 4),
        ("on_failure_destination_delivered_event_count", 0),
        ("dropped_event_count", 2),
        ("deleted_event_count", 0),
    ] {
        let line = format!(
            "stillwire_lambda_event_source_{name}_total{{event_source_mapping_uuid=\"id\",function_name=\"f\"}} {count}"
        );
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
