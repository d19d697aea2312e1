//! Finds the Node.js programs of this machine, and the one for a function.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::supervisor::Processes;
use crate::tool::{self, Tool};
use crate::versions::preference;

/// The major versions our bootstrap runs on, and the newest that is looked for.
const MAJORS: std::ops::RangeInclusive<u8> = 18..=99;
/// A shim of a version manager may be slow; one that hangs is as good as missing.
const PROBE_DEADLINE: Duration = Duration::from_secs(10);
/// Programs that are tried.
const PROGRAMS_MAX: usize = 50;

const PROBE: &str = "console.log(`found ${process.versions.node} ${process.execPath}`)";

/// An interpreter that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interpreter {
    /// The program itself, not a shim.
    pub(crate) program: PathBuf,
    /// Its major version.
    pub(crate) major: u8,
}

/// Every interpreter that runs, in the order of the places.
///
/// A program does not tell its version by its name, so each is asked.
pub(crate) async fn find(processes: &Processes, places: &[PathBuf]) -> Vec<Interpreter> {
    let mut found: Vec<Interpreter> = Vec::new();
    let mut tried = BTreeSet::new();
    for program in places.iter().map(|place| place.join("node")).filter(|path| path.is_file()) {
        let real = program.canonicalize().unwrap_or_else(|_| program.clone());
        if tried.len() < PROGRAMS_MAX
            && tried.insert(real)
            && let Some(node) = probe(processes, program).await
            && !found.contains(&node)
        {
            found.push(node);
        }
    }
    found
}

/// The interpreter for functions of `major`: that version, else the nearest newer one, else the nearest older one.
///
/// # Errors
/// When there is none at all; the text says what to install.
pub(crate) fn choose(all: &[Interpreter], major: u8) -> Result<&Interpreter, String> {
    preference(major, MAJORS)
        .find_map(|major| all.iter().find(|node| node.major == major))
        .ok_or_else(|| format!("there is no Node.js on this machine; install Node.js {major}"))
}

async fn probe(processes: &Processes, program: PathBuf) -> Option<Interpreter> {
    let tool = Tool {
        program: program.clone(),
        args: vec!["-e".to_owned(), PROBE.to_owned()],
        cwd: Path::new("/"),
        deadline: PROBE_DEADLINE,
        confinement: None,
    };
    match tool::run(processes, tool, &mut |_| {}).await {
        Ok(finished) if finished.success => parse(&finished.lines),
        Ok(finished) => {
            tracing::debug!(program = %program.display(), lines = ?finished.lines, "does not run");
            None
        }
        Err(error) => {
            tracing::debug!(program = %program.display(), %error, "does not run");
            None
        }
    }
}

fn parse(lines: &[String]) -> Option<Interpreter> {
    let line = lines.iter().find_map(|line| line.strip_prefix("found "))?;
    let (version, program) = line.split_once(' ')?;
    let major = version.split('.').next()?.parse().ok()?;
    Some(Interpreter { program: PathBuf::from(program), major })
        .filter(|node| MAJORS.contains(&node.major))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_may_print_more_than_its_line() {
        let lines = ["warning".to_owned(), "found 20.20.2 /a b/node".to_owned()];
        let found = parse(&lines).unwrap();
        assert_eq!((found.major, found.program.as_path()), (20, Path::new("/a b/node")));
        assert_eq!(parse(&["found 16.1.0 /node".to_owned()]), None);
    }

    #[test]
    fn the_nearest_newer_version_takes_over_else_the_nearest_older_one() {
        let node = |major| Interpreter { program: format!("/{major}").into(), major };
        let all = [node(18), node(24), node(22)];
        let chosen = |major| choose(&all, major).unwrap().major;
        assert_eq!([18, 20, 22, 26].map(chosen), [18, 22, 22, 24]);
        assert!(choose(&[], 22).unwrap_err().ends_with("install Node.js 22"));
    }
}
