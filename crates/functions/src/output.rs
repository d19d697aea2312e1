//! What a process writes: read without pause, split into lines, kept within bounds.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::time::Instant;

/// The longest line; a longer one is cut into several.
///
/// Source: Amazon `CloudWatch` Logs quotas, event size (256 KB).
const LINE_BYTES_MAX: usize = 256 * 1024;
/// What a process may write per second over a while.
const RATE_BYTES_PER_SECOND: u64 = 1024 * 1024;
/// What it may write at once.
const BURST_BYTES: u64 = 4 * 1024 * 1024;
/// Read at one turn, so that a chatty function cannot keep its task from everything else.
const TURN_BYTES_MAX: usize = 1024 * 1024;

/// One pipe of a process.
#[derive(Debug)]
pub(crate) struct Output {
    /// `None` after its end.
    pipe: Option<pipe::Receiver>,
    lines: Lines,
}

impl Output {
    /// A new pipe: our end, and the process's.
    pub(crate) fn open() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let pipe = Some(pipe::Receiver::from_owned_fd(ours)?);
        Ok((Self { pipe, lines: Lines::default() }, theirs))
    }

    /// Resolves when there is something to [`drain`](Self::drain); never after the pipe's end.
    ///
    /// # Cancel safety
    /// Cancel safe: it takes nothing.
    pub(crate) async fn readable(&self) {
        match &self.pipe {
            Some(pipe) => {
                if let Err(error) = pipe.readable().await {
                    tracing::debug!(%error, "an output pipe");
                }
            }
            None => std::future::pending().await,
        }
    }

    /// Gives every whole line that can be read at once to `take`.
    pub(crate) fn drain(&mut self, take: &mut dyn FnMut(String)) {
        let mut chunk = [0; 16 * 1024];
        let mut turn = 0;
        while let Some(pipe) = &self.pipe {
            match pipe.try_read(&mut chunk) {
                Ok(0) => self.finish(take),
                Ok(count) => {
                    self.lines.push(chunk.get(..count).unwrap_or_default(), take);
                    turn += count;
                    if turn >= TURN_BYTES_MAX {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::debug!(%error, "an output pipe");
                    self.finish(take);
                }
            }
        }
    }

    /// Gives up the pipe, with what is left of an unfinished line.
    pub(crate) fn finish(&mut self, take: &mut dyn FnMut(String)) {
        self.pipe = None;
        self.lines.finish(take);
    }
}

/// Splits bytes into lines.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    fn push(&mut self, mut bytes: &[u8], take: &mut dyn FnMut(String)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.extend(line, take);
            take(text(&std::mem::take(&mut self.partial)));
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.extend(bytes, take);
    }

    fn extend(&mut self, mut bytes: &[u8], take: &mut dyn FnMut(String)) {
        while self.partial.len() + bytes.len() > LINE_BYTES_MAX {
            let (fits, rest) = bytes.split_at(LINE_BYTES_MAX - self.partial.len());
            self.partial.extend_from_slice(fits);
            take(text(&std::mem::take(&mut self.partial)));
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
    }

    fn finish(&mut self, take: &mut dyn FnMut(String)) {
        if !self.partial.is_empty() {
            take(text(&std::mem::take(&mut self.partial)));
        }
    }
}

fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line).into_owned()
}

/// Lets a bounded stream of lines pass, and counts the rest.
#[derive(Debug)]
pub(crate) struct Allowance {
    bytes: u64,
    filled: Instant,
    dropped: u64,
}

/// What to do with a line.
/// What a line costs besides its own bytes.
const LINE_COST_BYTES: u64 = 100;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Let it pass.
    Pass,
    /// Let it pass, after word of this many dropped ones.
    PassAfter(u64),
    /// Drop it.
    Drop,
}

impl Allowance {
    /// A full allowance.
    pub(crate) fn new(now: Instant) -> Self {
        Self { bytes: BURST_BYTES, filled: now, dropped: 0 }
    }

    /// Whether a line of this size may pass.
    pub(crate) fn judge(&mut self, size: usize, now: Instant) -> Verdict {
        let elapsed = now.duration_since(self.filled);
        if elapsed >= Duration::from_millis(10) {
            let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            let fill = millis.saturating_mul(RATE_BYTES_PER_SECOND) / 1000;
            self.bytes = self.bytes.saturating_add(fill).min(BURST_BYTES);
            self.filled = now;
        }
        // An empty line costs as well: it is shown with the names of its function and invocation.
        let cost = size as u64 + LINE_COST_BYTES;
        if cost > self.bytes {
            self.dropped += 1;
            return Verdict::Drop;
        }
        self.bytes -= cost;
        match std::mem::take(&mut self.dropped) {
            0 => Verdict::Pass,
            dropped => Verdict::PassAfter(dropped),
        }
    }

    /// How many lines were dropped and not yet told.
    pub(crate) fn untold(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, &mut |line| found.push(line));
        }
        lines.finish(&mut |line| found.push(line));
        found
    }

    #[test]
    fn lines_are_whole_however_the_bytes_arrive() {
        assert_eq!(split(&[b"a\nb", b"c\r\n", b"\nd"]), ["a", "bc", "", "d"]);
        assert_eq!(split(&[b"\xff\n"]), ["\u{fffd}"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = vec![b'x'; LINE_BYTES_MAX + 7];
        let found = split(&[&long]);
        assert_eq!(found.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES_MAX, 7]);
    }

    #[test]
    fn a_flood_is_dropped_and_counted() {
        let now = Instant::now();
        let mut allowance = Allowance::new(now);
        let half = usize::try_from(BURST_BYTES / 2).unwrap();
        assert_eq!(allowance.judge(half, now), Verdict::Pass);
        assert_eq!(allowance.judge(half, now), Verdict::Drop);
        assert_eq!(allowance.judge(half, now), Verdict::Drop);
        let later = now + Duration::from_secs(4);
        assert_eq!(allowance.judge(half, later), Verdict::PassAfter(2));
    }
}
