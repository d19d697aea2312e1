//! Requests that nobody would send by mistake: no answer is a 5xx, and both ways to the engine agree.
//!
//! `STILLWIRE_FUZZ_CASES` makes the rounds longer: the number of requests of each. `STILLWIRE_FUZZ_SEED`, a number, makes others.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test may say so")]
#![allow(clippy::disallowed_methods, reason = "the environment says how long a round is")]

mod common;

use common::{Tables, call};
use serde_json::{Value, json};
use stillwire_tables::Durability;

/// A generator of numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end).unwrap()).unwrap()
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

fn dice(usual: u64) -> Dice {
    let other = std::env::var("STILLWIRE_FUZZ_SEED").map_or(0, |text| text.parse().unwrap());
    Dice(usual + other)
}

fn cases(usual: usize) -> usize {
    std::env::var("STILLWIRE_FUZZ_CASES").map_or(usual, |text| text.parse().unwrap())
}

fn value(dice: &mut Dice, depth: usize) -> Value {
    match dice.below(if depth == 0 { 7 } else { 9 }) {
        0 => json!({ "S": dice.of(&["", "a", "b", "grüße 🙂", "z"]) }),
        1 => json!({ "N": dice.of(&["0", "1", "-1", "2.50", "1E+3", "99999999999999999999"]) }),
        2 => json!({ "BOOL": dice.below(2) == 0 }),
        3 => json!({ "NULL": true }),
        4 => json!({ "B": dice.of(&["", "AA==", "/w=="]) }),
        5 => json!({ "SS": ["b", "a"] }),
        6 => json!({ "NS": ["2", "1"] }),
        7 => json!({ "L": (0..dice.below(3)).map(|_| value(dice, depth - 1)).collect::<Vec<_>>() }),
        _ => json!({ "M": { "x": value(dice, depth - 1), "y": value(dice, depth - 1) } }),
    }
}

fn key(dice: &mut Dice) -> Value {
    json!({ "id": { "S": dice.of(&["a", "b", "c"]) }, "n": { "N": dice.of(&["1", "2", "3.0"]) } })
}

const CONDITIONS: [&str; 8] = [
    "attribute_exists(id)",
    "attribute_not_exists(x)",
    "x = :v",
    "#x < :v AND NOT (y = :v)",
    "begins_with(x, :v) OR contains(y, :v)",
    "size(x) > :n",
    "attribute_type(x, :t)",
    "x BETWEEN :n AND :n OR y IN (:v, :n)",
];

const UPDATES: [&str; 8] = [
    "SET x = :v",
    "SET #x = if_not_exists(x, :v), y = :n",
    "ADD c :n",
    "SET l = list_append(if_not_exists(l, :l), :l)",
    "REMOVE x, y",
    "SET m = :m",
    "SET m.x = :v",
    "ADD s :s DELETE s :s",
];

/// Only the names and values that the texts use: what is not used is an error.
fn placeholders(request: &mut Value, texts: &[&str], dice: &mut Dice) {
    let all = texts.join(" ");
    if all.contains("#x") {
        request["ExpressionAttributeNames"] = json!({ "#x": "x" });
    }
    let known = [
        (":v", value(dice, 1)),
        (":n", json!({ "N": "1" })),
        (":t", json!({ "S": "S" })),
        (":l", json!({ "L": [{ "N": "1" }] })),
        (":m", json!({ "M": { "x": { "N": "1" } } })),
        (":s", json!({ "SS": ["a"] })),
        (":k", json!({ "S": dice.of(&["a", "b", "c"]) })),
    ];
    for (name, value) in known {
        if all.contains(name) {
            request["ExpressionAttributeValues"][name] = value;
        }
    }
}

fn valid(dice: &mut Dice) -> (&'static str, Value) {
    let mut request = json!({ "TableName": "Chat" });
    let mut texts = Vec::new();
    let operation = dice.of(&["PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "Scan"]);
    match operation {
        "PutItem" => {
            request["Item"] = key(dice);
            for name in ["x", "y", "room"] {
                if dice.below(2) == 0 {
                    request["Item"][name] =
                        if name == "room" { json!({ "S": "r" }) } else { value(dice, 2) };
                }
            }
        }
        "Query" => {
            let condition = dice.of(&["id = :k", "id = :k AND n >= :n"]);
            request["KeyConditionExpression"] = condition.into();
            texts.push(condition);
            request["ScanIndexForward"] = (dice.below(2) == 0).into();
        }
        "Scan" if dice.below(2) == 0 => request["IndexName"] = "rooms".into(),
        "Scan" => {}
        _ => request["Key"] = key(dice),
    }
    if operation == "UpdateItem" {
        let update = dice.of(&UPDATES);
        request["UpdateExpression"] = update.into();
        texts.push(update);
        request["ReturnValues"] = dice.of(&["NONE", "ALL_OLD", "ALL_NEW"]).into();
    } else if matches!(operation, "PutItem" | "DeleteItem") {
        request["ReturnValues"] = dice.of(&["NONE", "ALL_OLD"]).into();
    }
    if dice.below(3) == 0 && operation != "GetItem" {
        let condition = dice.of(&CONDITIONS);
        let reads = matches!(operation, "Query" | "Scan");
        let member = if reads { "FilterExpression" } else { "ConditionExpression" };
        request[member] = condition.into();
        texts.push(condition);
    }
    if matches!(operation, "GetItem" | "Query" | "Scan") && dice.below(2) == 0 {
        request["ProjectionExpression"] = "id, #x".into();
        texts.push("#x");
    }
    placeholders(&mut request, &texts, dice);
    (operation, request)
}

async fn tables() -> Tables {
    filled(Tables::open()).await
}

async fn filled(tables: Tables) -> Tables {
    let more = json!({
        "AttributeDefinitions": [
            { "AttributeName": "id", "AttributeType": "S" },
            { "AttributeName": "n", "AttributeType": "N" },
            { "AttributeName": "room", "AttributeType": "S" },
        ],
        "KeySchema": [
            { "AttributeName": "id", "KeyType": "HASH" },
            { "AttributeName": "n", "KeyType": "RANGE" },
        ],
        "GlobalSecondaryIndexes": [{
            "IndexName": "rooms", "KeySchema": [{ "AttributeName": "room", "KeyType": "HASH" }],
            "Projection": { "ProjectionType": "ALL" },
        }],
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
    });
    tables.create("Chat", more).await;
    tables
}

#[tokio::test]
async fn the_lane_and_the_wire_agree() {
    let (by_lane, by_wire) = (tables().await, tables().await);
    // Nothing of it is in a file, and requests come on the engine's own threads.
    let in_memory = filled(Tables::open_as(Durability::Memory)).await;
    let there = in_memory.engine.threads();
    let mut dice = dice(20_261_124);
    let (mut done, mut refused) = (0, 0);
    for _ in 0..cases(1500) {
        let (operation, request) = valid(&mut dice);
        // The lane does not know this member, which changes nothing.
        let mut same = request.clone();
        same["ReturnConsumedCapacity"] = "NONE".into();
        let one = by_lane.call(operation, request.clone()).await;
        let other = by_wire.call(operation, same).await;
        assert_eq!(one, other, "{operation} {request}");
        let (store, again) = (in_memory.store(), request.clone());
        let third = there.spawn(async move { call(store.as_ref(), operation, again).await });
        assert_eq!(one, third.await.unwrap(), "in memory: {operation} {request}");
        if one.0 == 200 { done += 1 } else { refused += 1 }
    }
    assert!(done > refused && refused > 0, "{done} done, {refused} refused: nothing was compared");
}

/// An action of a transaction, now and then a wrong one.
fn action(dice: &mut Dice) -> Value {
    let kind = dice.of(&["Put", "Update", "Delete", "ConditionCheck"]);
    let table = if dice.below(40) == 0 { "Nowhere" } else { "Chat" };
    let mut action = json!({ "TableName": table });
    let mut texts = Vec::new();
    if kind == "Put" {
        action["Item"] = key(dice);
        action["Item"]["x"] = value(dice, 1);
    } else {
        action["Key"] = key(dice);
    }
    if kind == "Update" {
        let update = dice.of(&UPDATES);
        action["UpdateExpression"] = update.into();
        texts.push(update);
    }
    if kind == "ConditionCheck" || dice.below(3) == 0 {
        let condition = dice.of(&CONDITIONS);
        action["ConditionExpression"] = condition.into();
        texts.push(condition);
        if dice.below(2) == 0 {
            action["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD".into();
        }
    }
    placeholders(&mut action, &texts, dice);
    json!({ kind: action })
}

#[tokio::test]
async fn a_token_changes_no_answer() {
    let (with, without) = (tables().await, tables().await);
    let mut dice = dice(42);
    let (mut done, mut refused) = (0, 0);
    for number in 0..cases(400) {
        let actions: Vec<_> = (0..=dice.below(3)).map(|_| action(&mut dice)).collect();
        let capacity = dice.of(&["NONE", "TOTAL", "INDEXES", "WRONG"]);
        let mut request = json!({ "TransactItems": actions, "ReturnConsumedCapacity": capacity });
        if dice.below(20) == 0 {
            mutate(&mut dice, &mut request["TransactItems"]);
        }
        let mut tokened = request.clone();
        if let Some(members) = tokened.as_object_mut() {
            members.insert("ClientRequestToken".to_owned(), number.to_string().into());
        }
        let mut one = with.call("TransactWriteItems", tokened).await;
        let mut other = without.call("TransactWriteItems", request.clone()).await;
        for (_, answer) in [&mut one, &mut other] {
            // Where in the text something is missing.
            if let Some(message) = answer.get_mut("message").filter(|text| text.is_string()) {
                let text = message.as_str().unwrap().split(" at line ").next().unwrap().to_owned();
                *message = text.into();
            }
        }
        assert_eq!(one, other, "{request}");
        if one.0 == 200 { done += 1 } else { refused += 1 }
    }
    assert!(done > 20 && refused > 20, "{done} done, {refused} refused: nothing was compared");
    let scan = json!({ "TableName": "Chat" });
    assert_eq!(with.ok("Scan", scan.clone()).await, without.ok("Scan", scan).await);
}

/// Another request, more or less like this one.
fn mutate(dice: &mut Dice, value: &mut Value) {
    match value {
        Value::Object(members) if !members.is_empty() && dice.below(4) != 0 => {
            let index = dice.below(members.len());
            let name = members.keys().nth(index).unwrap().clone();
            match dice.below(6) {
                0 => drop(members.shift_remove(&name)),
                1 => {
                    let member = members.shift_remove(&name).unwrap();
                    members.insert(name.chars().rev().collect(), member);
                }
                _ => mutate(dice, &mut members[&name]),
            }
        }
        Value::Array(items) if !items.is_empty() && dice.below(4) != 0 => {
            let index = dice.below(items.len());
            mutate(dice, &mut items[index]);
        }
        Value::String(text) if dice.below(3) != 0 => {
            const PIECES: [&str; 18] = [
                "(", ")", "[0]", ".", ",", " AND ", " OR ", " NOT ", "=", ":v", "#x", "size(",
                "\0", "🙂", "'", "\"", "SET ", "-",
            ];
            for _ in 0..=dice.below(3) {
                let at = text.char_indices().map(|(at, _)| at).nth(dice.below(text.len() + 1));
                let piece = dice.of(&PIECES);
                let times = if dice.below(50) == 0 { 3000 } else { 1 };
                text.insert_str(at.unwrap_or(text.len()), &piece.repeat(times));
            }
        }
        other => {
            *other = match dice.below(9) {
                0 => Value::Null,
                1 => json!(true),
                2 => json!(-1),
                3 => json!(1e300),
                4 => json!(""),
                5 => json!([]),
                6 => json!({}),
                7 => json!({ "S": 1, "N": "x" }),
                _ => json!("x".repeat(70_000)),
            }
        }
    }
}

const OTHERS: [(&str, &str); 8] = [
    ("BatchGetItem", r#"{"RequestItems":{"Chat":{"Keys":[{"id":{"S":"a"},"n":{"N":"1"}}]}}}"#),
    (
        "BatchWriteItem",
        r#"{"RequestItems":{"Chat":[{"PutRequest":{"Item":{"id":{"S":"a"},"n":{"N":"1"}}}}]}}"#,
    ),
    (
        "TransactWriteItems",
        r#"{"ClientRequestToken":"t","TransactItems":[{"Delete":{"TableName":"Chat","Key":{"id":{"S":"a"},"n":{"N":"1"}}}}]}"#,
    ),
    (
        "ExecuteStatement",
        r#"{"Statement":"SELECT * FROM Chat WHERE id = 'a' AND n > 1","Parameters":[]}"#,
    ),
    (
        "UpdateItem",
        r#"{"TableName":"Chat","Key":{"id":{"S":"a"},"n":{"N":"1"}},"AttributeUpdates":{"x":{"Action":"PUT","Value":{"N":"1"}}},"Expected":{"y":{"Exists":false}}}"#,
    ),
    ("DescribeTable", r#"{"TableName":"Chat"}"#),
    (
        "UpdateTable",
        r#"{"TableName":"Chat","StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}}"#,
    ),
    (
        "GetRecords",
        r#"{"ShardIterator":"arn:aws:dynamodb:us-east-1:999999999999:table/Chat/stream/x|1|MS4yLjM","Limit":5}"#,
    ),
];

#[tokio::test]
async fn no_request_is_answered_with_a_5xx() {
    let tables = tables().await;
    let mut dice = dice(7);
    for _ in 0..cases(2500) {
        let (operation, mut request) = if dice.below(3) == 0 {
            let (operation, text) = dice.of(&OTHERS);
            (operation, serde_json::from_str(text).unwrap())
        } else {
            valid(&mut dice)
        };
        for _ in 0..=dice.below(3) {
            mutate(&mut dice, &mut request);
        }
        let (status, answer) = call(tables.store().as_ref(), operation, request.clone()).await;
        assert!(status < 500, "{operation} {request}: {answer}");
    }
    tables.ok("Scan", json!({ "TableName": "Chat" })).await;
}

#[tokio::test]
async fn bytes_that_are_no_request_are_refused() {
    let tables = tables().await;
    let mut dice = dice(11);
    let targets = ["DynamoDB_20120810.PutItem", "DynamoDBStreams_20120810.GetRecords", "x", ""];
    for _ in 0..cases(500) {
        let (_, request) = valid(&mut dice);
        let mut bytes = request.to_string().into_bytes();
        for _ in 0..=dice.below(4) {
            let at = dice.below(bytes.len());
            match dice.below(3) {
                0 => bytes[at] = u8::try_from(dice.below(256)).unwrap(),
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, u8::try_from(dice.below(256)).unwrap()),
            }
        }
        let reply = tables.store().call(dice.of(&targets), bytes.clone().into()).await;
        assert!(reply.status < 500, "{}", String::from_utf8_lossy(&bytes));
    }
    for deep in [r#"{"a":"#.repeat(10_000), "[".repeat(10_000)] {
        let reply = tables.store().call("DynamoDB_20120810.PutItem", deep.into()).await;
        assert_eq!(reply.status, 400);
    }
    tables.ok("Scan", json!({ "TableName": "Chat" })).await;
}
