//! The lines the platform writes about a function: START, END, REPORT, time-outs and notices; or, where the function's log
//! format is JSON, `platform.start`, `platform.runtimeDone`, `platform.report` and `platform.initReport`.
//!
//! In JSON, lines below a level are left out: of the platform's below the system's, of the function's below the application's.
//!
//! Source: AWS Lambda, the text log format; AWS Lambda Developer Guide, "Lambda Telemetry API `Event` schema reference",
//! "Log-level filtering" with its "System log level event mapping", and logs of functions with the JSON format, which have no
//! event of their own for a time-out.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stillwire_model::limits::LOG_TAIL_BYTES_MAX;
use stillwire_model::{Clock, Function, FunctionArn, FunctionLogs, LogLevel, LogLine, LogSource};

use crate::failure::{Failure, timed_out};

/// Writes the log of one function.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    logs: Arc<dyn FunctionLogs>,
    clock: Arc<dyn Clock>,
    function: FunctionArn,
    /// The least level of the function's own lines, where they have any.
    level: Option<LogLevel>,
    /// The least level of what the platform writes, where that is JSON.
    system_level: Option<LogLevel>,
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
        let arn = function.arn.clone();
        let (level, system_level) = (function.logging.level, function.logging.system_level);
        Self { logs, clock, function: arn, level, system_level, tail: None }
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
        if self.level.is_none_or(|least| level_of(&text) >= least) {
            self.line(request_id, LogSource::Function, text);
        }
    }

    /// A line to the person at the terminal.
    pub(crate) fn notice(&self, text: impl Into<String>) {
        self.line(None, LogSource::Notice, text.into());
    }

    /// The event is delivered.
    pub(crate) fn start(&self, id: &Arc<str>, version: &str) {
        let Some(least) = self.system_level else {
            return self.platform(id, format!("START RequestId: {id} Version: {version}"));
        };
        if least <= LogLevel::Info {
            let arn = self.function.to_string();
            let record = json!({ "requestId": &**id, "functionArn": arn, "version": version });
            self.platform(id, self.event("platform.start", record));
        }
    }

    /// The time limit was met.
    pub(crate) fn timeout(&self, id: &Arc<str>, limit: Duration) {
        if self.system_level.is_none() {
            self.platform(id, format!("{} {id} {}", self.now(), timed_out(limit)));
        }
    }

    /// The invocation is over.
    pub(crate) fn end(&self, id: &Arc<str>, usage: &Usage, failure: Option<&Failure>) {
        // A handler's own error is a success of the platform.
        let failure = failure.filter(|failure| !matches!(failure, Failure::Reported { .. }));
        let Some(least) = self.system_level else {
            self.platform(id, format!("END RequestId: {id}"));
            return self.platform(id, report(id, usage, failure));
        };
        if least <= level_by(failure, LogLevel::Debug) {
            self.platform(id, self.event("platform.runtimeDone", done(id, usage, failure)));
        }
        if least <= level_by(failure, LogLevel::Info) {
            self.platform(id, self.event("platform.report", record(id, usage, failure)));
        }
    }

    /// The init phase is over. In text only one that failed is told by itself.
    pub(crate) fn init_over(&self, took: Duration, failure: Option<&Failure>) {
        let text = match (self.system_level, failure) {
            (Some(least), _) if least <= level_by(failure, LogLevel::Debug) => {
                let metrics = json!({ "durationMs": rounded(millis(took)) });
                let record = [
                    ("initializationType".to_owned(), "on-demand".into()),
                    ("phase".to_owned(), "init".into()),
                    ("metrics".to_owned(), metrics),
                ];
                let record = record.into_iter().chain(json_status(failure)).collect();
                self.event("platform.initReport", record)
            }
            (None, Some(failure)) => {
                let (took, status) = (millis(took), status(failure));
                format!("INIT_REPORT Init Duration: {took:.2} ms\tPhase: init\t{status}")
            }
            _ => return,
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

/// The level of an event that has this one when all went well.
fn level_by(failure: Option<&Failure>, usual: LogLevel) -> LogLevel {
    if failure.is_some() { LogLevel::Warn } else { usual }
}

/// The level of a line that a function wrote: `INFO` unless it is an object that says another, and when.
///
/// Source: AWS Lambda Developer Guide, "Log-level filtering": without a valid timestamp its level is `INFO`.
fn level_of(line: &str) -> LogLevel {
    #[derive(Deserialize)]
    struct Said<'a> {
        #[serde(borrow)]
        level: Cow<'a, str>,
        #[serde(borrow, alias = "time")]
        timestamp: Cow<'a, str>,
    }
    serde_json::from_str::<Said<'_>>(line)
        .ok()
        .filter(|said| said.timestamp.parse::<jiff::Timestamp>().is_ok())
        .and_then(|said| LogLevel::named(&said.level))
        .unwrap_or(LogLevel::Info)
}

/// The content of `platform.runtimeDone`.
fn done(id: &str, usage: &Usage, failure: Option<&Failure>) -> Value {
    let metrics = json!({ "durationMs": rounded(millis(usage.duration)) });
    let record = [("requestId".to_owned(), id.into()), ("metrics".to_owned(), metrics)];
    record.into_iter().chain(json_status(failure)).collect()
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

    #[derive(Debug, Default)]
    struct Lines(Mutex<Vec<String>>);

    impl FunctionLogs for Lines {
        fn line(&self, line: LogLine) {
            self.0.lock().unwrap().push(line.text);
        }
    }

    #[derive(Debug)]
    struct Noon;

    impl Clock for Noon {
        fn epoch_millis(&self) -> u64 {
            1_800_000_000_000
        }
    }

    /// What is logged at these levels of a life with an output line, a success and a time-out.
    fn logged(
        level: Option<LogLevel>,
        system_level: Option<LogLevel>,
        output: &str,
    ) -> Vec<String> {
        let lines = Arc::new(Lines::default());
        let function = FunctionArn::new("aws", "eu-west-1", "123456789012", "f");
        let logs = Arc::clone(&lines) as Arc<dyn FunctionLogs>;
        let journal =
            Journal { logs, clock: Arc::new(Noon), function, level, system_level, tail: None };
        let id: Arc<str> = "id".into();
        let took = Duration::from_millis(5);
        journal.init_over(took, None);
        journal.start(&id, "1");
        journal.output(Some(&id), output.to_owned());
        journal.end(&id, &USAGE, None);
        journal.end(&id, &USAGE, Some(&Failure::Timeout(took)));
        journal.init_over(took, Some(&Failure::Timeout(took)));
        drop(journal);
        let lines = Arc::into_inner(lines).unwrap().0.into_inner().unwrap();
        let kind = |line: String| match serde_json::from_str::<Value>(&line) {
            Ok(event) if event["type"].is_string() => {
                let status = event["record"]["status"].as_str().unwrap_or("-");
                format!("{} {status}", event["type"].as_str().unwrap())
            }
            _ => line.split([' ', '\t']).next().unwrap().to_owned(),
        };
        lines.into_iter().map(kind).collect()
    }

    #[test]
    fn events_of_the_platform_have_lambdas_levels() {
        let all = [
            (LogLevel::Debug, "platform.initReport success"),
            (LogLevel::Info, "platform.start -"),
            (LogLevel::Fatal, "out"),
            (LogLevel::Debug, "platform.runtimeDone success"),
            (LogLevel::Info, "platform.report success"),
            (LogLevel::Warn, "platform.runtimeDone timeout"),
            (LogLevel::Warn, "platform.report timeout"),
            (LogLevel::Warn, "platform.initReport timeout"),
        ];
        for least in [LogLevel::Debug, LogLevel::Info, LogLevel::Warn] {
            let expected = all.iter().filter(|(level, _)| *level >= least).map(|(_, text)| *text);
            let found = logged(Some(LogLevel::Info), Some(least), "out");
            assert_eq!(found, expected.collect::<Vec<_>>(), "{least:?}");
        }
    }

    #[test]
    fn levels_filter_nothing_where_lines_are_text() {
        let found = logged(None, None, r#"{"level":"TRACE","timestamp":"2026-11-29T04:00:00Z"}"#);
        let output = r#"{"level":"TRACE","timestamp":"2026-11-29T04:00:00Z"}"#;
        let ends = ["END", "REPORT"];
        assert_eq!(found, [&["START", output], &ends[..], &ends[..], &["INIT_REPORT"]].concat());
    }

    #[test]
    fn a_line_of_the_function_has_the_level_that_it_tells() {
        for (line, expected) in [
            (
                r#"{"timestamp":"2026-11-29T04:00:00Z","level":"ERROR","message":"m"}"#,
                LogLevel::Error,
            ),
            (r#"{"time":"2026-11-29T04:00:00.123456+01:00","level":"debug"}"#, LogLevel::Debug),
            (r#"{"level":"FATAL"}"#, LogLevel::Info),
            (r#"{"level":"FATAL","timestamp":"noon"}"#, LogLevel::Info),
            (r#"{"level":"NOTICE","timestamp":"2026-11-29T04:00:00Z"}"#, LogLevel::Info),
            (r#"{"level":3,"timestamp":"2026-11-29T04:00:00Z"}"#, LogLevel::Info),
            ("[ERROR] plain", LogLevel::Info),
            ("", LogLevel::Info),
        ] {
            assert_eq!(level_of(line), expected, "{line}");
        }
        let at = |least| {
            logged(Some(least), Some(LogLevel::Warn), "plain").contains(&"plain".to_owned())
        };
        assert!(at(LogLevel::Info) && !at(LogLevel::Warn));
    }

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
