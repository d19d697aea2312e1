//! The ready file: all addresses as JSON, once everything answers. A stable interface for tests and scripts.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use stillwire_listen::Authority;
use stillwire_model::{App, Stack};

use crate::dev::addresses::Addresses;

/// Writes the file whole: whoever sees it sees all of it.
pub(crate) fn write(path: &Path, content: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(content)?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&temporary, text + "\n")
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| format!("cannot write the ready file {}", path.display()))
}

/// Removes the file, if it is there: it is true only while everything answers.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove the ready file {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// What is in it.
pub(crate) fn content(app: &App, addresses: &Addresses, authority: &Authority) -> Value {
    let apis = app.apis().flat_map(|api| {
        api.stages.keys().map(move |stage| {
            let url = |scheme| addresses.url(scheme, api, stage);
            json!({
                "stack": *api.stack, "logical_id": *api.logical_id, "name": api.name,
                "id": api.id.as_str(), "stage": stage.as_str(),
                "ws": url("ws"), "wss": url("wss"), "https": url("https"), "http": url("http"),
            })
        })
    });
    let domains = app.domains().flat_map(|domain| {
        domain.mappings.iter().map(move |(key, mapping)| {
            let url = |scheme| addresses.domain_url(scheme, domain, key);
            json!({
                "stack": *domain.stack, "logical_id": *domain.logical_id,
                "name": domain.name.as_str(), "key": key.as_str(),
                "api": mapping.api.as_str(), "stage": mapping.stage.as_str(),
                "ws": url("ws"), "wss": url("wss"), "https": url("https"), "http": url("http"),
            })
        })
    });
    let functions = app.functions().map(|function| {
        json!({
            "stack": *function.stack, "logical_id": *function.logical_id,
            "name": function.name(), "arn": function.arn.as_str(),
        })
    });
    let tables = app.tables().map(|table| {
        json!({
            "stack": *table.stack, "logical_id": *table.logical_id,
            "name": table.name, "arn": table.arn,
        })
    });
    // As `cdk deploy --outputs-file` writes them.
    let outputs: Map<String, Value> = app.stacks.iter().filter_map(outputs_of).collect();
    json!({
        "pid": std::process::id(),
        "aws_endpoint": addresses.aws_url(),
        "ca": authority.certificate,
        "apis": apis.collect::<Vec<_>>(),
        "domains": domains.collect::<Vec<_>>(),
        "functions": functions.collect::<Vec<_>>(),
        "tables": tables.collect::<Vec<_>>(),
        "outputs": outputs,
    })
}

/// What a stack tells, by its name.
fn outputs_of(stack: &Stack) -> Option<(String, Value)> {
    let outputs = stack.outputs.iter().map(|output| (output.key.clone(), output.value.clone()));
    let outputs: Map<String, Value> = outputs.map(|(key, value)| (key, value.into())).collect();
    (!outputs.is_empty()).then(|| (stack.name.to_string(), outputs.into()))
}
