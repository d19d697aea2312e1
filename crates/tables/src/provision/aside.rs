//! Tables that make way: one whose keys changed is kept under another name, one that its template gave up is removed.

use serde_json::{Value, json};
use stillwire_model::{Table, TableApi};

use super::shape::Members;
use super::{ProvisionError, Work};

/// Items of one write. Source: DynamoDB API, `BatchWriteItem` (25).
const BATCH_ITEMS_MAX: usize = 25;

/// How often one batch is tried again for what of it was not processed.
const TRIES_MAX: usize = 10;

/// Copies a table that is there into a new one named `aside`, with the same keys and without indexes, and removes it then. Gives
/// the number of items.
///
/// The copy is whole before anything is removed: after a crash both may be there, and the next run writes the same again.
///
/// # Errors
/// What the store refuses.
pub async fn set_aside(
    store: &dyn TableApi,
    table: &Table,
    aside: &str,
) -> Result<u64, ProvisionError> {
    let work = Work { store, table };
    let Some(existing) = work.describe().await? else { return Ok(0) };
    let copy = Table { name: aside.to_owned(), ..table.clone() };
    let into = Work { store, table: &copy };
    if into.describe().await?.is_none() {
        into.call("CreateTable", &keys_only(aside, &existing)).await?;
        into.settled().await?;
    }
    let copied = copy_items(&work, &into).await?;
    work.call("DeleteTable", &json!({ "TableName": table.name })).await?;
    work.gone().await?;
    Ok(copied)
}

/// Removes a table with its items. One that is not there is removed already.
///
/// # Errors
/// What the store refuses: tables may be protected from deletion.
pub async fn remove(store: &dyn TableApi, table: &Table) -> Result<(), ProvisionError> {
    let work = Work { store, table };
    if work.describe().await?.is_none() {
        return Ok(());
    }
    work.call("DeleteTable", &json!({ "TableName": table.name })).await?;
    work.gone().await
}

/// What makes a table with the keys of another.
fn keys_only(name: &str, of: &Members) -> Value {
    let list = |member: &str| of.get(member).and_then(Value::as_array).cloned().unwrap_or_default();
    let keys = list("KeySchema");
    let is_key = |attribute: &Value| {
        keys.iter().any(|key| key.get("AttributeName") == attribute.get("AttributeName"))
    };
    let attributes: Vec<Value> = list("AttributeDefinitions").into_iter().filter(is_key).collect();
    json!({ "TableName": name, "KeySchema": keys, "AttributeDefinitions": attributes,
        "BillingMode": "PAY_PER_REQUEST" })
}

async fn copy_items(from: &Work<'_>, into: &Work<'_>) -> Result<u64, ProvisionError> {
    let mut copied = 0;
    let mut start = None;
    loop {
        let mut request = json!({ "TableName": from.table.name, "ConsistentRead": true });
        if let (Some(start), Value::Object(members)) = (start, &mut request) {
            members.insert("ExclusiveStartKey".to_owned(), start);
        }
        let page = from.call("Scan", &request).await?;
        let items = page.get("Items").and_then(Value::as_array).cloned().unwrap_or_default();
        for batch in items.chunks(BATCH_ITEMS_MAX) {
            into.write(batch).await?;
            copied += batch.len() as u64;
        }
        match page.get("LastEvaluatedKey") {
            Some(key) => start = Some(key.clone()),
            None => return Ok(copied),
        }
    }
}

impl Work<'_> {
    async fn write(&self, items: &[Value]) -> Result<(), ProvisionError> {
        let puts: Vec<Value> =
            items.iter().map(|item| json!({ "PutRequest": { "Item": item } })).collect();
        let mut wanted = json!({ self.table.name.clone(): puts });
        for _ in 0..TRIES_MAX {
            let request = json!({ "RequestItems": wanted });
            let mut done = self.call("BatchWriteItem", &request).await?;
            match done.get_mut("UnprocessedItems").map(Value::take) {
                Some(Value::Object(left)) if !left.is_empty() => wanted = left.into(),
                _ => return Ok(()),
            }
        }
        Err(self.refused("it takes no more items now".to_owned()))
    }

    /// Waits until the table is not there any more.
    async fn gone(&self) -> Result<(), ProvisionError> {
        let waiting = async {
            while self.describe().await?.is_some() {
                tokio::time::sleep(super::POLL).await;
            }
            Ok(())
        };
        let late = || self.refused(format!("it is still there after {:?}", super::CHANGE_TIMEOUT));
        tokio::time::timeout(super::CHANGE_TIMEOUT, waiting).await.unwrap_or_else(|_| Err(late()))
    }
}
