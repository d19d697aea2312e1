//! Follows a running app: its output, its end, and the end of everything it started.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;
use tokio::time::{Instant, sleep_until};

use super::{Progress, Told};

/// How long an app may take.
///
/// Choice: installing the dependencies of several bundled functions can take minutes.
pub(super) const TIME_MAX: Duration = Duration::from_mins(10);

/// How long output is still read after the app ended, in case something it started holds the pipe open.
const LINGER: Duration = Duration::from_secs(2);

/// How much of the output an error keeps, in bytes.
const TAIL_BYTES: usize = 64 * 1024;

/// A line longer than this is passed on in pieces.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Reads the output until the app ended; `None` when it did not in time.
pub(super) async fn follow(
    mut child: Child,
    output: &mut Output<'_>,
) -> io::Result<Option<ExitStatus>> {
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let (mut out_line, mut err_line) = (Line::new(), Line::new());
    let mut deadline = Instant::now() + TIME_MAX;
    let mut status = None;
    while status.is_none() || out.is_some() || err.is_some() {
        tokio::select! {
            // All branches only observe; none loses anything when another one wins.
            count = out_line.fill(&mut out), if out.is_some() => {
                if !out_line.pass_on(count, output) { out = None }
            }
            count = err_line.fill(&mut err), if err.is_some() => {
                if !err_line.pass_on(count, output) { err = None }
            }
            ended = child.wait(), if status.is_none() => {
                status = Some(ended?);
                deadline = Instant::now() + LINGER;
            }
            () = sleep_until(deadline) => break,
        }
    }
    out_line.finish(output);
    err_line.finish(output);
    Ok(status)
}

/// One stream's unfinished line, and what was just read.
struct Line {
    bytes: Vec<u8>,
    buffer: Vec<u8>,
}

impl Line {
    fn new() -> Self {
        Self { bytes: Vec::new(), buffer: vec![0; 4096] }
    }

    /// Reads some bytes; 0 at the end, which a stream that fails is as well.
    async fn fill(&mut self, stream: &mut Option<impl AsyncRead + Unpin>) -> usize {
        match stream {
            Some(stream) => stream.read(&mut self.buffer).await.unwrap_or(0),
            None => 0,
        }
    }

    /// Passes on the lines among the bytes that were read; `false` at the end.
    fn pass_on(&mut self, count: usize, output: &mut Output<'_>) -> bool {
        let read = self.buffer.get(..count).unwrap_or_default().to_vec();
        for byte in read {
            if byte == b'\n' || self.bytes.len() == LINE_BYTES_MAX {
                self.finish(output);
            }
            if byte != b'\n' {
                self.bytes.push(byte);
            }
        }
        count > 0
    }

    fn finish(&mut self, output: &mut Output<'_>) {
        if !self.bytes.is_empty() {
            output.line(&String::from_utf8_lossy(&self.bytes));
            self.bytes.clear();
        }
    }
}

/// Where lines go: to the person who waits, and the last of them into an error.
pub(super) struct Output<'a> {
    tail: Vec<u8>,
    progress: Progress<'a>,
}

impl<'a> Output<'a> {
    pub(super) fn new(progress: Progress<'a>) -> Self {
        Self { tail: Vec::new(), progress }
    }

    /// Tells that a step begins.
    pub(super) fn step(&self, text: &str) {
        (self.progress)(Told::Step(text));
    }

    fn line(&mut self, line: &str) {
        (self.progress)(Told::Line(line));
        self.tail.extend_from_slice(line.as_bytes());
        self.tail.push(b'\n');
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus);
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.tail).trim_end().to_owned()
    }
}

/// A process group that does not outlive its owner.
pub(super) struct Group(Option<u32>);

impl Group {
    /// The group that a child leads.
    pub(super) fn of(child: &Child) -> Self {
        Self(child.id())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let pid =
            self.0.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // Nobody left to kill is the usual case.
            rustix::process::kill_process_group(pid, rustix::process::Signal::KILL).ok();
        }
    }
}
