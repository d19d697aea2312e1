//! What functions write: to the terminal as it comes, and to files that `stillwire logs` reads.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use stillwire_awswire::iso_millis;
use stillwire_model::{Clock as _, FunctionLogs, LogLine, LogSource};

use crate::clock::SystemClock;
use crate::dev::log_files::{LogFiles, Rotation, aside};
use crate::dev::logs::Terminal;

/// What is kept of the logs of all functions: 32 MB.
const ROTATION: Rotation = Rotation { bytes: 8 * 1024 * 1024, old: 3 };

/// The name of the log's files.
const NAME: &str = "functions";

/// A line as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry<'a> {
    /// When it was taken, in ISO 8601, UTC.
    pub(crate) time: Cow<'a, str>,
    /// The function's name.
    pub(crate) function: Cow<'a, str>,
    /// During which invocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<Cow<'a, str>>,
    /// Who wrote it: `function`, `platform` or `notice`.
    pub(crate) source: Cow<'a, str>,
    /// The line.
    pub(crate) text: Cow<'a, str>,
}

/// Takes what functions write.
#[derive(Debug)]
pub(crate) struct FunctionLog {
    terminal: Arc<Terminal>,
    files: Arc<LogFiles>,
    name: Arc<str>,
}

impl FunctionLog {
    /// Logs to the terminal and to files in the data folder.
    pub(crate) fn start(terminal: Arc<Terminal>, data: &Path) -> Result<Arc<Self>> {
        let files = LogFiles::start("function log", folder(data), Some(ROTATION))?;
        Ok(Arc::new(Self { terminal, files, name: NAME.into() }))
    }

    /// Ends once everything is written.
    pub(crate) fn finish(&self) {
        self.files.finish();
    }
}

fn folder(data: &Path) -> PathBuf {
    data.join("function-logs")
}

/// The files of the log below a data folder, the oldest first.
pub(crate) fn files(data: &Path) -> Vec<PathBuf> {
    let newest = newest(data);
    let old = (1..=ROTATION.old).rev().map(|number| aside(&newest, number));
    old.chain([newest.clone()]).collect()
}

/// The file that is written to.
pub(crate) fn newest(data: &Path) -> PathBuf {
    folder(data).join(format!("{NAME}.log"))
}

impl FunctionLogs for FunctionLog {
    fn line(&self, line: LogLine) {
        let source = match line.source {
            LogSource::Function => "function",
            LogSource::Platform => "platform",
            LogSource::Notice => "notice",
        };
        let entry = Entry {
            time: iso_millis(SystemClock.epoch_millis()).into(),
            function: line.function.name().into(),
            request_id: line.request_id.as_deref().map(Cow::Borrowed),
            source: source.into(),
            text: Cow::Borrowed(&line.text),
        };
        if let Ok(text) = serde_json::to_string(&entry) {
            self.files.add(&self.name, &text);
        }
        self.terminal.line(line);
    }
}
