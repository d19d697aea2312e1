//! The engine through its port.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test may say so")]

mod common;

use std::time::Duration;

use common::{Tables, call};
use serde_json::{Value, json};
use stillwire_model::{DeletionPolicy, Table, TableStores as _};
use stillwire_tables::{Durability, ProvisionError, Provisioned};

fn table(key: &str) -> Table {
    let definition = json!({
        "TableName": "Chat",
        "AttributeDefinitions": [{ "AttributeName": key, "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": key, "KeyType": "HASH" }],
        "BillingMode": "PAY_PER_REQUEST",
    });
    let Value::Object(definition) = definition else { unreachable!() };
    Table {
        stack: "dev-Chat".into(),
        logical_id: "Connections".into(),
        name: "Chat".to_owned(),
        arn: "arn:aws:dynamodb:us-east-1:999999999999:table/Chat".to_owned(),
        definition,
        time_to_live: Some("expires".to_owned()),
        stream_arn:
            "arn:aws:dynamodb:us-east-1:999999999999:table/Chat/stream/2000-01-01T00:00:00.000"
                .to_owned(),
        deletion_policy: DeletionPolicy::Delete,
    }
}

fn put(id: &str) -> Value {
    json!({ "TableName": "Chat", "Item": { "id": { "S": id } } })
}

fn get(id: &str) -> Value {
    json!({ "TableName": "Chat", "Key": { "id": { "S": id } } })
}

#[tokio::test]
async fn a_declared_table_is_created_once_and_its_items_survive_a_restart() {
    let tables = Tables::open();
    assert_eq!(tables.engine.provision(&table("id")).await, Ok(Provisioned::Created));
    assert_eq!(tables.call("PutItem", put("a")).await, (200, json!({})));
    let tables = tables.reopen();
    assert_eq!(tables.engine.provision(&table("id")).await, Ok(Provisioned::Existing));
    let (_, found) = tables.call("GetItem", get("a")).await;
    assert_eq!(found, json!({ "Item": { "id": { "S": "a" } } }));
}

#[tokio::test]
async fn a_table_with_other_keys_is_an_error_that_names_both() {
    let tables = Tables::open();
    tables.engine.provision(&table("id")).await.unwrap();
    let error = tables.engine.provision(&table("user")).await.unwrap_err();
    assert!(matches!(error, ProvisionError::Fixed { what: "keys", .. }));
    let text = error.to_string();
    assert!(text.contains("give the declared table another name"), "{text}");
    assert!(text.contains("id (HASH, S)") && text.contains("user (HASH, S)"), "{text}");
}

#[tokio::test]
async fn arns_carry_the_real_account_and_region() {
    let tables = Tables::open();
    tables.engine.provision(&table("id")).await.unwrap();
    let (_, answer) = tables.call("DescribeTable", json!({ "TableName": "Chat" })).await;
    assert_eq!(answer["Table"]["TableArn"], "arn:aws:dynamodb:us-east-1:999999999999:table/Chat");
    // An item that holds such a text is the user's own.
    let arn = "arn:aws:dynamodb:us-east-1:999999999999:table/Chat";
    let item = json!({ "TableName": "Chat", "Item": { "id": { "S": arn } } });
    tables.call("PutItem", item).await;
    let (_, found) = tables.call("GetItem", get(arn)).await;
    assert_eq!(found["Item"]["id"]["S"], arn);
}

#[tokio::test]
async fn errors_are_worded_as_dynamodb_does() {
    let tables = Tables::open();
    let (status, error) = tables.call("GetItem", get("a")).await;
    assert_eq!(status, 400);
    assert_eq!(error["__type"], "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException");
    assert_eq!(error["message"], "Requested resource not found");
}

#[tokio::test]
async fn the_deepest_expression_is_an_error_and_the_process_lives() {
    let tables = Tables::open();
    tables.engine.provision(&table("id")).await.unwrap();
    for expression in ["(".repeat(4096), "(".repeat(100_000)] {
        let request = json!({ "TableName": "Chat", "FilterExpression": expression });
        let (status, error) = tables.call("Scan", request).await;
        assert_eq!(status, 400);
        assert!(error["__type"].as_str().unwrap().ends_with("ValidationException"), "{error}");
    }
    assert_eq!(tables.call("PutItem", put("a")).await.0, 200);
}

#[tokio::test]
async fn requests_run_side_by_side() {
    let tables = Tables::open();
    tables.engine.provision(&table("id")).await.unwrap();
    let calls: Vec<_> = (0..50)
        .map(|number| {
            let body = put(&number.to_string()).to_string();
            tables.store().call("DynamoDB_20120810.PutItem", body.into())
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.status, 200);
    }
    let (_, scanned) = tables.call("Scan", json!({ "TableName": "Chat" })).await;
    assert_eq!(scanned["Count"], 50);
}

#[tokio::test]
async fn a_changed_declaration_changes_the_table_and_keeps_its_items() {
    let tables = Tables::open();
    tables.engine.provision(&table("id")).await.unwrap();
    for room in ["a", "b"] {
        let item = json!({ "id": { "S": room }, "room": { "S": "lobby" } });
        tables.ok("PutItem", json!({ "TableName": "Chat", "Item": item })).await;
    }
    let mut changed = table("id");
    let index = |projection: &str| {
        json!([{
            "IndexName": "byRoom",
            "KeySchema": [{ "AttributeName": "room", "KeyType": "HASH" }],
            "Projection": { "ProjectionType": projection },
        }])
    };
    let attributes = json!([
        { "AttributeName": "id", "AttributeType": "S" },
        { "AttributeName": "room", "AttributeType": "S" },
    ]);
    changed.definition.insert("AttributeDefinitions".to_owned(), attributes);
    changed.definition.insert("GlobalSecondaryIndexes".to_owned(), index("ALL"));
    let stream = json!({ "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" });
    changed.definition.insert("StreamSpecification".to_owned(), stream);
    changed.definition.insert("Tags".to_owned(), json!([{ "Key": "team", "Value": "chat" }]));
    changed.time_to_live = Some("until".to_owned());
    let Provisioned::Changed(changes) = tables.engine.provision(&changed).await.unwrap() else {
        panic!("not changed");
    };
    assert_eq!(
        changes,
        [
            "index byRoom made from the items that are there",
            "stream enabled (NEW_IMAGE)",
            "tags changed",
            "time to live by until",
        ]
    );
    let query = json!({
        "TableName": "Chat", "IndexName": "byRoom", "KeyConditionExpression": "room = :room",
        "ExpressionAttributeValues": { ":room": { "S": "lobby" } },
    });
    assert_eq!(tables.ok("Query", query.clone()).await["Count"], 2);
    assert_eq!(tables.engine.provision(&changed).await.unwrap(), Provisioned::Existing);

    changed.definition.insert("GlobalSecondaryIndexes".to_owned(), index("KEYS_ONLY"));
    changed.definition.shift_remove("StreamSpecification");
    let Provisioned::Changed(changes) = tables.engine.provision(&changed).await.unwrap() else {
        panic!("not changed");
    };
    assert_eq!(
        changes,
        [
            "index byRoom removed",
            "index byRoom made from the items that are there",
            "stream disabled",
        ]
    );
    assert_eq!(tables.ok("Query", query).await["Count"], 2);
    assert_eq!(tables.ok("Scan", json!({ "TableName": "Chat" })).await["Count"], 2);
}

#[tokio::test]
async fn regions_and_accounts_do_not_see_each_other() {
    let tables = Tables::open();
    tables.engine.provision(&table("id")).await.unwrap();
    let name = json!({ "TableName": "Chat" });
    assert_eq!(tables.call("DescribeTable", name.clone()).await.0, 200);
    for (account, region) in [("999999999999", "eu-west-1"), ("111111111111", "us-east-1")] {
        let other = tables.engine.store(account, region);
        let (status, error) = call(other.as_ref(), "DescribeTable", name.clone()).await;
        assert_eq!(status, 400, "{error}");
        let (_, listed) = call(other.as_ref(), "ListTables", json!({})).await;
        assert_eq!(listed, json!({ "TableNames": [] }));
    }
    let nowhere = tables.engine.store("999999999999", "../x");
    assert_eq!(call(nowhere.as_ref(), "ListTables", json!({})).await.0, 400);
}

#[tokio::test]
async fn a_transaction_with_a_token_is_carried_out_once_also_across_a_restart() {
    let tables = Tables::open();
    tables.engine.provision(&table("id")).await.unwrap();
    let add = |amount: &str| {
        json!({ "ClientRequestToken": "once", "TransactItems": [{ "Update": {
            "TableName": "Chat", "Key": { "id": { "S": "n" } },
            "UpdateExpression": "ADD n :amount",
            "ExpressionAttributeValues": { ":amount": { "N": amount } },
        }}]})
    };
    assert_eq!(tables.ok("TransactWriteItems", add("1")).await, json!({}));
    assert_eq!(tables.ok("TransactWriteItems", add("1")).await, json!({}));
    let tables = tables.reopen();
    assert_eq!(tables.ok("TransactWriteItems", add("1")).await, json!({}));
    let (kind, _) = tables.refused("TransactWriteItems", add("2")).await;
    assert_eq!(kind, "IdempotentParameterMismatchException");
    assert_eq!(tables.ok("GetItem", get("n")).await["Item"]["n"]["N"], "1");
    // After ten minutes a token is good again.
    tables.time.advance(11 * 60 * 1000);
    tables.ok("TransactWriteItems", add("2")).await;
    assert_eq!(tables.ok("GetItem", get("n")).await["Item"]["n"]["N"], "3");
    // Nobody sees where tokens are kept.
    assert_eq!(tables.ok("ListTables", json!({})).await, json!({ "TableNames": ["Chat"] }));
    let own = json!({ "TableName": "stillwire.tokens", "Key": { "token": { "S": "once" } } });
    let put = json!({ "TableName": "stillwire.tokens", "Item": { "token": { "S": "once" } } });
    let keys = json!({ "Keys": [{ "token": { "S": "once" } }] });
    for (operation, request) in [
        ("GetItem", own.clone()),
        ("PutItem", put.clone()),
        ("DeleteItem", own.clone()),
        ("Scan", json!({ "TableName": "stillwire.tokens" })),
        ("BatchGetItem", json!({ "RequestItems": { "stillwire.tokens": keys } })),
        ("TransactGetItems", json!({ "TransactItems": [{ "Get": own }] })),
        ("TransactWriteItems", json!({ "TransactItems": [{ "Put": put }] })),
        ("ExecuteStatement", json!({ "Statement": "SELECT * FROM \"stillwire.tokens\"" })),
    ] {
        let (kind, _) = tables.refused(operation, request).await;
        assert_eq!(kind, "ResourceNotFoundException", "{operation}");
    }
}

#[tokio::test]
async fn statements_with_a_token_are_carried_out_once_also_across_a_restart() {
    let tables = Tables::open();
    tables.engine.provision(&table("id")).await.unwrap();
    let add = |amount: u8| {
        json!({ "ClientRequestToken": "once", "TransactStatements": [
            { "Statement": "UPDATE Chat SET n = n + ? WHERE id = ?",
                "Parameters": [{ "N": amount.to_string() }, { "S": "n" }] },
            { "Statement": "UPDATE Chat SET seen = 'yes' WHERE id = 'guard'" },
        ]})
    };
    let n = async |tables: &Tables| tables.ok("GetItem", get("n")).await["Item"]["n"]["N"].clone();
    let item = json!({ "id": { "S": "n" }, "n": { "N": "0" } });
    tables.ok("PutItem", json!({ "TableName": "Chat", "Item": item })).await;
    // What is cancelled may be sent again.
    let (status, error) = tables.call("ExecuteTransaction", add(1)).await;
    assert_eq!(
        (status, error["CancellationReasons"].as_array().map(Vec::len)),
        (400, Some(2)),
        "{error}"
    );
    assert!(
        error["Message"].as_str().unwrap().ends_with("[None, ConditionalCheckFailed]"),
        "{error}"
    );
    tables.ok("PutItem", put("guard")).await;
    let first = tables.ok("ExecuteTransaction", add(1)).await;
    let tables = tables.reopen();
    assert_eq!(tables.ok("ExecuteTransaction", add(1)).await, first);
    let (kind, _) = tables.refused("ExecuteTransaction", add(2)).await;
    assert_eq!(kind, "IdempotentParameterMismatchException");
    assert_eq!(n(&tables).await, "1");
    // After ten minutes a token is good again, whether expiry has been there or not.
    tables.time.advance(11 * 60 * 1000);
    tables.ok("ExecuteTransaction", add(2)).await;
    assert_eq!(n(&tables).await, "3");
    let read = json!({ "ClientRequestToken": "read", "TransactStatements": [
        { "Statement": "SELECT n FROM Chat WHERE id = 'n'" }] });
    for _ in 0..2 {
        let found = tables.ok("ExecuteTransaction", read.clone()).await;
        assert_eq!(found["Responses"], json!([{ "Item": { "n": { "N": "3" } } }]));
    }
    for name in [
        "\"stillwire.tokens\"",
        "'stillwire.tokens'",
        "`stillwire.tokens`",
        "\"stillwire.tokens\".\"x\"",
    ] {
        for statement in
            [format!("SELECT * FROM {name}"), format!("DELETE FROM {name} WHERE token = 'once'")]
        {
            let (status, answer) =
                tables.call("ExecuteStatement", json!({ "Statement": statement })).await;
            assert_eq!(status, 400, "{statement}: {answer}");
            let batch = json!({ "Statements": [{ "Statement": statement }] });
            let (status, answer) = tables.call("BatchExecuteStatement", batch).await;
            assert!(
                status == 400 || answer["Responses"][0].get("Error").is_some(),
                "{statement}: {answer}"
            );
        }
    }
}

#[tokio::test]
async fn an_index_is_filled_with_the_items_that_have_its_key_and_no_others() {
    let tables = Tables::open();
    tables.create("Chat", json!({})).await;
    for (id, room) in [
        ("text", json!({ "S": "lobby" })),
        ("number", json!({ "N": "1" })),
        ("empty", json!({ "S": "" })),
        ("list", json!({ "L": [{ "S": "lobby" }] })),
        ("null", json!({ "NULL": true })),
        ("long", json!({ "S": "x".repeat(2049) })),
        ("longest", json!({ "S": "x".repeat(2048) })),
    ] {
        let item = json!({ "id": { "S": id }, "room": room });
        tables.ok("PutItem", json!({ "TableName": "Chat", "Item": item })).await;
    }
    tables.ok("PutItem", put("none")).await;
    let index = json!({
        "TableName": "Chat",
        "AttributeDefinitions": [
            { "AttributeName": "id", "AttributeType": "S" },
            { "AttributeName": "room", "AttributeType": "S" },
        ],
        "GlobalSecondaryIndexUpdates": [{ "Create": { "IndexName": "rooms",
            "KeySchema": [{ "AttributeName": "room", "KeyType": "HASH" }],
            "Projection": { "ProjectionType": "ALL" } } }],
    });
    tables.ok("UpdateTable", index).await;
    let scanned = tables.ok("Scan", json!({ "TableName": "Chat", "IndexName": "rooms" })).await;
    let items = scanned["Items"].as_array().unwrap().iter();
    let mut ids: Vec<_> = items.map(|item| item["id"]["S"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["longest", "text"]);
    // From now on such a key is refused.
    let item =
        json!({ "TableName": "Chat", "Item": { "id": { "S": "later" }, "room": { "N": "1" } } });
    assert_eq!(tables.refused("PutItem", item).await.0, "ValidationException");
    assert_eq!(tables.ok("Scan", json!({ "TableName": "Chat" })).await["Count"], 8);
}

#[tokio::test]
async fn a_table_that_was_half_made_or_half_deleted_is_gone_after_a_restart() {
    let tables = Tables::open();
    let more = json!({
        "AttributeDefinitions": [
            { "AttributeName": "id", "AttributeType": "S" },
            { "AttributeName": "room", "AttributeType": "S" },
        ],
        "GlobalSecondaryIndexes": [{ "IndexName": "rooms",
            "KeySchema": [{ "AttributeName": "room", "KeyType": "HASH" }],
            "Projection": { "ProjectionType": "ALL" } }],
    });
    for table in ["Stays", "Deleted", "Kept"] {
        tables.create(table, more.clone()).await;
    }
    let file = tables.folder.path().join("tables.db");
    // The engine stumbles at the last step of one, and at the first index of the other.
    let stumbling = "CREATE TRIGGER stumble BEFORE DELETE ON _tables WHEN OLD.table_name = 'Deleted' \
         BEGIN SELECT RAISE(ABORT, 'stumbled'); END; \
         CREATE TABLE \"Created::gsi::rooms\" (x TEXT)";
    rusqlite::Connection::open(&file).unwrap().execute_batch(stumbling).unwrap();
    let (status, _) = tables.call("DeleteTable", json!({ "TableName": "Deleted" })).await;
    assert_eq!(status, 500);
    let mut create = json!({ "TableName": "Created", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }] });
    create.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, _) = tables.call("CreateTable", create.clone()).await;
    assert_eq!(status, 500);
    // A deletion that was asked for and had not begun.
    let noted = "DROP TRIGGER stumble; \
         INSERT INTO \"stillwire unfinished\" (table_name, work) VALUES ('Kept', 'delete')";
    rusqlite::Connection::open(&file).unwrap().execute_batch(noted).unwrap();
    let tables = tables.reopen();
    let listed = tables.ok("ListTables", json!({})).await;
    assert_eq!(listed, json!({ "TableNames": ["Kept", "Stays"] }));
    tables.ok("CreateTable", create).await;
    let item = json!({ "id": { "S": "a" }, "room": { "S": "lobby" } });
    tables.ok("PutItem", json!({ "TableName": "Created", "Item": item })).await;
    let scan = json!({ "TableName": "Created", "IndexName": "rooms" });
    assert_eq!(tables.ok("Scan", scan).await["Count"], 1);
}

#[tokio::test]
async fn a_cancelled_transaction_with_a_token_has_a_reason_for_each_action_and_can_be_sent_again() {
    let tables = Tables::open();
    tables.engine.provision(&table("id")).await.unwrap();
    let request = json!({ "ClientRequestToken": "t", "TransactItems": [
        { "Put": { "TableName": "Chat", "Item": { "id": { "S": "new" } } } },
        { "ConditionCheck": { "TableName": "Chat", "Key": { "id": { "S": "guard" } },
            "ConditionExpression": "attribute_exists(id)" } },
    ]});
    let (status, error) = tables.call("TransactWriteItems", request.clone()).await;
    assert_eq!(status, 400);
    let codes: Vec<_> = error["CancellationReasons"].as_array().unwrap().iter().collect();
    assert_eq!(codes.len(), 2, "{error}");
    assert_eq!(
        (&codes[0]["Code"], &codes[1]["Code"]),
        (&json!("None"), &json!("ConditionalCheckFailed"))
    );
    assert!(
        error["Message"].as_str().unwrap().ends_with("[None, ConditionalCheckFailed]"),
        "{error}"
    );
    assert_eq!(tables.ok("GetItem", get("new")).await, json!({}));
    tables.ok("PutItem", put("guard")).await;
    tables.ok("TransactWriteItems", request).await;
    assert_ne!(tables.ok("GetItem", get("new")).await, json!({}));
}

#[tokio::test]
async fn tables_can_be_named_by_their_arns() {
    let tables = Tables::open();
    tables.engine.provision(&table("id")).await.unwrap();
    let arn = "arn:aws:dynamodb:us-east-1:999999999999:table/Chat";
    tables.ok("PutItem", json!({ "TableName": arn, "Item": { "id": { "S": "a" } } })).await;
    let batch = json!({ "RequestItems": { arn: { "Keys": [{ "id": { "S": "a" } }] } } });
    let found = tables.ok("BatchGetItem", batch).await;
    assert_eq!(found["Responses"]["Chat"].as_array().unwrap().len(), 1, "{found}");
    let described = tables.ok("DescribeTable", json!({ "TableName": arn })).await;
    assert_eq!(described["Table"]["TableArn"], arn);
    tables
        .ok("TagResource", json!({ "ResourceArn": arn, "Tags": [{ "Key": "a", "Value": "b" }] }))
        .await;
    let tags = tables.ok("ListTagsOfResource", json!({ "ResourceArn": arn })).await;
    assert_eq!(tags["Tags"], json!([{ "Key": "a", "Value": "b" }]));
}

#[tokio::test]
async fn what_tools_ask_is_answered() {
    let tables = Tables::open();
    tables.engine.provision(&table("id")).await.unwrap();
    let name = json!({ "TableName": "Chat" });
    let backups = tables.ok("DescribeContinuousBackups", name.clone()).await;
    let recovery = &backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
    assert_eq!(recovery["PointInTimeRecoveryStatus"], "DISABLED");
    assert!(tables.ok("DescribeLimits", json!({})).await["TableMaxReadCapacityUnits"].is_u64());
    let missing = json!({ "TableName": "Other" });
    let (kind, _) = tables.refused("DescribeContinuousBackups", missing).await;
    assert_eq!(kind, "ResourceNotFoundException");
    let (kind, _) = tables.refused("CreateBackup", name).await;
    assert_eq!(kind, "UnknownOperationException");
    let billing = tables.ok("DescribeTable", json!({ "TableName": "Chat" })).await;
    let billing = &billing["Table"]["BillingModeSummary"];
    assert!(billing["LastUpdateToPayPerRequestDateTime"].is_number(), "{billing}");
}

#[tokio::test]
async fn names_that_the_engine_cannot_keep_are_refused_and_say_why() {
    let tables = Tables::open();
    tables.create("Chat", json!({})).await;
    for name in ["chat", "_tables", "sqlite_x", "stillwire.tokens"] {
        let request = json!({
            "TableName": name,
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "BillingMode": "PAY_PER_REQUEST",
        });
        let (status, error) = tables.call("CreateTable", request).await;
        assert_eq!(status, 400, "{name}: {error}");
    }
    assert_eq!(tables.ok("ListTables", json!({})).await, json!({ "TableNames": ["Chat"] }));
}

#[tokio::test]
async fn an_update_that_only_takes_away_makes_no_item() {
    let tables = Tables::open();
    tables.create("Chat", json!({})).await;
    let update = json!({
        "TableName": "Chat", "Key": { "id": { "S": "a" } },
        "AttributeUpdates": { "x": { "Action": "DELETE" } },
    });
    assert_eq!(tables.ok("UpdateItem", update.clone()).await, json!({}));
    assert_eq!(tables.ok("GetItem", get("a")).await, json!({}));
    let item = json!({ "id": { "S": "a" }, "x": { "N": "1" } });
    tables.ok("PutItem", json!({ "TableName": "Chat", "Item": item })).await;
    tables.ok("UpdateItem", update).await;
    assert_eq!(tables.ok("GetItem", get("a")).await, json!({ "Item": { "id": { "S": "a" } } }));
}

#[tokio::test]
async fn a_batch_that_names_a_table_twice_is_refused_and_writes_nothing() {
    let tables = Tables::open();
    tables.create("Chat", json!({})).await;
    let arn = "arn:aws:dynamodb:us-east-1:999999999999:table/Chat";
    let put = |id: &str| json!([{ "PutRequest": { "Item": { "id": { "S": id } } } }]);
    for (one, other) in [(arn, "Chat"), ("Chat", arn)] {
        let batch = json!({ "RequestItems": { one: put("a"), other: put("b") } });
        let (kind, _) = tables.refused("BatchWriteItem", batch).await;
        assert_eq!(kind, "ValidationException");
    }
    assert_eq!(tables.ok("Scan", json!({ "TableName": "Chat" })).await["Count"], 0);
}

#[tokio::test]
async fn indexes_that_the_engine_cannot_keep_apart_are_refused_and_leave_nothing() {
    let tables = Tables::open();
    let index = |name: &str, key: &str| {
        json!({
            "IndexName": name, "KeySchema": [{ "AttributeName": key, "KeyType": "HASH" }],
            "Projection": { "ProjectionType": "ALL" },
        })
    };
    let attributes =
        ["id", "a", "b"].map(|name| json!({ "AttributeName": name, "AttributeType": "S" }));
    let request = |indexes: Value| {
        json!({
            "TableName": "Chat", "AttributeDefinitions": attributes,
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "BillingMode": "PAY_PER_REQUEST", "GlobalSecondaryIndexes": indexes,
        })
    };
    let both = request(json!([index("rooms", "a"), index("Rooms", "b")]));
    let (kind, message) = tables.refused("CreateTable", both).await;
    assert_eq!(kind, "ValidationException");
    assert!(message.contains("index Rooms beside the index rooms"), "{message}");
    assert_eq!(tables.ok("ListTables", json!({})).await, json!({ "TableNames": [] }));

    tables.ok("CreateTable", request(json!([index("rooms", "a"), index("other", "b")]))).await;
    let update = json!({
        "TableName": "Chat", "AttributeDefinitions": attributes,
        "GlobalSecondaryIndexUpdates": [{ "Create": index("Rooms", "b") }],
    });
    assert_eq!(tables.refused("UpdateTable", update).await.0, "ValidationException");
}

#[tokio::test]
async fn a_copy_taken_while_it_serves_is_whole() {
    let tables = Tables::open();
    tables.engine.provision(&table("id")).await.unwrap();
    let copies = tempfile::tempdir().unwrap();
    let to = copies.path().join("copy");
    for number in 0..50 {
        tables.ok("PutItem", put(&format!("before {number}"))).await;
    }
    let from = tables.folder.path().to_owned();
    let target = to.clone();
    let copying = tokio::task::spawn_blocking(move || stillwire_tables::snapshot(&from, &target));
    for number in 0..50 {
        tables.ok("PutItem", put(&format!("during {number}"))).await;
    }
    assert_eq!(copying.await.unwrap().unwrap(), [to.join("tables.db")]);
    // The copy is a store of its own.
    let copy = Tables::open_in(copies, "copy");
    let scanned = copy.ok("Scan", json!({ "TableName": "Chat" })).await;
    let items = scanned["Items"].as_array().unwrap();
    let before = |item: &&Value| item["id"]["S"].as_str().unwrap().starts_with("before");
    assert_eq!(items.iter().filter(before).count(), 50);
    copy.ok("PutItem", put("after")).await;
    let again = stillwire_tables::snapshot(tables.folder.path(), &to).unwrap_err();
    assert!(again.to_string().contains("is there already"), "{again}");
}

#[tokio::test]
async fn what_is_acknowledged_before_it_is_on_the_disk_gets_there_or_ends_the_program() {
    let tables = Tables::open_as(Durability::Interval);
    tables.engine.provision(&table("id")).await.unwrap();
    let put = async |tables: &Tables, id: &str| {
        let item = json!({ "TableName": "Chat", "Item": { "id": { "S": id } } });
        tables.ok("PutItem", item).await;
    };
    put(&tables, "a").await;
    let failed = tables.engine.failed();
    let waited = tokio::time::timeout(Duration::from_millis(100), failed).await;
    assert!(waited.is_err(), "it was put on the disk");
    // As a disk that is there no more.
    std::fs::remove_file(tables.folder.path().join("tables.db-wal")).unwrap();
    put(&tables, "b").await;
    let failed = tables.engine.failed();
    tokio::time::timeout(Duration::from_secs(10), failed).await.expect("the program is to end");
    assert_eq!(tables.call("GetItem", get("a")).await.0, 500, "nothing is acknowledged any more");
}

#[tokio::test]
async fn streams_and_tokens_work_in_memory() {
    let tables = Tables::open_as(Durability::Memory);
    let stream =
        json!({ "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "KEYS_ONLY" } });
    tables.create("Chat", stream).await;
    let changed = tables.store().stream_changed("Chat");
    let put = json!({ "TableName": "Chat", "Item": { "id": { "S": "a" } } });
    tables.ok("PutItem", put).await;
    tokio::time::timeout(Duration::from_secs(10), changed).await.expect("its readers are told");
    let own = json!({ "TableName": "stillwire.tokens", "Key": { "token": { "S": "t" } } });
    let (kind, _) = tables.refused("GetItem", own).await;
    assert_eq!(kind, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_scan_of_a_small_table_gives_what_any_scan_gives() {
    let tables = Tables::open();
    tables.engine.provision(&table("id")).await.unwrap();
    let scan = async |more: Value| {
        let mut request = json!({ "TableName": "Chat" });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tables.ok("Scan", request).await
    };
    // The engine's own front knows this member, and the short way does not.
    let by_engine = json!({ "ReturnConsumedCapacity": "NONE" });
    assert_eq!(scan(json!({})).await, json!({ "Items": [], "Count": 0, "ScannedCount": 0 }));
    let item = |id: &str, more: Value| json!({ "TableName": "Chat", "Item": { "id": { "S": id }, "more": more } });
    for (id, more) in [
        (
            "grüße \"quoted\" \\ \n 🙂",
            json!({ "M": { "a": { "L": [{ "B": "AA==" }, { "NULL": true }] } } }),
        ),
        ("number", json!({ "N": "1E+3" })),
        ("said", json!({ "S": "\"NS\":[]" })),
    ] {
        tables.ok("PutItem", item(id, more)).await;
        assert_eq!(scan(json!({})).await, scan(by_engine.clone()).await);
    }
    tables.ok("PutItem", item("set", json!({ "NS": ["10", "9", "-1", "2.5"] }))).await;
    assert_eq!(scan(json!({ "ConsistentRead": true })).await, scan(by_engine.clone()).await);
    // Now it has more than a page.
    for number in 0..4 {
        tables
            .ok("PutItem", item(&format!("large {number}"), json!({ "S": "x".repeat(300_000) })))
            .await;
    }
    let page = scan(json!({})).await;
    assert!(page.get("LastEvaluatedKey").is_some());
    assert_eq!(page, scan(by_engine).await);
    let (kind, _) = tables.refused("Scan", json!({ "TableName": "_tables" })).await;
    assert_eq!(kind, "ResourceNotFoundException");
}
