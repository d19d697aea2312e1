//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Runs serverless WebSocket applications: holds the connections, calls the functions.
#[derive(Debug, Parser)]
#[command(name = "stillwire", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an app on this machine: its WebSocket APIs, functions and tables.
    Dev(DevArgs),
    /// Talk to a WebSocket API, by hand or from a script.
    Connect(ConnectArgs),
    /// Validate an app and list what Stillwire does with each of its resources.
    Check(CheckArgs),
}

/// Which app, and which part of it.
#[derive(Debug, Args)]
pub(crate) struct AppArgs {
    /// A CDK app (a folder with cdk.json), a cloud assembly (cdk.out), or a CloudFormation template (JSON).
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Only the stacks of this stage (`dev` is `dev/Chat`, or an API stage of that name).
    #[arg(long, value_name = "NAME")]
    pub(crate) stage: Option<String>,
    /// Only these stacks, as the CDK selects them (`dev/Chat`, `dev/*`, `**`). May be repeated.
    #[arg(long = "stack", value_name = "PATTERN")]
    pub(crate) stacks: Vec<String>,
    /// The value of a template parameter. May be repeated.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) parameters: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    #[command(flatten)]
    pub(crate) app: AppArgs,
    /// The port of the first API; further APIs follow it, the AWS endpoint is just below. 0 takes free ports.
    #[arg(long, default_value_t = 7800)]
    pub(crate) port: u16,
    /// Where tables and other state are kept [default: .stillwire beside the app].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Keep nothing: tables in memory, other state in a temporary folder.
    #[arg(long, conflicts_with = "data_dir")]
    pub(crate) in_memory: bool,
    /// Write all addresses to this file, as JSON, once everything answers.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Limits and other settings of this machine [default: stillwire.toml beside the app, where there is one].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Run the app's synth even when no source changed since the last one.
    #[arg(long, conflicts_with = "no_synth")]
    pub(crate) synth: bool,
    /// Use the cdk.out that is there; do not run the app's synth.
    #[arg(long)]
    pub(crate) no_synth: bool,
    /// Show every line: the start and end of each invocation, and Stillwire's own log.
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) app: AppArgs,
    /// Print the list as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Fail when a resource is not run here.
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// The address: ws://… or wss://…
    pub(crate) url: String,
    /// A header of the handshake. May be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// A sub-protocol to offer. May be repeated.
    #[arg(short = 's', long = "subprotocol", value_name = "NAME")]
    pub(crate) subprotocols: Vec<String>,
    /// Send this message and leave after the wait. May be repeated.
    #[arg(short = 'x', long = "execute", value_name = "MESSAGE")]
    pub(crate) messages: Vec<String>,
    /// How long to listen after the last message, in seconds, when not at a terminal or with -x.
    #[arg(short = 'w', long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    pub(crate) wait: f64,
    /// Print every event as a line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Trust the certificate authorities in this PEM file as well.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("give a number of seconds from 0 to 86400".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
