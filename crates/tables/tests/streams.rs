//! Streams and expiry through the Streams API.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test may say so")]

mod common;

use std::time::Duration;

use common::Tables;
use serde_json::{Value, json};

const HOUR: u64 = 60 * 60 * 1000;

fn stream(view: &str) -> Value {
    json!({ "StreamSpecification": { "StreamEnabled": true, "StreamViewType": view } })
}

async fn arn(tables: &Tables, table: &str) -> String {
    let described = tables.ok("DescribeTable", json!({ "TableName": table })).await;
    described["Table"]["LatestStreamArn"].as_str().unwrap().to_owned()
}

async fn shards(tables: &Tables, arn: &str) -> Vec<Value> {
    let described = tables.ok("DescribeStream", json!({ "StreamArn": arn })).await;
    described["StreamDescription"]["Shards"].as_array().unwrap().clone()
}

async fn iterator(tables: &Tables, arn: &str, kind: &str) -> String {
    let shards = shards(tables, arn).await;
    let shard = &shards.last().unwrap()["ShardId"];
    let request = json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": kind });
    let answer = tables.ok("GetShardIterator", request).await;
    answer["ShardIterator"].as_str().unwrap().to_owned()
}

/// Everything that a stream holds: the time may lead into its next shard while a test runs.
async fn records(tables: &Tables, arn: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for shard in shards(tables, arn).await {
        let id = &shard["ShardId"];
        let request =
            json!({ "StreamArn": arn, "ShardId": id, "ShardIteratorType": "TRIM_HORIZON" });
        let iterator = tables.ok("GetShardIterator", request).await["ShardIterator"].clone();
        let answer = tables.ok("GetRecords", json!({ "ShardIterator": iterator })).await;
        all.extend(answer["Records"].as_array().unwrap().clone());
    }
    all
}

/// Waits where a shard is about to end: for tests that hold on to one.
async fn early_in_a_shard(tables: &Tables) {
    let window = 4 * HOUR;
    let left = window - stillwire_model::Clock::epoch_millis(&*tables.time) % window;
    if left < 10_000 {
        tokio::time::sleep(Duration::from_millis(left + 100)).await;
    }
}

async fn put(tables: &Tables, table: &str, id: &str, n: &str) {
    let item = json!({ "id": { "S": id }, "n": { "N": n } });
    tables.ok("PutItem", json!({ "TableName": table, "Item": item })).await;
}

#[tokio::test]
async fn each_view_shows_its_images_and_writes_without_change_leave_no_record() {
    let tables = Tables::open();
    for (view, new, old) in [
        ("KEYS_ONLY", false, false),
        ("NEW_IMAGE", true, false),
        ("OLD_IMAGE", false, true),
        ("NEW_AND_OLD_IMAGES", true, true),
    ] {
        let table = view.to_lowercase();
        tables.create(&table, stream(view)).await;
        put(&tables, &table, "a", "1").await;
        put(&tables, &table, "a", "1").await; // the same again
        put(&tables, &table, "a", "2").await;
        let set = json!({
            "TableName": table, "Key": { "id": { "S": "a" } }, "UpdateExpression": "SET n = :n",
            "ExpressionAttributeValues": { ":n": { "N": "2" } },
        });
        tables.ok("UpdateItem", set).await;
        let key = json!({ "TableName": table, "Key": { "id": { "S": "a" } } });
        tables.ok("DeleteItem", key.clone()).await;
        tables.ok("DeleteItem", key).await; // nothing there
        let arn = arn(&tables, &table).await;
        let records = records(&tables, &arn).await;
        let events: Vec<_> = records.iter().map(|record| &record["eventName"]).collect();
        assert_eq!(events, ["INSERT", "MODIFY", "REMOVE"], "{view}");
        let modified = &records[1]["dynamodb"];
        assert_eq!(modified["StreamViewType"], view);
        assert_eq!(modified["Keys"], json!({ "id": { "S": "a" } }));
        assert_eq!(modified.get("NewImage").is_some(), new, "{view}");
        assert_eq!(modified.get("OldImage").is_some(), old, "{view}");
        if new {
            assert_eq!(modified["NewImage"]["n"]["N"], "2");
        }
        if old {
            assert_eq!(modified["OldImage"]["n"]["N"], "1");
        }
        assert_eq!(records[0]["awsRegion"], "us-east-1");
        let described = tables.ok("DescribeTable", json!({ "TableName": table })).await;
        assert_eq!(described["Table"]["StreamSpecification"]["StreamViewType"], view);
    }
}

#[tokio::test]
async fn ids_fit_what_sdks_accept_for_the_shortest_and_longest_name() {
    let tables = Tables::open();
    early_in_a_shard(&tables).await;
    for table in ["abc".to_owned(), "t".repeat(255)] {
        tables.create(&table, stream("KEYS_ONLY")).await;
        let arn = arn(&tables, &table).await;
        let shards = shards(&tables, &arn).await;
        let id = shards[0]["ShardId"].as_str().unwrap();
        assert!((28..=65).contains(&id.len()), "{id}");
        let range = &shards[0]["SequenceNumberRange"];
        assert_eq!(range["StartingSequenceNumber"].as_str().unwrap().len(), 21);
        assert!(range.get("EndingSequenceNumber").is_none(), "it is open");
        put(&tables, &table, "a", "1").await;
        assert_eq!(records(&tables, &arn).await.len(), 1);
    }
}

#[tokio::test]
async fn iterators_begin_where_they_say() {
    let tables = Tables::open();
    early_in_a_shard(&tables).await;
    tables.create("Chat", stream("KEYS_ONLY")).await;
    let arn = arn(&tables, "Chat").await;
    put(&tables, "Chat", "a", "1").await;
    put(&tables, "Chat", "b", "1").await;
    let latest = iterator(&tables, &arn, "LATEST").await;
    put(&tables, "Chat", "c", "1").await;
    let all = records(&tables, &arn).await;
    let sequence = all[1]["dynamodb"]["SequenceNumber"].as_str().unwrap();
    let shard = shards(&tables, &arn).await[0]["ShardId"].clone();
    let from = async |kind: &str| {
        let request = json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": kind,
            "SequenceNumber": sequence });
        tables.ok("GetShardIterator", request).await["ShardIterator"].clone()
    };
    let ids = async |iterator: Value, limit: u32| {
        let answer =
            tables.ok("GetRecords", json!({ "ShardIterator": iterator, "Limit": limit })).await;
        let ids: String = answer["Records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| record["dynamodb"]["Keys"]["id"]["S"].as_str().unwrap())
            .collect();
        (ids, answer["NextShardIterator"].clone())
    };
    assert_eq!(ids(latest.into(), 10).await.0, "c");
    assert_eq!(ids(from("AT_SEQUENCE_NUMBER").await, 10).await.0, "bc");
    let (found, next) = ids(from("AFTER_SEQUENCE_NUMBER").await, 10).await;
    assert_eq!(found, "c");
    put(&tables, "Chat", "d", "1").await;
    assert_eq!(ids(next, 10).await.0, "d");
    let (found, next) = ids(from("AT_SEQUENCE_NUMBER").await, 1).await;
    assert_eq!(found, "b");
    assert_eq!(ids(next, 10).await.0, "cd");
}

#[tokio::test]
async fn pages_are_no_larger_than_the_service_lets_them_be() {
    let tables = Tables::open();
    tables.create("Chat", stream("KEYS_ONLY")).await;
    let arn = arn(&tables, "Chat").await;
    let latest = iterator(&tables, &arn, "LATEST").await;
    for (operation, request, most) in [
        ("ListStreams", json!({ "TableName": "Chat" }), 100),
        ("DescribeStream", json!({ "StreamArn": arn }), 100),
        ("GetRecords", json!({ "ShardIterator": latest }), 1000),
    ] {
        for (limit, accepted) in [(0, false), (1, true), (most, true), (most + 1, false)] {
            let mut request = request.clone();
            request["Limit"] = limit.into();
            if accepted {
                tables.ok(operation, request).await;
            } else {
                let (kind, message) = tables.refused(operation, request).await;
                assert_eq!(kind, "ValidationException", "{operation} {limit}");
                assert!(message.contains("'limit' failed to satisfy constraint"), "{message}");
            }
        }
    }
}

#[tokio::test]
async fn shards_end_after_hours_and_their_readers_learn_it() {
    let tables = Tables::open();
    early_in_a_shard(&tables).await;
    tables.create("Chat", stream("KEYS_ONLY")).await;
    let arn = arn(&tables, "Chat").await;
    put(&tables, "Chat", "a", "1").await;
    let first = iterator(&tables, &arn, "TRIM_HORIZON").await;
    let old = tables.ok("GetRecords", json!({ "ShardIterator": first })).await;
    assert!(old.get("NextShardIterator").is_some(), "the shard is open");
    tables.time.advance(5 * HOUR);
    let all = shards(&tables, &arn).await;
    assert!(all.len() >= 2, "{all:?}");
    assert!(all[0]["SequenceNumberRange"].get("EndingSequenceNumber").is_some());
    assert!(all.last().unwrap()["SequenceNumberRange"].get("EndingSequenceNumber").is_none());
    assert_eq!(all[1]["ParentShardId"], all[0]["ShardId"]);
    let filter = json!({ "Type": "CHILD_SHARDS", "ShardId": all[0]["ShardId"] });
    let children = json!({ "StreamArn": arn, "ShardFilter": filter });
    let children = tables.ok("DescribeStream", children).await;
    assert_eq!(children["StreamDescription"]["Shards"][0]["ShardId"], all[1]["ShardId"]);
    let request = json!({ "StreamArn": arn, "ShardId": all[0]["ShardId"], "ShardIteratorType": "TRIM_HORIZON" });
    let again = tables.ok("GetShardIterator", request).await;
    let read = tables.ok("GetRecords", json!({ "ShardIterator": again["ShardIterator"] })).await;
    assert_eq!(read["Records"].as_array().unwrap().len(), 1);
    assert!(read.get("NextShardIterator").is_none(), "it has ended: {read}");
    let page = json!({ "StreamArn": arn, "Limit": 1 });
    let page = tables.ok("DescribeStream", page).await;
    assert_eq!(page["StreamDescription"]["LastEvaluatedShardId"], all[0]["ShardId"]);
    let rest = json!({ "StreamArn": arn, "ExclusiveStartShardId": all[0]["ShardId"] });
    let rest = tables.ok("DescribeStream", rest).await;
    assert_eq!(rest["StreamDescription"]["Shards"].as_array().unwrap().len(), all.len() - 1);
}

#[tokio::test]
async fn a_shard_stays_open_until_the_last_write_that_began_in_it_is_kept() {
    let tables = Tables::open();
    early_in_a_shard(&tables).await;
    tables.create("Chat", stream("KEYS_ONLY")).await;
    let arn = arn(&tables, "Chat").await;
    put(&tables, "Chat", "a", "1").await;
    let shard = shards(&tables, &arn).await[0]["ShardId"].clone();
    // A transaction that has its sequence number, on a disk that takes minutes.
    let other = rusqlite::Connection::open(tables.folder.path().join("tables.db")).unwrap();
    other
        .execute_batch(
            "BEGIN IMMEDIATE; CREATE TEMP TABLE late AS SELECT * FROM _stream_records; \
             UPDATE late SET id = id + 1, sequence_number = CAST(sequence_number + 1 AS TEXT); \
             INSERT INTO _stream_records SELECT * FROM late",
        )
        .unwrap();
    let next = async |iterator: &Value| {
        let answer = tables.ok("GetRecords", json!({ "ShardIterator": iterator })).await;
        (answer["Records"].as_array().unwrap().len(), answer.get("NextShardIterator").cloned())
    };
    tables.time.advance(4 * HOUR);
    let request =
        json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let mut iterator = tables.ok("GetShardIterator", request).await["ShardIterator"].clone();
    for expected in [1, 0] {
        let (found, then) = next(&iterator).await;
        assert_eq!(found, expected);
        iterator = then.expect("it may still get a record");
        tables.time.advance(60_000);
    }
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(next(&iterator).await, (1, None), "the record, and the end");
}

#[tokio::test]
async fn who_waits_for_a_table_is_not_woken_by_others() {
    let tables = Tables::open();
    for table in ["Chat", "Log"] {
        tables.create(table, stream("KEYS_ONLY")).await;
    }
    let store = tables.store();
    let (chat, log) = (store.stream_changed("Chat"), store.stream_changed("Log"));
    put(&tables, "Log", "a", "1").await;
    log.await;
    let in_vain = tokio::time::timeout(Duration::from_millis(50), chat).await;
    assert!(in_vain.is_err(), "nothing was written to it");
    let chat = store.stream_changed("Chat");
    put(&tables, "Chat", "a", "1").await;
    chat.await;
}

#[tokio::test]
async fn old_records_go_and_whoever_needs_them_is_told() {
    let tables = Tables::open();
    tables.create("Chat", stream("KEYS_ONLY")).await;
    let arn = arn(&tables, "Chat").await;
    put(&tables, "Chat", "a", "1").await;
    put(&tables, "Chat", "b", "1").await;
    let sequence = records(&tables, &arn).await[0]["dynamodb"]["SequenceNumber"].clone();
    let expired = iterator(&tables, &arn, "TRIM_HORIZON").await;
    tables.time.advance(14 * 60 * 1000);
    tables.ok("GetRecords", json!({ "ShardIterator": expired })).await;
    tables.time.advance(2 * 60 * 1000);
    let (kind, _) = tables.refused("GetRecords", json!({ "ShardIterator": expired })).await;
    assert_eq!(kind, "ExpiredIteratorException", "after 15 minutes");
    tables.time.advance(25 * HOUR);
    let (kind, _) = tables.refused("GetRecords", json!({ "ShardIterator": expired })).await;
    assert_eq!(kind, "ExpiredIteratorException");
    let shard = shards(&tables, &arn).await[0]["ShardId"].clone();
    let request = json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
        "SequenceNumber": sequence });
    let (kind, _) = tables.refused("GetShardIterator", request.clone()).await;
    assert_eq!(kind, "TrimmedDataAccessException");
    assert_eq!(records(&tables, &arn).await, Vec::<Value>::new());
    tokio::time::sleep(Duration::from_millis(1500)).await; // the store tidies up each second
    let (kind, _) = tables.refused("GetShardIterator", request).await;
    assert_eq!(kind, "TrimmedDataAccessException", "it stays so when they are gone");
}

#[tokio::test]
async fn the_room_of_old_records_is_used_again() {
    let tables = Tables::open();
    tables.create("Chat", stream("NEW_AND_OLD_IMAGES")).await;
    let file = rusqlite::Connection::open(tables.folder.path().join("tables.db")).unwrap();
    let number = |sql: &str| file.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap();
    let mut pages = Vec::new();
    for round in 0..3 {
        for id in 0..100 {
            let text = round.to_string().repeat(4000);
            let item = json!({ "id": { "S": id.to_string() }, "text": { "S": text } });
            tables.ok("PutItem", json!({ "TableName": "Chat", "Item": item })).await;
        }
        pages.push(number("PRAGMA page_count"));
        tables.time.advance(25 * HOUR);
        let began = tokio::time::Instant::now();
        while number("SELECT count(*) FROM _stream_records") > 0 {
            assert!(began.elapsed() < Duration::from_secs(20), "old records stay");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    // The first round has no old images.
    assert!(pages[2] <= pages[1] + 8, "{pages:?}");
}

#[tokio::test]
async fn a_disabled_stream_can_be_read_for_a_day_and_a_new_one_has_another_arn() {
    let tables = Tables::open();
    tables.create("Chat", stream("KEYS_ONLY")).await;
    let first = arn(&tables, "Chat").await;
    put(&tables, "Chat", "a", "1").await;
    let switch = |on: bool| {
        let mut specification = json!({ "StreamEnabled": on });
        if on {
            specification["StreamViewType"] = "NEW_IMAGE".into();
        }
        json!({ "TableName": "Chat", "StreamSpecification": specification })
    };
    let (kind, _) = tables.refused("UpdateTable", switch(true)).await;
    assert_eq!(kind, "ValidationException");
    tables.ok("UpdateTable", switch(false)).await;
    let (kind, _) = tables.refused("UpdateTable", switch(false)).await;
    assert_eq!(kind, "ValidationException");
    put(&tables, "Chat", "unseen", "1").await;
    let described = tables.ok("DescribeStream", json!({ "StreamArn": first })).await;
    assert_eq!(described["StreamDescription"]["StreamStatus"], "DISABLED");
    assert_eq!(records(&tables, &first).await.len(), 1);
    let end = iterator(&tables, &first, "TRIM_HORIZON").await;
    let end = tables.ok("GetRecords", json!({ "ShardIterator": end })).await;
    assert!(end.get("NextShardIterator").is_none(), "its readers learn that it has ended: {end}");
    tables.ok("UpdateTable", switch(true)).await;
    let second = arn(&tables, "Chat").await;
    assert_ne!(first, second);
    put(&tables, "Chat", "b", "1").await;
    assert_eq!(records(&tables, &second).await.len(), 1);
    assert_eq!(records(&tables, &first).await.len(), 1);
    let listed = tables.ok("ListStreams", json!({ "TableName": "Chat" })).await;
    assert_eq!(listed["Streams"].as_array().unwrap().len(), 2);
    let page = tables.ok("ListStreams", json!({ "Limit": 1 })).await;
    assert_eq!(page["LastEvaluatedStreamArn"], first);
    tables.time.advance(25 * HOUR);
    let (kind, _) = tables.refused("DescribeStream", json!({ "StreamArn": first })).await;
    assert_eq!(kind, "ResourceNotFoundException");
    tables.ok("DescribeStream", json!({ "StreamArn": second })).await;
}

#[tokio::test]
async fn a_table_made_again_has_a_stream_of_its_own() {
    let tables = Tables::open();
    tables.create("Chat", stream("KEYS_ONLY")).await;
    put(&tables, "Chat", "old", "1").await;
    let first = arn(&tables, "Chat").await;
    tables.ok("DeleteTable", json!({ "TableName": "Chat" })).await;
    assert_eq!(records(&tables, &first).await.len(), 1, "it can still be read");
    tables.create("Chat", stream("KEYS_ONLY")).await;
    let second = arn(&tables, "Chat").await;
    assert_ne!(first, second);
    put(&tables, "Chat", "new", "1").await;
    let records = records(&tables, &second).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["dynamodb"]["Keys"]["id"]["S"], "new");
}

#[tokio::test]
async fn expired_items_go_and_their_records_name_the_service() {
    let tables = Tables::open();
    let mut more = stream("OLD_IMAGE");
    more["AttributeDefinitions"] = json!([
        { "AttributeName": "id", "AttributeType": "S" },
        { "AttributeName": "room", "AttributeType": "S" },
    ]);
    more["GlobalSecondaryIndexes"] = json!([{
        "IndexName": "byRoom", "KeySchema": [{ "AttributeName": "room", "KeyType": "HASH" }],
        "Projection": { "ProjectionType": "ALL" },
    }]);
    tables.create("Chat", more).await;
    let enable = json!({ "Enabled": true, "AttributeName": "it's \"due\"" });
    let enable = json!({ "TableName": "Chat", "TimeToLiveSpecification": enable });
    tables.ok("UpdateTimeToLive", enable).await;
    let now = i64::try_from(stillwire_model::Clock::epoch_millis(&*tables.time) / 1000).unwrap();
    let years = |count: i64| count * 365 * 24 * 60 * 60;
    for (id, due) in [
        ("gone", json!({ "N": (now - 1).to_string() })),
        ("older than five years", json!({ "N": (now - years(5) - 60).to_string() })),
        ("almost five years", json!({ "N": (now - years(5) + 60).to_string() })),
        ("text", json!({ "S": (now - 1).to_string() })),
        ("milliseconds", json!({ "N": ((now - 1) * 1000).to_string() })),
        ("fraction", json!({ "N": format!("{}.5", now - 1) })),
        ("later", json!({ "N": (now + 1000).to_string() })),
        ("negative", json!({ "N": "-5" })),
    ] {
        let item = json!({ "id": { "S": id }, "room": { "S": "lobby" }, "it's \"due\"": due });
        tables.ok("PutItem", json!({ "TableName": "Chat", "Item": item })).await;
    }
    let mut left = Vec::new();
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let scanned = tables.ok("Scan", json!({ "TableName": "Chat" })).await;
        let items = scanned["Items"].as_array().unwrap();
        left = items.iter().map(|item| item["id"]["S"].as_str().unwrap().to_owned()).collect();
        if left.len() == 6 {
            break;
        }
    }
    left.sort();
    assert_eq!(
        left,
        ["fraction", "later", "milliseconds", "negative", "older than five years", "text"]
    );
    let query = json!({
        "TableName": "Chat", "IndexName": "byRoom", "KeyConditionExpression": "room = :room",
        "ExpressionAttributeValues": { ":room": { "S": "lobby" } },
    });
    assert_eq!(tables.ok("Query", query).await["Count"], 6, "indexes know it too");
    let arn = arn(&tables, "Chat").await;
    let removals: Vec<_> = records(&tables, &arn)
        .await
        .into_iter()
        .filter(|record| record["eventName"] == "REMOVE")
        .collect();
    assert_eq!(removals.len(), 2);
    for removal in removals {
        let identity = json!({ "Type": "Service", "PrincipalId": "dynamodb.amazonaws.com" });
        assert_eq!(removal["userIdentity"], identity);
        assert_eq!(removal["dynamodb"]["OldImage"]["room"]["S"], "lobby");
    }
}

#[tokio::test]
async fn records_are_read_at_once_after_the_clock_was_set_back() {
    let tables = Tables::open();
    tables.create("Chat", stream("KEYS_ONLY")).await;
    let arn = arn(&tables, "Chat").await;
    put(&tables, "Chat", "a", "1").await;
    // As if that had been written by a clock a day ahead.
    let other = rusqlite::Connection::open(tables.folder.path().join("tables.db")).unwrap();
    let ahead = i64::try_from(24 * HOUR).unwrap() * 1000;
    let sql = "UPDATE _stream_records SET sequence_number = CAST(sequence_number + ?1 AS TEXT)";
    assert_eq!(other.execute(sql, [ahead]).unwrap(), 1);
    put(&tables, "Chat", "b", "1").await;
    assert_eq!(records(&tables, &arn).await.len(), 2);
    let all = shards(&tables, &arn).await;
    let is_open =
        |shard: &&Value| shard["SequenceNumberRange"].get("EndingSequenceNumber").is_none();
    assert_eq!(all.iter().filter(is_open).count(), 1, "readers get to the newest shard at once");
    // A clock that was far ahead makes no more shards than can be listed.
    other.execute(sql, [i64::MAX / 2]).unwrap();
    put(&tables, "Chat", "c", "1").await;
    assert_eq!(shards(&tables, &arn).await.len(), 100, "the first page");
}

#[tokio::test]
async fn readers_of_streams_are_served_while_expiry_and_a_write_wait_for_their_turn() {
    let tables = Tables::open();
    tables.create("Chat", stream("KEYS_ONLY")).await;
    let enable = json!({ "Enabled": true, "AttributeName": "due" });
    let enable = json!({ "TableName": "Chat", "TimeToLiveSpecification": enable });
    tables.ok("UpdateTimeToLive", enable).await;
    let now = stillwire_model::Clock::epoch_millis(&*tables.time) / 1000;
    let item = json!({ "id": { "S": "a" }, "due": { "N": (now + 2).to_string() } });
    tables.ok("PutItem", json!({ "TableName": "Chat", "Item": item })).await;
    let arn = arn(&tables, "Chat").await;
    // Somebody copies the file, and lets nobody write.
    let other = rusqlite::Connection::open(tables.folder.path().join("tables.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    tables.time.advance(60_000);
    tokio::time::sleep(Duration::from_millis(1500)).await; // expiry has begun to wait
    let (write, read) = tokio::join!(
        async {
            let item = json!({ "id": { "S": "b" } });
            tables.call("PutItem", json!({ "TableName": "Chat", "Item": item })).await.0
        },
        async {
            tokio::time::sleep(Duration::from_millis(200)).await; // the write waits
            let read = tokio::time::timeout(Duration::from_millis(1500), records(&tables, &arn));
            let read = read.await;
            other.execute_batch("ROLLBACK").unwrap();
            read
        }
    );
    assert_eq!(write, 200);
    assert_eq!(read.expect("readers wait for writers").len(), 1);
}
