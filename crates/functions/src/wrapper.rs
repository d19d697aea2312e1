//! `AWS_LAMBDA_EXEC_WRAPPER`: a program of the function's, or of a layer's, that starts the runtime in its own way. It gets the
//! runtime's command as its arguments.
//!
//! Source: AWS Lambda Developer Guide, "Modifying the runtime environment", "Wrapper scripts".

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use stillwire_model::{Function, Runtime};

use crate::code::{Forks, Prepared, Roots};

const VARIABLE: &str = "AWS_LAMBDA_EXEC_WRAPPER";

/// Has the wrapper start what was prepared, where the function names one. Disk work: not for the reactor.
///
/// # Errors
/// Why it cannot be started, and what to do.
pub(crate) fn wrap(
    function: &Function,
    roots: &Roots,
    prepared: &mut Prepared,
) -> Result<(), String> {
    let named = function.environment.get(VARIABLE).filter(|name| !name.is_empty());
    // A runtime that the function brings does this by itself, or does not.
    let Some(named) = named.filter(|_| !matches!(function.runtime, Runtime::Provided(_))) else {
        return Ok(());
    };
    let found = places(named, roots).into_iter().find(|path| path.is_file());
    let Some(wrapper) = found else {
        return Err(format!(
            "{VARIABLE} is {named}, which is neither in its package (/var/task) nor in its layers (/opt)"
        ));
    };
    let mode = fs::metadata(&wrapper).map_err(|error| error.to_string())?.permissions().mode();
    if mode & 0o111 == 0 {
        return Err(format!("its wrapper may not be executed: chmod +x {}", wrapper.display()));
    }
    let program = std::mem::replace(&mut prepared.program, wrapper);
    prepared.args.insert(0, program.to_string_lossy().into_owned());
    // What the wrapper does is for each process.
    prepared.forks = Forks::Never;
    Ok(())
}

/// Where a path of Lambda's is here: code that names such places finds it in its own folders.
fn places(named: &str, roots: &Roots) -> Vec<PathBuf> {
    let below = |folder: &str| Path::new(named).strip_prefix(folder).ok();
    if let Some(rest) = below("/opt") {
        return roots.layers.iter().map(|layers| layers.join(rest)).collect();
    }
    match below("/var/task") {
        Some(rest) => roots.folders().map(|root| root.join(rest)).collect(),
        None => vec![PathBuf::from(named)],
    }
}
