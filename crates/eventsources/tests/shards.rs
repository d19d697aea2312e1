//! Shards: their order, their ends, and what happens to places in them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

mod support;

use std::time::Duration;

use serde_json::json;
use stillwire_model::{DECLARED_STREAM_LABEL, EventSourceHost as _, EventSourceState};
use support::{STREAM, Scene, done};

fn scene() -> Scene {
    Scene::new(json!({ "BatchSize": 2 }), Box::new(|_| done()))
}

#[tokio::test]
async fn a_child_is_read_once_its_parent_is_at_its_end() {
    let mut scene = scene();
    scene.stream.shard("shard-1", None);
    scene.stream.shard("shard-2", Some("shard-1"));
    scene.stream.write("shard-1", &["a", "b", "c", "d", "e"]);
    scene.stream.write("shard-2", &["f"]);
    scene.read();
    scene.until_items(5).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(scene.items(), ["a", "b", "c", "d", "e"], "the parent is open");
    scene.stream.close("shard-1");
    assert_eq!(scene.until_items(6).await[5], "f");
    // Two parents have no order among each other, but their children wait.
    scene.stream.shard("shard-3", Some("shard-2"));
    scene.stream.write("shard-3", &["g"]);
    scene.stream.close("shard-2");
    assert_eq!(scene.until_items(7).await[6], "g");
    scene.stop().await;
}

#[tokio::test]
async fn a_shard_whose_parent_is_gone_is_read_at_once() {
    let mut scene = scene();
    scene.stream.shard("shard-2", Some("shard-1"));
    scene.stream.write("shard-2", &["a"]);
    scene.read();
    scene.until_items(1).await;
    scene.stop().await;
}

#[tokio::test]
async fn latest_is_the_moment_at_which_the_mapping_was_made() {
    let mut scene = scene();
    scene.stream.shard("shard-1", None);
    scene.stream.shard("shard-2", Some("shard-1"));
    scene.stream.write("shard-1", &["a"]);
    scene.stream.close("shard-1");
    scene.stream.write("shard-2", &["b", "c", "d", "e"]);
    let latest = json!({ "StartingPosition": "LATEST", "Enabled": false });
    let sources = scene.read_with(latest);
    sources.settle(Duration::from_secs(5)).await;
    assert_eq!(sources.status("id").unwrap().state, EventSourceState::Stopped);
    // Written while it is disabled, and while nothing runs at all.
    scene.stream.write("shard-2", &["f"]);
    scene.stop().await;
    scene.stream.write("shard-2", &["g"]);
    scene.stream.close("shard-2");
    scene.stream.shard("shard-3", Some("shard-2"));
    scene.stream.write("shard-3", &["h"]);
    scene.read_with(json!({ "StartingPosition": "LATEST" }));
    assert_eq!(scene.until_items(3).await, ["f", "g", "h"]);
    scene.stop().await;
}

#[tokio::test]
async fn reading_goes_on_where_it_was_and_disabling_keeps_the_place() {
    let mut scene = scene();
    scene.stream.shard("shard-1", None);
    scene.stream.write("shard-1", &["a", "b", "c"]);
    let sources = scene.read();
    scene.until_items(3).await;
    scene.stop().await;
    drop(sources);
    scene.stream.write("shard-1", &["d"]);
    let sources = scene.read();
    assert_eq!(scene.until_items(4).await[3], "d");
    scene.read_with(json!({ "Enabled": false }));
    let stopped = |_: &Scene| {
        let state = sources.status("id").unwrap().state;
        (state == EventSourceState::Stopped).then_some(())
    };
    scene.until(stopped).await;
    scene.stream.write("shard-1", &["e"]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(scene.items().len(), 4);
    scene.read();
    assert_eq!(scene.until_items(5).await[4], "e");
    // One that is deleted and made again begins anew.
    sources.deploy(Vec::new());
    assert_eq!(sources.status("id"), None);
    tokio::time::sleep(Duration::from_millis(100)).await;
    scene.read();
    assert_eq!(scene.until_items(10).await[5..], ["a", "b", "c", "d", "e"]);
    scene.stop().await;
}

#[tokio::test]
async fn an_iterator_that_expired_is_replaced_and_nothing_is_lost() {
    let mut scene = scene();
    scene.stream.shard("shard-1", None);
    scene.stream.write("shard-1", &["a"]);
    scene.read();
    scene.until_items(1).await;
    scene.stream.expire();
    scene.stream.write("shard-1", &["b"]);
    assert_eq!(scene.until_items(2).await, ["a", "b"]);
    scene.stop().await;
}

#[tokio::test]
async fn after_records_were_trimmed_reading_goes_on_with_the_oldest_that_there_is() {
    let mut scene = scene();
    scene.stream.shard("shard-1", None);
    scene.stream.write("shard-1", &["a"]);
    scene.read();
    scene.until_items(1).await;
    scene.stop().await;
    scene.stream.write("shard-1", &["b", "c"]);
    scene.stream.trim("shard-1");
    scene.stream.write("shard-1", &["d"]);
    scene.read();
    assert_eq!(scene.until_items(2).await, ["a", "d"]);
    scene.stop().await;
}

#[tokio::test]
async fn what_fails_for_a_while_is_asked_again() {
    let mut scene = scene();
    scene.stream.shard("shard-1", None);
    scene.stream.write("shard-1", &["a"]);
    for operation in ["DescribeStream", "GetShardIterator", "GetRecords"] {
        scene.stream.refuse(operation, "InternalServerError");
    }
    let sources = scene.read();
    scene.until_items(1).await;
    let ok = |_: &Scene| (&*sources.status("id").unwrap().last_result == "OK").then_some(());
    scene.until(ok).await;
    scene.stop().await;
}

#[tokio::test]
async fn a_quiet_stream_is_looked_at_seldom_and_a_word_is_heeded_at_once() {
    let mut scene = scene();
    scene.stream.shard("shard-1", None);
    let sources = scene.read();
    sources.settle(Duration::from_secs(5)).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let looks = scene.stream.asked_for("GetRecords");
    assert!((2..=5).contains(&looks), "{looks} looks in 600 ms");
    let began = tokio::time::Instant::now();
    scene.stream.write("shard-1", &["a"]);
    scene.until_items(1).await;
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    scene.stop().await;
}

#[tokio::test]
async fn a_stream_of_a_template_is_followed_by_the_table_s_next_one() {
    let mut scene = scene();
    scene.stream.replace("first");
    scene.stream.shard("first-1", None);
    scene.stream.write("first-1", &["a", "b", "c"]);
    let declared = STREAM.replace("2026-01-01T00:00:00.000", DECLARED_STREAM_LABEL);
    let declared = json!({ "EventSourceArn": declared, "StartingPosition": "LATEST" });
    let sources = scene.read_with(declared);
    sources.settle(Duration::from_secs(5)).await;
    scene.stream.write("first-1", &["d"]);
    scene.until_items(1).await;
    // What the first one still has comes before what the second one has.
    scene.stream.replace("second");
    scene.stream.shard("second-1", None);
    scene.stream.write("second-1", &["f"]);
    scene.stream.write("first-1", &["e"]);
    scene.stream.close("first-1");
    assert_eq!(scene.until_items(3).await, ["d", "e", "f"]);
    scene.stop().await;
}
