//! `stillwire tables`: looks into the tables of an app that runs, and changes them.

mod plain;
mod store;

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Read as _, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use stillwire_tables::SnapshotError;
use tokio::runtime::Builder;

use self::plain::{plain_item, typed_item};
use self::store::Store;
use crate::cli::{TablesArgs, TablesCommand};
use crate::report::hinted;
use crate::running;
use crate::settings::Settings;

/// Items that are sent at once. Source: DynamoDB quotas, `BatchWriteItem` (25).
const BATCH: usize = 25;

/// The longest line that is read: an item of 400 KB, however its bytes are escaped.
const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How often a throttled batch is sent again.
const TRIES: usize = 10;

/// Runs the command.
pub(crate) fn run(args: &TablesArgs) -> Result<ExitCode> {
    let settings = Settings::read();
    if let Some(TablesCommand::Snapshot { folder }) = &args.command {
        return copy(args, &settings, folder);
    }
    let store = Store::find(args, &settings)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &args.command {
            None | Some(TablesCommand::Snapshot { .. }) => list(&store, args.json).await,
            Some(TablesCommand::Scan { table, limit, typed }) => {
                scan(&store, store.name(table)?, *limit, *typed).await
            }
            Some(TablesCommand::Get { table, key, typed }) => {
                get(&store, store.name(table)?, key, *typed).await
            }
            Some(TablesCommand::Put { table, item, typed }) => {
                put(&store, store.name(table)?, item, *typed).await
            }
            Some(TablesCommand::Delete { table, key, typed }) => {
                delete(&store, store.name(table)?, key, *typed).await
            }
            Some(TablesCommand::Export { table, file }) => {
                export(&store, store.name(table)?, file.as_deref()).await
            }
            Some(TablesCommand::Import { table, file }) => {
                import(&store, store.name(table)?, file.as_deref()).await
            }
        }
    })
}

/// Copies the files of an app that runs.
fn copy(args: &TablesArgs, settings: &Settings, to: &Path) -> Result<ExitCode> {
    if args.endpoint.is_some() {
        bail!(hinted(
            "the files of a server elsewhere cannot be copied from here",
            "leave --endpoint out, or use `stillwire tables export`",
        ));
    }
    let running = running::find(settings, args.app.as_deref())?;
    let copies = stillwire_tables::snapshot(&running.data_dir, to).map_err(|error| {
        let hint = match &error {
            SnapshotError::Nothing(_) => {
                "tables in memory or on another server have no file here: `stillwire tables export` writes them as text"
            }
            _ => "name a new folder that can be written to",
        };
        hinted(error.to_string(), hint)
    })?;
    for copy in copies {
        writeln!(io::stdout(), "{}", copy.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(store: &Store, as_json: bool) -> Result<ExitCode> {
    let mut rows = Vec::new();
    for name in store.names().await? {
        let table = store.describe(&name).await?;
        let expiry = store.call("DescribeTimeToLive", &json!({ "TableName": name })).await?;
        let number = |member: &str| table.get(member).and_then(Value::as_u64).unwrap_or(0);
        let indexes = ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"];
        let indexes = indexes.iter().filter_map(|member| table.get(*member)?.as_array()).flatten();
        let indexes: Vec<&Value> = indexes.filter_map(|index| index.get("IndexName")).collect();
        let stream = table.pointer("/StreamSpecification/StreamViewType");
        rows.push(json!({
            "name": name,
            "logical_id": store.logical_id(&name),
            "items": number("ItemCount"),
            "bytes": number("TableSizeBytes"),
            "keys": keys(&table),
            "indexes": indexes,
            "stream": stream,
            "time_to_live": expiry.pointer("/TimeToLiveDescription/AttributeName"),
        }));
    }
    let mut out = io::stdout().lock();
    if as_json {
        for row in &rows {
            writeln!(out, "{row}")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() {
        writeln!(io::stderr(), "no tables")?;
    }
    let text = |row: &Value, member: &str| match row.get(member) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let columns =
        ["name", "items", "bytes", "keys", "indexes", "stream", "time_to_live", "logical_id"];
    let headings = ["TABLE", "ITEMS", "BYTES", "KEYS", "INDEXES", "STREAM", "EXPIRY", "LOGICAL ID"];
    let mut lines = vec![headings.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| columns.map(|column| text(row, column))));
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    if !rows.is_empty() {
        for line in &lines {
            let cells = line.iter().zip(&widths);
            let cells: Vec<_> = cells.map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(out, "{}", cells.join("  ").trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The names of a table's key attributes.
fn keys(table: &Value) -> Vec<String> {
    let schema = table.get("KeySchema").and_then(Value::as_array).into_iter().flatten();
    schema.filter_map(|key| key.get("AttributeName")?.as_str()).map(str::to_owned).collect()
}

async fn scan(store: &Store, name: &str, limit: Option<u64>, typed: bool) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    let (mut shown, limit) = (0, limit.unwrap_or(u64::MAX));
    store
        .scan(name, |item| {
            if shown < limit {
                show(&mut out, item, typed)?;
                shown += 1;
            }
            Ok(shown < limit)
        })
        .await?;
    Ok(ExitCode::SUCCESS)
}

fn show(out: &mut impl Write, item: &Map<String, Value>, typed: bool) -> Result<()> {
    let shown = if typed { Value::Object(item.clone()) } else { plain_item(item) };
    Ok(writeln!(out, "{shown}")?)
}

async fn get(store: &Store, name: &str, key: &str, typed: bool) -> Result<ExitCode> {
    let key = key_of(store, name, key, typed).await?;
    let request = json!({ "TableName": name, "Key": key, "ConsistentRead": true });
    let found = store.call("GetItem", &request).await?;
    let Some(item) = found.get("Item").and_then(Value::as_object) else {
        return missing(name);
    };
    show(&mut io::stdout().lock(), item, typed)?;
    Ok(ExitCode::SUCCESS)
}

fn missing(table: &str) -> Result<ExitCode> {
    writeln!(io::stderr(), "{table} has no item with this key")?;
    Ok(ExitCode::FAILURE)
}

async fn put(store: &Store, name: &str, item: &str, typed: bool) -> Result<ExitCode> {
    let item = read_item(item, typed)?;
    store.call("PutItem", &json!({ "TableName": name, "Item": item })).await?;
    Ok(ExitCode::SUCCESS)
}

async fn delete(store: &Store, name: &str, key: &str, typed: bool) -> Result<ExitCode> {
    let key = key_of(store, name, key, typed).await?;
    let request = json!({ "TableName": name, "Key": key, "ReturnValues": "ALL_OLD" });
    let deleted = store.call("DeleteItem", &request).await?;
    if deleted.get("Attributes").is_some() { Ok(ExitCode::SUCCESS) } else { missing(name) }
}

/// A key: JSON, or, where a table has one key attribute, its value alone.
async fn key_of(store: &Store, name: &str, text: &str, typed: bool) -> Result<Value> {
    if text.trim_start().starts_with('{') {
        return read_item(text, typed);
    }
    let table = store.describe(name).await?;
    let names = keys(&table);
    let [only] = names.as_slice() else {
        bail!(hinted(
            format!("the key of {name} has the attributes {}", names.join(" and ")),
            format!("write it as JSON: '{{\"{}\": …}}'", names.join("\": …, \"")),
        ));
    };
    let attributes = table.get("AttributeDefinitions").and_then(Value::as_array);
    let kind = attributes
        .into_iter()
        .flatten()
        .find(|known| known.get("AttributeName").and_then(Value::as_str) == Some(only))
        .and_then(|known| known.get("AttributeType")?.as_str())
        .unwrap_or("S");
    Ok(json!({ only: { kind: text } }))
}

/// An item or key as JSON; `-` reads it from standard input.
fn read_item(text: &str, typed: bool) -> Result<Value> {
    let mut given = text.to_owned();
    if text == "-" {
        given.clear();
        io::stdin().lock().take(LINE_BYTES_MAX).read_to_string(&mut given)?;
    }
    let item: Map<String, Value> = serde_json::from_str(&given).map_err(|error| {
        hinted(
            format!("this is no JSON object: {error}"),
            "an item is one: '{\"id\": \"a\", \"n\": 1}'",
        )
    })?;
    Ok(if typed { Value::Object(item) } else { typed_item(&item) })
}

/// Writes `{"Item":{…}}` a line, as DynamoDB's own exports do.
async fn export(store: &Store, name: &str, file: Option<&Path>) -> Result<ExitCode> {
    let mut out: Box<dyn Write> = match file {
        Some(file) => Box::new(io::BufWriter::new(
            File::create(file).with_context(|| format!("cannot write {}", file.display()))?,
        )),
        None => Box::new(io::stdout().lock()),
    };
    let mut progress = Progress::new("exported");
    store
        .scan(name, |item| {
            writeln!(out, "{}", json!({ "Item": item }))?;
            progress.more(1);
            Ok(true)
        })
        .await?;
    out.flush()?;
    progress.finish();
    Ok(ExitCode::SUCCESS)
}

async fn import(store: &Store, name: &str, file: Option<&Path>) -> Result<ExitCode> {
    let mut lines: Box<dyn BufRead> = match file {
        Some(file) => Box::new(BufReader::new(
            File::open(file).with_context(|| format!("cannot read {}", file.display()))?,
        )),
        None => Box::new(io::stdin().lock()),
    };
    let keys = keys(&store.describe(name).await?);
    let mut progress = Progress::new("imported");
    let (mut batch, mut seen, mut number) = (Vec::new(), Vec::<Vec<Option<Value>>>::new(), 0_usize);
    loop {
        let mut line = String::new();
        let bytes = lines.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
        number += 1;
        let item = if line.trim().is_empty() { None } else { Some(read_line(&line, number)?) };
        let key: Option<Vec<_>> =
            item.as_ref().map(|item| keys.iter().map(|key| item.get(key).cloned()).collect());
        // A batch holds a key once.
        let again = key.as_ref().is_some_and(|key| seen.contains(key));
        if batch.len() == BATCH || again || bytes == 0 {
            let sent = batch.len();
            send(store, name, std::mem::take(&mut batch)).await.with_context(|| {
                format!("the items before line {number} are not all imported; sending them again is safe")
            })?;
            progress.more(sent);
            seen.clear();
        }
        if bytes == 0 {
            break;
        }
        batch.extend(item.map(|item| json!({ "PutRequest": { "Item": item } })));
        seen.extend(key);
    }
    progress.finish();
    Ok(ExitCode::SUCCESS)
}

/// An exported line: `{"Item":{…}}`, typed; or a plain item.
fn read_line(line: &str, number: usize) -> Result<Value> {
    let mut value: Map<String, Value> = serde_json::from_str(line).map_err(|error| {
        hinted(
            format!("line {number} is no JSON object: {error}"),
            "each line is an item, as `stillwire tables export` writes it",
        )
    })?;
    match value.get_mut("Item").map(Value::take) {
        Some(Value::Object(item)) if value.len() == 1 => Ok(Value::Object(item)),
        _ => Ok(typed_item(&value)),
    }
}

async fn send(store: &Store, name: &str, batch: Vec<Value>) -> Result<()> {
    let mut left = Value::from(batch);
    for _ in 0..TRIES {
        if left.as_array().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let request = json!({ "RequestItems": { name: left } });
        let mut answer = store.call("BatchWriteItem", &request).await?;
        let unprocessed = answer.get_mut("UnprocessedItems").and_then(|of| of.get_mut(name));
        left = unprocessed.map(Value::take).unwrap_or_default();
        if left.is_null() {
            return Ok(());
        }
    }
    bail!("{name} takes no more items now")
}

/// How far a long job is, for whoever watches.
struct Progress {
    what: &'static str,
    items: usize,
    watched: bool,
}

impl Progress {
    fn new(what: &'static str) -> Self {
        Self { what, items: 0, watched: io::stderr().is_terminal() }
    }

    fn more(&mut self, items: usize) {
        let before = self.items / 1000;
        self.items += items;
        if self.watched && self.items / 1000 > before {
            write!(io::stderr(), "\r{} {} items", self.what, self.items).ok();
        }
    }

    fn finish(&self) {
        let begin = if self.watched { "\r" } else { "" };
        writeln!(io::stderr(), "{begin}{} {} items", self.what, self.items).ok();
    }
}
