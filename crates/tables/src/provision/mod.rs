//! Makes tables what a template declares, without losing an item.
//!
//! A table that is not there is made. One that is there is changed where that loses nothing: indexes come and go (a new one is
//! filled from the items that are there), streams and time to live are switched, capacity and tags follow. Keys and
//! local indexes cannot change; a table that declares others is refused, with the remedy.
//!
//! Works on any store that speaks the DynamoDB API. Source: `CreateTable`, `UpdateTable` and `UpdateTimeToLive`, API references.

mod aside;
mod shape;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use stillwire_model::{Reply, Table, TableApi};

pub use self::aside::{remove, set_aside};
use self::shape::{Members, index_texts, indexes, keys_of, tags};

/// What was done for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provisioned {
    /// It is new and empty.
    Created,
    /// It was there, as it is declared.
    Existing,
    /// It was there and is changed: each change in a few words.
    Changed(Vec<String>),
}

/// A table cannot be had as it is declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvisionError {
    /// The store refused the declaration.
    #[error("{which} is refused: {reason}")]
    Refused {
        /// The table.
        which: Which,
        /// The store's words.
        reason: String,
    },
    /// A table of this name exists, and differs in what cannot be changed.
    #[error(
        "{which} exists with the {what} {existing}, and is declared with {declared}: give the declared table another \
         name, or delete the one that exists"
    )]
    Fixed {
        /// The table.
        which: Which,
        /// What cannot be changed: keys, or local indexes.
        what: &'static str,
        /// How it is.
        existing: String,
        /// How it is declared.
        declared: String,
    },
}

/// A declared table, as messages name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Which(Box<str>);

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&Table> for Which {
    fn from(table: &Table) -> Self {
        let Table { name, logical_id, stack, .. } = table;
        Self(format!("table {name} ({logical_id} in {stack})").into())
    }
}

/// How often a table is looked at while it changes. Real DynamoDB takes its time; the embedded engine takes none.
const POLL: Duration = Duration::from_millis(500);

/// How long a change may take. Source: none; an index of a large table is filled for as long.
const CHANGE_TIMEOUT: Duration = Duration::from_mins(10);

/// Makes sure a declared table exists as it is declared. Its items, if it has any, stay.
///
/// # Errors
/// What the store refuses, and what cannot be changed.
pub async fn provision(store: &dyn TableApi, table: &Table) -> Result<Provisioned, ProvisionError> {
    let work = Work { store, table };
    let provisioned = match work.describe().await? {
        None => {
            work.call("CreateTable", &Value::Object(table.definition.clone())).await?;
            work.settled().await?;
            Provisioned::Created
        }
        Some(existing) => {
            let changes = work.change(existing).await?;
            if changes.is_empty() { Provisioned::Existing } else { Provisioned::Changed(changes) }
        }
    };
    let expiry = work.set_time_to_live().await?;
    Ok(match (provisioned, expiry) {
        (Provisioned::Existing, Some(change)) => Provisioned::Changed(vec![change]),
        (Provisioned::Changed(mut changes), Some(change)) => {
            changes.push(change);
            Provisioned::Changed(changes)
        }
        (provisioned, _) => provisioned,
    })
}

struct Work<'a> {
    store: &'a dyn TableApi,
    table: &'a Table,
}

impl Work<'_> {
    async fn describe(&self) -> Result<Option<Members>, ProvisionError> {
        let request = json!({ "TableName": self.table.name });
        match self.ask("DescribeTable", &request).await {
            Ok(mut described) => Ok(match described.get_mut("Table").map(Value::take) {
                Some(Value::Object(table)) => Some(table),
                _ => None,
            }),
            Err(error) if error.code.ends_with("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(self.refused(error.message)),
        }
    }

    /// Changes a table that is there. Each change in a few words.
    async fn change(&self, existing: Members) -> Result<Vec<String>, ProvisionError> {
        let declared = &self.table.definition;
        self.check_fixed("keys", keys_of(&existing), keys_of(declared))?;
        let local = |of: &Members| indexes(of, "LocalSecondaryIndexes");
        self.check_fixed(
            "local indexes",
            index_texts(&local(&existing)),
            index_texts(&local(declared)),
        )?;
        let mut changes = Vec::new();
        self.change_indexes(&existing, &mut changes).await?;
        self.change_stream(&existing, &mut changes).await?;
        self.change_settings(&existing, &mut changes).await?;
        self.change_tags(&existing, &mut changes).await?;
        Ok(changes)
    }

    /// One change at a time, as DynamoDB wants it. An index that changed is made anew.
    async fn change_indexes(
        &self,
        existing: &Members,
        changes: &mut Vec<String>,
    ) -> Result<(), ProvisionError> {
        let member = "GlobalSecondaryIndexes";
        let (there, wanted) = (indexes(existing, member), indexes(&self.table.definition, member));
        for index in &there {
            if !wanted.iter().any(|other| other.text == index.text) {
                let delete = json!([{ "Delete": { "IndexName": index.name } }]);
                self.update("GlobalSecondaryIndexUpdates", delete).await?;
                changes.push(format!("index {} removed", index.name));
            }
        }
        for index in &wanted {
            if !there.iter().any(|other| other.text == index.text) {
                let create = json!([{ "Create": index.definition }]);
                self.update("GlobalSecondaryIndexUpdates", create).await?;
                changes.push(format!("index {} made from the items that are there", index.name));
            }
        }
        Ok(())
    }

    async fn change_stream(
        &self,
        existing: &Members,
        changes: &mut Vec<String>,
    ) -> Result<(), ProvisionError> {
        let view = |of: &Members| -> Option<String> {
            let specification = of.get("StreamSpecification")?;
            let enabled = specification.get("StreamEnabled")?.as_bool()?;
            let view = specification.get("StreamViewType").and_then(Value::as_str);
            enabled.then(|| view.unwrap_or("NEW_AND_OLD_IMAGES").to_owned())
        };
        let (there, wanted) = (view(existing), view(&self.table.definition));
        if there == wanted {
            return Ok(());
        }
        if there.is_some() {
            self.update("StreamSpecification", json!({ "StreamEnabled": false })).await?;
            changes.push("stream disabled".to_owned());
        }
        if let Some(view) = wanted {
            let specification = json!({ "StreamEnabled": true, "StreamViewType": view });
            self.update("StreamSpecification", specification).await?;
            changes.push(format!("stream enabled ({view})"));
        }
        Ok(())
    }

    async fn change_settings(
        &self,
        existing: &Members,
        changes: &mut Vec<String>,
    ) -> Result<(), ProvisionError> {
        let declared = &self.table.definition;
        let protected = |of: &Members| {
            of.get("DeletionProtectionEnabled").and_then(Value::as_bool).unwrap_or(false)
        };
        if protected(existing) != protected(declared) {
            self.update("DeletionProtectionEnabled", protected(declared).into()).await?;
            changes.push("deletion protection switched".to_owned());
        }
        let billing = |of: &Members| {
            let mode = of.get("BillingMode");
            let mode = mode.or_else(|| of.get("BillingModeSummary")?.get("BillingMode"));
            mode.and_then(Value::as_str).unwrap_or("PROVISIONED").to_owned()
        };
        let capacity = |of: &Members| {
            let units = |name: &str| {
                let throughput = of.get("ProvisionedThroughput");
                throughput.and_then(|of| of.get(name)?.as_u64()).unwrap_or(0)
            };
            (units("ReadCapacityUnits"), units("WriteCapacityUnits"))
        };
        let provisioned = billing(declared) == "PROVISIONED";
        if billing(existing) != billing(declared) {
            let mut members = vec![("BillingMode", billing(declared).into())];
            if let (true, Some(of)) = (provisioned, declared.get("ProvisionedThroughput")) {
                members.push(("ProvisionedThroughput", of.clone()));
            }
            self.update_all(members).await?;
            changes.push(format!("billing mode {}", billing(declared)));
        } else if provisioned
            && capacity(existing) != capacity(declared)
            && let Some(throughput) = declared.get("ProvisionedThroughput")
        {
            self.update("ProvisionedThroughput", throughput.clone()).await?;
            changes.push("capacity changed".to_owned());
        }
        Ok(())
    }

    async fn change_tags(
        &self,
        existing: &Members,
        changes: &mut Vec<String>,
    ) -> Result<(), ProvisionError> {
        let Some(wanted) = self.table.definition.get("Tags") else { return Ok(()) };
        let arn = existing.get("TableArn").cloned().unwrap_or_default();
        let there = self.call("ListTagsOfResource", &json!({ "ResourceArn": arn })).await?;
        if tags(there.get("Tags")) == tags(Some(wanted)) {
            return Ok(());
        }
        let stale: Vec<_> = tags(there.get("Tags"))
            .into_iter()
            .filter(|(key, _)| !tags(Some(wanted)).iter().any(|(wanted, _)| wanted == key))
            .map(|(key, _)| key)
            .collect();
        if !stale.is_empty() {
            self.call("UntagResource", &json!({ "ResourceArn": arn, "TagKeys": stale })).await?;
        }
        self.call("TagResource", &json!({ "ResourceArn": arn, "Tags": wanted })).await?;
        changes.push("tags changed".to_owned());
        Ok(())
    }

    async fn set_time_to_live(&self) -> Result<Option<String>, ProvisionError> {
        let name = json!({ "TableName": self.table.name });
        let known = self.call("DescribeTimeToLive", &name).await?;
        let known = known.get("TimeToLiveDescription");
        let text = |member: &str| known.and_then(|known| known.get(member)?.as_str());
        let enabled = text("TimeToLiveStatus").is_some_and(|status| status.starts_with("ENABL"));
        let known = text("AttributeName").filter(|_| enabled);
        let wanted = self.table.time_to_live.as_deref();
        if known == wanted {
            return Ok(None);
        }
        if let Some(attribute) = known {
            self.switch_time_to_live(attribute, false).await?;
        }
        let Some(attribute) = wanted else {
            return Ok(Some("time to live disabled".to_owned()));
        };
        self.switch_time_to_live(attribute, true).await?;
        Ok(Some(format!("time to live by {attribute}")))
    }

    async fn switch_time_to_live(&self, attribute: &str, on: bool) -> Result<(), ProvisionError> {
        let specification = json!({ "Enabled": on, "AttributeName": attribute });
        let request =
            json!({ "TableName": self.table.name, "TimeToLiveSpecification": specification });
        self.call("UpdateTimeToLive", &request).await.map(drop)
    }

    /// One `UpdateTable`, and the wait until it is done.
    async fn update(&self, member: &str, value: Value) -> Result<(), ProvisionError> {
        let mut members = vec![(member, value)];
        if member == "GlobalSecondaryIndexUpdates"
            && let Some(attributes) = self.table.definition.get("AttributeDefinitions")
        {
            members.push(("AttributeDefinitions", attributes.clone()));
        }
        self.update_all(members).await
    }

    async fn update_all(&self, members: Vec<(&str, Value)>) -> Result<(), ProvisionError> {
        let name = ("TableName", self.table.name.clone().into());
        let members = members.into_iter().chain([name]);
        let request: Members = members.map(|(name, value)| (name.to_owned(), value)).collect();
        self.call("UpdateTable", &request.into()).await?;
        self.settled().await
    }

    /// Waits until the table and its indexes are active.
    async fn settled(&self) -> Result<(), ProvisionError> {
        let active =
            |of: &Value, member: &str| of.get(member).is_none_or(|status| status == "ACTIVE");
        let waiting = async {
            loop {
                let Some(table) = self.describe().await? else { return Ok(()) };
                let indexes = table.get("GlobalSecondaryIndexes").and_then(Value::as_array);
                let ready = indexes.into_iter().flatten().all(|index| active(index, "IndexStatus"));
                if ready && active(&Value::Object(table), "TableStatus") {
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        };
        let late = || self.refused(format!("it is not active after {CHANGE_TIMEOUT:?}"));
        tokio::time::timeout(CHANGE_TIMEOUT, waiting).await.unwrap_or_else(|_| Err(late()))
    }

    fn check_fixed(
        &self,
        what: &'static str,
        existing: String,
        declared: String,
    ) -> Result<(), ProvisionError> {
        if existing == declared {
            return Ok(());
        }
        Err(ProvisionError::Fixed { which: self.table.into(), what, existing, declared })
    }

    async fn call(&self, operation: &str, request: &Value) -> Result<Value, ProvisionError> {
        self.ask(operation, request).await.map_err(|error| self.refused(error.message))
    }

    async fn ask(&self, operation: &str, request: &Value) -> Result<Value, Refused> {
        let target = format!("DynamoDB_20120810.{operation}");
        let Reply { status, body } =
            self.store.call(&target, Bytes::from(request.to_string())).await;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status == 200 {
            return Ok(answer);
        }
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        Err(Refused {
            code: text("__type").unwrap_or_default().to_owned(),
            message: text("message")
                .or_else(|| text("Message"))
                .unwrap_or("no reason given")
                .to_owned(),
        })
    }

    fn refused(&self, reason: String) -> ProvisionError {
        ProvisionError::Refused { which: self.table.into(), reason }
    }
}

/// A store's refusal.
struct Refused {
    code: String,
    message: String,
}
