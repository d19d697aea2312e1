//! Finds a Python that really runs: the version asked for, else the nearest.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::supervisor::Processes;
use crate::tool::{self, Tool};
use crate::versions::preference;

/// The oldest minor version our bootstrap runs on, and the newest that is looked for.
const MINORS: std::ops::RangeInclusive<u8> = 6..=20;
/// A shim of a version manager may be slow; one that hangs is as good as missing.
const PROBE_DEADLINE: Duration = Duration::from_secs(10);

const PROBE: &str = "import sys, importlib.util as u
has = lambda name: int(u.find_spec(name) is not None)
print('found', sys.version_info[0], sys.version_info[1], has('boto3'), has('pip'), sys.executable)";

/// An interpreter that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interpreter {
    /// The program itself, not a shim.
    pub(crate) program: PathBuf,
    /// 11 is Python 3.11.
    pub(crate) minor: u8,
    /// Whether it has boto3 of its own.
    pub(crate) has_boto3: bool,
    /// Whether it can install packages.
    pub(crate) has_pip: bool,
}

/// Finds the interpreter for Python 3.`minor`.
///
/// # Errors
/// When there is none at all; the text says what to install.
pub(crate) async fn find(
    processes: &Processes,
    places: &[PathBuf],
    minor: u8,
) -> Result<Interpreter, String> {
    for candidate in preference(minor, MINORS) {
        let name = format!("python3.{candidate}");
        for program in places.iter().map(|place| place.join(&name)).filter(|path| path.is_file()) {
            if let Some(found) = probe(processes, program).await
                && found.minor == candidate
            {
                return Ok(found);
            }
        }
    }
    for program in places.iter().map(|place| place.join("python3")).filter(|path| path.is_file()) {
        if let Some(found) = probe(processes, program).await
            && MINORS.contains(&found.minor)
        {
            return Ok(found);
        }
    }
    Err(format!("there is no Python on this machine; install python3.{minor}"))
}

async fn probe(processes: &Processes, program: PathBuf) -> Option<Interpreter> {
    let tool = Tool {
        program: program.clone(),
        // Isolated: a function will not see the daemon's variables or the user's own packages either.
        args: vec!["-I".to_owned(), "-c".to_owned(), PROBE.to_owned()],
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
    let line = lines.iter().find_map(|line| line.strip_prefix("found 3 "))?;
    let mut fields = line.splitn(4, ' ');
    Some(Interpreter {
        minor: fields.next()?.parse().ok()?,
        has_boto3: fields.next()? == "1",
        has_pip: fields.next()? == "1",
        program: PathBuf::from(fields.next()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_may_print_more_than_its_line() {
        let lines = ["warning".to_owned(), "found 3 11 0 1 /a b/python".to_owned()];
        let found = parse(&lines).unwrap();
        assert_eq!((found.minor, found.has_boto3, found.has_pip), (11, false, true));
        assert_eq!(found.program, Path::new("/a b/python"));
        assert_eq!(parse(&["found 2 7 0 1 /python".to_owned()]), None);
    }
}
