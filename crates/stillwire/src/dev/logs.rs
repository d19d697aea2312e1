//! The log at the terminal: what functions write, and what Stillwire has to say.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::Result;
use stillwire_model::{Clock as _, FunctionLogs, LogLine, LogSource};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::clock::SystemClock;
use crate::report::hinted;
use crate::settings::Settings;
use crate::style::{Style, visible};

/// Lines that may wait for the terminal; further ones are dropped and counted.
const LINES_WAITING: usize = 4096;

/// Writes lines to the terminal from a thread of its own: a terminal that stops reading stops nothing else.
pub(crate) struct Terminal {
    lines: Mutex<Option<SyncSender<String>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    dropped: AtomicU64,
    style: Style,
    verbose: bool,
}

impl Terminal {
    /// Starts the writer, and sends Stillwire's own log the same way.
    pub(crate) fn start(verbose: bool, settings: &Settings) -> Result<Arc<Self>> {
        let (lines, waiting) = sync_channel(LINES_WAITING);
        let writer = std::thread::Builder::new().name("log".to_owned()).spawn(|| write(waiting))?;
        let terminal = Arc::new(Self {
            lines: Mutex::new(Some(lines)),
            writer: Mutex::new(Some(writer)),
            dropped: AtomicU64::new(0),
            style: Style::of(&io::stderr(), settings.no_color),
            verbose,
        });
        // The tables' engine reports every refused request, which is the caller's to judge.
        let default = if verbose { "info,dynoxide=error" } else { "warn,dynoxide=error" };
        let filter = settings.log.as_deref().unwrap_or(default);
        let own = Arc::clone(&terminal);
        let targets = filter.parse::<Targets>().map_err(|error| {
            let hint = "write it as STILLWIRE_LOG=warn,stillwire_gateway=debug";
            hinted(format!("STILLWIRE_LOG={filter}: {error}"), hint)
        })?;
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(terminal.style.is_on())
            .with_target(verbose)
            .with_timer(ClockTime)
            .with_writer(move || Line { terminal: Arc::clone(&own), text: Vec::new() });
        tracing_subscriber::registry().with(targets).with(lines).init();
        Ok(terminal)
    }

    /// Writes what is waiting and stops.
    pub(crate) fn finish(&self) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).take();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            writer.join().ok(); // a writer that panicked has nothing more to write
        }
    }

    fn print(&self, mut line: String) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            line = format!("({dropped} lines were dropped: the terminal is too slow)\n{line}");
        }
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(TrySendError::Full(_))) = lines.as_ref().map(|lines| lines.try_send(line)) {
            self.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Terminal").field("verbose", &self.verbose).finish_non_exhaustive()
    }
}

fn write(waiting: Receiver<String>) {
    for line in waiting {
        // A terminal that has gone away wants no more lines; the receiver goes on so that nobody waits.
        io::stderr().write_all(format!("{line}\n").as_bytes()).ok();
    }
}

impl FunctionLogs for Terminal {
    fn line(&self, line: LogLine) {
        let is_routine = line.source == LogSource::Platform
            && ["START ", "END ", "REPORT ", "INIT_"]
                .iter()
                .any(|kind| line.text.starts_with(kind));
        if is_routine && !self.verbose {
            return;
        }
        let request = line.request_id.as_deref().unwrap_or("-");
        let style = self.style;
        let name = style.cyan(line.function.name());
        let text = visible(&line.text);
        self.print(match line.source {
            LogSource::Function => format!("{name} {} {text}", style.dim(request)),
            LogSource::Platform => format!("{name} {} {}", style.dim(request), style.dim(text)),
            // Some notices name their function themselves.
            LogSource::Notice if text.contains(line.function.name()) => {
                format!("{}", style.yellow(text))
            }
            LogSource::Notice => format!("{name} {}", style.yellow(text)),
        });
    }
}

/// Collects one event of Stillwire's own log.
struct Line {
    terminal: Arc<Terminal>,
    text: Vec<u8>,
}

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        self.terminal.print(text.trim_end().to_owned());
    }
}

/// The time of day, in UTC.
struct ClockTime;

impl FormatTime for ClockTime {
    fn format_time(&self, out: &mut Writer<'_>) -> fmt::Result {
        let millis = i64::try_from(SystemClock.epoch_millis()).unwrap_or(0);
        let now = jiff::Timestamp::from_millisecond(millis).map_err(|_| fmt::Error)?;
        write!(out, "{}", now.strftime("%H:%M:%S"))
    }
}
