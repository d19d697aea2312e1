//! Which processes belong to an execution environment, read from `/proc`.
//!
//! A handler may start children, and those may leave the process group (`setsid`) and outlive their parent.
//! Three marks find them: the ancestor, the process group, and the environment variable every process of the
//! tree inherits. One that has shed all three is a stray: an orphan of no known environment, which came to the
//! supervisor. It goes with the first environment that ends and may have started it. Only descendants of the
//! supervisor are ever looked at, so a reused pid harms nobody.

use std::collections::BTreeMap;
use std::fs;

/// The variable that marks the processes of one environment.
pub(crate) const MARK: &str = "STILLWIRE_ENVIRONMENT";

/// What the variable says for an environment.
///
/// Always as long, so that a process that was forked can write its own over its template's.
pub(crate) fn mark(id: u64) -> String {
    format!("{id:020}")
}

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    parent: i32,
    group: i32,
    zombie: bool,
    /// When it started, in ticks since the machine did.
    started: u64,
}

/// A look at all processes.
#[derive(Debug)]
pub(super) struct Tree(BTreeMap<i32, Process>);

impl Tree {
    /// Reads `/proc`. Processes that vanish meanwhile are left out.
    pub(super) fn read() -> Self {
        let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = numbers.filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, parse(&fs::read_to_string(entry.path().join("stat")).ok()?)?))
        });
        Self(processes.collect())
    }

    /// The living descendants of `ancestor`.
    pub(super) fn descendants(&self, ancestor: i32) -> Vec<i32> {
        let living = self.0.iter().filter(|(_, process)| !process.zombie);
        living.map(|(pid, _)| *pid).filter(|pid| self.descends(*pid, ancestor)).collect()
    }

    /// Those living descendants of `supervisor` that belong to the environment `id` with the first process `root`.
    pub(super) fn members(&self, supervisor: i32, root: i32, id: u64) -> Vec<i32> {
        let mark = format!("{MARK}={}", mark(id));
        let belongs = |pid: &i32| {
            *pid == root
                || self.0.get(pid).is_some_and(|process| process.group == root)
                || self.descends(*pid, root)
                || marked(*pid, &mark)
        };
        self.descendants(supervisor).into_iter().filter(belongs).collect()
    }

    /// Living orphans without any mark that started since, with what descends from them. `known` are the first processes
    /// of everything that the supervisor started.
    pub(super) fn strays(
        &self,
        supervisor: i32,
        since: u64,
        known: impl Fn(i32) -> bool,
    ) -> Vec<i32> {
        let is_stray = |(pid, process): &(&i32, &Process)| {
            process.parent == supervisor
                && process.started >= since
                && !known(**pid)
                && is_unmarked(**pid)
        };
        let orphans: Vec<i32> = self.0.iter().filter(is_stray).map(|(pid, _)| *pid).collect();
        let of_orphans = orphans.iter().flat_map(|orphan| self.descendants(*orphan));
        let living = |pid: &i32| self.0.get(pid).is_some_and(|process| !process.zombie);
        orphans.iter().copied().filter(living).chain(of_orphans).collect()
    }

    fn descends(&self, pid: i32, ancestor: i32) -> bool {
        let mut at = pid;
        // The depth is bounded because the picture may be torn: it is not one moment's.
        for _ in 0..64 {
            let Some(process) = self.0.get(&at) else { return false };
            if process.parent == ancestor {
                return true;
            }
            at = process.parent;
        }
        false
    }
}

fn marked(pid: i32, mark: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|text| text.split(|byte| *byte == 0).any(|pair| pair == mark.as_bytes()))
}

/// Whether a process has no mark of any environment. One whose variables cannot be read any more is ending.
fn is_unmarked(pid: i32) -> bool {
    let mark = format!("{MARK}=");
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|text| {
        !text.split(|byte| *byte == 0).any(|pair| pair.starts_with(mark.as_bytes()))
    })
}

/// When a process started, in ticks; 0 when that cannot be known any more.
pub(super) fn started(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    stat.and_then(|stat| parse(&stat)).map_or(0, |process| process.started)
}

/// Reads `/proc/PID/stat`: the name in parentheses may hold anything, so count from its end.
fn parse(stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    Some(Process {
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
        zombie,
        started: fields.nth(16)?.parse().ok()?, // field 22
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_parentheses_does_not_confuse_the_parser() {
        let found =
            parse("77 (a) b (c)) S 5 70 70 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 1234 9").unwrap();
        assert_eq!(found, Process { parent: 5, group: 70, zombie: false, started: 1234 });
    }

    #[test]
    fn descendants_are_found_through_several_generations() {
        let process = |parent| Process { parent, group: 1, zombie: false, started: 0 };
        let tree = Tree(BTreeMap::from([
            (2, process(1)),
            (3, process(2)),
            (4, process(3)),
            (9, process(7)),
        ]));
        assert_eq!(tree.descendants(2), [3, 4]);
    }
}
