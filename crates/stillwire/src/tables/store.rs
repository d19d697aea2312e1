//! The tables of a running app, asked over its AWS endpoint.

use std::sync::Arc;

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};
use stillwire_awswire::Credentials;
use stillwire_model::{LOCAL_KEYS, TableApi, TableStores as _};
use stillwire_outbound::Outbound;
use stillwire_tables::{Remote, There};

use crate::cli::TablesArgs;
use crate::clock::SystemClock;
use crate::report::hinted;
use crate::running::{self, Running};
use crate::settings::Settings;

/// The region of tables where nothing says another.
const REGION: &str = "us-east-1";

/// The tables that a command is about.
pub(super) struct Store {
    tables: Arc<dyn TableApi>,
    running: Option<Running>,
}

impl Store {
    /// Finds the running app, or takes the address that is named.
    pub(super) fn find(args: &TablesArgs, settings: &Settings) -> Result<Self> {
        let running = match &args.endpoint {
            Some(_) => None,
            None => Some(running::find(settings, args.app.as_deref())?),
        };
        let own = running.as_ref().map(|running| running.aws_endpoint.clone());
        let endpoint = args.endpoint.clone().or(own);
        let of_app = running.as_ref().and_then(|running| running.tables.first());
        let region = of_app.and_then(|table| table.arn.split(':').nth(3)).unwrap_or(REGION);
        let region = args.region.as_deref().unwrap_or(region).to_owned();
        let keys = settings
            .keys
            .find()
            .ok()
            .filter(|_| args.endpoint.is_some())
            .unwrap_or_else(|| Credentials::new(LOCAL_KEYS.access_key, LOCAL_KEYS.secret));
        let remote = Remote::new(There {
            endpoint,
            keys,
            outbound: Outbound::new(None),
            clock: Arc::new(SystemClock),
        });
        Ok(Self { tables: remote.store("", &region), running })
    }

    /// A table's name, from its name or its logical id in the app.
    pub(super) fn name<'a>(&'a self, text: &'a str) -> Result<&'a str> {
        let meant = self.running.as_ref().map(|running| running.table(text)).transpose()?;
        Ok(meant.flatten().map_or(text, |table| &table.name))
    }

    /// The tables' logical ids, by their names.
    pub(super) fn logical_id(&self, name: &str) -> Option<&str> {
        let declared = self.running.iter().flat_map(|running| &running.tables);
        declared.into_iter().find(|table| table.name == name).map(|table| table.logical_id.as_str())
    }

    /// One request.
    pub(super) async fn call(&self, operation: &str, request: &Value) -> Result<Value> {
        let target = format!("DynamoDB_20120810.{operation}");
        let reply = self.tables.call(&target, request.to_string().into()).await;
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        if reply.status == 200 {
            return Ok(answer);
        }
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let message = text("message").or_else(|| text("Message")).unwrap_or("no reason given");
        let kind = text("__type").and_then(|kind| kind.rsplit('#').next()).unwrap_or("error");
        match kind {
            "ResourceNotFoundException" => Err(hinted(
                message.to_owned(),
                "`stillwire tables` lists the tables that there are",
            )),
            _ => bail!("{kind}: {message}"),
        }
    }

    /// Every name of a table.
    pub(super) async fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut request = json!({});
        loop {
            let page = self.call("ListTables", &request).await?;
            let listed = page.get("TableNames").and_then(Value::as_array);
            names.extend(listed.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
            match page.get("LastEvaluatedTableName") {
                Some(last) => request = json!({ "ExclusiveStartTableName": last }),
                None => return Ok(names),
            }
        }
    }

    /// What a table is.
    pub(super) async fn describe(&self, name: &str) -> Result<Value> {
        let mut described = self.call("DescribeTable", &json!({ "TableName": name })).await?;
        Ok(described.get_mut("Table").map(Value::take).unwrap_or_default())
    }

    /// Gives every item of a table, page by page, until `take` has enough.
    pub(super) async fn scan(
        &self,
        name: &str,
        mut take: impl FnMut(&Map<String, Value>) -> Result<bool>,
    ) -> Result<()> {
        let mut request = json!({ "TableName": name, "ConsistentRead": true });
        loop {
            let page = self.call("Scan", &request).await?;
            let items = page.get("Items").and_then(Value::as_array).into_iter().flatten();
            for item in items.filter_map(Value::as_object) {
                if !take(item)? {
                    return Ok(());
                }
            }
            match (page.get("LastEvaluatedKey"), request.as_object_mut()) {
                (Some(last), Some(members)) => {
                    members.insert("ExclusiveStartKey".to_owned(), last.clone());
                }
                _ => return Ok(()),
            }
        }
    }
}
