//! A handler twice: with our bootstrap, and with the official runtime client of its language. Both are to say the same.

#![allow(clippy::indexing_slicing, reason = "a test may fail")]

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::Value;
use stillwire_model::{Code, Invocation, Invoke as _, LogLine, LogSource, Outcome, Runtime};

use super::House;

/// What one of the two made of an event: the caller's answer and the log, without what differs from run to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) outcome: String,
    pub(crate) log: Vec<String>,
}

pub(crate) struct Pair {
    pub(crate) house: House,
    pub(crate) ours: Runtime,
    /// The variable by which the official client finds the code.
    path: &'static str,
}

impl Pair {
    /// The client is a line for the shell.
    pub(crate) fn new(ours: Runtime, client: &str, path: &'static str) -> Self {
        Self::within(House::new(), ours, client, path)
    }

    /// The same, in a house of one's own.
    pub(crate) fn within(house: House, ours: Runtime, client: &str, path: &'static str) -> Self {
        house.write("client/bootstrap", &format!("#!/bin/sh\n{client}\n"));
        let bootstrap = house.code.path().join("client/bootstrap");
        std::fs::set_permissions(bootstrap, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { house, ours, path }
    }

    /// Deploys a handler twice.
    pub(crate) async fn add(&self, handler: &str, variables: &[(&str, &str)]) {
        for ours in [true, false] {
            let mut function = self.house.function(&name(handler, ours), handler);
            let code = self.house.code.path();
            if handler == "app.end" {
                function.timeout = Duration::from_secs(3);
            }
            let mut set = |name: &str, value: String| {
                drop(function.environment.insert(name.to_owned(), value));
            };
            // Ours has it from its runtime.
            set("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", self.ours));
            set(self.path, code.display().to_string());
            for (name, value) in variables {
                set(name, (*value).to_owned());
            }
            if ours {
                function.runtime = self.ours.clone();
            } else {
                function.runtime = Runtime::Provided("provided.al2023".to_owned());
                function.code = Code::Directory { root: code.join("client"), source: None };
            }
            self.house.add(function).await;
        }
    }

    pub(crate) async fn seen(&self, handler: &str, event: &str, ours: bool) -> Seen {
        self.seen_with(handler, event, None, ours).await
    }

    pub(crate) async fn seen_with(
        &self,
        handler: &str,
        event: &str,
        client_context: Option<&str>,
        ours: bool,
    ) -> Seen {
        let function = name(handler, ours);
        let before = self.house.logs.all().len();
        let invocation = Invocation {
            client_context: client_context.map(Into::into),
            ..super::invocation(&function, event)
        };
        let outcome = self.house.functions.invoke(invocation).await.unwrap().outcome;
        let ended = |house: &House| {
            let lines = house.logs.all();
            let own = |line: &LogLine| line.function.name() == function;
            lines[before..].iter().any(|line| own(line) && line.text.starts_with("REPORT "))
        };
        self.house.until("it is over", ended).await;
        let outcome = match outcome {
            Outcome::Returned(body) => format!("{:?}", String::from_utf8_lossy(&body)),
            Outcome::Failed(body) => format!("failed {}", String::from_utf8_lossy(&body)),
        };
        let lines = self.house.logs.all();
        let own = lines[before..]
            .iter()
            .filter(|line| line.source == LogSource::Function && line.function.name() == function);
        let log = own.map(|line| self.plain(&line.text, &function)).collect();
        Seen { outcome: self.plain(&outcome, &function), log }
    }

    /// Without ids, times and places.
    pub(crate) fn plain(&self, text: &str, function: &str) -> String {
        let mut text = text.replace(function, "FUNCTION");
        let pieces = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-').map(str::to_owned);
        // Of an invocation, or of a log stream.
        for id in pieces.filter(|piece| matches!(piece.len(), 32 | 36)).collect::<Vec<_>>() {
            text = text.replace(&id, "ID");
        }
        let time = text.find("Z\t").filter(|end| *end >= 23);
        if let Some(end) = time {
            text.replace_range(end - 23..end, "TIME");
        }
        text.replace(&*self.house.code.path().to_string_lossy(), "CODE")
    }

    /// The errors that a function has logged, each once.
    pub(crate) fn errors(&self, function: &str) -> Vec<String> {
        let lines = self.house.logs.all().into_iter();
        let own = lines.filter(|line| line.function.name() == function);
        let mut errors: Vec<String> = own
            .filter(|line| line.source == LogSource::Function && line.text.starts_with("[ERROR]"))
            .map(|line| self.plain(&line.text, function))
            .collect();
        errors.dedup();
        errors
    }

    pub(crate) async fn agree(&self, handler: &str, event: &str) {
        self.agree_with(handler, event, None).await;
    }

    pub(crate) async fn agree_with(
        &self,
        handler: &str,
        event: &str,
        client_context: Option<&str>,
    ) {
        let mut both = Vec::new();
        for ours in [true, false] {
            both.push(self.seen_with(handler, event, client_context, ours).await);
        }
        assert_eq!(both[0], both[1], "{} {handler} {event}: ours is the first", self.ours);
    }
}

pub(crate) fn name(handler: &str, ours: bool) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let handler: String = handler.chars().map(plain).collect();
    format!("{handler}-{}", if ours { "ours" } else { "theirs" })
}

/// Without an order between lines, which are of two streams; and in JSON, without times.
pub(crate) fn without_times(mut seen: Seen) -> Seen {
    for line in &mut seen.log {
        if let Ok(Value::Object(mut record)) = serde_json::from_str::<Value>(line) {
            record.insert("timestamp".to_owned(), "TIME".into());
            // Whether letters are escaped is seen as well.
            *line = format!("{} {}", line.is_ascii(), Value::Object(record));
        }
    }
    seen.log.sort();
    seen
}
