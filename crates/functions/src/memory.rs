//! How much memory a function's processes take, and the most they ever took.
//!
//! Choice: what counts is memory that belongs to no file, of the process and of those it started. Lambda's own count is not
//! documented; pages of programs and libraries, which all environments share here, are none of a function's.

use std::fs;
use std::time::Duration;

use tokio::time::Instant;

/// How often the most is looked at: a look costs as much as a short invocation.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Processes that are looked at, of one environment; with more, some of its memory is not seen.
const PROCESSES_MAX: usize = 4096;

/// What an environment takes at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Memory, in MB; 0 when that can no longer be known.
    pub(crate) mb: u64,
    /// Processes, of those that descend from the first.
    pub(crate) processes: usize,
}

/// What is known of the memory of a process and its descendants.
#[derive(Debug)]
pub(crate) struct Memory {
    pid: u32,
    peak_mb: u64,
    looked: Option<Instant>,
}

impl Memory {
    pub(crate) fn new(pid: u32) -> Self {
        Self { pid, peak_mb: 0, looked: None }
    }

    /// The most it ever had, in MB, as far as was seen.
    pub(crate) fn peak_mb(&mut self) -> u64 {
        let now = Instant::now();
        if self.looked.is_none_or(|then| now.duration_since(then) >= LOOK_EVERY) {
            self.looked = Some(now);
            // In a strict sandbox the first process is one of ours.
            let most = tree(self.pid).into_iter().filter_map(high_water_mb).max();
            self.peak_mb = self.peak_mb.max(most.unwrap_or_default());
        }
        self.peak_mb
    }

    /// What it takes now.
    pub(crate) fn now(&mut self) -> Taken {
        let pids = tree(self.pid);
        let bytes: u64 = pids.iter().filter_map(|pid| anonymous_bytes(*pid)).sum();
        let mb = bytes.div_ceil(1024 * 1024);
        self.peak_mb = self.peak_mb.max(mb);
        Taken { mb, processes: pids.len() }
    }
}

/// A process and its descendants, the elders first.
fn tree(root: u32) -> Vec<u32> {
    let (mut pids, mut at) = (vec![root], 0);
    while let Some(pid) = pids.get(at).copied() {
        at += 1;
        if pids.len() <= PROCESSES_MAX {
            pids.extend(children(pid));
        }
    }
    pids
}

fn high_water_mb(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib.div_ceil(1024))
}

/// Pages that are in memory and belong to no file.
fn anonymous_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut fields = text.split(' ').skip(1).map(str::parse::<u64>);
    let (resident, shared) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(resident.saturating_sub(shared) * rustix::param::page_size() as u64)
}

/// The processes that any of its threads started.
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let parse = |text: String| -> Vec<u32> {
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    };
    texts.flat_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_some_memory() {
        let mut memory = Memory::new(std::process::id());
        let before = memory.now();
        let block = vec![1_u8; 64 * 1024 * 1024];
        assert!(memory.now().mb >= before.mb + 60, "{} bytes more", block.len());
        assert!(memory.peak_mb() >= 64);
    }

    /// Those of other threads than the first were not counted; a test runs in such a thread.
    #[test]
    fn what_a_thread_started_counts() {
        assert_eq!(Memory::new(std::process::id()).now().processes, 1);
        let mut child = std::process::Command::new("sleep").arg("10").spawn().unwrap();
        let taken = Memory::new(std::process::id()).now();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(taken.processes, 2);
    }
}
