//! Events: how often they are tried, what bounds them, and where records of them go.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

mod support;

use std::slice::from_ref;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::{Value, json};
use stillwire_model::{Destinations as _, EventRecord, limits};
use support::{Does, Room, arn, function, nothing, service};

const FAILURE: &str = r#"{"errorMessage":"boom","errorType":"E"}"#;

fn fields(body: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

fn field(fields: &[(String, String)], name: &str) -> String {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap()
}

/// What a service was sent next.
async fn next(received: &Receiver<(String, String)>) -> (String, String) {
    for _ in 0..1000 {
        if let Ok(request) = received.try_recv() {
            return request;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing was sent");
}

#[tokio::test]
async fn a_failed_event_comes_three_times_by_one_id_and_then_goes_to_its_queues() {
    let (url, received) = service();
    let queue = |name: &str| format!("arn:aws:sqs:eu-west-1:111122223333:{name}");
    let letters = json!({ "DeadLetterConfig": { "TargetArn": queue("dead") } });
    let events =
        json!({ "DestinationConfig": { "OnFailure": { "Destination": queue("failed") } } });
    let definition = function("f", &letters, &events);
    let room = Room::new(&[definition], &[Does::Fail(FAILURE)], &[("sqs", url)]);
    assert_eq!(room.event("f", r#"{"n":1}"#).await, 202);
    let calls = room.until_called(3).await;
    assert!(calls.iter().all(|call| call.request_id == calls[0].request_id));
    let (record, letter) = (next(&received).await, next(&received).await);
    assert!(record.0.starts_with("POST /111122223333/failed HTTP/1.1\r\n"), "{}", record.0);
    assert!(record.0.contains("/eu-west-1/sqs/aws4_request"), "{}", record.0);
    let sent: Value = serde_json::from_str(&field(&fields(&record.1), "MessageBody")).unwrap();
    let expected = json!({
        "version": "1.0",
        "timestamp": "2025-02-04T09:12:33.120Z",
        "requestContext": {
            "requestId": &*calls[0].request_id,
            "functionArn": format!("{}:$LATEST", arn("f")),
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": { "n": 1 },
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
        "responsePayload": { "errorMessage": "boom", "errorType": "E" },
    });
    assert_eq!(sent, expected);
    assert!(letter.0.starts_with("POST /111122223333/dead HTTP/1.1\r\n"), "{}", letter.0);
    let letter = fields(&letter.1);
    assert_eq!(field(&letter, "MessageBody"), r#"{"n":1}"#);
    assert_eq!(field(&letter, "MessageAttribute.1.Name"), "RequestID");
    assert_eq!(field(&letter, "MessageAttribute.1.Value.StringValue"), *calls[0].request_id);
    assert_eq!(field(&letter, "MessageAttribute.3.Value.StringValue"), "boom");
}

#[tokio::test]
async fn an_event_bus_and_a_topic_take_records_in_their_own_ways() {
    let (url, received) = service();
    let to = |to: &str| json!({ "DestinationConfig": { "OnSuccess": { "Destination": to } } });
    let bus = "arn:aws:events:us-east-1:1:event-bus/main";
    let topic = "arn:aws:sns:us-east-1:1:topic";
    let definitions = [function("a", &nothing(), &to(bus)), function("b", &nothing(), &to(topic))];
    let endpoints = [("eventbridge", url.clone()), ("sns", url)];
    let room = Room::new(&definitions, &[Does::Return("7")], &endpoints);
    assert_eq!(room.event("a", "{}").await, 202);
    room.until_called(1).await;
    let (head, body) = next(&received).await;
    assert!(head.to_lowercase().contains("x-amz-target: awsevents.putevents"), "{head}");
    let entry = &serde_json::from_str::<Value>(&body).unwrap()["Entries"][0];
    assert_eq!(entry["DetailType"], "Lambda Function Invocation Result - Success");
    assert_eq!(entry["EventBusName"], bus);
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail["responsePayload"], 7);
    assert_eq!(room.event("b", "{}").await, 202);
    let (_, body) = next(&received).await;
    let body = fields(&body);
    assert_eq!(
        (field(&body, "Action"), field(&body, "TopicArn")),
        ("Publish".into(), topic.into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_throttled_event_waits_longer_each_time_and_is_given_up_when_it_is_old() {
    let events = json!({ "MaximumEventAgeInSeconds": 60 });
    let definition = function("f", &nothing(), &events);
    let script = [Does::Throttle, Does::Throttle, Does::Throttle, Does::Return("1")];
    let room = Room::new(from_ref(&definition), &script, &[]);
    assert_eq!(room.event("f", "{}").await, 202);
    room.until_called(4).await;

    let room = Room::new(&[definition], &[Does::Throttle], &[]);
    assert_eq!(room.event("f", "{}").await, 202);
    tokio::time::sleep(Duration::from_mins(10)).await;
    // 1, 2, 4 ms and so on: the seventeenth wait would end after a minute.
    room.until_called(16).await;
}

/// It never will run: no wait would help.
#[tokio::test]
async fn an_event_of_a_function_without_concurrency_goes_to_its_queue_at_once() {
    let (url, received) = service();
    let queue = "arn:aws:sqs:eu-west-1:111122223333:failed";
    let events = json!({ "DestinationConfig": { "OnFailure": { "Destination": queue } } });
    let mut definition = function("f", &nothing(), &events);
    Arc::get_mut(&mut definition.function).unwrap().reserved_concurrency = Some(0);
    let room = Room::new(&[definition], &[Does::Throttle], &[("sqs", url)]);
    assert_eq!(room.event("f", "{}").await, 202);
    let record = next(&received).await;
    let sent: Value = serde_json::from_str(&field(&fields(&record.1), "MessageBody")).unwrap();
    assert_eq!(sent["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(sent["requestContext"]["approximateInvokeCount"], 0, "{sent}");
    room.until_called(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_function_takes_no_more_events_than_its_bound() {
    let room = Room::new(&[function("f", &nothing(), &nothing())], &[Does::Hang], &[]);
    for _ in 0..limits::EVENTS_PER_FUNCTION_MAX {
        assert_eq!(room.event("f", "{}").await, 202);
    }
    let path = "/2015-03-31/functions/f/invocations";
    let refused = room.post(path, &[("x-amz-invocation-type", "Event")], "{}").await;
    assert_eq!(refused.status, 429);
    assert_eq!(room.until_called(limits::EVENTS_RUNNING_MAX).await.len(), 16, "the rest waits");
}

#[tokio::test(start_paused = true)]
async fn functions_that_are_each_other_s_destination_stop_after_a_while() {
    let events = |to: &str| {
        let to = arn(to).to_string();
        json!({ "DestinationConfig": { "OnSuccess": { "Destination": to } } })
    };
    let definitions =
        [function("a", &nothing(), &events("b")), function("b", &nothing(), &events("a"))];
    let room = Room::new(&definitions, &[Does::Return("1")], &[]);
    assert_eq!(room.event("a", "{}").await, 202);
    tokio::time::sleep(Duration::from_secs(10)).await;
    room.until_called(17).await;
}

#[tokio::test]
async fn a_bucket_gets_each_record_as_an_object() {
    let (url, received) = service();
    let events = json!({ "MaximumRetryAttempts": 0, "DestinationConfig": { "OnFailure": { "Destination": "arn:aws:s3:::failures" } } });
    let definition = function("f", &json!({}), &events);
    let room = Room::new(&[definition], &[Does::Fail(FAILURE)], &[("s3", url)]);
    assert_eq!(room.event("f", "{}").await, 202);
    let (head, body) = next(&received).await;
    let key = "PUT /failures/aws/lambda/async/f/2025/02/04/2025-02-04T09.12.33-";
    assert!(head.starts_with(key), "{head}");
    assert!(
        head.contains("/us-east-1/s3/aws4_request") && head.contains("x-amz-content-sha256: "),
        "{head}"
    );
    let record: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
}

#[tokio::test]
async fn others_send_their_records_the_same_way() {
    let (url, received) = service();
    let definitions =
        [function("f", &json!({}), &json!({})), function("told", &json!({}), &json!({}))];
    let room = Room::new(&definitions, &[Does::Return("null")], &[("sqs", url)]);
    let record = |to: &str| EventRecord {
        to: to.to_owned(),
        function: arn("f").as_str().to_owned(),
        body: r#"{"a":1}"#.to_owned(),
        object_key: "key".to_owned(),
    };
    let send = |to: &str| room.lambda.send(record(to));
    assert_eq!(send("arn:aws:sqs:eu-west-1:111122223333:failed").await, Ok(()));
    let (head, body) = next(&received).await;
    assert!(head.starts_with("POST /111122223333/failed HTTP/1.1"), "{head}");
    assert_eq!(field(&fields(&body), "MessageBody"), r#"{"a":1}"#);
    assert_eq!(send(arn("told").as_str()).await, Ok(()));
    let calls = room.until_called(1).await;
    assert_eq!((calls[0].function.name(), &calls[0].payload[..]), ("told", &br#"{"a":1}"#[..]));
    for (to, why) in [
        ("nobody", "this is no ARN"),
        ("arn:aws:sns:eu-west-1:1:topic", "name an endpoint with AWS_ENDPOINT_URL_SNS"),
        ("arn:aws:kinesis:eu-west-1:1:stream/s", "kinesis takes none here"),
        ("arn:aws:lambda:us-east-1:1:function:nobody", "there is no such function here"),
    ] {
        let error = send(to).await.unwrap_err();
        assert!(error.contains(why), "{to}: {error}");
    }
}
