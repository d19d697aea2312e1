//! The lines the platform writes about a function: START, END, REPORT, time-outs and notices; or, where the function's log
//! format is JSON, `platform.start`, `platform.report` and `platform.initReport`.
//!
//! Source: AWS Lambda, the text log format; AWS Lambda Developer Guide, "Lambda Telemetry API `Event` schema reference", and
//! logs of functions with the JSON format, which have no event for the end and none of their own for a time-out.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use stillwire_model::limits::LOG_TAIL_BYTES_MAX;
use stillwire_model::{Clock, Function, FunctionArn, FunctionLogs, LogLine, LogSource};

use crate::failure::{Failure, timed_out};

/// Writes the log of one function.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    logs: Arc<dyn FunctionLogs>,
    clock: Arc<dyn Clock>,
    function: FunctionArn,
    /// Whether what the platform writes is JSON.
    json: bool,
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
    pub(crate) fn new(
        logs: Arc<dyn FunctionLogs>,
        clock: Arc<dyn Clock>,
        function: &Function,
    ) -> Self {
        let (arn, json) = (function.arn.clone(), function.logging.json);
        Self { logs, clock, function: arn, json, tail: None }
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
        let text = if self.json {
            let arn = self.function.to_string();
            let record = json!({ "requestId": &**id, "functionArn": arn, "version": version });
            self.event("platform.start", record)
        } else {
            format!("START RequestId: {id} Version: {version}")
        };
        self.platform(id, text);
    }

    /// The time limit was met.
    pub(crate) fn timeout(&self, id: &Arc<str>, limit: Duration) {
        if !self.json {
            self.platform(id, format!("{} {id} {}", self.now(), timed_out(limit)));
        }
    }

    /// The invocation is over.
    pub(crate) fn end(&self, id: &Arc<str>, usage: &Usage, failure: Option<&Failure>) {
        // A handler's own error is a success of the platform.
        let failure = failure.filter(|failure| !matches!(failure, Failure::Reported { .. }));
        if self.json {
            let record = record(id, usage, failure);
            self.platform(id, self.event("platform.report", record));
        } else {
            self.platform(id, format!("END RequestId: {id}"));
            self.platform(id, report(id, usage, failure));
        }
    }

    /// The init phase failed.
    pub(crate) fn init_failed(&self, took: Duration, failure: &Failure) {
        let text = if self.json {
            let metrics = json!({ "durationMs": rounded(millis(took)) });
            let record = [
                ("initializationType".to_owned(), "on-demand".into()),
                ("phase".to_owned(), "init".into()),
                ("metrics".to_owned(), metrics),
            ];
            let record = record.into_iter().chain(json_status(Some(failure))).collect();
            self.event("platform.initReport", record)
        } else {
            let (took, status) = (millis(took), status(failure));
            format!("INIT_REPORT Init Duration: {took:.2} ms\tPhase: init\t{status}")
        };
        self.line(None, LogSource::Platform, text);
    }

    /// The envelope of what the platform writes in JSON.
    fn event(&self, kind: &str, record: Value) -> String {
        json!({ "time": self.now(), "type": kind, "record": record }).to_string()
    }

    fn now(&self) -> String {
        let now = i64::try_from(self.clock.epoch_millis())
            .ok()
            .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
            .map(|time| format!("{time:.3}"));
        now.unwrap_or_default()
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

impl Usage {
    /// What is billed, in milliseconds.
    fn billed(&self) -> f64 {
        (millis(self.duration) + self.init.map_or(0.0, millis)).ceil()
    }
}

/// The content of `platform.report`.
fn record(id: &str, usage: &Usage, failure: Option<&Failure>) -> Value {
    let mut metrics = Map::from_iter([
        ("durationMs".to_owned(), rounded(millis(usage.duration))),
        ("billedDurationMs".to_owned(), rounded(usage.billed())),
        ("memorySizeMB".to_owned(), usage.memory_mb.into()),
        ("maxMemoryUsedMB".to_owned(), usage.peak_mb.into()),
    ]);
    metrics.extend(usage.init.map(|init| ("initDurationMs".to_owned(), rounded(millis(init)))));
    let record = [("requestId".to_owned(), id.into()), ("metrics".to_owned(), metrics.into())];
    record.into_iter().chain(json_status(failure)).collect()
}

/// The members that say how something ended.
fn json_status(failure: Option<&Failure>) -> impl Iterator<Item = (String, Value)> {
    let (status, kind) = match failure {
        None => ("success", None),
        Some(Failure::Timeout(_)) => ("timeout", None),
        Some(other) => ("error", Some(other.kind())),
    };
    let kind = kind.map(|kind| ("errorType".to_owned(), kind.into()));
    [("status".to_owned(), status.into())].into_iter().chain(kind)
}

/// A number of milliseconds with as many digits as Lambda shows; whole numbers without any.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "durations are short"
)]
fn rounded(millis: f64) -> Value {
    let micros = (millis * 1000.0).round() as i64;
    if micros % 1000 == 0 { (micros / 1000).into() } else { (micros as f64 / 1000.0).into() }
}

fn report(id: &str, usage: &Usage, failure: Option<&Failure>) -> String {
    let (duration, billed) = (millis(usage.duration), usage.billed());
    let mut text = format!(
        "REPORT RequestId: {id}\tDuration: {duration:.2} ms\tBilled Duration: {billed:.0} ms\t\
         Memory Size: {} MB\tMax Memory Used: {} MB\t",
        usage.memory_mb, usage.peak_mb
    );
    if let Some(init) = usage.init {
        write!(text, "Init Duration: {:.2} ms\t", millis(init)).expect("a String takes all text");
    }
    if let Some(failure) = failure {
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
    fn a_report_in_json_has_the_members_of_the_telemetry_event() {
        let usage = Usage { init: Some(Duration::from_micros(463_512)), ..USAGE };
        assert_eq!(
            record("id", &usage, None).to_string(),
            r#"{"requestId":"id","metrics":{"durationMs":1.93,"billedDurationMs":466,"memorySizeMB":128,"maxMemoryUsedMB":37,"initDurationMs":463.512},"status":"success"}"#
        );
        let ended = Failure::Exit(crate::supervisor::Exit::Code(1));
        let seen = record("id", &USAGE, Some(&ended));
        assert_eq!(
            (&seen["status"], &seen["errorType"]),
            (&json!("error"), &json!("Runtime.ExitError"))
        );
        let seen = record("id", &USAGE, Some(&Failure::Timeout(Duration::from_secs(1))));
        assert_eq!((&seen["status"], seen.get("errorType")), (&json!("timeout"), None));
    }

    #[test]
    fn a_report_tells_the_init_phase_and_the_failure() {
        let usage = Usage { init: Some(Duration::from_micros(110_440)), ..USAGE };
        let text = report("id", &usage, Some(&Failure::Timeout(Duration::from_secs(1))));
        assert!(text.ends_with("\tInit Duration: 110.44 ms\tStatus: timeout"), "{text}");
        assert!(text.contains("Billed Duration: 113 ms"), "{text}");
    }
}
