//! A stream for tests, with shards that roll, iterators that expire and records that are trimmed; a function that
//! answers as it is told; and destinations that note what they are sent.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use stillwire_eventsources::{EventSources, Ports};
use stillwire_model::{
    BoxFuture, Clock, Destinations, EventRecord, EventSourceHost as _, EventSourceMapping,
    FunctionArn, Invocation, Invoke, InvokeError, Invoked, LATEST, Outcome, Reply, TableApi,
    TableStores,
};
use stillwire_outbound::Outbound;
use tempfile::TempDir;
use tokio::sync::Notify;

pub(crate) const STREAM: &str =
    "arn:aws:dynamodb:eu-west-1:1:table/Chat/stream/2026-01-01T00:00:00.000";

/// A shard of the stream.
#[derive(Debug, Default)]
struct Shard {
    parent: Option<String>,
    /// Sequence number, item, and the moment at which it was made in seconds.
    records: Vec<(u64, String, u64)>,
    closed: bool,
    /// Records up to here are gone.
    trimmed: u64,
}

#[derive(Debug, Default)]
struct Inner {
    shards: BTreeMap<String, Shard>,
    next: u64,
    /// Iterators that have expired.
    expired: BTreeSet<String>,
    calls: Vec<String>,
    /// The labels of the streams whose shards begin so; the last one is the table's.
    labels: Vec<String>,
    /// What the next calls are refused with, by operation.
    refusals: VecDeque<(&'static str, &'static str)>,
}

#[derive(Debug, Default)]
pub(crate) struct Stream {
    inner: Mutex<Inner>,
    changed: Arc<Notify>,
    clock: Arc<Watch>,
}

/// A clock that stands until it is moved.
#[derive(Debug)]
pub(crate) struct Watch(Mutex<u64>);

impl Default for Watch {
    fn default() -> Self {
        Self(Mutex::new(1_800_000_000_000))
    }
}

impl Watch {
    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += u64::try_from(by.as_millis()).unwrap();
    }
}

impl Clock for Watch {
    fn epoch_millis(&self) -> u64 {
        *self.0.lock().unwrap()
    }
}

impl Stream {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn shard(&self, id: &str, parent: Option<&str>) {
        let shard = Shard { parent: parent.map(str::to_owned), ..Shard::default() };
        self.inner().shards.insert(id.to_owned(), shard);
        self.changed.notify_waiters();
    }

    /// Writes records of these items.
    pub(crate) fn write(&self, shard: &str, items: &[&str]) {
        let now = self.clock.epoch_millis() / 1000;
        for item in items {
            let mut inner = self.inner();
            inner.next += 1;
            let record = (inner.next, (*item).to_owned(), now);
            inner.shards.get_mut(shard).unwrap().records.push(record);
        }
        self.changed.notify_waiters();
    }

    /// The shard gets no more records.
    pub(crate) fn close(&self, shard: &str) {
        self.inner().shards.get_mut(shard).unwrap().closed = true;
        self.changed.notify_waiters();
    }

    /// The table has a new stream, whose shards begin with its label.
    pub(crate) fn replace(&self, label: &str) {
        self.inner().labels.push(label.to_owned());
    }

    pub(crate) fn remove(&self, shard: &str) {
        self.inner().shards.remove(shard);
    }

    /// All records that there are now become too old.
    pub(crate) fn trim(&self, shard: &str) {
        let mut inner = self.inner();
        let next = inner.next;
        let shard = inner.shards.get_mut(shard).unwrap();
        shard.trimmed = next;
        shard.records.clear();
    }

    /// All iterators that were given expire.
    pub(crate) fn expire(&self) {
        let mut inner = self.inner();
        let given: Vec<String> = inner
            .calls
            .iter()
            .filter_map(|call| call.strip_prefix("gave "))
            .map(Into::into)
            .collect();
        inner.expired.extend(given);
    }

    pub(crate) fn refuse(&self, operation: &'static str, error: &'static str) {
        self.inner().refusals.push_back((operation, error));
    }

    pub(crate) fn asked_for(&self, operation: &str) -> usize {
        self.inner().calls.iter().filter(|call| *call == operation).count()
    }

    fn answer(&self, operation: &str, ask: &Value) -> Result<Value, &'static str> {
        let mut inner = self.inner();
        inner.calls.push(operation.to_owned());
        if inner.refusals.front().is_some_and(|(refused, _)| *refused == operation) {
            return Err(inner.refusals.pop_front().unwrap().1);
        }
        let give = |inner: &mut Inner, shard: &str, after: u64| {
            let turn = inner.calls.len();
            let iterator = format!("{shard}|{after}|{turn}");
            inner.calls.push(format!("gave {iterator}"));
            iterator
        };
        match operation {
            "DescribeTable" => {
                let label = inner.labels.last().cloned().unwrap_or_default();
                let arn = STREAM.replace("2026-01-01T00:00:00.000", &label);
                Ok(json!({ "Table": { "LatestStreamArn": arn } }))
            }
            "DescribeStream" => {
                let label = ask["StreamArn"].as_str().unwrap().rsplit('/').next().unwrap();
                let own = |id: &str| inner.labels.is_empty() || id.starts_with(label);
                let shards = inner.shards.iter().filter(|(id, _)| own(id)).map(|(id, shard)| {
                    // An engine of today says where an open shard ends, too.
                    let range =
                        json!({ "StartingSequenceNumber": "1", "EndingSequenceNumber": "1" });
                    let mut shown = json!({ "ShardId": id, "SequenceNumberRange": range });
                    if let Some(parent) = &shard.parent {
                        shown["ParentShardId"] = parent.as_str().into();
                    }
                    shown
                });
                // One shard on each page.
                let after = ask["ExclusiveStartShardId"].as_str().unwrap_or_default();
                let rest: Vec<Value> =
                    shards.filter(|shard| shard["ShardId"].as_str().unwrap() > after).collect();
                let page: Vec<&Value> = rest.iter().take(1).collect();
                let mut description = json!({ "Shards": page });
                if rest.len() > 1 {
                    description["LastEvaluatedShardId"] = rest[0]["ShardId"].clone();
                }
                Ok(json!({ "StreamDescription": description }))
            }
            "GetShardIterator" => {
                let id = ask["ShardId"].as_str().unwrap();
                let number = |text: &Value| text.as_str().unwrap().parse::<u64>().unwrap();
                let Some(shard) = inner.shards.get(id) else {
                    return Err("ResourceNotFoundException");
                };
                let after = match ask["ShardIteratorType"].as_str().unwrap() {
                    "TRIM_HORIZON" => shard.trimmed,
                    "AT_SEQUENCE_NUMBER" => number(&ask["SequenceNumber"]) - 1,
                    "AFTER_SEQUENCE_NUMBER" => number(&ask["SequenceNumber"]),
                    other => panic!("{other}"),
                };
                if after < shard.trimmed {
                    return Err("TrimmedDataAccessException");
                }
                let iterator = give(&mut inner, id, after);
                Ok(json!({ "ShardIterator": iterator }))
            }
            "GetRecords" => {
                let iterator = ask["ShardIterator"].as_str().unwrap();
                if inner.expired.contains(iterator) {
                    return Err("ExpiredIteratorException");
                }
                let mut parts = iterator.split('|');
                let (id, after) = (parts.next().unwrap().to_owned(), parts.next().unwrap());
                let after: u64 = after.parse().unwrap();
                let Some(shard) = inner.shards.get(&id) else {
                    return Err("ResourceNotFoundException");
                };
                if after < shard.trimmed {
                    return Err("TrimmedDataAccessException");
                }
                let found: Vec<_> = shard
                    .records
                    .iter()
                    .filter(|record| record.0 > after)
                    .take(3)
                    .cloned()
                    .collect();
                let last = found.last().map_or(after, |record| record.0);
                let more = shard.records.iter().any(|record| record.0 > last);
                let ended = shard.closed && !more;
                let records: Vec<Value> = found
                    .iter()
                    .map(|(sequence, item, made)| {
                        json!({ "eventName": "INSERT", "eventID": sequence.to_string(), "dynamodb": {
                            "SequenceNumber": sequence.to_string(), "Keys": { "id": { "S": item } },
                            "ApproximateCreationDateTime": made } })
                    })
                    .collect();
                let mut answer = json!({ "Records": records });
                if !ended {
                    answer["NextShardIterator"] = give(&mut inner, &id, last).into();
                }
                Ok(answer)
            }
            other => panic!("{other}"),
        }
    }
}

impl TableApi for Stream {
    fn call(&self, target: &str, body: Bytes) -> BoxFuture<'static, Reply> {
        let operation = target.rsplit('.').next().unwrap();
        let reply = match self.answer(operation, &serde_json::from_slice(&body).unwrap()) {
            Ok(answer) => Reply { status: 200, body: answer.to_string().into() },
            Err(error) => {
                let body = json!({ "__type": format!("com.amazonaws#{error}"), "message": "no" });
                Reply { status: 400, body: body.to_string().into() }
            }
        };
        Box::pin(std::future::ready(reply))
    }

    fn stream_changed(&self, table: &str) -> BoxFuture<'static, ()> {
        assert_eq!(table, "Chat");
        let notified = Arc::clone(&self.changed).notified_owned();
        Box::pin(notified)
    }
}

/// The store of the stream's account and region.
#[derive(Debug)]
struct Stores(Arc<Stream>);

impl TableStores for Stores {
    fn store(&self, account: &str, region: &str) -> Arc<dyn TableApi> {
        assert_eq!((account, region), ("1", "eu-west-1"));
        Arc::clone(&self.0) as Arc<dyn TableApi>
    }
}

/// What a function does with the batch of these items.
pub(crate) type Does = Box<dyn Fn(&[String]) -> Outcome + Send + Sync>;

/// A function, and destinations.
pub(crate) struct House {
    does: Does,
    batches: Mutex<Vec<Vec<String>>>,
    records: Mutex<Vec<EventRecord>>,
}

impl std::fmt::Debug for House {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("House")
    }
}

impl Invoke for House {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'static, Result<Invoked, InvokeError>> {
        let event: Value = serde_json::from_slice(&invocation.payload).unwrap();
        let records = event["Records"].as_array().unwrap().iter();
        let items: Vec<String> = records
            .map(|record| record["dynamodb"]["Keys"]["id"]["S"].as_str().unwrap().to_owned())
            .collect();
        let outcome = (self.does)(&items);
        self.batches.lock().unwrap().push(items);
        let throttled = outcome == Outcome::Returned(Bytes::from_static(b"throttle"));
        Box::pin(async move {
            if throttled {
                let function = invocation.function;
                return Err(InvokeError::Throttled { function, reason: "Too" });
            }
            Ok(Invoked { outcome, version: LATEST.into(), log_tail: None })
        })
    }
}

impl Destinations for House {
    fn send(&self, record: EventRecord) -> BoxFuture<'static, Result<(), String>> {
        self.records.lock().unwrap().push(record);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A stream that is read for a function.
pub(crate) struct Scene {
    pub(crate) stream: Arc<Stream>,
    pub(crate) clock: Arc<Watch>,
    pub(crate) house: Arc<House>,
    sources: Option<EventSources>,
    folder: TempDir,
    mapping: Value,
}

pub(crate) fn done() -> Outcome {
    Outcome::Returned("null".into())
}

pub(crate) fn throttled() -> Outcome {
    Outcome::Returned("throttle".into())
}

pub(crate) fn failed() -> Outcome {
    Outcome::Failed(r#"{"errorMessage":"boom"}"#.into())
}

impl Scene {
    /// Reads nothing yet.
    pub(crate) fn new(mapping: Value, does: Does) -> Self {
        let clock = Arc::new(Watch::default());
        let stream = Stream { clock: Arc::clone(&clock), ..Stream::default() };
        let house = House { does, batches: Mutex::default(), records: Mutex::default() };
        let folder = tempfile::tempdir().unwrap();
        Self {
            stream: Arc::new(stream),
            clock,
            house: Arc::new(house),
            sources: None,
            folder,
            mapping,
        }
    }

    /// Reads as the mapping says, which these members change.
    pub(crate) fn read_with(&mut self, more: Value) -> EventSources {
        let mut members = json!({ "EventSourceArn": STREAM, "StartingPosition": "TRIM_HORIZON" });
        for (name, value) in
            self.mapping.as_object().unwrap().iter().chain(more.as_object().unwrap())
        {
            members[name] = value.clone();
        }
        let function = FunctionArn::new("aws", "eu-west-1", "1", "f");
        let members = members.as_object().unwrap();
        let mapping = EventSourceMapping::read("id".into(), (function, None), members).unwrap();
        let sources = self.sources.get_or_insert_with(|| {
            let ports = Ports {
                invoke: Arc::clone(&self.house) as Arc<dyn Invoke>,
                tables: Arc::new(Stores(Arc::clone(&self.stream))),
                destinations: Arc::clone(&self.house) as Arc<dyn Destinations>,
                clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
                outbound: Outbound::new(None),
                endpoints: BTreeMap::new(),
            };
            EventSources::new(Some(self.folder.path().to_owned()), ports)
        });
        sources.deploy(vec![Arc::new(mapping)]);
        sources.clone()
    }

    pub(crate) fn read(&mut self) -> EventSources {
        self.read_with(json!({}))
    }

    /// The program ends.
    pub(crate) async fn stop(&mut self) {
        let late = self.sources.take().unwrap().stop(Duration::from_secs(20)).await;
        assert_eq!(late, []);
    }

    pub(crate) fn batches(&self) -> Vec<Vec<String>> {
        self.house.batches.lock().unwrap().clone()
    }

    pub(crate) fn records(&self) -> Vec<EventRecord> {
        self.house.records.lock().unwrap().clone()
    }

    pub(crate) fn items(&self) -> Vec<String> {
        self.batches().concat()
    }

    /// Waits until the function got so many items.
    pub(crate) async fn until_items(&self, count: usize) -> Vec<String> {
        self.until(|scene| (scene.items().len() >= count).then(|| scene.items())).await
    }

    pub(crate) async fn until<T>(&self, look: impl Fn(&Self) -> Option<T>) -> T {
        for _ in 0..1500 {
            if let Some(found) = look(self) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain; the function got {:?}", self.batches());
    }
}
