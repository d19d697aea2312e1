//! Tells an app that cannot start, because something is not installed, from one that fails.

use std::process::ExitStatus;

/// Whether an app failed because something is not installed: what, and how to get it.
pub(super) fn what_is_missing(output: &str, status: ExitStatus) -> Option<(String, String)> {
    const PIP: &str = "install the app's requirements: python3 -m venv .venv && .venv/bin/pip install -r requirements.txt";
    const NODE: &str = "install Node.js 20 or newer: the CDK needs it, also from Python";
    for module in quoted_after(output, "No module named ") {
        let package = module.split('.').next().unwrap_or_default();
        if ["aws_cdk", "constructs", "jsii"].contains(&package) || package.starts_with("aws_cdk") {
            return Some((format!("the Python module {module} is not installed"), PIP.to_owned()));
        }
    }
    for word in ["Cannot find module ", "Cannot find package "] {
        for module in quoted_after(output, word) {
            // A path is a file of the app itself.
            if !module.starts_with(['.', '/']) {
                let hint = "install the app's packages: npm install".to_owned();
                return Some((format!("the Node.js package {module} is not installed"), hint));
            }
        }
    }
    if output.contains("No such file or directory: 'node'") || output.contains("node: not found") {
        return Some(("Node.js is not installed".to_owned(), NODE.to_owned()));
    }
    // Source: POSIX shell, exit status 127, "command not found".
    if status.code() == Some(127) {
        let line = output.lines().rev().find(|line| line.contains("not found"));
        let reason = line.unwrap_or("its command was not found").trim().to_owned();
        return Some((reason, "install it, or correct `app` in cdk.json".to_owned()));
    }
    None
}

/// The quoted words that follow `word`.
fn quoted_after<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.split(word)
        .skip(1)
        .filter_map(|rest| {
            let quote = rest.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
            rest.strip_prefix(quote)?.split(quote).next()
        })
        .collect()
}
