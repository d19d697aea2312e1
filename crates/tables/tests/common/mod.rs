//! A store in a folder of its own, with a clock that tests set.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use stillwire_model::{Clock, TableApi, TableStores as _};
use stillwire_tables::{Config, Durability, Engine};
use tempfile::TempDir;

/// The time, and how far tests have moved it, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Time(AtomicU64);

impl Time {
    pub(crate) fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Time {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn epoch_millis(&self) -> u64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::try_from(real.as_millis()).unwrap() + self.0.load(Ordering::SeqCst)
    }
}

const ACCOUNT: &str = "999999999999";

const REGION: &str = "us-east-1";

/// A running store.
pub(crate) struct Tables {
    pub(crate) engine: Engine,
    pub(crate) time: Arc<Time>,
    pub(crate) folder: TempDir,
}

impl Tables {
    pub(crate) fn open() -> Self {
        Self::open_as(Durability::Commit)
    }

    pub(crate) fn open_as(durability: Durability) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let time = Arc::new(Time::default());
        let engine = open_in(folder.path(), durability, &time);
        Self { engine, time, folder }
    }

    /// Opens the store of a folder within another.
    pub(crate) fn open_in(folder: TempDir, name: &str) -> Self {
        let time = Arc::new(Time::default());
        let engine = open(&folder.path().join(name), &time);
        Self { engine, time, folder }
    }

    /// Stops and starts again over the same files.
    pub(crate) fn reopen(self) -> Self {
        let Self { engine, time, folder } = self;
        drop(engine);
        let engine = open(folder.path(), &time);
        Self { engine, time, folder }
    }

    /// The app's own store.
    pub(crate) fn store(&self) -> Arc<dyn TableApi> {
        self.engine.store(ACCOUNT, REGION)
    }

    /// One request to the app's own store.
    pub(crate) async fn call(&self, operation: &str, request: Value) -> (u16, Value) {
        call(self.store().as_ref(), operation, request).await
    }

    /// The answer of a request that is to succeed.
    pub(crate) async fn ok(&self, operation: &str, request: Value) -> Value {
        let (status, answer) = self.call(operation, request.clone()).await;
        assert_eq!(status, 200, "{operation} {request}: {answer}");
        answer
    }

    /// The kind and message of a request that is to be refused.
    pub(crate) async fn refused(&self, operation: &str, request: Value) -> (String, String) {
        let (status, answer) = self.call(operation, request).await;
        assert_eq!(status, 400, "{answer}");
        let kind = answer["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned();
        let message = answer.get("message").or_else(|| answer.get("Message"));
        (kind, message.and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// A table with a text key `id`, and more members of `CreateTable`.
    pub(crate) async fn create(&self, name: &str, more: Value) {
        let mut request = json!({
            "TableName": name,
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "BillingMode": "PAY_PER_REQUEST",
        });
        let members = request.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        self.ok("CreateTable", request).await;
    }
}

fn open(folder: &Path, time: &Arc<Time>) -> Engine {
    open_in(folder, Durability::Commit, time)
}

fn open_in(folder: &Path, durability: Durability, time: &Arc<Time>) -> Engine {
    let config = Config {
        folder: folder.to_owned(),
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        durability,
        clock: time.clone(),
    };
    Engine::open(config).unwrap()
}

/// One request. Operations of the Streams API are known by their names.
pub(crate) async fn call(tables: &dyn TableApi, operation: &str, request: Value) -> (u16, Value) {
    let streams = ["ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"];
    let service =
        if streams.contains(&operation) { "DynamoDBStreams_20120810" } else { "DynamoDB_20120810" };
    let reply = tables.call(&format!("{service}.{operation}"), request.to_string().into()).await;
    (reply.status, serde_json::from_slice(&reply.body).unwrap())
}
