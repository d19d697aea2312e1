//! Functions under a debugger: one environment, which waits for the debugger before it loads the function's code.
//!
//! Nothing runs out of time meanwhile, and nothing is forked.

use std::path::Path;
use std::time::Duration;

use stillwire_model::Runtime;

use crate::code::{Forks, Prepared};

/// What stands in for every time limit of a function that is debugged.
pub(crate) const PATIENCE: Duration = Duration::from_hours(24);

/// Lets a function wait for a debugger at this port of this machine; `library` is the folder with `debugpy`.
///
/// # Errors
/// When its runtime has no debugger that we know to start.
pub(crate) fn attach(
    prepared: &mut Prepared,
    runtime: &Runtime,
    port: u16,
    library: Option<&Path>,
) -> Result<(), String> {
    prepared.forks = Forks::Never;
    match (runtime, library) {
        (Runtime::Python(_), Some(library)) => {
            // Without it the debugger says that it may miss breakpoints. Older versions ignore what they don't know.
            prepared.args.insert(0, "-Xfrozen_modules=off".to_owned());
            let folder = library.to_string_lossy().into_owned();
            prepared.env.insert("STILLWIRE_DEBUGGER".to_owned(), format!("{port}:{folder}"));
            Ok(())
        }
        (Runtime::Node(_), _) => {
            prepared.args.insert(0, format!("--inspect-brk=127.0.0.1:{port}"));
            Ok(())
        }
        (other, _) => Err(format!("functions of {other} cannot be debugged here")),
    }
}
