//! Functions that wait for a debugger, as `--debug` names them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use stillwire_model::{App, FunctionArn, Runtime};

use crate::report::hinted;

/// The first port of debuggers for Python, which `debugpy` and editors use unless told otherwise.
const PYTHON_PORT: u16 = 5678;
/// The first port of debuggers for Node.js, its inspector's own.
const NODE_PORT: u16 = 9229;

/// Finds the functions and their ports; each gets one environment, for a debugger has room for one.
pub(crate) fn find(app: &mut App, wanted: &[String]) -> Result<BTreeMap<FunctionArn, u16>> {
    let mut found = BTreeMap::new();
    for text in wanted {
        let (name, port) = match text.split_once('=') {
            Some((name, port)) => match port.parse() {
                Ok(port) => (name, Some(port)),
                Err(_) => {
                    return Err(hinted(
                        format!("--debug {text}: `{port}` is no port"),
                        "write it as --debug FUNCTION=5678",
                    ));
                }
            },
            None => (text.as_str(), None),
        };
        let before = found.len();
        for stack in &mut app.stacks {
            for function in &mut stack.functions {
                if *function.logical_id != *name && function.name() != name {
                    continue;
                }
                let first = match function.runtime {
                    Runtime::Node(_) => NODE_PORT,
                    _ => PYTHON_PORT,
                };
                let offset = u16::try_from(found.len()).unwrap_or_default();
                found.insert(
                    function.arn.clone(),
                    port.unwrap_or_else(|| first.saturating_add(offset)),
                );
                Arc::make_mut(function).reserved_concurrency = Some(1);
            }
        }
        if found.len() == before {
            return Err(hinted(
                format!("--debug {text}: no function of this app has this name or logical id"),
                "`stillwire check` lists both",
            ));
        }
    }
    Ok(found)
}
