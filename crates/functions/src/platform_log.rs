//! The lines the platform writes about a function: START, END, REPORT, time-outs and notices.
//!
//! Source: AWS Lambda, the text log format.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use stillwire_model::limits::LOG_TAIL_BYTES_MAX;
use stillwire_model::{FunctionArn, FunctionLogs, LogLine, LogSource};

use crate::failure::{Failure, timed_out};

/// Writes the log of one function.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    logs: Arc<dyn FunctionLogs>,
    function: FunctionArn,
    /// What the caller of the present invocation wants to read of it.
    tail: Option<Arc<Mutex<Tail>>>,
}

/// The end of a log.
#[derive(Debug, Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn add(&mut self, line: &str) {
        self.0.extend_from_slice(line.as_bytes());
        self.0.push(b'\n');
        let over = self.0.len().saturating_sub(LOG_TAIL_BYTES_MAX);
        self.0.drain(..over);
    }
}

/// What one invocation took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// From the delivery of the event until the environment was free again.
    pub(crate) duration: Duration,
    /// The function's memory, in MB.
    pub(crate) memory_mb: u32,
    /// The most memory the process ever had, in MB.
    pub(crate) peak_mb: u64,
    /// How long the init phase took, on the first invocation.
    pub(crate) init: Option<Duration>,
}

impl Journal {
    /// The log of `function`.
    pub(crate) fn new(logs: Arc<dyn FunctionLogs>, function: FunctionArn) -> Self {
        Self { logs, function, tail: None }
    }

    /// The same log, whose end is remembered from here on.
    pub(crate) fn with_tail(&self) -> Self {
        Self { tail: Some(Arc::default()), ..self.clone() }
    }

    /// Whether its end is remembered.
    pub(crate) fn has_tail(&self) -> bool {
        self.tail.is_some()
    }

    /// The end of the log, where it is remembered.
    pub(crate) fn tail(&self) -> Option<Bytes> {
        let tail = self.tail.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Bytes::copy_from_slice(&tail.0))
    }

    /// A line of the function's own output.
    pub(crate) fn output(&self, request_id: Option<&Arc<str>>, text: String) {
        self.line(request_id, LogSource::Function, text);
    }

    /// A line to the person at the terminal.
    pub(crate) fn notice(&self, text: impl Into<String>) {
        self.line(None, LogSource::Notice, text.into());
    }

    /// The event is delivered.
    pub(crate) fn start(&self, id: &Arc<str>, version: &str) {
        self.platform(id, format!("START RequestId: {id} Version: {version}"));
    }

    /// The time limit was met.
    pub(crate) fn timeout(&self, id: &Arc<str>, epoch_millis: u64, limit: Duration) {
        let when = i64::try_from(epoch_millis)
            .ok()
            .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
            .map(|time| format!("{time:.3}"));
        let when = when.unwrap_or_default();
        self.platform(id, format!("{when} {id} {}", timed_out(limit)));
    }

    /// The invocation is over.
    pub(crate) fn end(&self, id: &Arc<str>, usage: &Usage, failure: Option<&Failure>) {
        self.platform(id, format!("END RequestId: {id}"));
        self.platform(id, report(id, usage, failure));
    }

    /// The init phase failed.
    pub(crate) fn init_failed(&self, took: Duration, failure: &Failure) {
        let text = format!(
            "INIT_REPORT Init Duration: {:.2} ms\tPhase: init\t{}",
            millis(took),
            status(failure)
        );
        self.line(None, LogSource::Platform, text);
    }

    fn platform(&self, id: &Arc<str>, text: String) {
        self.line(Some(id), LogSource::Platform, text);
    }

    fn line(&self, request_id: Option<&Arc<str>>, source: LogSource, text: String) {
        if source != LogSource::Notice
            && let Some(tail) = &self.tail
        {
            tail.lock().unwrap_or_else(PoisonError::into_inner).add(&text);
        }
        let function = self.function.clone();
        self.logs.line(LogLine { function, request_id: request_id.cloned(), source, text });
    }
}

fn report(id: &str, usage: &Usage, failure: Option<&Failure>) -> String {
    let duration = millis(usage.duration);
    let billed = (duration + usage.init.map_or(0.0, millis)).ceil();
    let mut text = format!(
        "REPORT RequestId: {id}\tDuration: {duration:.2} ms\tBilled Duration: {billed:.0} ms\t\
         Memory Size: {} MB\tMax Memory Used: {} MB\t",
        usage.memory_mb, usage.peak_mb
    );
    if let Some(init) = usage.init {
        write!(text, "Init Duration: {:.2} ms\t", millis(init)).expect("a String takes all text");
    }
    // A handler's own error is a success of the platform.
    if let Some(failure) = failure.filter(|failure| !matches!(failure, Failure::Reported { .. })) {
        text.push_str(&status(failure));
    }
    text
}

fn status(failure: &Failure) -> String {
    match failure {
        Failure::Timeout(_) => "Status: timeout".to_owned(),
        other => format!("Status: error\tError Type: {}", other.kind()),
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: Usage =
        Usage { duration: Duration::from_micros(1930), memory_mb: 128, peak_mb: 37, init: None };

    #[test]
    fn a_report_has_lambdas_tabs() {
        assert_eq!(
            report("id", &USAGE, None),
            "REPORT RequestId: id\tDuration: 1.93 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 37 MB\t"
        );
    }

    #[test]
    fn a_report_tells_the_init_phase_and_the_failure() {
        let usage = Usage { init: Some(Duration::from_micros(110_440)), ..USAGE };
        let text = report("id", &usage, Some(&Failure::Timeout(Duration::from_secs(1))));
        assert!(text.ends_with("\tInit Duration: 110.44 ms\tStatus: timeout"), "{text}");
        assert!(text.contains("Billed Duration: 113 ms"), "{text}");
    }
}
