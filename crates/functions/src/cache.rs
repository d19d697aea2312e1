//! Folders that are filled once and kept from one run to the next.
//!
//! A folder is filled under another name and then renamed, so that whoever sees it sees it whole; when several
//! processes fill the same one, the first rename wins and the others are thrown away.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::supervisor::Processes;
use crate::tool::{self, Tool};

/// How long an installation may take.
const INSTALL_DEADLINE: Duration = Duration::from_mins(5);

/// Fills the folder unless it is there; `fill` gets the folder to fill, which does not exist yet, in one of its own.
///
/// # Errors
/// What `fill` says, or that the folder cannot be written.
pub(crate) async fn filled(
    folder: &Path,
    fill: impl AsyncFnOnce(&Path) -> Result<(), String>,
) -> Result<(), String> {
    if folder.is_dir() {
        return Ok(());
    }
    let text = |error: std::io::Error| error.to_string();
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(text)?;
    let temporary = tempfile::Builder::new().prefix(".installing-").tempdir_in(parent);
    let target = temporary.as_ref().map_err(ToString::to_string)?.path().join("target");
    fill(&target).await?;
    match fs::rename(&target, folder) {
        // Somebody else was faster.
        Err(_) if folder.is_dir() => Ok(()),
        renamed => renamed.map_err(text),
    }
}

/// Runs an installer to its end.
///
/// # Errors
/// The last line in which it speaks of an error.
pub(crate) async fn run_installer(
    processes: &Processes,
    (program, args): (&Path, Vec<String>),
    cwd: &Path,
    progress: &mut (dyn FnMut(&str) + Send),
) -> Result<(), String> {
    let tool = Tool {
        program: program.to_owned(),
        args,
        cwd,
        deadline: INSTALL_DEADLINE,
        confinement: None,
    };
    let finished = tool::run(processes, tool, progress).await.map_err(|e| e.to_string())?;
    if finished.success {
        return Ok(());
    }
    let error = finished.lines.iter().rev().find(|line| line.to_lowercase().contains("error"));
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Err(error
        .or_else(|| finished.lines.last())
        .cloned()
        .unwrap_or_else(|| format!("{name} failed")))
}

/// FNV-1a: small, and the same on every machine. Not against an adversary, who could write the folder anyway.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
