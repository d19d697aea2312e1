//! One store: the tables of an account in a region, in one file.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use serde_json::{Value, json};
use stillwire_model::{Clock, Reply};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};

use crate::backroom::Backroom;
use crate::durability::{Durability, Flusher};
use crate::errors::{Refusal, internal, ok};
use crate::health::Health;
use crate::place::Place;
use crate::running::Running;
use crate::streams::{self, Asked, Sealed, Wish};
use crate::tokens::{self, Outcome, Tokened};
use crate::unfinished::{self, Work};
use crate::watched::Watched;
use crate::{constants, definitions, expiry, guard, lane, operators, returned, unfit, whole};

const ITEMS: &str = "DynamoDB_20120810.";
const STREAMS: &str = "DynamoDBStreams_20120810.";

/// Records that are removed for their age in one turn.
const TRIM_BATCH: usize = 200;

/// An open store. Its methods may block: they are for the engine's threads.
#[derive(Debug)]
pub(crate) struct Store {
    place: Place,
    file: PathBuf,
    durability: Durability,
    clock: Arc<dyn Clock>,
    health: Health,
    flusher: Option<Flusher>,
    backroom: Backroom,
    engine: RwLock<Running>,
    in_steps: Mutex<()>,
    sealed: Sealed,
    watched: Watched,
}

/// A store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("{0}")]
    Engine(#[from] DynoxideError),
    #[error("{0}")]
    Start(#[from] io::Error),
    #[error("{0}")]
    Tokens(String),
}

impl Store {
    /// Opens a file, or makes it.
    pub(crate) fn open(
        place: Place,
        file: PathBuf,
        (durability, clock): (Durability, Arc<dyn Clock>),
        health: Health,
        threads: &Handle,
    ) -> Result<Self, StoreError> {
        let engine = Running::start(&file, durability, threads)?;
        let backroom = Backroom::open(&file, durability)?;
        let flusher = (durability == Durability::Interval)
            .then(|| Flusher::start(&file, health.clone(), threads));
        // Before anybody asks: the engine remembers the tables that it was asked about.
        for table in unfinished::finish(&backroom)? {
            tracing::warn!(table, "it was half made or half deleted, and is gone");
        }
        provide_tokens(&engine.database)?;
        let engine = RwLock::new(engine);
        let (sealed, watched) = (Sealed::default(), Watched::default());
        let in_steps = Mutex::default();
        Ok(Self {
            place,
            file,
            durability,
            clock,
            health,
            flusher,
            backroom,
            engine,
            in_steps,
            sealed,
            watched,
        })
    }

    /// Whoever waits for a record of a table's stream waits here.
    pub(crate) fn written(&self, table: &str) -> Arc<Notify> {
        self.watched.of(table)
    }

    /// Answers a request whose answer takes no wait but for the engine and its disk: most are such. `None` for others.
    pub(crate) fn answer_now(&self, target: &str, body: &[u8]) -> Option<Reply> {
        if let Some(refusal) = self.health.refusal() {
            return Some(refusal);
        }
        if let Some(operation) = target.strip_prefix(STREAMS) {
            return Some(streams::answer(self.asked(), operation, body));
        }
        let Some(operation) = target.strip_prefix(ITEMS) else {
            return Some(Refusal::unknown_operation().into());
        };
        if str::from_utf8(body).is_err() || first_byte(body).is_some_and(|byte| byte != b'{') {
            return Some(Refusal::serialization().into());
        }
        if let Some(refusal) = guard::refuse(body).or_else(|| operators::refuse(body)) {
            return Some(refusal);
        }
        let reply = self.by_lane(operation, body)?;
        self.answered(operation, body, &reply);
        Some(reply)
    }

    /// Answers a request that [`answer_now`](Self::answer_now) does not.
    pub(crate) async fn answer(&self, target: &str, body: Bytes) -> Reply {
        let operation = target.strip_prefix(ITEMS).unwrap_or_default();
        let reply = self.run(operation, body.clone()).await;
        self.answered(operation, &body, &reply);
        reply
    }

    fn answered(&self, operation: &str, request: &[u8], reply: &Reply) {
        if writes(operation) {
            self.wrote();
            if reply.status == 200 {
                self.watched.ring_for(request);
            }
        }
    }

    /// Something may have been written.
    fn wrote(&self) {
        if let Some(flusher) = &self.flusher {
            flusher.wrote();
        }
    }

    fn by_lane(&self, operation: &str, body: &[u8]) -> Option<Reply> {
        if operation == "Scan"
            && let Some(text) = whole::scan(&self.backroom, body)
        {
            return Some(Reply { status: 200, body: text.into() });
        }
        let answered = {
            let running = self.engine.read().unwrap_or_else(PoisonError::into_inner);
            lane::run(&running.database, || self.backroom.turn(), operation, body)
        };
        match answered? {
            Ok(text) => Some(Reply { status: 200, body: text.into() }),
            Err(DynoxideError::InternalServerError(reason)) => {
                // Where the engine was mended, it is asked again.
                (!self.mend(&reason)).then(|| internal(&reason))
            }
            Err(error) => Some(Reply { status: error.status_code(), body: error.to_json().into() }),
        }
    }

    fn asked(&self) -> Asked<'_> {
        let (place, backroom, sealed) = (&self.place, &self.backroom, &self.sealed);
        Asked { place, backroom, sealed, now: self.now() }
    }

    async fn run(&self, operation: &str, body: Bytes) -> Reply {
        if definitions::is_about_tables(operation) {
            return self.about_tables(operation, &body).await;
        }
        if let Some(reply) = self.constant(operation, &body).await {
            return reply;
        }
        let running = self.engine();
        if tokens::are_named(&body, &self.place) {
            return Refusal::not_found("Requested resource not found").into();
        }
        if let Some(tokened) = Tokened::new(operation, &body, self.now() / 1000) {
            return self.once(&running, &tokened).await;
        }
        let body = self.local_names(body);
        if operation == "UpdateItem"
            && let Ok(request) = serde_json::from_slice::<Value>(&body)
        {
            return self.update(&running, request, body).await;
        }
        self.ask(&running, operation, body).await
    }

    /// An update that does not take the lane.
    async fn update(&self, running: &Running, mut request: Value, body: Bytes) -> Reply {
        if definitions::only_takes_away(&request) {
            definitions::expect_item(&mut request);
            let reply = self.ask(running, "UpdateItem", request.to_string().into()).await;
            let missed = find(&reply.body, b"#ConditionalCheckFailedException");
            return if missed { ok(&json!({})) } else { reply };
        }
        let reply = self.ask(running, "UpdateItem", body).await;
        if reply.status == 200
            && returned::concerns(&request)
            && let Ok(mut answer) = serde_json::from_slice::<Value>(&reply.body)
        {
            returned::cut(&request, &mut answer);
            return ok(&answer);
        }
        reply
    }

    /// A transaction with a token.
    async fn once(&self, running: &Running, tokened: &Tokened) -> Reply {
        let request = self.local_names(tokened.request.to_string().into());
        let ask =
            async || Tokened::outcome(self.ask(running, tokened.operation, request.clone()).await);
        if let Outcome::Answered(reply) = ask().await {
            return reply;
        }
        let kept = self.ask(running, "GetItem", tokened.lookup.to_string().into()).await;
        if let Some(reply) = tokened.again(&kept) {
            return reply;
        }
        // Its time is over, and expiry has not come by yet.
        self.ask(running, "DeleteItem", tokened.removal.to_string().into()).await;
        match ask().await {
            Outcome::Answered(reply) => reply,
            Outcome::Known => internal(&"a transaction's token is kept that is none"),
        }
    }

    async fn about_tables(&self, operation: &str, body: &[u8]) -> Reply {
        let running = self.engine();
        let Ok(mut request) = serde_json::from_slice::<Value>(body) else {
            // What is no JSON is the engine's to word.
            return self.ask(&running, operation, Bytes::copy_from_slice(body)).await;
        };
        self.name_locally(&mut request);
        self.place.inward(&mut request);
        if let Err(refusal) = self.before(&running, operation, &mut request).await {
            return refusal.into();
        }
        let reply = match Work::of(operation) {
            Some(work) => self.in_steps(&running, operation, work, &request).await,
            None => self.ask(&running, operation, request.to_string().into()).await,
        };
        let Ok(mut answer) = serde_json::from_slice::<Value>(&reply.body) else { return reply };
        if let Some(table) = answer.get("TableDescription") {
            for index in unfit::made(&request) {
                if let Err(error) = unfit::remove(&self.backroom, table, index) {
                    self.failed("what does not belong into a new index is in it", &error);
                }
            }
        }
        definitions::outward(&mut answer, &self.place, &self.backroom);
        Reply { status: reply.status, body: answer.to_string().into() }
    }

    /// A request that the engine carries out in several steps.
    async fn in_steps(
        &self,
        running: &Running,
        operation: &str,
        work: Work,
        request: &Value,
    ) -> Reply {
        let text = request.to_string().into();
        let Some(name) = request.get("TableName").and_then(Value::as_str) else {
            return self.ask(running, operation, text).await;
        };
        // One at a time: a note is of one request.
        let _turn = self.in_steps.lock().await;
        if let Err(error) = unfinished::note(&self.backroom, name, work) {
            self.health.look_at(&error.to_string());
            return internal(&error);
        }
        let reply = self.ask(running, operation, text).await;
        // What failed may be half done: the note stays, for the next start.
        if reply.status < 500
            && let Err(error) = unfinished::cross_out(&self.backroom, name)
        {
            self.health.look_at(&error.to_string());
            return internal(&error);
        }
        reply
    }

    /// What is checked and noted before the engine is asked.
    async fn before(
        &self,
        running: &Running,
        operation: &str,
        request: &mut Value,
    ) -> Result<(), Refusal> {
        let name = request.get("TableName").and_then(Value::as_str).map(str::to_owned);
        if name.as_deref() == Some(tokens::TABLE) {
            return Err(Refusal::not_found(format!(
                "Requested resource not found: Table: {} not found",
                tokens::TABLE
            )));
        }
        match operation {
            "CreateTable" => {
                let names = self.backroom.read(definitions::names).unwrap_or_default();
                definitions::check_name(request, &names)?;
                definitions::check_indexes(request, &Value::Null)?;
            }
            "UpdateTable" => {
                let described = json!({ "TableName": name }).to_string();
                let described = self.ask(running, "DescribeTable", described.into()).await;
                let described = serde_json::from_slice(&described.body).unwrap_or_default();
                definitions::check_stream(request, &described)?;
                definitions::check_indexes(request, &described)?;
            }
            _ => return Ok(()),
        }
        if let (Some(view), Some(name)) = (definitions::take_view(request), name)
            && let Err(error) = streams::remember(&self.backroom, &name, Wish::View(&view))
        {
            tracing::error!(%error, table = name, "what its stream shows cannot be kept");
        }
        Ok(())
    }

    async fn constant(&self, operation: &str, body: &[u8]) -> Option<Reply> {
        if let Some(answer) = constants::for_all(operation, &self.place) {
            return Some(ok(&answer));
        }
        if !constants::is_about_table(operation) {
            return None;
        }
        let mut request: Value = serde_json::from_slice(body).unwrap_or_default();
        self.name_locally(&mut request);
        let arn = request.get("ResourceArn").and_then(Value::as_str);
        let of_arn = arn.and_then(|arn| arn.rsplit_once("table/")).map(|(_, name)| name);
        let name = request.get("TableName").and_then(Value::as_str).or(of_arn);
        let name = name.unwrap_or_default();
        let described = json!({ "TableName": name }).to_string();
        let described = self.ask(&self.engine(), "DescribeTable", described.into()).await;
        if described.status != 200 {
            return Some(described);
        }
        Some(match constants::about_table(operation, &self.place, name)? {
            Ok(answer) => ok(&answer),
            Err(refusal) => refusal.into(),
        })
    }

    /// Tables may be named by their ARNs, which the engine does not know.
    fn local_names(&self, body: Bytes) -> Bytes {
        if !find(&body, b"\"arn:") {
            return body;
        }
        let Ok(mut request) = serde_json::from_slice::<Value>(&body) else { return body };
        self.name_locally(&mut request);
        request.to_string().into()
    }

    /// Source: API references, `TableName`: "You can also provide the ARN of the table".
    fn name_locally(&self, request: &mut Value) {
        let prefix = format!("{}table/", self.place.arn_prefix());
        let local = |value: &mut Value| {
            let name = value.as_str().and_then(|text| text.strip_prefix(prefix.as_str()));
            if let Some(name) = name.map(str::to_owned) {
                *value = name.into();
            }
        };
        if let Some(name) = request.get_mut("TableName") {
            local(name);
        }
        let actions = request.get_mut("TransactItems").and_then(Value::as_array_mut);
        for action in actions.into_iter().flatten().filter_map(Value::as_object_mut) {
            for (_, action) in action {
                if let Some(name) = action.get_mut("TableName") {
                    local(name);
                }
            }
        }
        if let Some(tables) = request.get_mut("RequestItems").and_then(Value::as_object_mut) {
            // A table that is named both ways stays so, for the engine to refuse: one of the two would be lost.
            let names = tables.keys().filter_map(|name| name.strip_prefix(prefix.as_str()));
            let names: Vec<String> =
                names.filter(|name| !tables.contains_key(*name)).map(str::to_owned).collect();
            for name in names {
                if let Some(of_table) = tables.shift_remove(&format!("{prefix}{name}")) {
                    tables.insert(name, of_table);
                }
            }
        }
    }

    /// Asks the engine's front. An answer that tells of a fault mends the engine, for the next request.
    async fn ask(&self, running: &Running, operation: &str, body: Bytes) -> Reply {
        let reply = running.wire.call(&format!("{ITEMS}{operation}"), body).await;
        if reply.status >= 500 {
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            self.mend(&text);
            return internal(&text);
        }
        reply
    }

    /// Looks at a fault of the engine. Tells whether asking again may help.
    fn mend(&self, reason: &str) -> bool {
        self.health.look_at(reason);
        // A panic within the engine has poisoned its lock, and every request would fail from now on.
        if !reason.contains("Lock poisoned") {
            return false;
        }
        let threads = Handle::current();
        match Running::start(&self.file, self.durability, &threads) {
            Ok(running) => {
                tracing::error!("the tables' engine has failed and was started anew");
                *self.engine.write().unwrap_or_else(PoisonError::into_inner) = running;
                true
            }
            Err(error) => {
                tracing::error!(%error, "the tables' engine has failed and cannot be started");
                false
            }
        }
    }

    /// Notes the label that a template knows a table's stream by.
    pub(crate) fn label_stream(&self, table: &str, label: &str) -> Result<(), StoreError> {
        Ok(streams::remember(&self.backroom, table, Wish::Label(label))?)
    }

    /// Removes what is too old: items whose time has come, and records of streams.
    pub(crate) fn tidy(&self) {
        let now = self.now();
        let failed =
            |error: &DynoxideError| self.failed("expired items could not be removed", error);
        let swept = expiry::sweep(&self.backroom, now / 1000, failed);
        if !swept.is_empty() {
            self.wrote();
        }
        self.watched.ring(|table| swept.iter().any(|swept| swept == table));
        while match streams::trim(&self.backroom, now, TRIM_BATCH) {
            Ok(all) => !all,
            Err(error) => {
                self.failed("old records of streams could not be removed", &error);
                false
            }
        } {}
    }

    fn failed(&self, what: &str, error: &DynoxideError) {
        tracing::warn!(%error, "{what}");
        self.health.look_at(&error.to_string());
    }

    fn engine(&self) -> Running {
        self.engine.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn now(&self) -> u64 {
        self.clock.epoch_millis()
    }
}

/// Makes the table of tokens, where it is not there yet.
fn provide_tokens(database: &Database) -> Result<(), StoreError> {
    if database.get_table_metadata(tokens::TABLE)?.is_some() {
        return Ok(());
    }
    let malformed = |error: serde_json::Error| StoreError::Tokens(error.to_string());
    database.create_table(serde_json::from_value(tokens::table()).map_err(malformed)?)?;
    let expiry = json!({
        "TableName": tokens::TABLE,
        "TimeToLiveSpecification": { "Enabled": true, "AttributeName": tokens::EXPIRES },
    });
    database.update_time_to_live(serde_json::from_value(expiry).map_err(malformed)?)?;
    Ok(())
}

/// Whether an operation may write records of streams.
fn writes(operation: &str) -> bool {
    !matches!(
        operation,
        "GetItem" | "Query" | "Scan" | "BatchGetItem" | "TransactGetItems" | "DescribeTable"
    )
}

fn first_byte(body: &[u8]) -> Option<u8> {
    body.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

fn find(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests;
