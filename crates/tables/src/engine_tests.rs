//! Tests of the engine through its port.

use serde_json::{Value, json};
use stillwire_model::{DeletionPolicy, Table};

use super::*;
use crate::{ProvisionError, Provisioned};

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
        deletion_policy: DeletionPolicy::Delete,
    }
}

async fn call(engine: &Engine, operation: &str, request: Value) -> (u16, Value) {
    let target = format!("DynamoDB_20120810.{operation}");
    let reply = engine.call(&target, request.to_string().into()).await;
    (reply.status, serde_json::from_slice(&reply.body).unwrap())
}

fn put(id: &str) -> Value {
    json!({ "TableName": "Chat", "Item": { "id": { "S": id } } })
}

fn get(id: &str) -> Value {
    json!({ "TableName": "Chat", "Key": { "id": { "S": id } } })
}

#[tokio::test]
async fn a_declared_table_is_created_once_and_its_items_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::File(folder.path().join("new/tables.db"));
    let engine = Engine::open(&storage).unwrap();
    assert_eq!(engine.provision(&table("id")).await, Ok(Provisioned::Created));
    assert_eq!(call(&engine, "PutItem", put("a")).await, (200, json!({})));
    drop(engine);
    let engine = Engine::open(&storage).unwrap();
    assert_eq!(engine.provision(&table("id")).await, Ok(Provisioned::Existing));
    let (_, found) = call(&engine, "GetItem", get("a")).await;
    assert_eq!(found, json!({ "Item": { "id": { "S": "a" } } }));
}

#[tokio::test]
async fn a_table_with_other_keys_is_an_error_that_names_both() {
    let engine = Engine::open(&Storage::Memory).unwrap();
    engine.provision(&table("id")).await.unwrap();
    let error = engine.provision(&table("user")).await.unwrap_err();
    assert!(matches!(error, ProvisionError::OtherKeys { .. }));
    let text = error.to_string();
    assert!(text.contains("id (HASH, S)") && text.contains("user (HASH, S)"), "{text}");
}

#[tokio::test]
async fn arns_carry_the_real_account_and_region() {
    let engine = Engine::open(&Storage::Memory).unwrap();
    engine.provision(&table("id")).await.unwrap();
    let (_, answer) = call(&engine, "DescribeTable", json!({ "TableName": "Chat" })).await;
    assert_eq!(answer["Table"]["TableArn"], "arn:aws:dynamodb:us-east-1:999999999999:table/Chat");
    // An item that holds such a text is the user's own.
    let arn = "arn:aws:dynamodb:us-east-1:999999999999:table/Chat";
    let item = json!({ "TableName": "Chat", "Item": { "id": { "S": arn } } });
    call(&engine, "PutItem", item).await;
    let (_, found) = call(&engine, "GetItem", get(arn)).await;
    assert_eq!(found["Item"]["id"]["S"], arn);
}

#[tokio::test]
async fn errors_are_worded_as_dynamodb_does() {
    let engine = Engine::open(&Storage::Memory).unwrap();
    let (status, error) = call(&engine, "GetItem", get("a")).await;
    assert_eq!(status, 400);
    assert_eq!(error["__type"], "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException");
    assert_eq!(error["message"], "Requested resource not found");
}

#[tokio::test]
async fn the_deepest_expression_is_an_error_and_the_process_lives() {
    let engine = Engine::open(&Storage::Memory).unwrap();
    engine.provision(&table("id")).await.unwrap();
    for expression in ["(".repeat(4096), "(".repeat(100_000)] {
        let request = json!({ "TableName": "Chat", "FilterExpression": expression });
        let (status, error) = call(&engine, "Scan", request).await;
        assert_eq!(status, 400);
        assert!(error["__type"].as_str().unwrap().ends_with("ValidationException"), "{error}");
    }
    assert_eq!(call(&engine, "PutItem", put("a")).await.0, 200);
}

#[tokio::test]
async fn requests_run_side_by_side() {
    let engine = Engine::open(&Storage::Memory).unwrap();
    engine.provision(&table("id")).await.unwrap();
    let calls: Vec<_> = (0..50)
        .map(|number| {
            let body = put(&number.to_string()).to_string();
            engine.call("DynamoDB_20120810.PutItem", body.into())
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.status, 200);
    }
    let (_, scanned) = call(&engine, "Scan", json!({ "TableName": "Chat" })).await;
    assert_eq!(scanned["Count"], 50);
}
