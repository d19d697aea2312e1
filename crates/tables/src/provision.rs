//! Creates the tables that a template declares.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use stillwire_model::{Reply, Table, TableApi as _};

use crate::Engine;

/// What was done for a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provisioned {
    /// It is new and empty.
    Created,
    /// It was there, with its items.
    Existing,
}

/// A table cannot be had as it is declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvisionError {
    /// The engine refused the declaration.
    #[error("table {table} ({logical_id} in {stack}) is refused: {reason}")]
    Refused {
        /// Its physical name.
        table: String,
        /// Its logical id.
        logical_id: String,
        /// Its stack.
        stack: String,
        /// The engine's words.
        reason: String,
    },
    /// A table of this name exists with other keys.
    #[error(
        "table {table} ({logical_id} in {stack}) exists with the keys {existing}, and is declared with {declared}"
    )]
    OtherKeys {
        /// Its physical name.
        table: String,
        /// Its logical id.
        logical_id: String,
        /// Its stack.
        stack: String,
        /// The keys on disk.
        existing: String,
        /// The keys in the template.
        declared: String,
    },
}

impl Engine {
    /// Makes sure a declared table exists. Its items, if it has any, stay.
    pub async fn provision(&self, table: &Table) -> Result<Provisioned, ProvisionError> {
        self.names().learn(&table.name, &table.arn);
        let described = self.control("DescribeTable", &json!({ "TableName": table.name })).await;
        let provisioned = if let Ok(description) = described {
            check_keys(table, &description)?;
            Provisioned::Existing
        } else {
            let definition = Value::Object(table.definition.clone());
            self.control("CreateTable", &definition)
                .await
                .map_err(|reason| refused(table, reason))?;
            Provisioned::Created
        };
        self.set_time_to_live(table).await?;
        Ok(provisioned)
    }

    async fn set_time_to_live(&self, table: &Table) -> Result<(), ProvisionError> {
        let Some(attribute) = &table.time_to_live else { return Ok(()) };
        let name = json!({ "TableName": table.name });
        let known = self.control("DescribeTimeToLive", &name).await.unwrap_or_default();
        let known = known.pointer("/TimeToLiveDescription/AttributeName");
        if known.and_then(Value::as_str) == Some(attribute) {
            return Ok(());
        }
        let request = json!({
            "TableName": table.name,
            "TimeToLiveSpecification": { "Enabled": true, "AttributeName": attribute },
        });
        self.control("UpdateTimeToLive", &request)
            .await
            .map(|_| ())
            .map_err(|reason| refused(table, reason))
    }

    /// One request about a resource; the error is the engine's message.
    async fn control(&self, operation: &str, request: &Value) -> Result<Value, String> {
        let target = format!("DynamoDB_20120810.{operation}");
        let Reply { status, body } = self.call(&target, Bytes::from(request.to_string())).await;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status == 200 {
            return Ok(answer);
        }
        let message = answer.get("message").or_else(|| answer.get("Message"));
        Err(message.and_then(Value::as_str).unwrap_or("no reason given").to_owned())
    }
}

fn refused(table: &Table, reason: String) -> ProvisionError {
    ProvisionError::Refused {
        table: table.name.clone(),
        logical_id: table.logical_id.to_string(),
        stack: table.stack.to_string(),
        reason,
    }
}

fn check_keys(table: &Table, description: &Value) -> Result<(), ProvisionError> {
    let existing = description.get("Table").and_then(Value::as_object).map(keys_of);
    let declared = keys_of(&table.definition);
    match existing {
        Some(existing) if existing != declared => Err(ProvisionError::OtherKeys {
            table: table.name.clone(),
            logical_id: table.logical_id.to_string(),
            stack: table.stack.to_string(),
            existing,
            declared,
        }),
        _ => Ok(()),
    }
}

/// The keys of a definition or description, as people read them: `pk (HASH, S), sk (RANGE, N)`.
fn keys_of(definition: &Map<String, Value>) -> String {
    let list = |name: &str| {
        definition.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    };
    let text = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_str).unwrap_or("?").to_owned()
    };
    let kind_of = |attribute: &str| {
        list("AttributeDefinitions")
            .iter()
            .find(|known| text(known, "AttributeName") == attribute)
            .map_or_else(|| "?".to_owned(), |known| text(known, "AttributeType"))
    };
    let keys: Vec<String> = list("KeySchema")
        .iter()
        .map(|key| {
            let attribute = text(key, "AttributeName");
            format!("{attribute} ({}, {})", text(key, "KeyType"), kind_of(&attribute))
        })
        .collect();
    keys.join(", ")
}
