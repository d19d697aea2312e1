//! The environment in which deploy tools find a Stillwire that runs.

use std::io::{self, Write as _};

use anyhow::Result;
use serde_json::{Map, Value};

use crate::deploy::target::{NO_SECRET, Target};

/// Prints it, to be evaluated by a shell: `eval "$(stillwire env)"`.
pub(crate) fn run(target: &Target, is_json: bool) -> Result<()> {
    let (account, region) = target.home();
    // An access key of twelve digits is an account; the secret opens nothing.
    let variables = [
        ("AWS_ENDPOINT_URL", target.endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", account),
        ("AWS_SECRET_ACCESS_KEY", NO_SECRET),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
    ];
    let mut out = io::stdout().lock();
    if is_json {
        let all: Map<String, Value> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        writeln!(out, "{}", Value::Object(all))?;
        return Ok(());
    }
    for (name, value) in variables {
        writeln!(out, "export {name}={value}")?;
    }
    Ok(())
}
