//! A store whose engine has failed.

use tempfile::TempDir;

use super::*;

/// A moment that stays.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn epoch_millis(&self) -> u64 {
        1_800_000_000_000
    }
}

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let (place, file) = (Place::new("1", "eu-west-1").unwrap(), folder.path().join("tables.db"));
    let with = (Durability::Commit, Arc::new(Still) as Arc<dyn Clock>);
    let store = Store::open(place, file, with, Health::default(), &Handle::current()).unwrap();
    (folder, store)
}

async fn ask(store: &Store, operation: &str, request: Value) -> Value {
    let (target, body) = (format!("{ITEMS}{operation}"), Bytes::from(request.to_string()));
    let reply = match store.answer_now(&target, &body) {
        Some(reply) => reply,
        None => store.answer(&target, body).await,
    };
    assert_eq!(reply.status, 200, "{operation}: {reply:?}");
    serde_json::from_slice(&reply.body).unwrap()
}

#[tokio::test]
async fn an_engine_that_a_panic_has_made_useless_is_started_anew_over_the_same_items() {
    let (_folder, store) = store();
    let create = json!({
        "TableName": "Chat", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
    });
    ask(&store, "CreateTable", create).await;
    let item = |id: &str| json!({ "TableName": "Chat", "Item": { "id": { "S": id } } });
    ask(&store, "PutItem", item("before")).await;
    let address = |store: &Store| format!("{:?}", store.engine().wire);
    let before = address(&store);
    assert!(!store.mend("disk is full"), "that is no fault of the engine's");
    assert_eq!(address(&store), before);
    assert!(store.mend("Lock poisoned: poisoned lock: another task failed inside"));
    assert_ne!(address(&store), before);
    ask(&store, "PutItem", item("after")).await;
    let scan = json!({ "TableName": "Chat", "ReturnConsumedCapacity": "NONE" });
    assert_eq!(ask(&store, "Scan", scan).await["Count"], 2);
}
