//! The events that functions got, for tests to look at.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::eventually;

/// A file to which functions add their events.
#[derive(Debug)]
pub struct Events {
    folder: PathBuf,
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Events {
    /// Python for the top of a function's file: `record(event)` adds an event.
    pub const CODE: &str = "\
import json, os, time
def record(event):
    file = os.open(os.environ['EVENTS'], os.O_WRONLY | os.O_APPEND)
    os.write(file, (json.dumps(event) + '\\n').encode())
    os.close(file)
";

    /// An empty file.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        std::fs::write(folder.join("events"), "").expect("the file of events");
        Self { folder }
    }

    /// The folder the file is in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The properties of a function that may record.
    pub fn properties(&self) -> Value {
        json!({ "Environment": { "Variables": { "EVENTS": self.folder.join("events") } } })
    }

    /// All events so far.
    pub fn all(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.join("events")).expect("the file of events");
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
    }

    /// The events so far that `wanted` picks.
    pub fn of(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.all().into_iter().filter(wanted).collect()
    }

    /// Waits for an event that `wanted` picks.
    pub fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || self.all().into_iter().find(&wanted))
    }

    /// Waits for the event of this type (`CONNECT`, `MESSAGE`, `DISCONNECT`) of a connection.
    pub fn wait_for(&self, connection: &str, kind: &str) -> Value {
        self.wait(&format!("{kind} of {connection}"), |event| {
            let context = &event["requestContext"];
            context["connectionId"] == connection && context["eventType"] == kind
        })
    }
}
